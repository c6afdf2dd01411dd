"""How the cost of a step grows with shoppers, candidates and slots, and what memory large markets and long logs take.

Each of N, C and K grows alone from the benchmark's sizes. A line is fitted to CPU time against size; cost that grew
faster than linearly would leave it upwards at the far end.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from policies.registry import named_policy
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.vector_env import SearchVectorEnv
from simenv.worlds import load_world, world_params

SIZES = {"N": 4096, "C": 100, "K": 10}
GROWTH: dict[str, tuple[int, ...]] = {
    "N": (1024, 2048, 4096, 8192, 16384),
    "C": (25, 50, 100, 200, 400),
    "K": (5, 10, 20, 30, 40),
}
MEANING = {"N": "shoppers", "C": "candidates", "K": "slots"}
STEPS = 8
ROUNDS = 3


def scaling(advance: Callable[[int], None] = lambda _: None) -> list[dict[str, Any]]:
    """CPU time of a step of the default world where one size grows alone.

    Args:
        advance: Told the number of sizes done.

    Returns:
        A record a size: axis (N, C or K), meaning, size, milliseconds of CPU time a step (the least of a few rounds:
        what disturbs only adds), fitted (of the least-squares line through the axis), r_squared of that line.
    """
    records = []
    for axis, sizes in GROWTH.items():
        seconds = []
        for size in sizes:
            seconds.append(_step_seconds(**{**SIZES, axis: size}))
            advance(1)
        measured = np.array(seconds)
        slope, start = np.polyfit(sizes, measured, 1)
        fitted = start + slope * np.array(sizes)
        r_squared = 1.0 - np.square(measured - fitted).sum() / np.square(measured - measured.mean()).sum()
        records += [
            {"axis": axis, "meaning": MEANING[axis], "size": size, "milliseconds": 1e3 * own,
             "fitted": 1e3 * line, "r_squared": float(r_squared)}
            for size, own, line in zip(sizes, seconds, fitted.tolist(), strict=True)
        ]  # fmt: skip
    return records


def peak_memory(n_shoppers: int = 1_000_000, n_items: int = 1_000_000) -> float:
    """Peak memory, in GB of resident set, of a fresh process in which that many shoppers see and get one page each."""
    return _alone(_one_page_each, n_shoppers, n_items)[1]


def log_writing(n_shoppers: int) -> tuple[float, float, float]:
    """Write a log of the default world under the lexical ranker, in a fresh process.

    Returns:
        Searches written, peak memory in GB of resident set, and searches per CPU-second.
    """
    (searches, seconds), peak = _alone(_write_log, n_shoppers)
    return searches, peak, searches / seconds


def _one_page_each(n_shoppers: int, n_items: int) -> None:
    params = dataclasses.replace(world_params("default"), n_items=n_items)
    env = SearchVectorEnv(n_shoppers, params)
    env.reset(seed=0)
    env.step(np.tile(np.arange(params.n_slots), (n_shoppers, 1)))


def _write_log(n_shoppers: int) -> tuple[float, float]:
    """The searches of a log and the CPU time of writing it."""
    world = load_world("default")
    policy = named_policy("lexical", world.catalogue.public())
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        out = write_log(world, "default", policy, 0, shopper_range(n_shoppers), Path(folder) / "log")
        return float(Log.open(out).n_rows), time.process_time() - start


def _alone(work: Callable[..., Any], *arguments: int) -> tuple[Any, float]:
    """What some work returns in a process of its own, and the peak memory of that process in GB."""
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_answer, args=(there, work, arguments))
    child.start()
    there.close()
    try:
        result, peak = here.recv()
    finally:
        child.join()
    return result, peak


def _answer(answer: Connection, work: Callable[..., Any], arguments: tuple[int, ...]) -> None:
    result = work(*arguments)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    answer.send((result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9))


def _step_seconds(N: int, C: int, K: int) -> float:
    """CPU time of one step with random slates, the least of a few rounds."""
    env = SearchVectorEnv(N, dataclasses.replace(world_params("default"), n_candidates=C, n_slots=K))
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    slates = [np.argsort(rng.random((N, C)), axis=1)[:, :K].copy() for _ in range(2)]
    env.step(slates[0])  # compiles
    best = np.inf
    for _ in range(ROUNDS):
        start = time.process_time()
        for turn in range(STEPS):
            env.step(slates[turn % 2])
        best = min(best, (time.process_time() - start) / STEPS)
    return best

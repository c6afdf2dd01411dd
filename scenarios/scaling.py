"""How the cost of a step grows with shoppers, candidates and slots, and how much memory a large market takes.

Each of N, C and K grows alone from the benchmark's sizes. A line is fitted to CPU time against size; cost that grew
faster than linearly would leave it upwards at the far end.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from simenv.vector_env import SearchVectorEnv
from simenv.worlds import world_params

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
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_peak, args=(there, n_shoppers, n_items))
    child.start()
    there.close()
    try:
        peak: float = here.recv()
    finally:
        child.join()
    return peak


def _peak(answer: Connection, n_shoppers: int, n_items: int) -> None:
    params = dataclasses.replace(world_params("default"), n_items=n_items)
    env = SearchVectorEnv(n_shoppers, params)
    env.reset(seed=0)
    env.step(np.tile(np.arange(params.n_slots), (n_shoppers, 1)))
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    answer.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9)


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

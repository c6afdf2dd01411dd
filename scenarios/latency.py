"""Latency of saved models: one query of 100 candidates, from ids to a slate of 10 and its propensities.

That is what a shopper waits for: features are gathered, scored, and a slate is drawn with its log-probabilities. Once
by the model as it is loaded, with torch, and once by its ONNX file with onnxruntime; features are made by the same code
in both, and in the second what is drawn from are the graph's probabilities. Wall-clock time, which a busy machine
lengthens, and CPU time, which it hardly does, of one thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from policies import plackett_luce
from policies.examples import step_examples
from policies.learning import Learner
from policies.persistence import LearnedFrom, load_model, read_card, save_model
from policies.ranking import RankingPolicy
from policies.registry import POLICIES, entry_of, named_policy, new_learner
from policies.shipping.onnx_export import feeds, onnx_bytes, session
from scenarios.mechanisms import C, K, sized
from scenarios.progress import Advance
from simenv import hashing
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.hashing import Keys
from simenv.play import Step, play, shopper_range
from simenv.world import Page, World, make_world
from simenv.worlds import world_params

QUERIES, WARM_UP = 500, 50
SHOPPERS = 150  # whose searches the models learn from, and are asked again

Answer = Callable[[Page, Keys], object]


def latency_kinds() -> list[str]:
    """The kinds of models that are measured."""
    return [name for name, entry in POLICIES.items() if entry.learns]


def latencies(advance: Advance | None = None) -> list[dict[str, Any]]:
    """A record for each kind of model and runtime.

    Each has model, runtime ("torch" or "onnxruntime"), candidates, slots, and in milliseconds p50, p99 (wall clock),
    cpu_p50 and cpu_p99. A kind that is not exported has the first runtime alone.
    """
    world = make_world(sized(world_params("default")))
    logger = named_policy("production", world.catalogue.public())
    steps = join(list(play(world, logger, 0, shopper_range(SHOPPERS))))
    records = []
    for kind in latency_kinds():
        with tempfile.TemporaryDirectory() as folder:
            policy, card = _saved_and_loaded(kind, world, steps, Path(folder) / "model")
        records += [
            {"model": kind, "runtime": runtime, "candidates": C, "slots": K, **_timed(answer, steps.page)}
            for runtime, answer in _answers(policy, card).items()
        ]
        if advance is not None:
            advance()
    return records


def _saved_and_loaded(kind: str, world: World, steps: Step, folder: Path) -> tuple[RankingPolicy, dict[str, Any]]:
    catalogue = world.catalogue.public()
    learner: Learner = new_learner(kind, catalogue, K, 0)
    if not entry_of(kind).trained_by:  # what RLlib trains takes as long untrained
        learner.update(step_examples(learner.feature_map, steps))
        learner.finish()
    save_model(learner, folder, K, LearnedFrom("", world.params.digest(), 0, None, learner.n_searches), {})
    return load_model(folder, catalogue, K), read_card(folder)


def _answers(policy: RankingPolicy, card: dict[str, Any]) -> dict[str, Answer]:
    """Ways to answer a query, by runtime."""
    made: dict[str, Answer] = {"torch": lambda page, keys: policy.act(page, K, keys)}
    try:
        run = session(onnx_bytes(policy, K, card))
    except UserError:  # not every kind is exported, and onnxruntime need not be there
        return made

    def by_graph(page: Page, keys: Keys) -> object:
        (p,) = run.run(["probabilities"], feeds(policy, page))
        with np.errstate(divide="ignore"):
            logw = np.log(p.astype(np.float64))
        slate = plackett_luce.draw(logw, K, keys, page.candidates)
        return slate, plackett_luce.conditional(logw, slate)

    return made | {"onnxruntime": by_graph}


def _timed(answer: Answer, pages: Page) -> dict[str, float]:
    """Quantiles of QUERIES answers in milliseconds, after some that are not counted."""
    keys = hashing.absorb(0, np.arange(len(pages)))
    wall, cpu = np.empty(QUERIES), np.empty(QUERIES)
    for turn in range(-WARM_UP, QUERIES):
        row = slice(turn % len(pages), turn % len(pages) + 1)
        page, own = take(pages, row), keys[row]
        began, began_cpu = time.perf_counter(), time.process_time()
        answer(page, own)
        cpu[turn], wall[turn] = time.process_time() - began_cpu, time.perf_counter() - began
    quantiles = {"": wall, "cpu_": cpu}
    return {
        f"{name}p{q}": 1000.0 * float(np.quantile(times, q / 100))
        for name, times in quantiles.items()
        for q in (50, 99)
    }

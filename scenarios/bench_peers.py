"""Speed of peers' bandits on this machine, where they are installed: Vowpal Wabbit and mabwiser.

They are no dependencies: Vowpal Wabbit's wheel is made for some versions of Python only. Their work is near to that of
`policies.kernels.jobs`, not the same: Vowpal Wabbit hashes 8 features of the context and 32 of each of 100 actions and
gives all their probabilities; mabwiser has a model for each of 100 arms, which all see the 32 features of one context.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from scenarios.benchmark import Benchmark
from scenarios.mechanisms import C, N

F, SHARED = 32, 8
LEARNED, EVENTS = 50, 128  # events that Vowpal Wabbit learns from, and decides about in a round
PARSED = "Vowpal Wabbit squarecb, 100 actions of 8 + 32 features, parsed before"


def _vowpal(is_parsed: bool) -> Callable[[], float]:
    """One event at a time, as its Python package works; parsing is counted where it is not done before."""

    def rate() -> float:
        import vowpalwabbit

        rng = np.random.default_rng(0)
        learner = vowpalwabbit.Workspace("--cb_explore_adf --squarecb --quiet")
        for _ in range(LEARNED):
            learner.learn(_event(rng, label="0:1.0:0.01 "))
        events = [_event(rng) for _ in range(EVENTS)]
        kind = vowpalwabbit.LabelType.CONTEXTUAL_BANDIT
        parsed = [learner.parse(event, kind) for event in events] if is_parsed else []
        start = time.process_time()
        for event in parsed or events:
            learner.predict(event)
        seconds = time.process_time() - start
        for event in parsed:
            learner.finish_example(event)
        learner.finish()
        return EVENTS / seconds

    return rate


def _event(rng: np.random.Generator, label: str = "") -> str:
    """A context and its actions in Vowpal Wabbit's text; the label is the first action's."""

    def features(n: int) -> str:
        return " ".join(f"{j}:{value:.4f}" for j, value in enumerate(rng.normal(size=n)))

    actions = [f"{'' if action else label}|A {features(F)}" for action in range(C)]
    return "\n".join([f"shared |U {features(SHARED)}", *actions])


def _mabwiser(policy: Literal["LinUCB", "LinTS"]) -> Callable[[], float]:
    """4,096 contexts in one call, after as many were learned from."""

    def rate() -> float:
        from mabwiser.mab import MAB, LearningPolicy

        rng = np.random.default_rng(0)
        model = MAB(list(range(C)), getattr(LearningPolicy, policy)(alpha=1.0), n_jobs=1)
        x = rng.normal(size=(N, F))
        model.fit(rng.integers(0, C, N), rng.random(N), x)
        start = time.process_time()
        model.predict(x)
        return N / (time.process_time() - start)

    return rate


PEERS: dict[str, Benchmark] = {
    PARSED: Benchmark("decisions/CPU-s", _vowpal(is_parsed=True), needs="vowpalwabbit"),
    "Vowpal Wabbit squarecb, the same from text": Benchmark(
        "decisions/CPU-s", _vowpal(is_parsed=False), needs="vowpalwabbit"
    ),
    "mabwiser LinUCB, 100 arms that share a context of 32": Benchmark(
        "decisions/CPU-s", _mabwiser("LinUCB"), needs="mabwiser"
    ),
    "mabwiser LinTS, 100 arms that share a context of 32": Benchmark(
        "decisions/CPU-s", _mabwiser("LinTS"), needs="mabwiser"
    ),
}

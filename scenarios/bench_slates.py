"""Speed of the estimators of ranked slates, next to what was measured of Open Bandit Pipeline.

Ours are timed from bare columns to the number: every check of the evidence, the weights and, where it is said, the
interval clustered by shopper. Theirs are point estimates of the same formulas, by their own code on another machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.benchmark import Benchmark

SLATES, SLOTS, ROUNDS = 100_000, 5, 5
OBP = "obp 0.5.7, point estimate only, 5 slots, 10 actions"


@dataclass(frozen=True)
class _Columns:
    """What a log and a reward model give: (N, K) but for the last two, (N,)."""

    reward: npt.NDArray[np.float64]
    logger: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]
    total: npt.NDArray[np.float64]
    shopper: npt.NDArray[np.int64]


def _columns(n_slates: int) -> _Columns:
    rng = np.random.default_rng(0)
    logger, target = np.log(rng.uniform(0.1, 0.9, (2, n_slates, SLOTS)))
    reward = (rng.random((n_slates, SLOTS)) < 0.1).astype(np.float64)
    return _Columns(
        reward, logger, target, np.full(reward.shape, 0.1), np.full(n_slates, 0.1 * SLOTS), np.arange(n_slates) // 4
    )


def estimating(name: str, n_slates: int, *, with_interval: bool) -> Callable[[], float]:
    """Slates per CPU-second of one estimator, evidence checked each time."""

    def rate() -> float:
        from offpolicy import ESTIMATORS, Evidence
        from offpolicy.inference import clusters, student
        from simenv.propensity import Conditional

        columns, one = _columns(n_slates), ESTIMATORS[name]
        model: dict[str, Any] = {}
        if "q_prefix" in one.needs:
            model = {"q_prefix": columns.expected, "q_prefix_target": columns.total}
        start = time.process_time()
        for _ in range(ROUNDS):
            evidence = Evidence(
                reward=columns.reward,
                logger=Conditional(columns.logger),
                target=Conditional(columns.target),
                cluster=columns.shopper,
                **model,
            )
            found = one(evidence)
            if with_interval:
                student(found, clusters(evidence), 0.95)
        return ROUNDS * n_slates / (time.process_time() - start)

    return rate


SLATE_ESTIMATORS = {
    "RIPS, 100,000 slates of 5": Benchmark(
        "slates/CPU-s", estimating("rips", SLATES, with_interval=False), OBP, SLATES / 2.4
    ),
    "cascade-DR, 100,000 slates of 5": Benchmark(
        "slates/CPU-s", estimating("cascade-dr", SLATES, with_interval=False), OBP, SLATES / 3.1
    ),
    "RIPS with its interval, 40,000 slates of 5": Benchmark(
        "slates/CPU-s", estimating("rips", 40_000, with_interval=True), "obp 0.5.7, its interval, 5 slots", 40_000 / 4.1
    ),
    "RIPS with its interval, 400,000 slates of 5": Benchmark(
        "slates/CPU-s", estimating("rips", 400_000, with_interval=True)
    ),
}

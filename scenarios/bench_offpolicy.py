"""Speed of off-policy estimates from single-action logs, checks of the input included.

Beside them stand the Open Bandit Pipeline's figures: the same five estimators, one after another, on inputs of the same
size, as CPU-seconds on one core of another machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from scenarios.benchmark import Benchmark

FIVE = ("ips", "snips", "dm", "dr", "dros")


def _five(n_rows: int, n_actions: int) -> Callable[[], float]:
    """Arrays in, five point estimates out; the arrays are made before the clock starts."""

    def rate() -> float:
        from offpolicy.estimate import values
        from offpolicy.single.arrays import SingleActionLog, evidence_of

        rng = np.random.default_rng(0)
        action = rng.integers(0, n_actions, n_rows)
        reward = (rng.random(n_rows) < 0.1).astype(np.float64)
        propensity = rng.uniform(0.05, 1.0, n_rows)
        target, q = rng.random((n_rows, n_actions)), rng.random((n_rows, n_actions))
        target /= target.sum(axis=1, keepdims=True)
        start = time.process_time()
        log = SingleActionLog(action=action, reward=reward, propensity=propensity)
        values(evidence_of(log, target, q), FIVE)
        return n_rows / (time.process_time() - start)

    return rate


_OBP = "obp 0.5.7, the same five (another machine)"

OFFPOLICY: dict[str, Benchmark] = {
    "point estimates of IPS, SNIPS, DM, DR, DRos from arrays, 1,000,000 rows, 10 actions": Benchmark(
        "rows/CPU-s", _five(1_000_000, 10), _OBP, 1e6 / 0.933
    ),
    "point estimates of IPS, SNIPS, DM, DR, DRos from arrays, 100,000 rows, 100 actions": Benchmark(
        "rows/CPU-s", _five(100_000, 100), _OBP, 1e5 / 0.684
    ),
}

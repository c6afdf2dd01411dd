"""What intervals leave out is seen where it was planted, and not where it was not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offpolicy.inference import Clusters
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.statistics import Scores
from offpolicy.warrant import BLOCK, foreseen_rows, neighbours, unseen_bias, variance_share

N = 4_000
ROWS = Clusters(None, N, N)


def test_one_row_that_makes_the_variance_is_told() -> None:
    influence = np.ones(N)
    influence[7] = np.sqrt(N - 1.0)  # as much as all others together
    assert variance_share(influence, ROWS) == pytest.approx(0.5)
    assert variance_share(np.ones(N), ROWS) == pytest.approx(1 / N)
    assert variance_share(np.zeros(N), ROWS) == 0.0


def test_rows_of_one_shopper_side_by_side_are_seen_and_chance_is_not() -> None:
    """Blocks that share a shock of half the variance: 1 + .5 * (BLOCK - 1) times, to sqrt(2 / blocks)."""
    rng = np.random.default_rng(0)
    alone = rng.standard_normal((N // BLOCK, BLOCK))
    shared = rng.standard_normal((N // BLOCK, 1))
    told = neighbours((np.sqrt(0.5) * (alone + shared)).ravel())
    assert told == pytest.approx(1 + 0.5 * (BLOCK - 1), rel=4 * np.sqrt(2 / (N // BLOCK)))
    quiet = [neighbours(np.random.default_rng(seed).standard_normal(N)) for seed in range(200)]
    assert sum(ratio > 1.0 for ratio in quiet) <= 1  # 4 standard errors
    assert neighbours(np.ones(10)) == 1.0


def test_a_bias_is_measured_in_half_widths() -> None:
    influence = np.random.default_rng(0).standard_normal(N)
    own, other = Scores(1.0, influence), Scores(1.2, influence)
    assert unseen_bias(own, other, ROWS, 0.1) == pytest.approx(2.0)  # the same rows: the difference is sure
    assert unseen_bias(own, own, ROWS, 0.1) == 0.0
    assert unseen_bias(own, other, ROWS, 0.0) == math.inf


def test_policies_foretell_effective_rows_though_the_log_holds_no_rare_action() -> None:
    logger = np.tile([1e-6, 1.0 - 1e-6], (N, 1))
    target = np.tile([0.5, 0.5], (N, 1))
    log = SingleActionLog(action=np.ones(N, dtype=np.int64), reward=np.ones(N), propensity=logger)
    evidence = evidence_of(log, target)
    assert foreseen_rows(evidence, "joint") == pytest.approx(N / (0.25 / 1e-6 + 0.25), rel=1e-5)
    never = evidence_of(
        SingleActionLog(action=np.ones(N, dtype=np.int64), reward=np.ones(N), propensity=np.tile([0.0, 1.0], (N, 1))),
        target,
    )
    assert foreseen_rows(never, "joint") == 0.0

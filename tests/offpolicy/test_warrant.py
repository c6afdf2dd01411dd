"""What intervals leave out is seen where it was planted, and not where it was not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.inference import Clusters, Interval
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.statistics import Scores
from offpolicy.warrant import (
    BLOCK,
    carriers,
    foreseen_carriers,
    foreseen_rows,
    narrower,
    neighbours,
    unseen_bias,
    variance_share,
)

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


def test_a_bias_is_held_against_the_narrower_interval_unless_that_is_rounding() -> None:
    value, lift = Interval(0.5, 0.1, 0.3, 0.7), Interval(0.1, 0.02, 0.06, 0.14)
    assert narrower(value, lift) == pytest.approx(0.04)
    assert narrower(lift, value) == pytest.approx(0.04)
    assert narrower(value, Interval(0.0, 0.0, 0.0, 0.0)) == pytest.approx(0.2)
    assert narrower(value, Interval(0.0, 1e-17, -1e-17, 1e-17)) == pytest.approx(0.2)  # the target is the logger


def test_a_lift_that_a_bias_moves_out_of_its_narrow_interval_refuses_the_estimate() -> None:
    """Two kinds of actions of which each has a better one: a target near the logger that prefers these.

    `mips` sees kinds alone and leaves .02 out: half of its value's half-width (1.96 * 1.16 / sqrt(4,000) = .036), and
    many times its lift's.
    """
    rng = np.random.default_rng(0)
    action = rng.integers(0, 4, N)
    reward = 4.0 * rng.random(N) + 0.2 * (action % 2 == 0)
    log = SingleActionLog(action=action, reward=reward, propensity=np.full((N, 4), 0.25), cluster=np.arange(N))
    target = np.tile([0.32, 0.22, 0.28, 0.18], (N, 1))
    evidence = replace(evidence_of(log, target), cluster_name="shopper", embedding=np.where(action < 2, 1.08, 0.92))
    (estimate,) = evaluate(evidence, ["mips"])
    value, lift = estimate.interval, estimate.lift
    assert value.low <= 2.12 <= value.high  # 2 + .2 * .6, and by the logger .5
    assert not lift.low <= 0.02 <= lift.high
    assert estimate.verdict.word == "do not use"
    assert "times the half-width of its narrower interval" in estimate.verdict.reasons[0]


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


def rare_arm(share: float, n: int = N) -> Evidence:
    """A log of a context-free logger that plays arm 0 with probability `share`; the target plays nothing else."""
    action = (np.arange(n) >= share * n).astype(np.int64)
    log = SingleActionLog(action=action, reward=np.ones(n), propensity=np.tile([share, 1.0 - share], (n, 1)))
    return evidence_of(log, np.tile([1.0, 0.0], (n, 1)))


def test_policies_foretell_the_rewarded_rows_that_carry_the_variance() -> None:
    """Weights of 1 / s on a share s of the rows: N s rows carry all; of rewards of 0 and 1 a share of ones counts."""
    evidence = rare_arm(0.01)
    assert foreseen_carriers(evidence, "joint", np.ones((N, 1))) == pytest.approx(N * 0.01)
    clicks = (np.arange(N) % 4 == 0)[:, None] * 1.0
    assert foreseen_carriers(evidence, "joint", clicks) == pytest.approx(N * 0.01 / 4)
    assert foreseen_carriers(evidence, "joint", 3.0 * clicks) == pytest.approx(N * 0.01 / 4)  # euros or cents
    assert foreseen_carriers(evidence, "joint", np.zeros((N, 1))) == 0.0
    assert foreseen_carriers(replace(evidence, actions=None), "joint", clicks) is None
    assert carriers(math.inf, math.inf, 1.0, 1.0) == 0.0  # beyond support


def test_carriers_are_one_over_the_squared_skewness_of_a_mean_of_rare_large_rows() -> None:
    weight = np.random.default_rng(0).lognormal(-0.5, 1.0, 200_000)  # E[w^2] = e, E[w^3] = e^3, uncentred
    assert carriers(math.e, math.e**3, N, N) == pytest.approx(N * math.e**-3)
    moments = [float((weight**power).mean()) for power in (2, 3)]
    assert moments[0] ** 3 / moments[1] ** 2 == pytest.approx(math.e**-3, rel=0.2)  # of 200,000 draws

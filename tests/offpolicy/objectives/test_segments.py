"""Segments: each from its own rows, all lifts together, and the luck of many looks taken out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from offpolicy import Evidence, evaluate
from offpolicy.objectives.segments import evaluate_segments
from offpolicy.rows import take
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal


def log(seed: int, moved: str = "", n_rows: int = 4_000, n_segments: int = 10) -> Evidence:
    """Two actions that are worth the same, but in one segment; the target plays the second more."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, 2, n_rows)
    segment = rng.choice([f"s{i}" for i in range(n_segments)], n_rows)
    rate = 0.2 + 0.2 * ((segment == moved) & (action == 1))
    target = np.where(action == 1, 0.8, 0.2)
    return Evidence(
        reward=(rng.random(n_rows) < rate).astype(np.float64)[:, None],
        logger=Conditional(np.full((n_rows, 1), np.log(0.5))),
        target=Conditional(np.log(target)[:, None]),
        cluster=np.arange(n_rows) // 2,
        segments={"shop": segment},
    )


def test_a_segment_is_estimated_from_its_own_rows() -> None:
    evidence = log(0)
    found = evaluate_segments(evidence, "shop", "snips")
    alone = evaluate(take(evidence, evidence.segments["shop"] == "s3"), ["snips"])[0]
    mine = next(one for one in found.estimates if one.segment == "s3")
    assert mine.estimate.interval == alone.interval
    assert mine.estimate.lift.value == pytest.approx(alone.lift.value, abs=1e-12)
    assert mine.estimate.rows == alone.rows


def test_lifts_that_hold_together_are_wider_than_one_alone() -> None:
    evidence = log(1)
    mine = evaluate_segments(evidence, "shop", "ips").estimates[0]
    alone = evaluate(take(evidence, evidence.segments["shop"] == mine.segment), ["ips"])[0].lift
    assert mine.estimate.lift.high - mine.estimate.lift.low > 1.2 * (alone.high - alone.low)


@pytest.mark.slow
def test_the_one_segment_that_moves_is_found_and_seldom_another() -> None:
    seeds = 60
    found = wrong = 0
    for seed in range(seeds):
        for one in evaluate_segments(log(seed, moved="s4"), "shop", "snips").estimates:
            found += one.segment == "s4" and one.p < 0.05
            wrong += one.segment != "s4" and one.p < 0.05
    assert found > 0.8 * seeds
    # Holm keeps the chance of any false find at 5%: of 60 logs at most 9 by three standard errors
    assert wrong <= 9


def test_segments_too_small_are_named_and_not_told_of() -> None:
    evidence = log(2)
    labels = evidence.segments["shop"].astype("<U8")
    labels[:5] = "tiny"
    found = evaluate_segments(replace(evidence, segments={"shop": labels}), "shop", "ips")
    assert found.too_small == ("tiny",)
    assert "tiny" not in [one.segment for one in found.estimates]


def test_unknown_and_empty_segments_are_refused() -> None:
    evidence = log(3, n_rows=100, n_segments=90)
    with pytest.raises(UserError, match="Did you mean 'shop'"):
        evaluate_segments(evidence, "shops", "ips")
    with pytest.raises(UserError, match="no segment of 'shop' has 30 rows"):
        evaluate_segments(evidence, "shop", "ips")


def test_a_segment_without_any_weight_does_not_take_the_others_along() -> None:
    evidence = log(4)
    never = np.where((evidence.segments["shop"] == "s3")[:, None], -np.inf, evidence.target.logp)
    found = evaluate_segments(replace(evidence, target=Conditional(never)), "shop", "snips").estimates
    assert len(found) == 10
    for one in found:
        assert np.isfinite(one.estimate.lift.low) == (one.segment != "s3")
        if one.segment == "s3":
            assert one.p == 1.0
            assert one.estimate.verdict.word == "do not use"


def test_small_segments_have_intervals_by_their_own_shoppers() -> None:
    """One segment of 30 shoppers in a log of 1,000; by the log's degrees of freedom ten such held in .925 of logs."""
    rng = np.random.default_rng(6)
    action = rng.integers(0, 2, 1_000)
    evidence = Evidence(
        reward=rng.standard_normal((1_000, 1)),
        logger=Conditional(np.full((1_000, 1), np.log(0.5))),
        target=Conditional(np.log(np.where(action == 1, 0.8, 0.2))[:, None]),
        cluster=np.arange(1_000),
        segments={"shop": np.where(np.arange(1_000) < 30, "small", "large")},
    )
    small = next(one for one in evaluate_segments(evidence, "shop", "ips").estimates if one.segment == "small")
    alone = evaluate(take(evidence, evidence.segments["shop"] == "small"), ["ips"])[0].lift
    assert small.estimate.lift.stderr == pytest.approx(alone.stderr, rel=1e-12)
    t = abs(alone.value) / alone.stderr
    p = 2.0 * stats.t.sf(t, 29)
    assert small.p in (pytest.approx(p), pytest.approx(min(2.0 * p, 1.0)))  # Holm's factor is 1 or 2


def test_a_strength_that_is_chosen_on_the_log_is_one_for_all_segments() -> None:
    found = evaluate_segments(log(5), "shop", "clipped-ips:slope").estimates
    assert len({one.estimate.estimator for one in found}) == 1
    assert found[0].estimate.estimator != "clipped-ips:slope"


@pytest.mark.parametrize("name", ["recent-ips", "aips"])
def test_what_is_of_the_whole_log_is_so_for_value_and_lift(name: str) -> None:
    """Half-lives are shares of the log's time, not of a segment's; behaviours are learned from all rows.

    So value less lift is what the logger earns: by the same counts where old rows count less, else the plain mean.
    """
    rng = np.random.default_rng(0)
    n, slots = 2_000, 3
    logp = np.full((n, slots), np.log(0.5))
    chance = np.log(np.where(rng.random((n, slots)) < 0.5, 0.7, 0.3))
    early = np.arange(n) < n // 3
    evidence = Evidence(
        reward=(rng.random((n, slots)) < 0.3) * (1.0 + np.arange(n) / n)[:, None],
        logger=Conditional(logp),
        target=Conditional(chance),
        logger_marginal=Marginal(logp),
        target_marginal=Marginal(chance),
        cluster=np.arange(n),
        time=np.arange(n),
        segments={"when": np.where(early, "early", "late")},
    )
    count = np.exp2(np.arange(n) / (n - 1) / 0.25) if name == "recent-ips" else np.ones(n)
    for one in evaluate_segments(evidence, "when", name).estimates:
        rows = early if one.segment == "early" else ~early
        logger = np.average(evidence.reward.sum(axis=1)[rows], weights=count[rows])
        assert one.estimate.interval.value - one.estimate.lift.value == pytest.approx(logger, rel=1e-12)

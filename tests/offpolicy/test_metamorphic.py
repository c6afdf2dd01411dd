"""What must not move an estimate, nor its verdict: the unit of rewards, the order of rows, shoppers' names, a copy.

`check_estimator` asks the formulas; here the whole of `evaluate` is asked, rivals, audit and verdict with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Estimate, Evidence, evaluate
from offpolicy.check import enumerated_log
from offpolicy.rows import take
from offpolicy.single.enumerated import enumerated_actions

ROWS = 1_500
IN_REWARDS = (
    "reward", "q_logged", "q_target", "q_robust", "q_robust_target", "q_within", "q_within_target", "q_prefix",
    "q_next", "q_prefix_target", "q_click", "fitted", "q_state", "q_state_target", "blend_start",
)  # fmt: skip
SOURCES = {"slates": enumerated_log, "actions": enumerated_actions}


@cache
def log(source: str) -> Evidence:
    """Rows of an enumerated log, rewards drawn: none of them whole numbers, some below 0."""
    rng = np.random.default_rng(0)
    whole, _ = SOURCES[source](wrong_model=True)
    evidence = take(whole, rng.choice(whole.n_rows, ROWS, replace=False))
    drawn = (rng.random(evidence.reward.shape) < evidence.reward) * rng.exponential(size=evidence.reward.shape)
    model = {"q_robust": evidence.q_logged, "q_robust_target": evidence.q_target} if source == "actions" else {}
    return replace(evidence, reward=drawn - 0.1, time=rng.permutation(ROWS), **model)


def names(evidence: Evidence) -> list[str]:
    return [name for name, one in ESTIMATORS.items() if not one.missing(evidence)]


@cache
def usual(source: str) -> list[Estimate]:
    return evaluate(log(source), names(log(source)))


def in_another_unit(evidence: Evidence, factor: float) -> Evidence:
    columns = {name: factor * column for name in IN_REWARDS if (column := getattr(evidence, name)) is not None}
    if evidence.actions is not None and evidence.actions.q is not None:
        columns["actions"] = replace(evidence.actions, q=factor * evidence.actions.q)
    return replace(evidence, **columns)


def shuffled(evidence: Evidence) -> Evidence:
    return take(evidence, np.random.default_rng(1).permutation(ROWS))


def renamed(evidence: Evidence) -> Evidence:
    return replace(evidence, cluster=7_919 * evidence.cluster + 10**12)


def test_all_estimators_are_asked() -> None:
    assert {name for source in SOURCES for name in names(log(source))} == set(ESTIMATORS)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("factor", "change"),
    [
        (1e3, lambda evidence: in_another_unit(evidence, 1e3)),
        (1e-3, lambda evidence: in_another_unit(evidence, 1e-3)),
        (1e9, lambda evidence: in_another_unit(evidence, 1e9)),
        (-1.0, lambda evidence: in_another_unit(evidence, -1.0)),
        (1.0, shuffled),
        (1.0, renamed),
    ],
    ids=["thousandths", "thousands", "billionths", "costs", "shuffled", "renamed"],
)
def test_units_order_and_names_move_nothing(source: str, factor: float, change: Callable[[Evidence], Evidence]) -> None:
    made = evaluate(change(log(source)), names(log(source)))
    for one, expected in zip(made, usual(source), strict=True):
        for own, whole in ((one.interval, expected.interval), (one.lift, expected.lift)):
            # sums of 1,500 rows in another order, or of other units, differ by some 1e-13 of their size
            size = 1e-9 * abs(expected.interval.value)
            assert own.value / factor == pytest.approx(whole.value, rel=1e-9, abs=size), one.estimator
            assert own.stderr / abs(factor) == pytest.approx(whole.stderr, rel=1e-7, abs=size), one.estimator
        assert one.verdict.word == expected.verdict.word, (one.estimator, one.verdict, expected.verdict)


@pytest.mark.parametrize("source", SOURCES)
def test_rows_twice_under_one_shopper_are_as_good_as_once(source: str) -> None:
    twice = take(log(source), np.tile(np.arange(ROWS), 2))
    for one, expected in zip(evaluate(twice, names(twice)), usual(source), strict=True):
        assert one.interval.value == pytest.approx(expected.interval.value, rel=1e-9)
        assert one.interval.stderr == pytest.approx(expected.interval.stderr, rel=1e-7)
        assert one.lift.stderr == pytest.approx(expected.lift.stderr, rel=1e-7)


@pytest.mark.parametrize("source", SOURCES)
def test_no_reward_at_all_is_worth_nothing_and_never_believed(source: str) -> None:
    for one in evaluate(in_another_unit(log(source), 0.0), names(log(source))):
        assert one.interval.value == 0.0
        assert one.verdict.word == "do not use"

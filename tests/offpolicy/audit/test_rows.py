"""Rows that were logged twice and rewards that had not arrived are seen; sound logs, seasons and shoppers are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.audit.checks import CHECKS
from offpolicy.audit.finding import Finding
from offpolicy.inference import clusters
from offpolicy.rows import take
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.single.columns import filled
from offpolicy.terms import joint
from scenarios.enumerated_bed import Bed
from scenarios.enumerated_log import logs

ROWS = 2_000
BED = Bed(name="rows", candidates=12, slots=1, rows=ROWS, targets={"near": 0.3})


def log(seed: int = 0, bed: Bed = BED) -> Evidence:
    return next(iter(logs(bed, 1, seed)))["near"]


def found(check: str, evidence: Evidence) -> Finding:
    return CHECKS[check].look(evidence, joint(evidence), clusters(evidence))


def again(evidence: Evidence, rows: np.ndarray, *, is_told_apart: bool = True) -> Evidence:
    """The log and some of its rows once more, in any order, under names of their own or their shopper's."""
    both = take(evidence, np.random.default_rng(0).permutation(np.concatenate([np.arange(ROWS), rows])))
    return replace(both, cluster=np.arange(both.n_rows)) if is_told_apart else both


def test_rows_logged_twice_are_seen_and_the_estimate_is_refused() -> None:
    evidence = again(log(), np.arange(ROWS))
    one = found("repeats", evidence)
    assert one.outcome == "failed"
    # 2,000 pairs among 4,000 rows: 1 + 2 * .5; chance moves about 15,000 pairs of like contexts by 4%
    assert one.figure == pytest.approx(2.0, abs=0.3)
    (estimate,) = evaluate(evidence, ["ips"])
    assert estimate.verdict.word == "do not use"
    assert any("delivered twice" in reason for reason in estimate.verdict.reasons)


def test_a_model_fitted_after_rows_were_logged_twice_does_not_hide_them() -> None:
    """Row and copy have two shoppers and mostly two folds: cross-fitting expects two things of them."""
    both = again(log(), np.arange(ROWS))
    plain = replace(both, actions=replace(both.actions, q=None), q_logged=None, q_target=None)
    fitted = filled(plain, ["switch"])
    assert fitted.actions.q is not None
    assert found("repeats", fitted) == found("repeats", plain)
    assert found("repeats", fitted).outcome == "failed"


def test_rows_logged_twice_under_one_shopper_are_that_shoppers() -> None:
    """Clusters hold them together already."""
    assert found("repeats", again(log(), np.arange(ROWS), is_told_apart=False)).outcome == "passed"


def test_many_contexts_at_many_times_take_no_more_room_than_rows() -> None:
    """Every row has a context and a time of its own: 200,000 of each, whose pairs could be 4e10."""
    n = 200_000
    log = SingleActionLog(
        action=np.zeros(n, dtype=np.int64),
        reward=np.zeros(n),
        propensity=np.full((n, 1), 1.0),
        context=np.arange(n, dtype=np.float64)[:, None],
        cluster=np.arange(n),
    )
    assert found("repeats", replace(evidence_of(log, np.full((n, 1), 1.0)), time=np.arange(n))).outcome == "passed"


def test_a_few_repeated_rows_cost_little_and_are_let_pass() -> None:
    assert found("repeats", again(log(), np.arange(ROWS // 20))).outcome == "passed"


def test_a_context_free_log_is_told_by_its_times() -> None:
    evidence = log()
    table = replace(evidence.actions, logger=np.full((ROWS, 12), 1 / 12), target=np.full((ROWS, 12), 1 / 12), q=None)
    free = again(replace(evidence, actions=table, features=None, feature_names=()), np.arange(ROWS))
    assert found("repeats", free).outcome == "failed"
    assert found("repeats", replace(free, time=None)).outcome == "passed"  # one context asks nothing


def test_rewards_that_had_not_arrived_are_seen_with_and_without_a_model() -> None:
    late = log(bed=BED.model_copy(update={"late": 0.2, "rate": 1.0}))
    assert found("arrival", late).rank > 0
    assert found("arrival", replace(late, q_logged=None, q_target=None)).rank > 0
    costs = replace(late, reward=-late.reward, q_logged=None, q_target=None)
    assert found("arrival", costs).rank > 0
    whole = np.quantile(late.time, 0.8)
    assert found("arrival", take(late, late.time <= whole)).outcome == "passed"


def test_a_season_that_lasts_is_no_late_reward() -> None:
    evidence = log()
    later = np.where(evidence.time > 0.6 * ROWS, 0.5, 1.0)[:, None]
    assert found("arrival", replace(evidence, reward=evidence.reward * later)).outcome == "passed"


@pytest.mark.parametrize("check", ["repeats", "arrival"])
def test_a_missing_column_is_not_checked(check: str) -> None:
    assert found(check, replace(log(), actions=None, time=None)).outcome == "not checked"


@pytest.mark.parametrize("change", [{}, {"per_shopper": 20, "appetite": 0.9}, {"rate": 0.05}, {"spread": 1.5}])
def test_sound_logs_pass(change: dict[str, float]) -> None:
    """None of 1,200 sound logs of 30 beds was strained by either; 25 here."""
    bed = BED.model_copy(update=change)
    for seed in range(25):
        assert {found(check, log(seed, bed)).outcome for check in ("repeats", "arrival")} == {"passed"}

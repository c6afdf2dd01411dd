"""The classifier's ratio: the true one where the classifier can be right, cross-fitted, and never trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import evaluate
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.single.balance import balanced_ratio
from simenv.errors import UserError

N, A = 6_000, 3


def softmax(scores: np.ndarray) -> np.ndarray:
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    made: np.ndarray = p / p.sum(axis=1, keepdims=True)
    return made


def logged(seed: int = 0) -> tuple[SingleActionLog, np.ndarray]:
    """Linear scores of logger and target on three groups of shoppers, whose ratios an indicator each can hold."""
    rng = np.random.default_rng(seed)
    group = np.eye(3)[rng.integers(0, 3, N)]
    logger, target = softmax(group @ rng.normal(size=(3, A))), softmax(group @ rng.normal(size=(3, A)))
    action = (rng.random((N, 1)) > np.cumsum(logger, axis=1)[:, :-1]).sum(axis=1)
    reward = rng.random(N) < 0.2 + 0.2 * action
    log = SingleActionLog(action=action, reward=reward, propensity=logger, context=group, cluster=np.arange(N))
    return log, target


def test_the_odds_are_the_ratio_of_the_policies_where_the_classifier_can_hold_it() -> None:
    log, target = logged()
    found = balanced_ratio(log, target)
    assert log.propensity is not None
    every = np.arange(N)
    true = target[every, log.action] / log.propensity[every, log.action]
    # a ratio from a cell of n rows errs by 1 / sqrt(n); of 9 cells of 4,800 rows the rarest holds some 100
    assert np.abs(found.ratio / true - 1.0).max() < 4.0 / np.sqrt(100)
    assert found.notes == ()
    ips, balanced = evaluate(replace(evidence_of(log, target), balanced=found.ratio), ["ips", "balanced-ips"])
    assert balanced.interval.value == pytest.approx(ips.interval.value, abs=4.0 * ips.interval.stderr)
    assert balanced.verdict.word == "caution"
    assert "fitted classifier" in balanced.verdict.reasons[0]


def test_no_propensity_is_needed_to_fit_and_a_row_never_helps_its_own_ratio() -> None:
    log, target = logged()
    bare = replace(log, propensity=None)
    found = balanced_ratio(bare, target)
    action = log.action.copy()
    action[9] = (action[9] + 1) % A
    same = log.action == action
    other = balanced_ratio(replace(bare, action=action), target)
    changed = found.ratio[same] != other.ratio[same]
    assert changed.any()
    fold_of_nine = ~changed  # rows that were predicted by models of the other folds, as row 9 was
    assert fold_of_nine.any()


def test_another_classifier_may_be_given() -> None:
    from sklearn.tree import DecisionTreeClassifier

    log, target = logged()
    found = balanced_ratio(log, target, lambda: DecisionTreeClassifier(max_depth=3, random_state=0))
    assert found.ratio.mean() == pytest.approx(1.0, abs=0.1)


def test_actions_never_logged_elsewhere_are_guessed_and_told() -> None:
    log, target = logged()
    rare = replace(log, action=np.where(np.arange(N) == 4, 3, log.action), propensity=None)
    found = balanced_ratio(rare, np.concatenate([0.9 * target, np.full((N, 1), 0.1)], axis=1))
    assert len(found.notes) == 1
    assert "no other fold logged action 3" in found.notes[0]
    assert np.isfinite(found.ratio).all()
    never = balanced_ratio(rare, np.concatenate([target, np.zeros((N, 1))], axis=1))
    assert never.ratio[4] == 0.0


def test_what_cannot_be_fitted_raises() -> None:
    log, target = logged()
    with pytest.raises(UserError, match="the log has no context"):
        balanced_ratio(replace(log, context=None), target)
    with pytest.raises(UserError, match="target has 5 rows for a log of 6000"):
        balanced_ratio(log, target[:5])
    with pytest.raises(UserError, match="n_folds is 1"):
        balanced_ratio(log, target, n_folds=1)

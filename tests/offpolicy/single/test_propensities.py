"""Learned propensities: right where the model is, calibrated where it is not, cross-fitted, and never trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import evaluate
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.single.multinomial import fit_multinomial
from offpolicy.single.propensities import CALIBRATIONS, calibration_error, learned
from simenv.errors import UserError

N, A = 4_000, 3


def unlogged(seed: int = 0) -> tuple[SingleActionLog, np.ndarray]:
    """A log without propensities of a logger whose scores are linear in the context, and its true table."""
    rng = np.random.default_rng(seed)
    context = rng.standard_normal((N, 2)) * [1.0, 10.0] + [0.0, 50.0]
    scores = context @ np.array([[1.0, 0.0, -1.0], [0.05, -0.05, 0.0]])
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    action = (rng.random((N, 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
    reward = rng.random(N) < 0.2 + 0.2 * action
    return SingleActionLog(action=action, reward=reward, context=context, cluster=np.arange(N)), p


@pytest.mark.parametrize("how", CALIBRATIONS)
def test_propensities_of_a_linear_logger_are_found_again(how: str) -> None:
    log, p = unlogged()
    found = learned(log, A, how)
    made = found.log.propensity
    assert made is not None
    assert np.abs(made.sum(axis=1) - 1.0).max() < 1e-12
    # 2,400 rows fix 6 numbers: sqrt(6 * .2 / 2400) = .02; a step function fitted on 800 rows errs by several percent
    assert np.sqrt(((made - p) ** 2).mean()) < (0.06 if how == "isotonic" else 0.03)
    # chance makes .8 * sqrt(10 / 4000) = .04 of the truth itself, and fitted steps add their own error
    assert found.error < 0.1
    assert found.lifted < 0.01


def test_evidence_on_learned_propensities_says_so_with_their_error() -> None:
    log, _ = unlogged()
    found = learned(log, A)
    target = np.tile([0.2, 0.3, 0.5], (N, 1))
    evidence = evidence_of(found.log, target)
    assert (evidence.propensity_kind, evidence.propensity_error) == ("estimated", found.error)
    for one in evaluate(evidence, ["ips", "snips"]):
        assert one.verdict.word != "trust"
        assert any(f"(calibration error {found.error:.3g})" in reason for reason in one.verdict.reasons)
        # the truth is .2 + .2 * 1.3; four standard errors allow for what the interval does not know
        assert one.interval.value == pytest.approx(0.46, abs=4.0 * one.interval.stderr)


def test_a_row_never_helps_to_fit_its_own_propensities() -> None:
    log, _ = unlogged()
    action = log.action.copy()
    action[5] = (action[5] + 1) % A
    one, other = learned(log, A).log.propensity, learned(replace(log, action=action), A).log.propensity
    assert one is not None
    assert other is not None
    assert np.array_equal(one[5], other[5])
    assert not np.array_equal(one, other)


def test_calibration_is_learned_from_rows_that_the_model_did_not_see() -> None:
    # 60 features of noise for 600 rows of a fair coin: on its own rows the model is sure of itself, and a calibration
    # that looked at those would let that pass
    rng = np.random.default_rng(0)
    noise = SingleActionLog(
        action=rng.integers(0, 2, 600), reward=np.zeros(600), context=rng.standard_normal((600, 60))
    )
    chance = 0.8 * np.sqrt(10 / 600)
    assert learned(noise, 2, "none").error > 1.5 * chance
    for how in ("platt", "isotonic"):
        made = learned(noise, 2, how).log.propensity
        assert made is not None
        assert made.std() < 0.12  # the truth is .5 everywhere; steps of 10 logged actions or more, a slope of noise


def test_the_calibration_error_is_the_share_of_actions_put_at_the_wrong_probability() -> None:
    action = np.repeat([0, 1], [300, 700])
    assert calibration_error(np.tile([0.3, 0.7], (1_000, 1)), action) == pytest.approx(0.0, abs=1e-12)
    # 400 expected for 300 logged, 600 for 700
    assert calibration_error(np.tile([0.4, 0.6], (1_000, 1)), action) == pytest.approx(0.2, abs=1e-12)


def test_actions_that_a_fold_never_saw_get_the_floor_and_are_counted() -> None:
    log, _ = unlogged()
    rare = replace(log, action=np.where(np.arange(N) == 17, 3, log.action))
    found = learned(rare, 4, "none")
    assert found.log.propensity is not None
    assert (found.log.propensity > 0.0).all()
    assert found.lifted == pytest.approx(1 / N)


def test_one_action_alone_has_probability_one() -> None:
    model = fit_multinomial(np.ones((5, 2)), np.full(5, 1), 3)
    assert model.probabilities(np.ones((2, 2))).tolist() == [[0.0, 1.0, 0.0]] * 2


def test_what_cannot_be_fitted_raises() -> None:
    log, _ = unlogged()
    with pytest.raises(UserError, match="the log has no context"):
        learned(replace(log, context=None), A)
    with pytest.raises(UserError, match="n_folds is 2 for 4000 clusters; expected 3"):
        learned(log, A, n_folds=2)
    with pytest.raises(UserError, match="Did you mean 'isotonic'"):
        learned(log, A, "isotone")

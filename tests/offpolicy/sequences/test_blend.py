"""MAGIC: what a share of the weights gives, and how shares are chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Evidence, evaluate
from offpolicy.sequences.blend import mix, with_blend
from offpolicy.sequences.evaluate import evaluate_sequences
from offpolicy.sequences.fitted_q import StepFeatures, cross_fitted_q, fitted_q, model_noise
from offpolicy.sequences.sessions import lay_out, side_by_side
from simenv.errors import UserError
from tests.offpolicy.sequences.test_sessions import SECOND, STAY, TARGET, VALUE, WRONG, enumerated, sequences
from tests.statistical.test_opposite_truths import LONGEST, Log, play, truth


def test_a_share_of_the_weights_leaves_that_share_of_the_models_bias() -> None:
    """With a model Q and V, following weights for no step gives V_0, for one step E[r_0 + V_1], for all the value."""
    evidence = sequences(enumerated())
    start = float(TARGET @ WRONG[:2])
    one = float(VALUE - TARGET @ STAY * SECOND + TARGET @ STAY * (TARGET @ WRONG[2:]))
    for share, expected in (
        ((0.0, 0.0), start),
        ((1.0, 0.0), one),
        ((1.0, 1.0), VALUE),
        ((0.6, 0.0), 0.4 * start + 0.6 * one),
        ((0.8, 0.5), 0.2 * start + 0.3 * one + 0.5 * VALUE),
    ):
        given = replace(evidence, blend=np.tile(share, (evidence.n_rows, 1)))
        assert ESTIMATORS["magic"](given).value == pytest.approx(expected, abs=1e-12)  # float64 sums of 200 sessions
    assert abs(start - VALUE) > 0.1
    assert abs(one - VALUE) > 0.1


def test_the_mixture_makes_the_estimated_squared_error_least() -> None:
    rng = np.random.default_rng(0)
    rows = 400
    influence = rng.normal(size=(rows, 3)) * np.array([0.5, 1.0, 3.0])
    value = np.array([0.4, 0.02, 0.0])
    found = mix(value, influence, np.arange(rows))
    covariance = influence.T @ influence / rows**2
    bias = np.maximum(np.abs(value) - 0.6745 * np.sqrt(covariance[2, 2]), 0.0)

    def error(x: np.ndarray) -> float:
        return float(x @ covariance @ x + (x @ bias) ** 2)

    others = rng.dirichlet(np.ones(3), size=2_000)
    assert found.min() >= 0.0
    assert found.sum() == pytest.approx(1.0)
    assert error(found) <= min(error(x) for x in others) * (1.0 + 1e-6)  # the ridge is 1e-9 of the mean
    assert found[1] > 0.8  # neither biased nor noisy
    assert mix(value, np.zeros((rows, 3)), np.arange(rows))[2] == pytest.approx(1.0, abs=1e-4)  # no noise: no bias
    assert mix(np.zeros(3), np.zeros((rows, 3)), np.arange(rows))[2] == 1.0


def blended_log(n_sessions: int, seed: int, p: float, model: str) -> Evidence:
    whole = play(seed)
    keep = whole.session < n_sessions
    log = Log(whole.session[keep], whole.step[keep], whole.action[keep], whole.click[keep])
    layout, features = lay_out(log.session, log.step), log.features(p)
    if model == "no steps":  # one that does not know that chances fade
        features = StepFeatures(
            *(column.reshape(-1, LONGEST, 2).sum(axis=1) for column in (features.logged, features.target))
        )
    made = cross_fitted_q(log.sessions(p), layout, features)
    return with_blend(made, model_noise(made, layout, features))


@pytest.mark.slow
def test_it_gains_on_weights_where_the_model_is_right_and_loses_little_where_it_is_not() -> None:
    """The published picture: close to the better of the model and of weights, whichever that is.

    Thirty logs a case; root mean squared errors have standard errors of an eighth of them, unpaired.
    """

    def told(n_sessions: int, p: float, model: str) -> tuple[dict[str, float], float]:
        off: dict[str, list[float]] = {"sequence-dr": [], "magic": [], "model": []}
        held = 0
        for seed in range(30):
            evidence, value = blended_log(n_sessions, seed, p, model), truth(p).session
            model_alone = replace(evidence, blend=np.zeros(evidence.reward.shape))
            off["model"].append(ESTIMATORS["magic"](model_alone).value - value)
            for one in evaluate(evidence, ["sequence-dr", "magic"]):
                off[one.estimator].append(one.interval.value - value)
                held += one.estimator == "magic" and one.interval.low <= value <= one.interval.high
                assert one.estimator != "magic" or one.verdict.word != "trust"
        error = {name: float(np.sqrt(np.mean(np.square(each)))) for name, each in off.items()}
        print(n_sessions, p, model, error, held / 30)
        return error, held / 30

    error, held = told(300, 0.9, "right")
    assert error["magic"] < 0.75 * error["sequence-dr"]
    assert held >= 0.7  # as weights of 300 sessions are skewed, DR itself covers .8
    error, _ = told(3_000, 0.1, "no steps")
    assert error["magic"] < 0.75 * error["model"]


def test_sessions_are_judged_by_it_where_a_model_is_there_and_it_is_refused_where_not() -> None:
    log = enumerated()
    evidence = replace(
        log.evidence,
        session=log.session,
        step=log.step,
        q_logged=np.full((len(log.step), 1), 0.4),
        q_target=np.full(len(log.step), 0.4),
    )
    found = {one.estimator: one for one in evaluate_sequences(evidence, "session")}
    assert found["magic"].verdict.word != "trust"
    again = {one.estimator: one for one in evaluate_sequences(evidence, "session")}
    assert again["magic"].interval == found["magic"].interval
    with pytest.raises(UserError, match="blend"):
        evaluate_sequences(replace(evidence, q_target=None, q_logged=None), "session", ["magic"])
    few = side_by_side(log.evidence, lay_out(log.session, log.step), "session")
    with pytest.raises(UserError, match="q_prefix and q_next are absent"):
        with_blend(few, model_noise(few, lay_out(log.session, log.step), log.features))


def test_fitted_values_are_refused_where_weights_contradict_them_or_cannot_vouch_for_them() -> None:
    """A model that does not know which slate was shown: it gives every target the value of the logger."""
    log = play(1)
    layout, right = lay_out(log.session, log.step), log.features(0.1)
    blind = StepFeatures(*(column.reshape(-1, LONGEST, 2).sum(axis=2) for column in (right.logged, right.target)))
    whole = replace(log.sessions(0.1), cluster_name="shopper")
    evidence = fitted_q(cross_fitted_q(whole, layout, blind), layout, blind)
    fqe, weighed = evaluate(evidence, ["fqe", "sequence-dr"])
    assert weighed.interval.low <= truth(0.1).session <= weighed.interval.high
    assert not fqe.interval.low <= truth(0.1).session <= fqe.interval.high
    assert fqe.verdict.word == "do not use"
    assert any("from 'sequence-dr', which assumes less" in reason for reason in fqe.verdict.reasons)

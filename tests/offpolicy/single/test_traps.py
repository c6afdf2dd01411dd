"""Traps that others' off-policy packages were seen to fall into, one test each; the numbers are the notes'."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import evaluate
from offpolicy.reward_model import fit_folds
from offpolicy.single.arrays import SingleActionLog, evidence_of
from offpolicy.single.reward import expected_rewards
from simenv.errors import UserError


def clicks(n_rows: int, rate: float, seed: int = 0) -> tuple[SingleActionLog, np.ndarray]:
    """A uniform logger over four actions, and a target that mostly plays the last."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, 4, n_rows)
    target = np.tile([0.1, 0.1, 0.1, 0.7], (n_rows, 1))
    log = SingleActionLog(
        action=action,
        reward=rng.random(n_rows) < rate,
        propensity=np.full((n_rows, 4), 0.25),
        context=rng.standard_normal((n_rows, 2)),
        cluster=np.arange(n_rows),
    )
    return log, target


def test_t9_a_target_that_the_logger_never_plays_is_not_to_be_used() -> None:
    log, _ = clicks(5_000, 0.2)
    never = replace(log, action=log.action % 3, propensity=np.tile([1 / 3, 1 / 3, 1 / 3, 0.0], (5_000, 1)))
    only_last = np.tile([0.0, 0.0, 0.0, 1.0], (5_000, 1))
    for one in evaluate(evidence_of(never, only_last), ["ips", "snips"]):
        assert one.verdict.word == "do not use"
        assert "no common support" in one.verdict.reasons[0]
    mostly = np.tile([0.1, 0.1, 0.1, 0.7], (5_000, 1))  # some support, not all: the weights' mean gives it away
    for one in evaluate(evidence_of(never, mostly), ["ips", "snips"]):
        assert one.verdict.word == "do not use"
        assert any("70.0% of the target's probability" in reason for reason in one.verdict.reasons)


@pytest.mark.parametrize(
    ("propensity", "complaint"),
    [
        (50.0, "log row 3: the logger's propensity is 50"),
        (np.nan, "log row 3: the logger's propensity is nan"),
        (0.0, "log row 3: the logger's propensity of the action it played is 0"),
        (-0.7, "log row 3: the logger's propensity is -0.7.*Convert with exp"),
    ],
)
def test_t9_impossible_propensities_are_refused_with_their_row(propensity: float, complaint: str) -> None:
    log, target = clicks(10, 0.5)
    given = np.full(10, 0.25)
    given[3] = propensity
    with pytest.raises(UserError, match=complaint):
        evidence_of(replace(log, propensity=given), target)


def test_t9_negative_probabilities_that_sum_to_one_are_refused() -> None:
    log, target = clicks(10, 0.5)
    target[4] = [1.5, -0.5, 0.0, 0.0]
    with pytest.raises(UserError, match="log row 4: the target gives an action probability"):
        evidence_of(replace(log, propensity=np.full(10, 0.25)), target)


def test_t10_folds_without_a_click_fall_back_on_a_smoothed_mean_and_say_so() -> None:
    log, target = clicks(200, 0.0)
    one_click = log.reward.copy()
    one_click[11] = 1.0
    for reward, folds_without in ((log.reward, 5), (one_click, 1)):
        fitted = expected_rewards(replace(log, reward=reward), 4)
        assert len(fitted.notes) == folds_without
        assert "so the model is their smoothed mean" in fitted.notes[0]
        assert ((fitted.q > 0.0) & (fitted.q < 1.0)).all()
        for one in evaluate(evidence_of(replace(log, reward=reward), target, fitted.q), ["dm", "dr"]):
            assert one.verdict.word == "do not use"


def test_t11_a_reward_model_is_never_asked_of_what_it_has_seen() -> None:
    log, _ = clicks(300, 0.3)
    noise = replace(log, context=np.random.default_rng(1).standard_normal((300, 60)))  # much to overfit
    q = expected_rewards(noise, 4).q[np.arange(300), log.action]
    assert np.corrcoef(q, log.reward)[0, 1] < 4 / np.sqrt(300)  # four standard errors of a correlation of nothing
    with pytest.raises(UserError, match="n_folds is 1"):
        expected_rewards(log, 4, n_folds=1)
    with pytest.raises(UserError, match="n_folds is 1"):
        fit_folds(np.zeros((300, 1, 1)), log.reward[:, None], log.clusters, n_folds=1)


def test_t11_folds_keep_a_shopper_together() -> None:
    log, _ = clicks(300, 0.3)
    together = replace(log, cluster=np.arange(300) // 10)
    before = expected_rewards(together, 4).q
    flipped = np.where(together.clusters == 5, 1.0 - log.reward, log.reward)
    after = expected_rewards(replace(together, reward=flipped), 4).q
    assert np.array_equal(before[together.clusters == 5], after[together.clusters == 5])


def test_t15_a_doubly_robust_click_rate_may_be_negative_and_is_then_not_trusted() -> None:
    log, target = clicks(1_000, 0.01)
    wild = np.where(np.arange(1_000) == 0, 1e-4, 0.25)
    reward = np.where(np.arange(1_000) == 0, 0.0, log.reward)
    evidence = evidence_of(replace(log, propensity=wild, reward=reward), target, np.full((1_000, 4), 0.05))
    (one,) = evaluate(evidence, ["dr"])
    assert one.interval.value < 0.0
    assert one.verdict.word == "do not use"


def test_t16_rewards_of_any_type_count_the_same_and_small_rates_are_not_rounded() -> None:
    log, target = clicks(20_000, 0.004)
    (expected,) = evaluate(evidence_of(log, target), ["ips"])
    assert expected.record()["value"] == pytest.approx(0.004, abs=0.002)
    for kind in (bool, np.int8, np.int64, np.float32):
        (one,) = evaluate(evidence_of(replace(log, reward=log.reward.astype(kind)), target), ["ips"])
        assert one.record() == expected.record()


def test_t17_a_tuned_strength_is_told_and_its_interval_is_not_called_right() -> None:
    log, target = clicks(20_000, 0.2)
    (tuned,) = evaluate(evidence_of(log, target), ["clipped-ips:slope"])
    assert tuned.estimator == "clipped-ips:slope"
    assert tuned.verdict.word != "trust"
    told = " ".join(tuned.verdict.reasons)
    assert "was chosen by SLOPE among 8 on these very rows (2 passes over the log)" in told
    assert "the interval takes it as given" in told


def test_t18_propensities_whose_weights_do_not_average_one_are_not_to_be_used() -> None:
    log, target = clicks(5_000, 0.2)
    assert evaluate(evidence_of(log, target), ["ips"])[0].verdict.word == "trust"
    for factor in (0.5, 1.5):
        wrong = replace(log, propensity=np.full(5_000, 0.25 * factor))
        for one in evaluate(evidence_of(wrong, target), ["ips", "snips", "clipped-ips"]):
            assert one.verdict.word == "do not use"
            assert "propensities are wrong or the logger lacks support" in one.verdict.reasons[0]

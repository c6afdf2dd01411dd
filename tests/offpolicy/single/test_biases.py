"""Every single-action estimator on a log that holds everything as often as the logger makes it happen.

There the value is the expectation, so unbiased means equal to the truth, and a stated bias is seen in full. Expected
values are made by plain loops over contexts and actions from the market's tables, with none of the package's formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import ESTIMATORS, evaluate
from offpolicy.estimate import values
from offpolicy.single.enumerated import EMBEDDING, LOGGER, REWARD, TARGET, enumerated_actions
from offpolicy.terms import direct

ROUNDING = 1e-12  # sums of 6,400 rows of order one in float64
Q = REWARD @ EMBEDDING.T  # (X, A)
MODEL = 0.8 * Q + 0.05


def expectation(weigh: Callable[[float], float], *, has_model: bool) -> float:
    """Mean over contexts and actions of what an estimator with that weight of w expects."""
    total = 0.0
    for x in range(2):
        for a in range(4):
            w = TARGET[x, a] / LOGGER[x, a]
            kept = LOGGER[x, a] * weigh(w)
            total += kept * (Q[x, a] - MODEL[x, a]) + TARGET[x, a] * MODEL[x, a] if has_model else kept * Q[x, a]
    return total / 2.0


UNBIASED = ["ips", "dr", "mips", "balanced-ips", "snips", "sndr", "snmips"]  # weights have mean 1 here: ratios, too


@pytest.mark.parametrize("name", UNBIASED)
def test_an_unbiased_estimator_is_the_truth_whatever_the_model(name: str) -> None:
    evidence, truth = enumerated_actions(wrong_model=True)
    assert values(evidence, [name])[name] == pytest.approx(truth, abs=ROUNDING)


def test_the_direct_method_is_as_wrong_as_its_model() -> None:
    for wrong_model, expected in ((True, (TARGET * MODEL).sum() / 2.0), (False, (TARGET * Q).sum() / 2.0)):
        evidence, _ = enumerated_actions(wrong_model=wrong_model)
        assert values(evidence, ["dm"])["dm"] == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(
    ("name", "weigh"),
    [
        ("clipped-ips:1.5", lambda w: min(w, 1.5)),
        ("clipped-dr:1.5", lambda w: min(w, 1.5)),
        ("switch-dr:1.5", lambda w: w if w <= 1.5 else 0.0),
        ("dros:2", lambda w: 2.0 * w / (w**2 + 2.0)),
        ("sg-ips:0.3", lambda w: w / (0.7 + 0.3 * w)),
        ("sg-dr:0.3", lambda w: w / (0.7 + 0.3 * w)),
    ],
)
def test_a_reshaped_estimator_has_the_bias_of_its_weights(name: str, weigh: Callable[[float], float]) -> None:
    evidence, truth = enumerated_actions(wrong_model=True)
    expected = expectation(weigh, has_model="dr" in name)
    assert abs(expected - truth) > 1e-3
    assert values(evidence, [name])[name] == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("most", [0.0, 0.5, 1.0, 4.0, 10.0, 11.0, 50.0])
def test_the_switch_estimator_weighs_or_models_each_action_and_never_both(most: float) -> None:
    # 11 is a weight that occurs: at a tie, too, the logged rows and the model's part decide alike
    evidence, truth = enumerated_actions(wrong_model=True)
    beyond = sum(
        TARGET[x, a] * (MODEL[x, a] - Q[x, a]) / 2.0
        for x in range(2)
        for a in range(4)
        if TARGET[x, a] / LOGGER[x, a] > most + 1e-9
    )
    name = f"switch:{most:g}"
    assert values(evidence, [name])[name] == pytest.approx(truth + beyond, abs=ROUNDING)


def test_at_its_ends_the_switch_estimator_is_the_direct_method_and_inverse_propensities() -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    found = values(evidence, ["switch:0", "dm", "switch:inf", "ips"])
    assert found["switch:0"] == pytest.approx(found["dm"], abs=ROUNDING)
    assert found["switch:inf"] == pytest.approx(found["ips"], abs=ROUNDING)


def test_embeddings_are_biased_where_an_action_moves_the_reward_by_itself() -> None:
    evidence, truth = enumerated_actions(wrong_model=True)
    assert evidence.actions is not None
    own = np.array([0.0, 0.0, 0.0, 1.0])  # what the last action earns beyond its embedding
    moved = replace(evidence, reward=evidence.reward + own[evidence.actions.action][:, None])
    truth += (TARGET * own).sum() / 2.0
    found = values(moved, ["ips", "mips"])
    assert found["ips"] == pytest.approx(truth, abs=ROUNDING)
    # sum over embeddings of the target's P(e) times what the logger's mix of actions earns at e
    expected = 0.0
    for x in range(2):
        for e in range(3):
            logged = LOGGER[x] * EMBEDDING[:, e]
            earned = REWARD[x, e] + (logged * own).sum() / logged.sum()
            expected += (TARGET[x] * EMBEDDING[:, e]).sum() * earned / 2.0
    assert abs(expected - truth) > 0.05
    assert found["mips"] == pytest.approx(expected, abs=ROUNDING)
    told = evaluate(moved, ["mips"])[0].verdict
    assert told.word == "do not use"
    assert "from 'ips', which assumes less" in told.reasons[0]


@pytest.mark.parametrize(
    "name", [name for name, one in ESTIMATORS.items() if not one.missing(enumerated_actions(wrong_model=True)[0])]
)
def test_self_replay_is_exact_for_every_estimator_that_one_action_a_row_can_feed(name: str) -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    assert evidence.actions is not None
    own = evidence.reward if ESTIMATORS[name].terms is direct else evidence.q_logged
    assert own is not None
    replay = replace(
        evidence,
        target=evidence.logger,
        target_marginal=evidence.logger_marginal,
        q_logged=own,
        q_target=own[:, 0],
        actions=replace(evidence.actions, target=evidence.actions.logger),
        embedding=np.ones(evidence.n_rows),
        balanced=np.ones(evidence.n_rows),
        q_within_target=None if evidence.q_within is None else evidence.q_within[:, 0],
    )
    # weights are 1, which no reshaping but shrinking at a finite strength, and blending, moves
    at = {"dros": ":inf", "blend": ":1"}.get(name, "")
    value = values(replay, [name + at])[name + at]
    assert value == pytest.approx(float(evidence.reward.mean()), abs=ROUNDING)


def test_what_is_biased_by_design_is_never_trusted_and_says_how_far_it_stands_from_what_is_not() -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    found = evaluate(evidence, ["ips", "dr", "clipped-ips:8", "dros", "switch", "switch-dr", "mips", "balanced-ips"])
    assert [one.verdict.word for one in found[:2]] == ["trust", "trust"]
    for one in found[2:]:
        assert one.verdict.word != "trust"
        assert "standard error" in one.verdict.reasons[-1]
        assert one.verdict.reasons[-1].endswith("which assumes less")
        assert one.diagnostics.mean_weight == pytest.approx(1.0, abs=ROUNDING)  # of weights that nobody reshaped
    assert found[2].diagnostics.lost_weight == pytest.approx(0.5 * 0.05 * 3.0, abs=ROUNDING)  # 11 becomes 8, in x = 0


def test_reshaping_contradicts_itself_only_where_it_moves_more_than_chance_would() -> None:
    # 11 becomes 10.9 in 160 rows: certain, and 6% of a standard error; everything above 2 becomes 2: many of them
    evidence, _ = enumerated_actions(wrong_model=True)
    little, much = evaluate(evidence, ["clipped-ips:10.9", "clipped-ips:2"])
    assert little.verdict.word == "caution"
    assert much.verdict.word == "do not use"
    assert "standard errors from 'ips', which assumes less" in much.verdict.reasons[0]


def test_clipping_most_of_the_weight_away_is_not_to_be_used() -> None:
    evidence, _ = enumerated_actions(wrong_model=True)
    one, other = evaluate(evidence, ["clipped-ips:0.5", "clipped-dr:0.5"])
    assert one.verdict.word == "do not use"
    assert any("of the weight, and nothing stands in" in reason for reason in one.verdict.reasons)
    assert not any("nothing stands in" in reason for reason in other.verdict.reasons)

"""What the contract does not say of single estimators."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Evidence
from offpolicy.terms import item_position, joint
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal

MakeEvidence = Callable[..., Evidence]


def test_with_one_slot_item_position_weights_are_joint_weights(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence(n_slots=1)
    for name in ("ips", "snips", "dr"):
        one, other = ESTIMATORS[name](evidence), ESTIMATORS[f"{name}-item"](evidence)
        assert one.value == other.value
        assert np.array_equal(one.influence, other.influence)


def test_an_absent_column_raises_and_is_named(make_evidence: MakeEvidence) -> None:
    evidence = replace(make_evidence(), logger_marginal=None, q_target=None)
    with pytest.raises(UserError, match="'ips-item' needs logger_marginal, which"):
        ESTIMATORS["ips-item"](evidence)
    with pytest.raises(UserError, match="'dr-item' needs logger_marginal and q_target, which"):
        ESTIMATORS["dr-item"](evidence)
    with pytest.raises(UserError, match="Conditionals do not stand in"):
        item_position(evidence)


def test_self_normalised_estimates_stay_within_the_rewards(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence(n_rows=20)
    for name in ("snips", "snips-item"):
        assert ESTIMATORS[name](replace(evidence, reward=np.ones((20, 3)))).value == pytest.approx(3.0, abs=1e-12)


def test_without_common_support_a_ratio_is_undefined_not_zero(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    never = np.full_like(evidence.target.logp, -np.inf)
    nowhere = replace(evidence, target=Conditional(never), target_marginal=Marginal(never))
    assert math.isnan(ESTIMATORS["snips"](nowhere).value)
    assert math.isnan(ESTIMATORS["snips-item"](nowhere).value)
    assert ESTIMATORS["ips"](nowhere).value == 0.0


def test_a_weight_that_no_number_holds_raises_with_its_row(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    logp = evidence.logger.logp.copy()
    logp[7] = -300.0
    with pytest.raises(UserError, match="log row 7: the target policy is exp"):
        joint(replace(evidence, logger=Conditional(logp), logger_marginal=None))


def test_the_stated_error_of_a_marginal_reaches_the_weights(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    assert evidence.logger_marginal is not None
    stated = replace(evidence, logger_marginal=Marginal(evidence.logger_marginal.logp, error=1e-3))
    p = np.exp(evidence.logger.logp)
    expected = (np.exp(evidence.target.logp - evidence.logger.logp) * 1e-3 / p).mean()
    assert item_position(stated).error == pytest.approx(expected, rel=1e-12)
    assert item_position(evidence).error == 0.0


def test_a_doubly_robust_estimate_with_a_perfect_model_has_no_weighted_noise(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    perfect = replace(evidence, q_logged=evidence.reward)
    for name in ("dr", "dr-item"):
        assert ESTIMATORS[name](perfect).value == pytest.approx(ESTIMATORS["dm"](perfect).value, abs=1e-14)

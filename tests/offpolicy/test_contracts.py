"""Every registered estimator keeps the contract, and the contract notices those that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from offpolicy import ESTIMATORS, Estimator, Evidence, Statistics
from offpolicy.check import check_estimator
from offpolicy.formulas import ips
from offpolicy.statistics import mean_of
from offpolicy.terms import Terms, joint
from simenv.errors import UserError


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_registered_estimator_keeps_the_contract(name: str) -> None:
    check_estimator(name)
    assert ESTIMATORS[name].name == name


def logged_mean(terms: Terms) -> Statistics:
    return ips(replace(terms, weight=terms.weight * 0.0 + 1.0))


def frozen_denominator(terms: Terms) -> Statistics:
    """The defect of a bootstrap that never resampled the normaliser: right value, wrong influence."""
    return mean_of((terms.weight * terms.reward)[:, 0] / float(terms.weight.mean()))


@pytest.mark.parametrize(
    ("formula", "complaint"),
    [
        (logged_mean, "the truth is"),
        (frozen_denominator, "leaving its row out"),
        (lambda terms: mean_of(2.0 * ips(terms).plain), "the truth is"),
    ],
)
def test_the_contract_catches_a_wrong_formula(formula: Callable[[Terms], Statistics], complaint: str) -> None:
    broken = Estimator("broken", joint, formula, (), "none", "none")
    with pytest.raises(AssertionError, match=complaint):
        check_estimator(broken)


def test_the_contract_catches_an_estimator_that_changes_its_inputs() -> None:
    def by_slot(evidence: Evidence) -> Terms:
        return Terms(joint(evidence).weight, evidence.reward)

    def formula(terms: Terms) -> Statistics:
        made = ips(replace(terms, reward=terms.reward.sum(axis=1, keepdims=True)))
        terms.reward[-1] += 1e-13
        return made

    with pytest.raises(AssertionError, match="it changed the column reward"):
        check_estimator(Estimator("careless", by_slot, formula, (), "none", "none"))


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'snips'"):
        check_estimator("snps")

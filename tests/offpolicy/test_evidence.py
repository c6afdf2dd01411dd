"""Evidence refuses what would bias an estimate without a warning, and says which row and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal, Prefix

MakeEvidence = Callable[..., Evidence]


def altered(logp: np.ndarray, row: int, slot: int, value: float) -> np.ndarray:
    changed = logp.copy()
    changed[row, slot] = value
    return changed


def test_a_conditional_given_as_marginal_raises_and_both_are_named(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    with pytest.raises(UserError, match="logger_marginal is a Conditional propensity; expected Marginal"):
        replace(evidence, logger_marginal=evidence.logger)
    with pytest.raises(UserError, match="target is a Prefix propensity; expected Conditional"):
        replace(evidence, target=Prefix(evidence.target.logp))
    with pytest.raises(UserError, match="logger is a Marginal propensity; expected Conditional"):
        replace(evidence, logger=Marginal(evidence.logger.logp))


def test_probabilities_in_place_of_logarithms_are_noticed_with_the_row(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    logp = altered(evidence.logger.logp, 17, 1, np.log(1.3))
    with pytest.raises(UserError, match=r"log row 17, slot 2: logger's propensity is 1.3 .*0 < p <= 1.*log\(\)"):
        replace(evidence, logger=Conditional(logp))


def test_a_shown_slate_cannot_have_had_propensity_zero_but_the_target_may_never_show_it(
    make_evidence: MakeEvidence,
) -> None:
    evidence = make_evidence()
    with pytest.raises(UserError, match="log row 3, slot 1: logger's propensity is 0, but the logger showed this"):
        replace(evidence, logger=Conditional(altered(evidence.logger.logp, 3, 0, -np.inf)))
    logp = altered(evidence.target.logp, 3, 0, -np.inf)
    replace(evidence, target=Conditional(logp), target_marginal=Marginal(logp))


def test_what_is_not_a_number_is_refused_in_every_column(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    bad = altered(evidence.reward, 5, 2, np.nan)
    for column in ("reward", "q_logged"):
        with pytest.raises(UserError, match=f"log row 5, slot 3: {column} is nan"):
            replace(evidence, **{column: bad})
    with pytest.raises(UserError, match="log row 0: q_target is inf"):
        replace(evidence, q_target=np.full(evidence.n_rows, np.inf))
    for column in ("logger", "target"):
        with pytest.raises(UserError, match=f"log row 5, slot 3: {column}'s log-probability is not a number"):
            replace(evidence, **{column: Conditional(np.where(np.isnan(bad), np.nan, -1.0))})


def test_shapes_must_agree(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    with pytest.raises(UserError, match=r"give reward\[:, None\]"):
        replace(evidence, reward=evidence.reward[:, 0])
    with pytest.raises(UserError, match=r"target.logp is float64 of shape \(500, 2\); .* of shape \(500, 3\)"):
        replace(evidence, target=Conditional(evidence.target.logp[:, :2]))
    with pytest.raises(UserError, match=r"q_target is float64 of shape \(500, 1\)"):
        replace(evidence, q_target=np.ones((500, 1)))
    with pytest.raises(UserError, match=r"cluster is float64 of shape \(500,\); expected integers"):
        replace(evidence, cluster=np.zeros(500))
    with pytest.raises(UserError, match="at least one row"):
        replace(evidence, reward=np.zeros((0, 3)))


def test_rows_that_are_their_own_cluster_occur_once(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    with pytest.raises(UserError, match="cluster 0 occurs 5 times though cluster_name is 'row'"):
        replace(evidence, cluster_name="row")
    shuffled = np.random.default_rng(0).permutation(evidence.n_rows)
    replace(evidence, cluster=shuffled, cluster_name="row")


def test_unknown_words_are_refused(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    with pytest.raises(UserError, match="cluster_name is 'user'; expected one of"):
        replace(evidence, cluster_name="user")
    with pytest.raises(UserError, match="propensity_kind is 'guessed'"):
        replace(evidence, propensity_kind="guessed")


def test_marginal_and_conditional_of_slot_one_are_the_same_number(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    swapped = Marginal(evidence.logger.logp[::-1].copy())
    with pytest.raises(UserError, match="nothing stands above slot 1, so the two are equal there"):
        replace(evidence, logger_marginal=swapped)
    replace(evidence, logger_marginal=replace(swapped, error=1.0))  # a computed marginal may say how far it can be off


def test_integer_rewards_become_floats_and_the_callers_array_stays(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    clicks = evidence.reward.astype(np.int8)
    assert replace(evidence, reward=clicks).reward.dtype == np.float64
    assert clicks.dtype == np.int8


def test_rounding_of_float32_logs_is_forgiven(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    replace(evidence, target=Conditional(altered(evidence.target.logp, 0, 1, 1e-7).astype(np.float32)))

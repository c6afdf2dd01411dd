"""Standard errors count shoppers, not rows; intervals take the denominator of a ratio for what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from offpolicy import ESTIMATORS, Evidence, Scores
from offpolicy.inference import clusters, lift, standard_error, student
from offpolicy.statistics import scores as scores_of
from simenv.errors import UserError
from simenv.propensity import Conditional

MakeEvidence = Callable[..., Evidence]


def test_constant_reward_one_gives_the_self_normalised_interval_one_to_one(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence(n_slots=1)
    constant = replace(evidence, reward=np.ones((evidence.n_rows, 1)))
    found = student(ESTIMATORS["snips"](constant), clusters(constant), 0.95)
    assert (found.low, found.value, found.high) == pytest.approx((1.0, 1.0, 1.0), abs=1e-12)
    assert student(ESTIMATORS["ips"](constant), clusters(constant), 0.95).stderr > 0.01


def test_with_rows_as_clusters_the_interval_is_the_one_sample_t_interval(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence(rows_each=1)
    rows = replace(evidence, cluster_name="row")
    scores = ESTIMATORS["ips"](rows)
    per_row = scores.value + scores.influence
    expected = stats.t.interval(0.9, len(per_row) - 1, per_row.mean(), stats.sem(per_row))
    found = student(scores, clusters(rows), 0.9)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-12)


def test_duplicating_every_row_within_its_shopper_changes_nothing(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    scores = ESTIMATORS["snips"](evidence)
    twice = Scores(scores.value, np.concatenate([scores.influence, scores.influence]))
    doubled = replace(
        evidence,
        reward=np.concatenate([evidence.reward] * 2),
        logger=Conditional(np.concatenate([evidence.logger.logp] * 2)),
        target=Conditional(np.concatenate([evidence.target.logp] * 2)),
        logger_marginal=None,
        target_marginal=None,
        q_logged=None,
        q_target=None,
        cluster=np.concatenate([evidence.cluster] * 2),
    )
    one = standard_error(scores.influence, clusters(evidence))
    assert standard_error(twice.influence, clusters(doubled)) == pytest.approx(one, rel=1e-12)


@pytest.mark.parametrize("scale", [1, -7, 2**40])
def test_the_numbers_of_the_shoppers_do_not_matter(make_evidence: MakeEvidence, scale: int) -> None:
    evidence = make_evidence()
    renamed = replace(evidence, cluster=evidence.cluster * scale - 3)
    influence = ESTIMATORS["ips"](evidence).influence
    expected = standard_error(influence, clusters(evidence))
    assert clusters(renamed).count == 100
    assert standard_error(influence, clusters(renamed)) == pytest.approx(expected, rel=1e-12)


def test_the_lift_of_the_logger_over_itself_is_exactly_nothing(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    replay = replace(evidence, target=evidence.logger, target_marginal=evidence.logger_marginal)
    found = student(scores_of(lift(ESTIMATORS["ips"].statistics(replay), replay)), clusters(replay), 0.95)
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)


def test_pairing_makes_the_lift_of_a_close_policy_sharper_than_its_value(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    mixture = np.log(0.95 * np.exp(evidence.logger.logp) + 0.05 * np.exp(evidence.target.logp))
    close = replace(evidence, target=Conditional(mixture), target_marginal=None)
    statistics, by = ESTIMATORS["ips"].statistics(close), clusters(close)
    paired, alone = scores_of(lift(statistics, close)), scores_of(statistics)
    assert student(paired, by, 0.95).stderr < 0.5 * student(alone, by, 0.95).stderr


def test_one_shopper_or_a_foolish_level_raises(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    with pytest.raises(UserError, match="all rows belong to one shopper"):
        clusters(replace(evidence, cluster=np.zeros(500, dtype=np.int64)))
    with pytest.raises(UserError, match=r"level is 95; expected a number between 0 and 1"):
        student(ESTIMATORS["ips"](evidence), clusters(evidence), 95)

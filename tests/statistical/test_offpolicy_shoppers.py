"""Coverage where rows are not independent: shoppers with tastes of their own, few or many searches each.

Items 0 and 1 are shown with logged probabilities; a shopper's chance to click moves with its own taste, and eager
shoppers search more, so that rows are correlated and cluster sizes informative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from offpolicy import ESTIMATORS, Evidence
from offpolicy.inference import clusters, lift, student
from offpolicy.reward_model import cross_fit
from offpolicy.statistics import scores as scores_of
from simenv.propensity import Conditional

pytestmark = pytest.mark.slow

SHOPPERS = 300
P_LOGGER, P_TARGET = 0.4, 0.7  # of item 1
EAGER_SEARCHES, OTHER_SEARCHES = 20, 8
# click chances of (item 0, item 1) for shoppers of the two kinds, who are equally many
EAGER, OTHER = (0.3, 0.9), (0.1, 0.2)


@dataclass(frozen=True)
class Log:
    """One simulated log."""

    evidence: Evidence
    item: np.ndarray  # (N,)
    is_eager: np.ndarray  # (N,)


def truth(p: float) -> float:
    """Value per search when item 1 has probability p: searches weigh shoppers by how often they come."""
    eager, other = ((1 - p) * chance[0] + p * chance[1] for chance in (EAGER, OTHER))
    return (EAGER_SEARCHES * eager + OTHER_SEARCHES * other) / (EAGER_SEARCHES + OTHER_SEARCHES)


def logs(n_logs: int) -> Iterator[Log]:
    for seed in range(n_logs):
        rng = np.random.default_rng(seed)
        kind = rng.random(SHOPPERS) < 0.5
        shopper = np.repeat(np.arange(SHOPPERS), np.where(kind, EAGER_SEARCHES, OTHER_SEARCHES))
        is_eager = kind[shopper]
        item = (rng.random(len(shopper)) < P_LOGGER).astype(np.int64)
        chance = np.where(is_eager[:, None], EAGER, OTHER)[np.arange(len(shopper)), item]
        logged, target = (np.log(np.where(item == 1, p, 1.0 - p))[:, None] for p in (P_LOGGER, P_TARGET))
        evidence = Evidence(
            reward=(rng.random(len(shopper)) < chance).astype(np.float64)[:, None],
            logger=Conditional(logged),
            target=Conditional(target),
            cluster=shopper,
        )
        yield Log(evidence, item, is_eager)


def as_rows(evidence: Evidence) -> Evidence:
    return Evidence(
        reward=evidence.reward,
        logger=evidence.logger,
        target=evidence.target,
        cluster=np.arange(evidence.n_rows),
        cluster_name="row",
    )


def test_clustering_by_shopper_covers_and_pretending_that_rows_are_independent_does_not() -> None:
    n_logs = 2_000  # the standard error of a coverage is .0049
    hits = {"shopper": 0, "row": 0, "lift": 0}
    value = truth(P_TARGET)
    for log in logs(n_logs):
        by_shopper, by_row = log.evidence, as_rows(log.evidence)
        scores = ESTIMATORS["snips"](by_shopper)
        for name, evidence in (("shopper", by_shopper), ("row", by_row)):
            found = student(scores, clusters(evidence), 0.95)
            hits[name] += found.low <= value <= found.high
        paired = scores_of(lift(ESTIMATORS["snips"].statistics(by_shopper), by_shopper))
        found = student(paired, clusters(by_shopper), 0.95)
        hits["lift"] += found.low <= value - truth(P_LOGGER) <= found.high
    covered = {name: count / n_logs for name, count in hits.items()}
    print(f"\ncoverage of snips: {covered}")
    assert 0.935 <= covered["shopper"] <= 0.965
    assert 0.935 <= covered["lift"] <= 0.965
    assert covered["row"] < 0.85


def test_doubly_robust_estimates_with_a_cross_fitted_model_cover() -> None:
    n_logs = 600  # the standard error of a coverage is .0089
    hits, n_narrower = 0, 0
    for log in logs(n_logs):
        seen = np.stack([log.item, log.is_eager, log.item * log.is_eager], axis=1).astype(np.float64)

        def target_features(rows: np.ndarray, log: Log = log) -> np.ndarray:
            drawn = np.array([[0, 1, 1, 1, 0, 1, 1, 0, 1, 1]]) + 0 * rows[:, None]  # item 1 in 7 of 10 slates
            eager = np.broadcast_to(log.is_eager[rows, None], drawn.shape)
            return np.stack([drawn, eager, drawn * eager], axis=2).astype(np.float64)[:, :, None, :]

        fit = cross_fit(seen[:, None, :], log.evidence.reward, target_features, log.evidence.cluster)
        evidence = Evidence(
            reward=log.evidence.reward,
            logger=log.evidence.logger,
            target=log.evidence.target,
            cluster=log.evidence.cluster,
            q_logged=fit.q_logged,
            q_target=fit.q_target,
        )
        by = clusters(evidence)
        found = student(ESTIMATORS["dr"](evidence), by, 0.95)
        hits += found.low <= truth(P_TARGET) <= found.high
        n_narrower += found.stderr < student(ESTIMATORS["ips"](evidence), by, 0.95).stderr
    print(f"\ncoverage of cross-fitted dr: {hits / n_logs:.4f}; narrower than ips in {n_narrower} of {n_logs}")
    assert 0.95 - 3 * 0.0089 <= hits / n_logs <= 0.95 + 3 * 0.0089
    assert n_narrower > 0.95 * n_logs

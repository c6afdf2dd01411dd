"""Moments of parts of a log: merged they are those of the whole, and they give the standard errors of influences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from offpolicy.audit.tail import pareto_k
from offpolicy.diagnostics import diagnose
from offpolicy.inference import Clusters, standard_error
from offpolicy.statistics import gradient_of, ratios_of, scores
from offpolicy.stream.moments import Moments, merge_all, moments_of
from offpolicy.stream.weight_sums import merge_weights, weight_sums_of
from offpolicy.terms import Terms
from simenv.errors import UserError

ROWS = 400
RNG = np.random.default_rng(0)
CLUSTER = np.sort(RNG.integers(0, 60, ROWS))
COLUMNS = RNG.random((ROWS, 5))


def cut(*places: int) -> list[Moments]:
    edges = [0, *places, ROWS]
    pairs = itertools.pairwise(edges)
    return [moments_of(COLUMNS[a:b], CLUSTER[a:b]) for a, b in pairs]


@pytest.mark.parametrize("places", [(1,), (399,), (7, 8, 9, 10), (100, 200, 300), tuple(range(1, ROWS))])
def test_parts_merge_to_the_whole_wherever_the_log_is_cut(places: tuple[int, ...]) -> None:
    whole, merged = moments_of(COLUMNS, CLUSTER), merge_all(cut(*places))
    assert merged.rows == ROWS
    assert merged.clusters == whole.clusters == len(np.unique(CLUSTER))
    # float64 sums of 400 products in another order
    assert np.allclose(merged.covariance(), whole.covariance(), rtol=1e-12, atol=1e-18)
    assert np.allclose(merged.means, COLUMNS.mean(axis=0), rtol=1e-14)


def test_it_does_not_matter_in_which_order_neighbours_are_merged() -> None:
    a, b, c = cut(3, 5)
    left, right = merge_all([merge_all([a, b]), c]), merge_all([a, merge_all([b, c])])
    assert left.clusters == right.clusters
    assert np.allclose(left.products(), right.products(), rtol=1e-13)


def test_standard_errors_are_those_of_influences() -> None:
    by = Clusters(CLUSTER, 60, len(np.unique(CLUSTER)))
    made = ratios_of(COLUMNS[:, :2], 0.5 + COLUMNS[:, 2:4], COLUMNS[:, 4])
    moments = moments_of(made.columns(), CLUSTER)
    slope = gradient_of(moments.means)
    expected = standard_error(scores(made).influence, by)
    assert float(np.sqrt(slope @ moments.covariance() @ slope)) == pytest.approx(expected, rel=1e-11)
    assert moments.effective_clusters == pytest.approx(by.effective, rel=1e-12)


def test_clusters_that_fall_are_refused_within_a_part_and_between_parts() -> None:
    with pytest.raises(UserError, match="cluster 3 stands after 4"):
        moments_of(COLUMNS[:2], np.array([4, 3]))
    early, late = moments_of(COLUMNS[:2], np.array([1, 2])), moments_of(COLUMNS[:2], np.array([7, 8]))
    with pytest.raises(UserError, match="begins with cluster 1 after one that ended with 8"):
        merge_all([late, early])


def test_one_cluster_has_no_standard_error() -> None:
    with pytest.raises(UserError, match="all rows belong to one cluster"):
        moments_of(COLUMNS[:3], np.zeros(3, dtype=np.int64)).covariance()


def test_sums_of_weights_give_the_diagnostics_of_the_whole() -> None:
    weight = np.exp(RNG.standard_normal((5_000, 2)))
    weight[:, 1] *= RNG.random(5_000) < 0.5
    terms = Terms(weight, (RNG.random((5_000, 2)) < 0.2).astype(np.float64), error=0.01)
    parts = [
        weight_sums_of(Terms(terms.weight[a : a + 500], terms.reward[a : a + 500], error=0.01))
        for a in range(0, 5_000, 500)
    ]
    merged = parts[0]
    for part in parts[1:]:
        merged = merge_weights(merged, part)
    seen = diagnose(terms, Clusters(None, 5_000, 5_000))
    assert merged.effective_rows() == pytest.approx(seen.effective_rows, rel=1e-12)
    assert merged.effective_positives() == pytest.approx(seen.effective_positives, rel=1e-12)
    assert merged.row_max / merged.row_sum == pytest.approx(seen.max_weight_share, rel=1e-12)
    assert merged.error / merged.rows == pytest.approx(0.01, rel=1e-12)
    assert merged.pareto_k() == pytest.approx(pareto_k(weight.mean(axis=1)), rel=1e-9)
    assert merged.seen.all()

"""Hoeffding and empirical Bernstein: published widths, bounds from policies and never from the sample."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.inference import Interval
from offpolicy.intervals.bounded import bernstein, bernstein_radius, hoeffding, hoeffding_radius
from offpolicy.intervals.case import Asked, Case
from simenv.errors import UserError

MakeLog = Callable[..., Evidence]
MakeCase = Callable[..., Case]


@pytest.mark.parametrize(("n", "width"), [(100, 0.272), (1_000, 0.0859), (10_000, 0.0272)])
def test_hoeffdings_width_falls_with_the_root_of_n(
    n: int, width: float, make_log: MakeLog, make_case: MakeCase
) -> None:
    """Trap T5: where n was multiplied in place of divided by, widths grew as 27, 86, 272."""
    found = hoeffding(make_case(make_log(np.ones(n), np.arange(n) % 2 * 1.0, 1.0)), Asked())
    assert found.high - found.low == pytest.approx(width, abs=0.0005)
    assert found.high - found.low == pytest.approx(2 * math.sqrt(math.log(40) / (2 * n)), rel=1e-9)


@pytest.mark.parametrize(("n", "width"), [(100, 0.503), (1_000, 0.114), (10_000, 0.0317)])
def test_empirical_bernsteins_width_is_the_published_one(
    n: int, width: float, make_log: MakeLog, make_case: MakeCase
) -> None:
    """At n = 100 the notes have .497 for Bernoulli draws, whose variance is a little less than of exact halves."""
    found = bernstein(make_case(make_log(np.ones(n), np.arange(n) % 2 * 1.0, 1.0)), Asked())
    assert found.high - found.low == pytest.approx(width, abs=0.0005 if n > 100 else 0.002)


def test_a_range_from_the_sample_is_violated_where_the_known_one_is_not(make_log: MakeLog, make_case: MakeCase) -> None:
    """Trap T6: weights of 200 in one of 400 rows carry half of all value; most logs of 200 rows hold none of them."""
    misses = {"known": 0, "sample": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        weight = np.where(rng.random(200) < 1 / 400, 200.0, 0.5 / (1 - 1 / 400))
        log = make_log(weight, np.ones(200), 200.0)
        misses["known"] += hoeffding(make_case(log), Asked()).high < 1.0
        sample = weight.mean() + hoeffding_radius(weight, float(weight.max()), 0.025)
        misses["sample"] += sample < 1.0
    assert misses["known"] == 0
    assert misses["sample"] > 100


@pytest.mark.parametrize("rule", [hoeffding, bernstein])
def test_without_bounds_the_interval_is_refused_with_what_is_missing(
    rule: Callable[[Case, Asked], Interval], make_log: MakeLog, make_case: MakeCase
) -> None:
    weight, reward = np.ones(50), np.ones(50)
    with pytest.raises(UserError, match="max_weight of the evidence is not known"):
        rule(make_case(make_log(weight, reward)), Asked())
    with pytest.raises(UserError, match="reward_range of the evidence is not known"):
        rule(make_case(make_log(weight, reward, 1.0, reward_range=None)), Asked())


def test_clusters_count_once_and_their_largest_size_widens(make_log: MakeLog, make_case: MakeCase) -> None:
    reward = np.arange(400) % 2 * 1.0
    alone = hoeffding(make_case(make_log(np.ones(400), reward, 1.0)), Asked())
    pairs = hoeffding(make_case(make_log(np.ones(400), reward, 1.0, cluster=np.arange(400) // 2)), Asked())
    assert pairs.high - pairs.low == pytest.approx(math.sqrt(2) * (alone.high - alone.low), rel=1e-6)


def test_limits_solve_the_inequality_also_where_sizes_differ(make_log: MakeLog, make_case: MakeCase) -> None:
    rng = np.random.default_rng(0)
    cluster = np.sort(rng.integers(60, size=300))
    weight = np.where(rng.random(300) < 0.25, 2.5, 0.5)
    reward = (rng.random(300) < 0.4) * 1.0
    found = bernstein(make_case(make_log(weight, reward, 2.5, cluster=cluster), "ips"), Asked())
    size = np.bincount(cluster)
    gain = np.bincount(cluster, weights=weight * reward)
    if found.low > 0.0:
        column = gain - found.low * size
        assert column.mean() == pytest.approx(bernstein_radius(column, 2.5 * size.max(), 0.025), rel=1e-6)
    assert found.low < found.value < found.high


def test_where_no_estimator_is_named_those_without_the_interval_keep_their_value(make_log: MakeLog) -> None:
    log = make_log(np.ones(900), np.arange(900) % 2 * 1.0, 1.0)
    with_model = Evidence(
        reward=log.reward,
        logger=log.logger,
        target=log.target,
        cluster=log.cluster,
        q_logged=np.full((900, 1), 0.5),
        q_target=np.full(900, 0.5),
        reward_range=(0.0, 1.0),
        max_weight=1.0,
    )
    by_name = {one.estimator: one for one in evaluate(with_model, interval="hoeffding")}
    assert by_name["ips"].record()["low"] is not None
    assert by_name["dm"].record()["low"] is None
    assert by_name["dm"].record()["value"] == pytest.approx(0.5)
    assert by_name["dm"].verdict.word == evaluate(with_model, ["dm"])[0].verdict.word != "trust"
    assert any("no interval 'hoeffding'" in reason for reason in by_name["dm"].verdict.reasons)
    with pytest.raises(UserError, match="not a mean of weighted rewards"):
        evaluate(with_model, ["dm"], interval="hoeffding")

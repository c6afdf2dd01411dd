"""Every replicate divides by its own summed weights; counts are Poisson(1) and depend on names alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.inference import Clusters, Interval, student
from offpolicy.intervals.bootstrap import acceleration, bca, bootstrap, counts, replicates, weighted_sums
from offpolicy.intervals.case import Asked, Case
from offpolicy.rows import take
from offpolicy.single.arrays import SingleActionLog, evidence_of
from simenv.errors import UserError

MakeLog = Callable[..., Evidence]
MakeCase = Callable[..., Case]


@pytest.mark.parametrize("rule", [bootstrap, bca])
def test_constant_reward_one_gives_the_self_normalised_interval_one_to_one(
    rule: Callable[[Case, Asked], Interval], make_log: MakeLog, make_case: MakeCase
) -> None:
    """Trap T2: with a frozen normaliser the same log gives [.88, 1.15]."""
    weight = np.random.default_rng(0).lognormal(-0.5, 1.0, 500)
    log = make_log(weight, np.ones(500))
    found = rule(make_case(log, "snips"), Asked())
    assert (found.low, found.high) == pytest.approx((1.0, 1.0), abs=1e-12)
    frozen = rule(make_case(log, "ips"), Asked())
    assert frozen.high - frozen.low > 0.1


def test_counts_are_poisson_with_mean_and_variance_one_and_independent() -> None:
    drawn = counts(np.arange(20_000), range(5), 0)  # 400,000 counts
    assert drawn.shape == (20, 20_000)
    assert drawn.mean() == pytest.approx(1.0, abs=4 / np.sqrt(drawn.size))
    assert drawn.var() == pytest.approx(1.0, abs=4 * np.sqrt(3.0 / drawn.size))  # the fourth moment is 4
    off = np.corrcoef(drawn) - np.eye(20)
    assert np.abs(off).max() < 5 / np.sqrt(20_000)  # 190 pairs: 4.4 standard errors occur once in 1,000 tests
    assert np.abs(np.corrcoef(drawn[0, 1:], drawn[0, :-1])[0, 1]) < 4 / np.sqrt(20_000)


def test_a_replicate_is_the_estimate_of_the_log_with_clusters_counted_as_drawn(
    make_log: MakeLog, make_case: MakeCase
) -> None:
    rng = np.random.default_rng(1)
    cluster = np.sort(rng.integers(40, size=120))
    log = make_log(rng.lognormal(-0.5, 1.0, 120), rng.random(120), cluster=cluster)
    case = make_case(log, "snips")
    drawn = replicates(case.statistics, case.by, Asked(replicates=100, seed=7))
    times = counts(np.arange(40), range(25), 7)[3][cluster].astype(np.int64)
    repeated = take(log, np.repeat(np.arange(120), times))
    assert drawn[3] == pytest.approx(make_case(repeated, "snips").scores.value, rel=1e-12)


def test_replicates_depend_on_neither_chunks_nor_the_order_of_rows(make_log: MakeLog, make_case: MakeCase) -> None:
    rng = np.random.default_rng(2)
    sums = rng.random((5_000, 2))
    whole = weighted_sums(sums, 1_000, 3)
    assert np.allclose(whole, counts(np.arange(5_000), range(250), 3) @ sums, rtol=1e-12)
    cluster = rng.integers(200, size=900)
    log = make_log(rng.lognormal(-0.5, 1.0, 900), rng.random(900), cluster=cluster)
    mixed = take(log, rng.permutation(900))
    asked = Asked(replicates=200)
    one, other = (replicates(make_case(each).statistics, make_case(each).by, asked) for each in (log, mixed))
    assert np.allclose(one, other, rtol=1e-12)
    assert not np.allclose(one, replicates(make_case(log).statistics, make_case(log).by, replace(asked, seed=1)))


def test_in_a_plentiful_log_the_bootstraps_agree_with_students_t(make_log: MakeLog, make_case: MakeCase) -> None:
    rng = np.random.default_rng(3)
    case = make_case(make_log(rng.uniform(0.5, 1.5, 4_000), (rng.random(4_000) < 0.3) * 1.0), "snips")
    t = student(case.scores, case.by, 0.95)
    for rule in (bootstrap, bca):
        found = rule(case, Asked(replicates=2_000))
        # An end is a 2.5% quantile of 2,000 draws: its standard error is .06 of the estimate's.
        assert (found.low, found.high) == pytest.approx((t.low, t.high), abs=4 * 0.06 * t.stderr)


def test_bca_moves_towards_the_long_tail(make_log: MakeLog, make_case: MakeCase) -> None:
    rng = np.random.default_rng(4)
    case = make_case(make_log(rng.lognormal(-0.5, 1.0, 300), (rng.random(300) < 0.2) * 1.0))
    assert acceleration(case.scores.influence, case.by) > 0.02
    plain, moved = bootstrap(case, Asked(replicates=2_000)), bca(case, Asked(replicates=2_000))
    assert moved.low > plain.low
    assert moved.high > plain.high


def test_the_acceleration_is_that_of_the_jackknife_for_a_mean() -> None:
    values = np.random.default_rng(5).exponential(size=50)
    left_out = (values.sum() - values) / 49
    jackknife = left_out.mean() - left_out
    expected = (jackknife**3).sum() / (6 * (jackknife**2).sum() ** 1.5)
    assert acceleration(values - values.mean(), Clusters(None, 50, 50)) == pytest.approx(expected, rel=1e-9)


def test_where_a_replicate_has_no_weight_the_interval_is_refused(make_log: MakeLog, make_case: MakeCase) -> None:
    log = make_log(np.array([0.0, 1.0, 0.0]), np.ones(3))
    with pytest.raises(UserError, match="replicates of 'snips' have no weight at all"):
        bootstrap(make_case(log, "snips"), Asked())


def test_low_effective_positives_are_told_though_the_bootstrap_looks_narrow(make_log: MakeLog) -> None:
    """Trap T3: 2.7% effective rows and clicks of 1%; what a nominal 95% interval covers is measured below."""
    rng = np.random.default_rng(6)
    weight = rng.lognormal(-1.8, 1.9, 2_000)
    log = make_log(weight, (rng.random(2_000) < 0.01) * 1.0)
    (found,) = evaluate(log, ["ips"], interval="bootstrap")
    assert found.rule == "bootstrap"
    assert found.verdict.word == "do not use"
    assert any("effective positives" in reason for reason in found.verdict.reasons)


def test_with_half_a_rewarded_row_to_carry_it_an_interval_covers_as_often_as_there_is_one() -> None:
    """Trap T3 again: one of 37 arms is 2.7% of 2,000 rows, which have .54 clicks: 1 - exp(-.54) = 42% hold any.

    How much is covered hangs on the weights, not on effective rows alone: 39% of 1,000 logs here, 66% with lognormal
    weights of the same second moment, 58% in a peer whose weights are not told. All are refused.
    """
    held = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        clicks = (rng.random(2_000) < 0.01) * 1.0
        log = SingleActionLog(
            action=rng.integers(37, size=2_000), reward=clicks, propensity=np.full((2_000, 37), 1 / 37)
        )
        (found,) = evaluate(evidence_of(log, np.tile(np.eye(37)[0], (2_000, 1))), ["ips"])
        assert found.verdict.word == "do not use"
        assert found.diagnostics.foreseen_carriers == pytest.approx(2_000 * clicks.mean() / 37)
        held += found.interval.low <= 0.01 <= found.interval.high
    assert held / 120 == pytest.approx(1 - np.exp(-2_000 * 0.01 / 37), abs=3 * np.sqrt(0.25 / 120))


def test_a_hundred_replicates_of_300_000_sessions_take_a_third_of_a_second(
    make_log: MakeLog, make_case: MakeCase
) -> None:
    """Measured at .13 CPU-s; the bar is .3 (the peer needs 1.6). Twice the bar allows for a busy machine."""
    rng = np.random.default_rng(8)
    log = make_log(rng.lognormal(-0.5, 1.0, 300_000), (rng.random(300_000) < 0.1) * 1.0, cluster=np.arange(300_000))
    case = make_case(log, "snips")
    clock = time.process_time()
    drawn = replicates(case.statistics, case.by, Asked(replicates=100))
    assert time.process_time() - clock < 0.6
    assert drawn.std() == pytest.approx(student(case.scores, case.by, 0.95).stderr, rel=4 / np.sqrt(200))

"""Estimates of a log that was read in parts are those of the log as a whole."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.actions import ActionTable
from offpolicy.estimate import Estimate
from offpolicy.rows import take
from offpolicy.stream.finish import finish
from offpolicy.stream.gather import Chunk, Gathered, gather, merge
from offpolicy.stream.plan import Plan, check_names, plan_of
from offpolicy.stream.survey import Survey, glance_at, survey
from simenv.errors import UserError
from simenv.propensity import Conditional
from tests.offpolicy.conftest import random_evidence


def gathered(evidence: Evidence, plan: Plan, places: tuple[int, ...] = (7, 8, 1000, 1001)) -> Gathered:
    """Gather in three parts that are merged, the second of two chunks."""
    edges = [0, *places, evidence.n_rows]
    chunks = [Chunk(take(evidence, np.arange(a, b))) for a, b in itertools.pairwise(edges)]
    second = gather(chunks[2], plan, gather(chunks[1], plan))
    rest = gather(chunks[4], plan, gather(chunks[3], plan))
    return merge(merge(gather(chunks[0], plan), second, plan), rest, plan)


UNASKED = ("repeats", "arrival")  # told as not checked in one pass


def asked(one: Estimate) -> list[str]:
    """What the audit says in answer to what one pass can ask."""
    return [found.said for found in one.findings if found.check not in UNASKED]


def surveyed(evidence: Evidence, rows: int = 700) -> Survey:
    parts = [take(evidence, np.arange(a, min(a + rows, evidence.n_rows))) for a in range(0, evidence.n_rows, rows)]
    return survey(lambda: ((one.n_rows, glance_at(one.cluster, one.time, one.segments)) for one in parts))


def slates(n_rows: int = 3_000) -> Evidence:
    made = random_evidence(n_rows, 3)
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((n_rows, 3))
    return replace(
        made,
        placebo=noise,
        reward=made.reward * rng.uniform(0.5, 2.0, (n_rows, 1)),
        q_prefix=made.q_logged,
        q_prefix_target=made.q_target,
        score_residual=rng.standard_normal(n_rows),
        features=np.column_stack([rng.standard_normal(n_rows), np.ones(n_rows), np.arange(n_rows) / n_rows]),
        feature_names=("some", "constant", "rising"),
        segments={
            "shop": rng.choice(["de", "fr", "nl"], n_rows, p=[0.7, 0.29, 0.01]),
            "device": np.full(n_rows, "phone"),
        },
        time=rng.integers(0, 30, n_rows),
    )


def single(n_rows: int = 3_000) -> Evidence:
    rng = np.random.default_rng(2)
    logger = rng.dirichlet(np.ones(5), n_rows)
    logger[:, 4], logger[:, 3] = 0.0, logger[:, 3] + logger[:, 4]  # the logger never plays the last
    target = rng.dirichlet(np.ones(5) * 0.7, n_rows)
    action = (rng.random((n_rows, 1)) > logger.cumsum(axis=1)).sum(axis=1)
    q, every = rng.uniform(0.1, 0.4, (n_rows, 5)), np.arange(n_rows)
    return Evidence(
        reward=(rng.random((n_rows, 1)) < 0.3).astype(np.float64),
        logger=Conditional(np.log(logger[every, action])[:, None]),
        target=Conditional(np.log(target[every, action])[:, None]),
        cluster=np.sort(rng.integers(0, 800, n_rows)),
        q_logged=q[every, action][:, None],
        q_target=(q * target).sum(axis=1),
        actions=ActionTable(action, logger, target, q),
        propensity_kind="estimated",
        propensity_error=0.01,
        unit="decision",
        segments={"shop": rng.choice(["de", "fr"], n_rows)},
        time=np.sort(rng.integers(0, 10**15, n_rows)),
    )


SINGLE = ["ips", "snips", "dm", "dr", "sndr", "clipped-ips:3", "sg-ips", "switch-dr:2", "dros", "switch", "cab:5"]
SLATES = [
    "ips", "snips", "dm", "dr", "rips", "snrips", "cascade-dr", "cascade-sndr", "ips-item", "snips-item", "dr-item",
    "clipped-dr:1.5",
]  # fmt: skip


@pytest.mark.parametrize("interval", ["t", "normal", "bootstrap"])
@pytest.mark.parametrize(("evidence", "names"), [(single(), SINGLE), (slates(), SLATES), (slates(), None)])
def test_a_log_in_parts_gives_the_estimates_of_the_whole(
    evidence: Evidence, names: list[str] | None, interval: str
) -> None:
    plan = plan_of(evidence, names, 200 if interval == "bootstrap" else 0, 5, surveyed(evidence))
    made = finish(gathered(evidence, plan), plan, 0.9, interval)
    whole = evaluate(evidence, names, 0.9, interval, seed=5, replicates=200)
    assert [one.estimator for one in made] == [one.estimator for one in whole]
    for one, expected in zip(made, whole, strict=True):
        ours, theirs = one.record(), expected.record()
        for key, value in theirs.items():
            if isinstance(value, float):
                # The issue asks for 1e-9; sums of 3,000 rows in another order differ by some 1e-13 of the value, and a
                # variance that is the difference of such sums by some 1e-11 of itself.
                assert ours[key] == pytest.approx(value, rel=1e-9, abs=1e-12), (one.estimator, key)
            else:
                assert ours[key] == value, (one.estimator, key)
        for found, theirs_found in zip(one.findings, expected.findings, strict=True):
            if found.check in UNASKED:
                continue
            assert found.outcome == theirs_found.outcome
            assert found.said == theirs_found.said
            told = theirs_found.figure
            assert found.figure == (told if told is None else pytest.approx(told, rel=1e-9, abs=1e-12))
        # Which clusters are largest is guessed by the means so far (of 7 rows, here); one that matters is never missed.
        share = expected.diagnostics.variance_share
        near = 1e-9 if share > 0.1 else 0.5
        assert one.diagnostics.variance_share == pytest.approx(share, rel=near), one.estimator
        for name in ("neighbours", "foreseen_rows", "foreseen_carriers", "unseen_bias"):
            told = getattr(expected.diagnostics, name)
            assert getattr(one.diagnostics, name) == pytest.approx(told, rel=1e-9), (one.estimator, name)
        assert one.diagnostics.lost_weight == pytest.approx(expected.diagnostics.lost_weight, abs=1e-12)
        assert one.diagnostics.beyond_support == pytest.approx(expected.diagnostics.beyond_support, rel=1e-12)


def test_a_policy_that_changes_nothing_has_weights_of_one_and_no_error() -> None:
    evidence = single()
    same = replace(evidence, target=evidence.logger, actions=None, q_logged=None, q_target=None)
    plan = plan_of(same, ["ips", "snips"])
    for ours, theirs in zip(finish(gathered(same, plan), plan), evaluate(same, ["ips", "snips"]), strict=True):
        assert ours.diagnostics.mean_weight_z == theirs.diagnostics.mean_weight_z == 0.0
        assert ours.lift.stderr == pytest.approx(0.0, abs=1e-9)
        assert ours.verdict.word == theirs.verdict.word


def test_a_target_that_was_never_shown_is_refused_as_in_memory() -> None:
    evidence = single()
    never = replace(evidence, target=Conditional(np.full((3_000, 1), -np.inf)), actions=None)
    plan = plan_of(never, ["ips", "snips"])
    for ours, theirs in zip(finish(gathered(never, plan), plan), evaluate(never, ["ips", "snips"]), strict=True):
        assert ours.verdict.word == theirs.verdict.word == "do not use"
        assert np.isnan(ours.interval.value) == np.isnan(theirs.interval.value)


def test_a_placebo_that_some_rows_lack_is_no_placebo() -> None:
    evidence = slates()
    plan = plan_of(evidence, ["ips-item"])
    first, second = take(evidence, np.arange(1_000)), take(evidence, np.arange(1_000, 3_000))
    made = finish(merge(gather(Chunk(first), plan), gather(Chunk(replace(second, placebo=None)), plan), plan), plan)
    assert any("was not checked (there is no placebo)" in reason for reason in made[0].verdict.reasons)


@pytest.mark.parametrize(
    ("names", "interval", "told"),
    [
        (["dros:slope"], "t", "2 passes, one to choose and one to estimate"),
        (["fqe"], "t", "whole sessions or of all rows"),
        (["stable-ips"], "t", "whole sessions or of all rows"),
        (["recent-ips"], "t", "needs time, which is made of"),
        (["ips"], "betting", "not made of sums"),
        (["ips"], "bca", "not made of sums"),
        (["isp"], "t", "there is no estimator .isp."),
    ],
)
def test_what_is_not_a_sum_is_refused_before_a_log_is_read(names: list[str], interval: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_names(names, interval)


def test_one_shopper_who_makes_the_variance_is_found_in_whatever_part_it_stands() -> None:
    evidence = single()
    for row in (3, 500, 2_999):
        reward = evidence.reward.copy()
        reward[row] = 30_000.0
        heavy = replace(evidence, reward=reward)
        plan = plan_of(heavy, ["ips", "snips", "dr"])
        for one, expected in zip(finish(gathered(heavy, plan), plan), evaluate(heavy, list(plan.asked)), strict=True):
            share = expected.diagnostics.variance_share
            assert share > 0.1 or one.estimator != "ips"
            assert one.diagnostics.variance_share == pytest.approx(share, rel=1e-9)
            assert one.verdict == expected.verdict


def test_rows_that_are_alike_side_by_side_are_seen_across_parts() -> None:
    evidence = replace(single(), cluster=np.arange(3_000), cluster_name="row", actions=None)
    block = np.repeat(np.random.default_rng(0).random(75) < 0.3, 40)  # forty rows of one fate
    alike = replace(evidence, reward=block.astype(np.float64)[:, None])
    plan = plan_of(alike, ["ips", "snips"])
    for one, expected in zip(finish(gathered(alike, plan), plan), evaluate(alike, ["ips", "snips"]), strict=True):
        assert expected.diagnostics.neighbours > 1.5
        assert one.diagnostics.neighbours == pytest.approx(expected.diagnostics.neighbours, rel=1e-9)
        assert one.verdict.word == expected.verdict.word

"""Evidence in, estimates out: what is chosen, what is reported, and what JSON gets."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.check import enumerated_log
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal

MakeEvidence = Callable[..., Evidence]

KEYS = [
    "estimator",
    "estimand",
    "value",
    "stderr",
    "low",
    "high",
    "interval",
    "level",
    "lift",
    "lift_low",
    "lift_high",
    "rows",
    "effective_rows",
    "effective_positives",
    "mean_weight",
    "mean_weight_z",
    "max_weight_share",
    "cluster",
    "verdict",
    "reasons",
]


def test_by_default_every_estimator_that_the_evidence_feeds_is_used(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    everything = ["ips", "snips", "dm", "dr", "rips", "ips-item", "snips-item", "dr-item"]
    assert [one.estimator for one in evaluate(evidence)] == everything
    bare = replace(evidence, q_logged=None, target_marginal=None)
    assert [one.estimator for one in evaluate(bare)] == ["ips", "snips", "rips"]
    assert [one.estimator for one in evaluate(make_evidence(n_slots=1))] == ["ips", "snips", "dm", "dr"]


def test_named_estimators_come_in_the_order_asked_and_raise_without_their_columns(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence(n_slots=1)
    assert [one.estimator for one in evaluate(evidence, ["snips-item", "ips"])] == ["snips-item", "ips"]
    with pytest.raises(UserError, match="'dr' needs q_logged"):
        evaluate(replace(evidence, q_logged=None), ["ips", "dr"])
    with pytest.raises(UserError, match="Did you mean 'snips'"):
        evaluate(evidence, ["snip"])


def test_a_record_is_plain_json_with_the_agreed_keys(make_evidence: MakeEvidence) -> None:
    for one in evaluate(make_evidence(), level=0.9):
        record = one.record()
        assert list(record) == KEYS
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert record["estimand"] == "value per search over the logger's contexts"
        assert record["level"] == 0.9
        assert record["cluster"] == "shopper"


def test_what_is_undefined_becomes_null_and_is_not_to_be_used(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence()
    never = np.full_like(evidence.target.logp, -np.inf)
    nowhere = replace(evidence, target=Conditional(never), target_marginal=Marginal(never))
    for one in evaluate(nowhere, ["ips", "snips", "snips-item"]):
        record = one.record()
        assert record["verdict"] == "do not use"
        assert record["mean_weight_z"] is None
        assert "no common support" in one.verdict.reasons[0]
        assert (record["value"] is None) == (one.estimator != "ips")


def test_self_replay_of_a_plentiful_log_is_trusted_and_is_the_logged_mean() -> None:
    evidence, _ = enumerated_log(wrong_model=True)
    assert evidence.q_logged is not None
    assert evidence.q_prefix is not None
    replay = replace(
        evidence,
        target=evidence.logger,
        target_marginal=evidence.logger_marginal,
        q_target=evidence.q_logged.sum(axis=1),
        q_prefix_target=evidence.q_prefix.sum(axis=1),
        pseudoinverse=np.ones(evidence.n_rows),
        placebo=np.zeros(evidence.reward.shape),
    )
    mean = evidence.reward.sum(axis=1).mean()
    names = ["ips", "snips", "dr", "rips", "snrips", "cascade-dr", "cascade-sndr", "ips-item", "snips-item", "dr-item"]
    for one in evaluate(replay, [*names, "pi", "snpi"]):
        # float64 sums of 10,080 rows of order one
        assert one.interval.value == pytest.approx(mean, abs=1e-12)
        assert one.lift.value == pytest.approx(0.0, abs=1e-12)
        assert one.verdict.word == "trust"
    assert evaluate(replay, ["ips"])[0].interval.value == mean


def test_item_position_weights_are_contradicted_where_slots_depend_on_each_other() -> None:
    enumerated, _ = enumerated_log(wrong_model=True)
    evidence = replace(enumerated, placebo=np.zeros(enumerated.reward.shape))
    rewarded = evidence.reward.copy()
    rewarded[:, 1] *= evidence.reward[:, 0] < 0.3  # what is liked above leaves nothing for what stands below
    found = {one.estimator: one for one in evaluate(replace(evidence, reward=rewarded), ["ips", "ips-item"])}
    assert found["ips"].verdict.word == "trust"
    assert found["ips-item"].verdict.word != "trust"
    assert "from 'rips', which assumes less" in found["ips-item"].verdict.reasons[0]
    agreed = {one.estimator: one for one in evaluate(evidence, ["ips", "ips-item"])}
    assert agreed["ips-item"].verdict.word == "trust"


def test_the_rivals_of_a_rival_are_heard_too() -> None:
    """What stands below moves the slot above: rips is as wrong as item-position weights, and whole slates say so."""
    enumerated, _ = enumerated_log(wrong_model=True)
    evidence = replace(enumerated, placebo=np.zeros(enumerated.reward.shape))
    rewarded = evidence.reward.copy()
    rewarded[:, 0] *= evidence.reward[:, 1] < 0.3
    found = {one.estimator: one.verdict for one in evaluate(replace(evidence, reward=rewarded), ["ips-item", "rips"])}
    assert "from 'ips', which assumes less" in found["ips-item"].reasons[0]
    assert "from 'ips', which assumes less" in found["rips"].reasons[0]


def test_a_bias_by_design_is_no_smaller_for_want_of_an_interval_to_hold_it_against() -> None:
    evidence, _ = enumerated_log(wrong_model=True)
    bounded = replace(evidence, reward_range=(0.0, float(evidence.reward.sum(axis=1).max())))
    for rule in ("t", "betting"):
        (dm,) = (one for one in evaluate(bounded, interval=rule) if one.estimator == "dm")
        assert math.isfinite(dm.interval.high) == (rule == "t")
        assert any("times the half-width of its narrower interval" in reason for reason in dm.verdict.reasons)


def test_evaluating_twice_gives_the_same_bytes_and_estimates_pickle(make_evidence: MakeEvidence) -> None:
    first, second = evaluate(make_evidence()), evaluate(make_evidence())
    assert pickle.dumps(first) == pickle.dumps(second)
    assert pickle.loads(pickle.dumps(first)) == first
    assert evaluate(make_evidence(seed=1)) != first
    assert all(math.isfinite(one.interval.value) for one in first)


def test_importing_the_package_loads_no_heavy_library(repository: Path) -> None:
    code = (
        "import offpolicy, sys; heavy = {'torch', 'ray', 'matplotlib', 'sklearn', 'scipy', 'pandas', 'pyarrow'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

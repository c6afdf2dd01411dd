"""Vowpal Wabbit's dsjson: the three kinds of events by hand, and errors that name the line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy import evaluate
from offpolicy.readers.vowpal import read_dsjson
from simenv.errors import UserError

CB = {
    "_label_cost": -1, "_label_probability": 0.2, "_label_Action": 2, "_labelIndex": 1,
    "Timestamp": "2021-07-29T10:00:00.9990000Z", "EventId": "e0", "a": [1, 2, 3], "p": [0.7, 0.2, 0.1],
    "c": {"GUser": {"id": "ann"}, "_multi": [{}, {}, {}]},
}  # fmt: skip
CCB = {
    "c": {"_multi": [{}, {}, {}], "_slots": [{}, {}]},
    "_outcomes": [
        {"_label_cost": -1.0, "_a": [2, 0, 1], "_p": [0.5, 0.3, 0.2]},
        {"_label_cost": 0.0, "_a": [0, 1], "_p": [0.6, 0.4]},
    ],
}
SLATES = {
    "_label_cost": -2.0,
    "c": {"_multi": [{"_slot_id": 0}, {"_slot_id": 0}, {"_slot_id": 1}, {"_slot_id": 1}, {"_slot_id": 1}]},
    "_outcomes": [{"_a": [1, 0], "_p": [0.8, 0.2]}, {"_a": [2, 0, 1], "_p": [0.5, 0.25, 0.25]}],
}


def put(folder: Path, *events: dict[str, Any]) -> Path:
    path = folder / "log.json"
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return path


def test_one_action_by_hand(tmp_path: Path) -> None:
    other = CB | {"_label_cost": 0, "EventId": "e1", "c": {"GUser": {"id": "bob"}, "_multi": [{}, {}, {}]}}
    reading = read_dsjson(put(tmp_path, CB, other), "uniform", shopper="c.GUser.id")
    evidence = reading.evidence["reward"]
    assert evaluate(evidence, ["ips"])[0].interval.value == pytest.approx((1 / 3) / 0.2 / 2, rel=1e-12)
    assert evidence.cluster_name == "shopper"
    assert evidence.actions is not None
    assert evidence.actions.logger[0].tolist() == pytest.approx([0.7, 0.2, 0.1])
    assert evidence.time is not None
    assert evidence.time[0] == 1627552800 * 1_000_000 + 999_000
    greedy = read_dsjson(put(tmp_path, CB, other), "logged-greedy").evidence["reward"]
    assert greedy.target.logp[:, 0].tolist() == [-np.inf, -np.inf]
    assert greedy.cluster_name == "row"


def test_slots_of_ccb_are_conditional_and_earn_on_their_own(tmp_path: Path) -> None:
    evidence = read_dsjson(put(tmp_path, CCB, CCB), "uniform").evidence["reward"]
    assert np.exp(evidence.logger.logp[0]).tolist() == pytest.approx([0.5, 0.6])
    assert np.exp(evidence.target.logp[0]).tolist() == pytest.approx([1 / 3, 1 / 2])
    assert evidence.reward[0].tolist() == [1.0, 0.0]


def test_slots_of_slates_are_independent_and_earn_together(tmp_path: Path) -> None:
    evidence = read_dsjson(put(tmp_path, SLATES, SLATES), "uniform").evidence["reward"]
    assert np.exp(evidence.target.logp[0]).tolist() == pytest.approx([1 / 2, 1 / 3])
    assert evidence.reward[0].tolist() == [0.0, 2.0]
    assert evidence.pseudoinverse is not None
    assert evidence.pseudoinverse[0] == pytest.approx(0.5 / 0.8 + (1 / 3) / 0.5 - 1)
    assert evidence.logger_marginal is None  # a page's reward must not be weighed slot by slot


def test_a_function_answers_event_by_event(tmp_path: Path) -> None:
    path = put(tmp_path, CB, CB | {"EventId": "e1"})
    evidence = read_dsjson(path, lambda events: [[0.0, 1.0, 0.0]] * len(events), "f").evidence["reward"]
    assert np.exp(evidence.target.logp[:, 0]).tolist() == [1.0, 1.0]
    for answer, complaint in (
        (lambda _: [[1.0, 0.0]], "returned 1 answers for 2 events"),
        (lambda events: [[1.0, 0.0]] * 2, "line 1: policy 'f' returned .*expected probabilities of 3 actions"),
        (lambda events: [[0.5, 0.6, 0.0]] * 2, "line 1, slot 1: .*which sum to 1.1"),
        (lambda events: [[1.5, -0.5, 0.0]] * 2, "line 1, slot 1: .*numbers from 0 to 1"),
        (lambda events: [None] * 2, "line 1: policy 'f' returned None"),
        (lambda events: events[5], "policy 'f' failed with IndexError"),
    ):
        with pytest.raises(UserError, match=complaint):
            read_dsjson(path, answer, "f")
    with pytest.raises(UserError, match="line 1, slot 2: policy 'f' gives a chance to an action that stands above"):
        read_dsjson(put(tmp_path, CCB), lambda events: [[[0.0, 0.0, 1.0]] * 2], "f")
    with pytest.raises(UserError, match=r"no policy for a Vowpal Wabbit log .* 'unifrom'. Did you mean 'uniform'"):
        read_dsjson(path, "unifrom")


@pytest.mark.parametrize(
    ("kind", "path", "value", "complaint"),
    [
        (CB, ("_label_cost",), None, "line 2: _label_cost is None; expected a finite number"),
        (CB, ("_label_cost",), float("nan"), "line 2: _label_cost is nan"),
        (CB, ("_label_probability",), 0.0, "line 2: _label_probability is 0; expected 0 < p <= 1"),
        (CB, ("_label_probability",), -1.6, "line 2: .*Was a log-probability written"),
        (CB, ("_label_probability",), 0.7, "line 2: _label_probability is 0.7 and p gives action 2 0.2"),
        (CB, ("_label_Action",), 0, "line 2: _label_Action is 0; expected a number from 1"),
        (CB, ("_label_Action",), 3, "line 2: _labelIndex is 1 and _label_Action 3"),
        (CB, ("a",), [1, 1, 2], "line 2: a is .*each action once"),
        (CB, ("p",), [0.7, 0.2], "line 2: p is .*expected 3 probabilities"),
        (CB, ("p",), [0.7, 0.2, 0.2], "line 2: p sums to 1.1"),
        (CB, ("p",), [1.1, 0.2, -0.3], "line 2: p is .*numbers from 0 to 1"),
        (CB, ("p",), [-0.3, -1.6, -2.3], "Were log-probabilities written"),
        (CB, ("pdrop",), 0.5, "line 2: pdrop is 0.5"),
        (CB, ("Timestamp",), "soon", "line 2: Timestamp is 'soon'"),
        (CCB, ("_outcomes", 1, "_p"), [0.6, 0.6], "line 2, slot 2: _p sums to 1.2"),
        (CCB, ("_outcomes", 1, "_p"), [0.0, 1.0], r"line 2, slot 2: _p\[0\] is 0"),
        (CCB, ("_outcomes", 1, "_a"), [2, 0], "line 2, slot 2: _a names an action that stands above"),
        (CCB, ("_outcomes", 1, "_a"), [0, 7], "line 2, slot 2: _a names action 7; expected 0 to 2"),
        (CCB, ("_outcomes",), [], "line 2: _outcomes is"),
    ],
)
def test_a_bad_event_is_named_by_its_line(
    tmp_path: Path, kind: dict[str, Any], path: tuple[Any, ...], value: object, complaint: str
) -> None:
    bad = copy.deepcopy(kind)
    at: Any = bad
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(UserError, match=complaint):
        read_dsjson(put(tmp_path, kind, bad), "uniform")


def test_lines_that_are_no_events_are_counted_and_kinds_are_not_mixed(tmp_path: Path) -> None:
    dangling = {"RewardValue": 1.0, "EventId": "e9"}
    reading = read_dsjson(put(tmp_path, CB, dangling, CB | {"_skipLearn": True}, CB), "uniform")
    assert [caveat.rank for caveat in reading.caveats] == [0, 0, 1]
    assert "repeat an EventId (first: log.json, line 4)" in reading.caveats[-1].text
    with pytest.raises(UserError, match="mixes cb, ccb events"):
        read_dsjson(put(tmp_path, CB, CCB), "uniform")
    with pytest.raises(UserError, match="holds no labelled event"):
        read_dsjson(put(tmp_path, dangling), "uniform")
    with pytest.raises(UserError, match=r"line 1: it has no 'c.User.id'"):
        read_dsjson(put(tmp_path, CB), "uniform", shopper="c.User.id")


def test_a_deterministic_logger_leaves_no_weight(tmp_path: Path) -> None:
    sure = CB | {"_label_probability": 1.0, "p": [0.0, 1.0, 0.0]}
    reading = read_dsjson(put(tmp_path, sure, sure), "uniform")
    assert not reading.evidence
    assert "deterministic" in reading.no_weight

"""Attacks on the readers: whatever is broken, the answer is a `UserError` or the right number, never anything else."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offpolicy import evaluate
from offpolicy.readers.files import read_columns
from offpolicy.readers.mapped import read_mapped
from offpolicy.readers.mapping_file import mapping_of
from offpolicy.readers.ubi import read_ubi
from offpolicy.readers.vowpal import read_dsjson
from simenv.errors import UserError

# A folder made once serves all examples: each writes its own file over the last one's.
attack = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

NASTY = st.sampled_from(
    [
        "",
        "0",
        "-0.5",
        "1.5",
        "1e-320",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "x",
        '"',
        ",",
        "\n",
        "0.5",
        "1",
        "None",
        "é",
        "0x1",
    ]
)
VALUES = st.sampled_from(
    [None, 0, -1, 1, 2, 3.5, 10**9, 1e300, math.nan, math.inf, "", "x", True, [], [1], [0.5, 0.5], {}, {"a": 1}]
)
ROWS = [
    ["u1", "a", "0.5", "0.25", "1"], ["u1", "b", "0.25", "0.5", "0"], ["u2", "a", "1", "0.125", "2"],
    ["u2", "b", "0.125", "1", "0.5"], ["u3", "a", "0.0625", "0.5", "1"],
]  # fmt: skip
HEADER = ["user", "item", "p", "q", "won"]
MAPPING = {
    "layout": "single",
    "columns": {"shopper": "user", "action": "item"},
    "rewards": {"won": "won"},
    "propensity": {"columns": "p", "scale": "probability"},
    "target": {"columns": "q", "scale": "probability"},
}


def by_hand(text: str) -> float:
    """IPS from the text of a CSV, without anything of ours."""
    rows = [row for row in csv.DictReader(io.StringIO(text)) if any(row.values())]
    terms = [float(row["q"]) / float(row["p"]) * float(row["won"]) for row in rows]
    return math.fsum(terms) / len(terms)


def check_csv(folder: Path, text: str) -> None:
    (folder / "log.csv").write_text(text, encoding="utf-8", newline="")
    try:
        evidence = read_mapped(folder / "log.csv", mapping_of(MAPPING)).evidence["won"]
        value = evaluate(evidence, ["ips"])[0].interval.value
    except UserError:
        return
    assert value == pytest.approx(by_hand(text), rel=1e-6)
    assert (evidence.logger.logp <= 0.0).all()


@attack
@given(row=st.integers(0, 4), column=st.integers(0, 4), cell=NASTY)
def test_a_broken_cell_is_refused_or_means_what_it_says(tmp_path: Path, row: int, column: int, cell: str) -> None:
    rows = copy.deepcopy(ROWS)
    rows[row][column] = cell
    check_csv(tmp_path, "\n".join(",".join(line) for line in [HEADER, *rows]) + "\n")


@attack
@given(at=st.integers(0, 90), length=st.integers(0, 20), put=NASTY)
def test_a_broken_text_is_refused_or_means_what_it_says(tmp_path: Path, at: int, length: int, put: str) -> None:
    whole = "\n".join(",".join(line) for line in [HEADER, *ROWS]) + "\n"
    check_csv(tmp_path, whole[:at] + put + whole[at + length :])


def with_value(tree: Any, steps: list[int], value: Any) -> Any:
    """The tree with one node replaced, found by taking the steps-th child again and again."""
    if not steps or not isinstance(tree, (dict, list)) or not tree:
        return value
    made = copy.copy(tree)
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    key = keys[steps[0] % len(keys)]
    made[key] = with_value(tree[key], steps[1:], value)
    return made


STEPS = st.lists(st.integers(0, 9), max_size=5)
CB = {
    "_label_cost": -1, "_label_probability": 0.25, "_label_Action": 2, "_labelIndex": 1, "EventId": "e",
    "Timestamp": "2021-07-29T10:00:00Z", "a": [2, 1], "p": [0.25, 0.75], "c": {"u": "ann", "_multi": [{}, {}]},
}  # fmt: skip
CCB = {
    "c": {"u": 1, "_multi": [{}, {}, {}]},
    "_outcomes": [
        {"_label_cost": -1.0, "_a": [2, 0, 1], "_p": [0.5, 0.25, 0.25]},
        {"_label_cost": 0.0, "_a": [0, 1], "_p": [0.5, 0.5]},
    ],
}
UBI = {
    "query_id": "q", "client_id": "c", "user_query": "lamp", "action_name": "impression",
    "event_attributes": {"object": {"object_id": "a"}, "position": {"ordinal": 0}},
}  # fmt: skip


@attack
@given(kind=st.sampled_from([CB, CCB, CCB | {"_label_cost": -2.0}]), steps=STEPS, value=VALUES)
def test_a_broken_event_is_refused_or_keeps_its_bounds(
    tmp_path: Path, kind: dict[str, Any], steps: list[int], value: Any
) -> None:
    lines = [kind, with_value(kind, steps, value), kind]
    (tmp_path / "log.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        reading = read_dsjson(tmp_path / "log.json", "uniform", shopper="c.u")
    except UserError:
        return
    for evidence in reading.evidence.values():
        assert (evidence.logger.logp <= 1e-6).all()
        assert evidence.n_rows in (2, 3)  # an event that says _skipLearn or only an outcome is passed over, and told
        assert evidence.n_rows == 3 or reading.caveats


@attack
@given(steps=STEPS, value=VALUES, action=st.sampled_from(["impression", "click", None]))
def test_a_broken_document_is_refused_or_read(tmp_path: Path, steps: list[int], value: Any, action: str | None) -> None:
    broken = with_value(UBI | {"action_name": action}, steps, value)
    (tmp_path / "log.ndjson").write_text("".join(json.dumps(line) + "\n" for line in (UBI, broken)))
    try:
        reading = read_ubi(tmp_path / "log.ndjson")
    except UserError:
        return
    assert reading.clicks is not None
    assert not reading.evidence


@attack
@given(steps=STEPS, value=VALUES)
def test_a_broken_mapping_is_refused_or_read(steps: list[int], value: Any) -> None:
    broken = with_value(MAPPING, steps, value)
    if isinstance(broken, dict):
        refused_or_done(lambda: mapping_of(broken))


@attack
@given(data=st.binary(max_size=60), name=st.sampled_from(["a.csv", "a.parquet", "a.jsonl"]))
def test_rubbish_is_refused_or_read(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(data)
    refused_or_done(lambda: read_columns(tmp_path / name))


def refused_or_done(work: Callable[[], object]) -> None:
    with contextlib.suppress(UserError):
        work()

"""A run's folder: begun, gone on with, finished, and never mistaken for another."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from scenarios.folder import RunSummary, begin_run, end_run, write_json, write_run, write_table
from simenv.errors import UserError

SUMMARY = RunSummary(
    kind="experiment", name="n", title="t", question="q", finding="f", assumptions=["a"], notes=[], config={"x": 1},
    seeds={"log": 3}, hashes={}, started="2026-01-01T00:00:00+00:00", wall_seconds=1.234,
)  # fmt: skip


def test_a_run_is_begun_gone_on_with_and_finished(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    begin_run(out, "digest")
    begin_run(out, "digest")
    with pytest.raises(UserError, match="begun with other settings"):
        begin_run(out, "another digest")
    write_run(out, SUMMARY)
    end_run(out)
    assert [path.name for path in out.iterdir()] == ["run.json"]
    with pytest.raises(UserError, match="finished run"):
        begin_run(out, "digest")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not a run"):
        begin_run(tmp_path, "digest")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    begin_run(tmp_path, "digest")


def test_a_run_says_what_it_was_made_with(tmp_path: Path) -> None:
    write_run(tmp_path, SUMMARY)
    told = json.loads((tmp_path / "run.json").read_text())
    assert set(told) >= {"schema", "kind", "name", "title", "question", "finding", "assumptions", "notes", "config",
                         "seeds", "versions", "hashes", "backend", "machine", "wall_seconds", "started"}  # fmt: skip
    assert told["versions"]["numpy"] == np.__version__


def test_tables_keep_every_digit(tmp_path: Path) -> None:
    value = 0.1 + 0.2
    write_table(tmp_path, "t", [{"a": value, "b": np.float64(value), "c": None, "d": "x, y", "e": float("nan")}])
    with (tmp_path / "tables" / "t.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["a"]) == float(row["b"]) == value
    assert (row["c"], row["d"], row["e"]) == ("", "x, y", "nan")
    write_table(tmp_path, "none", [])
    assert not (tmp_path / "tables" / "none.csv").exists()


def test_an_interrupted_write_leaves_the_old_file_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    write_table(tmp_path, "t", [{"a": 1}])
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_table(tmp_path, "t", [{"a": 2}, {"a": 3, "b": 4}])
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert (tmp_path / "tables" / "t.csv").read_text().split() == ["a", "1"]

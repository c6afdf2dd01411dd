"""Reading a run: what is wrong is named, with the file, the column and the row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.folder import COLUMNS, LATER, REQUIRED_FIELDS, read_run
from simenv.errors import UserError

OF_OTHER_RUNS = (
    "bandits",
    "contest_values",
    "contest_worlds",
    "contest_gaps",
    "contest_pairs",
    "leaderboard_bars",
    "leaderboard_beds",
    "leaderboard_scores",
    "leaderboard_estimators",
    "leaderboard_chosen",
    "mechanisms",
    "cells",
    "speed",
    "scaling",
    "slateq",
    "long_term",
    "reading",
    "gains",
    "predictive",
    "examination",
    "parameters",
    "click_models",
    "query_mix",
)


def test_a_folder_that_does_not_exist_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*--out"):
        read_run(tmp_path / "nowhere")


def test_a_folder_that_is_no_run_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no run\.json.*slatelab run"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", "\xff"])
def test_an_unreadable_run_json_is_a_users_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"run\.json.*[Mm]ake the run again"):
        read_run(tmp_path)


@pytest.mark.parametrize("field", list(REQUIRED_FIELDS))
def test_a_missing_fact_is_named(run_dir: Path, made_up: Any, field: str) -> None:
    facts = {name: value for name, value in made_up.FACTS.items() if name != field}
    (run_dir / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(UserError, match=f"lacks {field};"):
        read_run(run_dir)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("schema", 2, "schema 2"), ("kind", "party", "kind is 'party'"), ("assumptions", "none", "'assumptions'")],
)
def test_a_fact_of_another_kind_is_named(run_dir: Path, made_up: Any, field: str, value: object, words: str) -> None:
    (run_dir / "run.json").write_text(json.dumps({**made_up.FACTS, field: value}), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_run(run_dir)


@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in OF_OTHER_RUNS])
def test_a_missing_column_is_named_with_its_file(run_dir: Path, made_up: Any, name: str) -> None:
    table = made_up.experiment_tables()[name]
    column = [column for column in COLUMNS[name] if (name, column) not in LATER][-1]
    table.drop(columns=column).to_csv(run_dir / "tables" / f"{name}.csv", index=False)
    with pytest.raises(UserError, match=rf"{name}\.csv' has no column '{column}'"):
        read_run(run_dir)


def test_a_number_that_is_none_is_named_with_its_row(run_dir: Path, made_up: Any) -> None:
    table = made_up.segments_rows().astype({"value": object})
    table.loc[2, "value"] = "much"
    table.to_csv(run_dir / "tables" / "segments.csv", index=False)
    with pytest.raises(UserError, match=r"segments\.csv' row 3: column 'value' is 'much'"):
        read_run(run_dir)


@pytest.mark.parametrize(("name", "column"), [("estimates", "verdict"), ("policies", "role"), ("weights", "kind")])
def test_a_word_nobody_knows_is_named(run_dir: Path, made_up: Any, name: str, column: str) -> None:
    table = made_up.experiment_tables()[name].assign(**{column: "perhaps"})
    table.to_csv(run_dir / "tables" / f"{name}.csv", index=False)
    with pytest.raises(UserError, match=f"column '{column}' is 'perhaps'"):
        read_run(run_dir)


def test_a_query_spelt_like_a_missing_value_stays_a_query(run_dir: Path, made_up: Any) -> None:
    made_up.sessions_rows().assign(query="NA", title="null").to_csv(run_dir / "tables" / "sessions.csv", index=False)
    sessions = read_run(run_dir).tables["sessions"]
    assert set(sessions["query"]) == {"NA"}
    assert set(sessions["title"]) == {"null"}


def test_columns_nobody_asked_for_are_ignored(run_dir: Path, made_up: Any) -> None:
    made_up.segments_rows().assign(colour="blue").to_csv(run_dir / "tables" / "segments.csv", index=False)
    assert len(read_run(run_dir).tables["segments"]) == len(made_up.segments_rows())


def test_a_table_without_rows_counts_as_missing(run_dir: Path, made_up: Any) -> None:
    made_up.segments_rows().head(0).to_csv(run_dir / "tables" / "segments.csv", index=False)
    assert "segments" not in read_run(run_dir).tables


def test_an_empty_file_is_a_users_mistake(run_dir: Path) -> None:
    (run_dir / "tables" / "segments.csv").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"cannot read .*segments\.csv"):
        read_run(run_dir)


def test_a_run_from_before_a_column_was_added_is_read_without_it(run_dir: Path, made_up: Any) -> None:
    for name, column in LATER:
        table = made_up.experiment_tables()[name]
        table.drop(columns=column).to_csv(run_dir / "tables" / f"{name}.csv", index=False)
        found = read_run(run_dir).tables[name][column]
        assert (found.isna() | (found == "")).all()

"""The page of a contest: who beats whom, where somebody does not and why, and how far everybody gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from reports import report
from reports.contest_tables import gaps_table, matrix_table, misses_table, worlds_table
from reports.figures import contest
from reports.style import house, policy_styles


def gaps_rows() -> pd.DataFrame:
    rows = [
        {"world": world, "policy": policy, "role": role, "play": play, "seeds": 10.0 if role == "learned" else 1.0,
         "value": 1.0 + share, "share": share - 0.2 * (play == "registered"),
         "low": share - 0.22 if role == "learned" else float("nan"),
         "high": share + 0.02 if role == "learned" else float("nan")}
        for world in ("default", "dbn")
        for policy, role, share in (("production", "logger", 0.2), ("popularity", "baseline", -3.0),
                                    ("neural-linear", "learned", 0.9), ("oracle", "oracle", 2.0))
        for play in ("registered", "greedy")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def worlds_rows() -> pd.DataFrame:
    line = {"reward": "clicks", "click_model": "position-based", "logger": "production", "logger_value": 0.6,
            "best_public": 1.0, "best_impersonal": 0.9, "oracle": 1.5, "searches": 900.0}  # fmt: skip
    return pd.DataFrame([{"world": "default", **line}, {"world": "dbn", **line, "best_public": 0.5}])


def pairs_rows() -> pd.DataFrame:
    rows = [
        {"world": world, "play": play, "policy": "neural-linear", "rival": "popularity", "seeds": 10.0,
         "difference": 0.4, "low": 0.3, "high": 0.5, "verdict": verdict,
         "why": "" if verdict == "better" else "closes 1% of the gap, its <b>rival</b> 2%"}
        for world, verdict in (("default", "better"), ("dbn", "worse"))
        for play in ("greedy", "registered")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_contest_is_drawn_from_its_tables_alone(tmp_path: Path, made_up: Any) -> None:
    tables = {"contest_gaps": gaps_rows(), "contest_worlds": worlds_rows(), "contest_pairs": pairs_rows()}
    folder = made_up.write_run(tmp_path / "run", {**made_up.FACTS, "kind": "contest"}, tables)
    text = report(folder).read_text(encoding="utf-8")
    assert "How far everybody gets, world by world" in text
    assert "Where it is not better" in text
    assert "&lt;b&gt;rival" in text  # what came from data is escaped
    assert (folder / "figures" / "gaps.png").is_file()
    won = {**tables, "contest_pairs": pairs_rows().query("verdict == 'better'")}
    folder = made_up.write_run(tmp_path / "won", {**made_up.FACTS, "kind": "contest"}, won)
    assert "Where it is not better" not in report(folder).read_text(encoding="utf-8")


def test_tables_say_who_wins_and_what_there_is_to_win() -> None:
    greedy = pairs_rows().query("play == 'greedy'")
    assert [[cell.text for cell in row] for row in matrix_table(greedy).rows] == [
        ["default", "better"],
        ["dbn", "worse"],
    ]
    assert matrix_table(greedy).columns[1] == "neural-linear than popularity"
    (miss,) = misses_table(greedy.query("verdict != 'better'")).rows
    assert [cell.text for cell in miss][:4] == ["dbn", "neural-linear", "popularity", "worse"]
    worlds = [[cell.text for cell in row] for row in worlds_table(worlds_rows()).rows]
    assert worlds[0][-3:] == ["25%", "1.5000", "125%"]
    assert worlds[1][-3:] == ["–", "1.5000", "–"]  # no gap, no share of it
    assert [cell.text for cell in gaps_table(gaps_rows()).rows[5]][-2:] == ["90.0%", "[68.0%, 92.0%]"]


def test_the_figure_leaves_oracles_out_and_points_at_what_is_far_below() -> None:
    rows = contest.shown(gaps_rows())
    assert list(rows["policy"].drop_duplicates()) == ["neural-linear", "popularity", "production"]
    with house():
        figure = contest.draw(gaps_rows(), policy_styles(rows["policy"].drop_duplicates(), None))
    first = figure.axes[0]
    assert first.get_xlim()[0] == contest.LOWEST
    assert sum(line.get_marker() == "<" for line in first.lines) == 2
    assert "neural-linear 90%" in contest.describe(gaps_rows())

"""The page of the leaderboard: the bars, coverage by bed, and where a failure was not refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from reports import report
from reports.figures import leaderboard
from reports.leaderboard_tables import bars_table, unflagged_table, usual_verdict
from reports.style import house


def scores_rows() -> pd.DataFrame:
    line = {"sound": True, "logs": 50.0, "truth": 0.3, "bias": 0.01, "sd": 0.02, "rmse": 0.03, "width": 0.1}
    rows = [
        {"cell": cell, "target": target, "estimator": estimator, **line, "coverage": coverage, "trust": 0.9 - refused,
         "caution": 0.1, "do_not_use": refused, "trusted": 45.0, "trusted_right": 43.0, "fails": coverage < 0.85}
        for cell in ("slates", "<b>drift")
        for target in ("near", "far")
        for estimator, coverage, refused in (("dr", 0.96, 0.0), ("dm", 0.0, 0.9), ("pi", 0.6, 0.2))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def bars_rows() -> pd.DataFrame:
    line = {"bar": "trust is right", "count": 95.0, "of": 100.0, "share": 0.95, "error": 0.043, "goal": 0.93}
    return pd.DataFrame([{**line, "meaning": "of all"}, {**line, "bar": "cost", "goal": float("nan"), "meaning": "x"}])


def test_a_leaderboard_is_drawn_from_its_tables_alone(tmp_path: Path, made_up: Any) -> None:
    tables = {"leaderboard_scores": scores_rows(), "leaderboard_bars": bars_rows()}
    folder = made_up.write_run(tmp_path / "run", {**made_up.FACTS, "kind": "leaderboard"}, tables)
    text = report(folder).read_text(encoding="utf-8")
    assert "Are the verdicts right?" in text
    assert "Failing, and not refused in most logs" in text
    assert "&lt;b&gt;drift" in text  # what came from data is escaped
    assert {path.stem for path in (folder / "figures").iterdir()} == {"coverage", "verdicts"}


def test_tables_say_what_was_asked_and_what_slipped_through() -> None:
    assert [[cell.text for cell in row][:4] for row in bars_table(bars_rows()).rows] == [
        ["trust is right", "95.0% ± 4.3", "100", "93%"],
        ["cost", "95.0% ± 4.3", "100", "–"],
    ]
    missed = unflagged_table(scores_rows())
    assert {row[2].text for row in missed.rows} == {"pi"}  # dm fails, too, and is refused
    assert usual_verdict({"trust": 0.2, "caution": 0.3, "do_not_use": 0.5}) == "do not use"


def test_the_figures_say_what_they_show() -> None:
    assert leaderboard.drawn(scores_rows()) == ["dr", "dm", "pi"]
    assert "dm: fails in 4 of 4 cells" in leaderboard.describe(scores_rows())
    assert "do not use" in leaderboard.describe_verdicts(scores_rows())
    with house():
        figure = leaderboard.draw(scores_rows())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["dr", "dm", "pi"]

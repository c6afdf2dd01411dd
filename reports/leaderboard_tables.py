"""The tables of the leaderboard for readers."""

from __future__ import annotations

import pandas as pd

from reports.numbers import MISSING, count, decimals_for, fixed, percent
from reports.summaries import records
from reports.table import Cell, Table, table_of
from reports.verdicts import VERDICTS

WORD_COLUMNS = {"trust": "trust", "caution": "caution", "do not use": "do_not_use"}


def bars_table(bars: pd.DataFrame) -> Table:
    """The two bars and what they cost."""
    lines = records(bars)
    return table_of(
        "The bars: are verdicts right?",
        [
            ("what", list(bars["bar"]), False),
            ("share", [_share(row["share"], row["error"]) for row in lines], True),
            ("of", [count(row["of"]) for row in lines], True),
            ("asked", [percent(row["goal"]) for row in lines], True),
            ("which means", list(bars["meaning"]), False),
        ],
        "leaderboard_bars",
    )


def estimators_table(estimators: pd.DataFrame) -> Table:
    """Everybody over all cells."""
    lines = records(estimators)
    return table_of(
        "Estimators: errors and widths beside dr's where nothing is wrong (medians over cells); the rest over all",
        [
            ("estimator", list(estimators["estimator"]), False),
            ("cells", [count(row["cells"]) for row in lines], True),
            ("it fails in", [count(row["failing"]) for row in lines], True),
            ("coverage where sound", [_tenth(row["sound_coverage"]) for row in lines], True),
            ("RMSE / dr's", [fixed(row["relative_rmse"], 2) for row in lines], True),
            ("width / dr's", [fixed(row["relative_width"], 2) for row in lines], True),
            ("right when trusted", [_tenth(row["trusted_right"]) for row in lines], True),
            ("refused", [percent(row["refused"]) for row in lines], True),
            ("rank correlation", [fixed(row["rank_correlation"], 2) for row in lines], True),
            ("regret", [_tenth(row["regret"]) for row in lines], True),
        ],
        "leaderboard_estimators",
    )


def chosen_table(chosen: pd.DataFrame) -> Table:
    """Rules that choose an estimator on each log, beside always dr."""
    lines = records(chosen)
    return table_of(
        "Choosing an estimator on each log: error beside dr's on the same logs (geometric mean over cells)",
        [
            ("rule", list(chosen["rule"]), False),
            ("answers", [percent(row["answered"]) for row in lines], True),
            ("error / dr's", [fixed(row["relative_error"], 2) for row in lines], True),
            ("at worst", [fixed(row["worst"], 2) for row in lines], True),
            ("in", list(chosen["worst_in"]), False),
            ("interval held the truth", [_tenth(row["coverage"]) for row in lines], True),
        ],
        "leaderboard_chosen",
    )


def beds_table(beds: pd.DataFrame) -> Table:
    """What is run."""
    lines = records(beds)
    return table_of(
        "Beds",
        [
            ("bed", list(beds["cell"]), False),
            ("what is right or wrong with it", list(beds["about"]), False),
            ("rows of a log", [count(row["rows"]) if row["rows"] else MISSING for row in lines], True),
            ("logs", [count(row["logs"]) for row in lines], True),
            ("targets", [count(row["targets"]) for row in lines], True),
        ],
        "leaderboard_beds",
    )


def unflagged_table(scores: pd.DataFrame) -> Table:
    """Where an interval fails and most verdicts do not say so."""
    return _scores(
        scores[scores["fails"] & (scores["do_not_use"] <= 0.5)],
        "Failing, and not refused in most logs",
    )


def scores_table(scores: pd.DataFrame) -> Table:
    """Every (cell, target, estimator)."""
    return _scores(scores, "Every cell, target and estimator")


def usual_verdict(row: dict[str, float]) -> str:
    """The word that most logs got."""
    return max(WORD_COLUMNS, key=lambda word: row[WORD_COLUMNS[word]])


def _scores(scores: pd.DataFrame, caption: str) -> Table:
    lines = records(scores)
    decimals = decimals_for(scores["truth"])
    usual = [usual_verdict(row) for row in lines]
    return table_of(
        caption,
        [
            ("bed", list(scores["cell"]), False),
            ("target", list(scores["target"]), False),
            ("estimator", list(scores["estimator"]), False),
            ("truth", [fixed(row["truth"], decimals) for row in lines], True),
            ("bias", [fixed(row["bias"], decimals) for row in lines], True),
            ("RMSE", [fixed(row["rmse"], decimals) for row in lines], True),
            ("coverage", [percent(row["coverage"]) for row in lines], True),
            ("mean width", [fixed(row["width"], decimals) for row in lines], True),
            ("most logs say", [Cell(word, VERDICTS[word]) for word in usual], False),
            ("trust", [percent(row["trust"]) for row in lines], True),
            ("do not use", [percent(row["do_not_use"]) for row in lines], True),
        ],
        "leaderboard_scores",
    )


def _share(share: float, error: float) -> str:
    return MISSING if share != share else f"{fixed(100 * share, 1)}% ± {fixed(100 * error, 1)}"


def _tenth(share: float) -> str:
    return MISSING if share != share else f"{fixed(100 * share, 1)}%"

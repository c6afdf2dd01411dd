"""The sections of a page about a world that was fitted to a log."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reports.figures import predictive
from reports.keynumbers import KeyNumber
from reports.numbers import fixed, interval, number
from reports.summaries import records
from reports.table import Cell, Table

FLAG_SIGNS = {"inside": "inside", "outside": "◆ outside", "far outside": "✖ far outside"}


def predictive_table(table: pd.DataFrame) -> Table:
    """Every statistic: the log, the fitted world, p-value, flag; what is furthest out first among equals."""
    rows = []
    for row in records(predictive.ordered(table)):
        digits = 4
        rows.append(
            (
                str(row["statistic"]),
                "aimed at" if row["aimed_at"] else "forecast",
                number(row["observed"], digits),
                number(row["mean"], digits),
                f"[{number(row['low'], digits)}, {number(row['high'], digits)}]",
                fixed(row["p"], 2),
                FLAG_SIGNS[str(row["flag"])],
            )
        )
    columns = ("statistic", "in the fit", "log", "fitted world", "90% predictive", "p", "flag")
    return _table("The log beside logs of the fitted world", columns, (2, 3, 4, 5), rows)


def parameters_table(table: pd.DataFrame) -> Table:
    """What was estimated, with intervals."""
    rows = [
        (
            str(row["parameter"]),
            number(row["estimate"]),
            "read off the log" if math.isnan(row["low"]) else interval(row["low"], row["high"], 3),
            str(row["told_by"]),
        )
        for row in records(table)
    ]
    columns = ("parameter", "estimate", "approximate 95%", "told by")
    return _table("What the log told of the world", columns, (1, 2), rows)


def click_models_table(table: pd.DataFrame) -> Table:
    """The click models that were compared."""
    rows = [
        (
            str(row["model"]) + (" (chosen)" if row["chosen"] else ""),
            fixed(row["held_out"], 4),
            fixed(row["misfit"], 1),
            str(row["note"]),
        )
        for row in records(table)
    ]
    columns = ("click model", "held-out log-likelihood a page", "misfit when simulated", "note")
    return _table("Click models compared; the lowest misfit is taken", columns, (1, 2), rows)


def query_mix_table(table: pd.DataFrame) -> Table:
    """The product types that are looked for."""
    rows = [
        (
            str(row["category"]),
            fixed(100.0 * row["log"], 2),
            interval(100.0 * row["low"], 100.0 * row["high"], 2),
            fixed(100.0 * row["share"], 2),
            interval(100.0 * row["share_low"], 100.0 * row["share_high"], 2),
        )
        for row in records(table)
    ]
    columns = ("product type", "log, %", "90% predictive", "fitted share, %", "approximate 95%")
    caption = "Share of first queries in which it is read, and of intents that follow no favourite"
    return _table(caption, columns, (1, 2, 3, 4), rows)


def key_numbers(table: pd.DataFrame, facts: dict[str, object]) -> list[KeyNumber]:
    """How much of the log the fitted world imitates."""
    forecasts = table[~table["aimed_at"]]
    inside = {len(part): int((part["flag"] == "inside").sum()) for part in (table, forecasts)}
    size = facts.get("log")
    found = [
        KeyNumber("statistics imitated", f"{inside[len(table)]} of {len(table)}", "inside 90% predictive intervals"),
        KeyNumber(
            "of these, forecasts", f"{inside[len(forecasts)]} of {len(forecasts)}", "the fit did not aim at them"
        ),
    ]
    if isinstance(size, dict):
        found.append(KeyNumber("fitted to", fixed(float(size["rows"]), 0), f"pages of {size['shoppers']:,} shoppers"))
    return found


def _table(caption: str, columns: tuple[str, ...], numbers: tuple[int, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    is_number = tuple(place in numbers for place in range(len(columns)))
    return Table(caption, columns, is_number, tuple(tuple(Cell(text) for text in row) for row in rows))

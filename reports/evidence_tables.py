"""Tables of what a log says of itself, and of values by segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.numbers import MISSING, count, decimals_for, fixed, interval
from reports.summaries import records
from reports.table import Cell, Table, table_of
from reports.verdicts import VERDICTS


def audit_table(audit: pd.DataFrame) -> Table:
    """What each check asked of the log and what it saw."""
    return table_of(
        "What the log says of its propensities and weights",
        [
            ("log", list(audit["source"]), False),
            ("policy", list(audit["policy"]), False),
            ("check", list(audit["check"]), False),
            ("outcome", list(audit["outcome"]), False),
            ("what was seen", list(audit["said"]), False),
        ],
        "audit",
    )


def by_segment_table(segments: pd.DataFrame) -> Table:
    """Value and lift of each segment."""
    lines = records(segments)
    decimals = decimals_for(segments["value"])
    level = 100 * float(segments["level"].iloc[0])
    return table_of(
        f"Values, and lifts over the logger whose {level:g}% intervals hold all at once",
        [
            (str(segments["column"].iloc[0]), list(segments["segment"]), False),
            ("estimator", list(segments["estimator"]), False),
            ("rows", [count(value) for value in segments["rows"]], True),
            ("value", [fixed(value, decimals) for value in segments["value"]], True),
            ("its interval", [interval(row["low"], row["high"], decimals) for row in lines], True),
            ("lift", [fixed(value, decimals) for value in segments["lift"]], True),
            ("lift interval", [interval(row["lift_low"], row["lift_high"], decimals) for row in lines], True),
            ("p (Holm)", [fixed(value, 3) if value == value else MISSING for value in segments["p"]], True),
            ("verdict", [Cell(str(word), VERDICTS[word]) for word in segments["verdict"]], False),
        ],
        "by_segment",
    )


def sensitivity_table(sensitivity: pd.DataFrame) -> Table:
    """The value under ever more clipping and ever stronger hidden confounders."""
    lines = records(sensitivity)
    decimals = decimals_for(sensitivity["value"])
    return table_of(
        "Values with the largest weights clipped, and bounds under a hidden confounder",
        [
            ("reward", list(sensitivity["reward"]), False),
            ("weights of", list(sensitivity["estimator"]), False),
            ("what is bent", [_bent(row) for row in lines], False),
            ("value, or its bounds", [_where(row, decimals) for row in lines], True),
            ("the logger's", [fixed(value, decimals) for value in sensitivity["logger"]], True),
        ],
        "sensitivity",
    )


def quantiles_table(quantiles: pd.DataFrame) -> Table:
    """Quantiles and the means beyond, beside the logger's."""
    decimals = decimals_for(quantiles["value"])
    return table_of(
        f"Quantiles of one search's reward, with {100 * float(quantiles['level'].iloc[0]):g}% intervals",
        [
            ("reward", list(quantiles["reward"]), False),
            ("what", [f"{row['what']} {row['p']:g}" for row in records(quantiles)], False),
            ("value", [fixed(value, decimals) for value in quantiles["value"]], True),
            ("interval", [interval(row["low"], row["high"], decimals) for row in records(quantiles)], True),
            ("the logger's", [fixed(value, decimals) for value in quantiles["logger"]], True),
        ],
        "quantiles",
    )


def _bent(row: Mapping[str, Any]) -> str:
    if row["asked"] == "clipping":
        return f"largest {100 * row['share']:g}% clipped at {row['at']:.3g}" if row["share"] > 0 else "nothing"
    if row["asked"] == "confounder":
        return f"odds moved by up to {row['gamma']:g}"
    known = row["gamma"] == row["gamma"]
    return f"all of the lift is explained at a factor of {row['gamma']:.3g}" if known else "no factor up to 20 does"


def _where(row: Mapping[str, Any], decimals: int) -> str:
    if row["asked"] == "clipping":
        return fixed(row["value"], decimals)
    return interval(row["low"], row["high"], decimals) if row["asked"] == "confounder" else MISSING

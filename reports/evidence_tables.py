"""Tables of what a log says of itself, and of values by segment."""

from __future__ import annotations

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

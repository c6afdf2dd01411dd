"""The sections on what a log says of itself, and on segments."""

from __future__ import annotations

import pandas as pd

from reports.evidence_tables import audit_table, by_segment_table, quantiles_table, sensitivity_table
from reports.sections.section import Section


def audit_section(table: pd.DataFrame) -> Section:
    """What the log was asked, and what it said."""
    return Section(
        "audit",
        "The log, asked for itself",
        "Weights with mean 1 are not yet right: a wrong table of propensities that logger and policy share cancels in "
        "every weight. So the log is asked whether it drew as it says, whether weighting keeps what no ranking can "
        "move, and whether the mean of such weights can be learned from a sample of this size. What no check can see: "
        "a logger that knew more than the log says.",
        None,
        (audit_table(table),),
    )


def by_segment_section(table: pd.DataFrame) -> Section:
    """Values and lifts by segment; of several rewards, those of the one that is told first."""
    of = f": {table['reward'].iloc[0]}" if "reward" in table else ""
    return Section(
        "by-segment",
        f"By {table['column'].iloc[0]}{of}",
        "Who looks at many segments finds one that moved by luck: intervals of lifts hold all at once, and p-values "
        "are corrected for their number. Each verdict is made from the rows of its segment alone.",
        None,
        (by_segment_table(table),),
    )


def sensitivity_section(table: pd.DataFrame) -> Section:
    """How far the number told first bends."""
    return Section(
        "sensitivity",
        "How far the number bends",
        "Where clipping the largest weights moves a value a lot, a few rows carry it. A hidden confounder is something "
        "that the logger knew and did not log: it moves the odds of what was shown by at most a factor, and the value "
        "lies between the bounds. A lift that a factor near 1 explains is weak, however narrow its interval. All "
        "values are self-normalised, by the weights of the estimator named.",
        None,
        (sensitivity_table(table),),
    )


def quantiles_section(table: pd.DataFrame) -> Section:
    """What a search earns beyond its mean."""
    return Section(
        "quantiles",
        "Beyond the mean",
        "A quantile of what one search earns, and the mean of all searches beyond it, by weights of whole pages.",
        None,
        (quantiles_table(table),),
    )

"""Planning: how many more searches until an interval is as narrow as asked, and whether that is more than a guess.

Widths shrink with the square root of the number of shoppers, as long as what comes looks like what was logged: the same
logger, the same target, the same mix. Where weights have a heavy tail that fails: the log's parts promise narrower
intervals than the whole keeps, because the rare large weight is in few of them; so the log is asked that too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from offpolicy.estimators import estimator
from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters, Interval, clusters
from offpolicy.statistics import Scores
from offpolicy.tuning import tuned
from simenv.errors import UserError

PARTS = 16
TAIL = 0.8  # of the whole's standard error: with a light tail, parts of 30 clusters or more promise .9 to 1
FEWEST = 30  # clusters of a part, below which parts say nothing


@dataclass(frozen=True)
class Plan:
    """What it takes to have an interval of some width.

    Attributes:
        width: The width that was asked for.
        width_now: The width of the interval at hand.
        more_clusters, more_rows: Clusters (shoppers) and rows (searches) to add; 0 where it is narrow enough.
        promised: What the median of the log's 16 parts would have promised for the whole, as a share of its standard
            error: 1 where weights have a light tail. NaN with too few clusters to tell.
        caveat: Why the number is a guess; empty where it is not.
    """

    width: float
    width_now: float
    more_clusters: int
    more_rows: int
    promised: float
    caveat: str


def plan(scores: Scores, by: Clusters, now: Interval, width: float) -> Plan:
    """How many more searches until the interval is as narrow as asked, were all else the same.

    Args:
        scores: Value and influences (N,).
        by: Clusters of the rows.
        now: The interval at hand, by any rule.
        width: The width that is wanted, in the unit of the value.

    Raises:
        UserError: If the width is not above 0, or the interval at hand lacks an end.
    """
    _check_width(width)
    width_now = now.high - now.low
    if not math.isfinite(width_now):
        raise UserError(
            "the interval has no end on one side, so no number of searches makes it narrow. Declare the bounds it "
            "lacks (reward_range, max_weight), or ask for another interval."
        )
    times = max((width_now / width) ** 2 - 1.0, 0.0)
    promised = _promised(scores, by)
    return Plan(
        width,
        width_now,
        math.ceil(by.count * times),
        math.ceil(len(scores.influence) * times),
        promised,
        "" if times == 0.0 else _caveat(promised, by.count),
    )


def plan_of(evidence: Evidence, record: Mapping[str, Any], width: float) -> dict[str, str | float | int | None]:
    """The plan of one estimate's record, as a flat record of its own.

    Args:
        evidence: What the estimate was made from.
        record: As `offpolicy.estimate.Estimate.record` gives it.
        width: The width that is wanted.

    Raises:
        UserError: If the width is not above 0.
    """
    _check_width(width)
    name = str(record["estimator"])
    ends = [record[end] for end in ("value", "stderr", "low", "high")]
    if None in ends:
        caveat = "its interval lacks an end, so no number of searches makes it narrow"
        return {"estimator": name, "width": width, "width_now": None, "more_rows": None, "caveat": caveat}
    by = clusters(evidence)
    made = plan(tuned(estimator(name), evidence, by)(evidence), by, Interval(*ends), width)
    return {
        "estimator": name,
        "width": width,
        "width_now": made.width_now,
        "more_rows": made.more_rows,
        "caveat": made.caveat,
    }


def _check_width(width: float) -> None:
    if not (math.isfinite(width) and width > 0.0):
        raise UserError(f"width is {width}; expected a number above 0, the wanted distance from low to high.")


def _promised(scores: Scores, by: Clusters) -> float:
    """Median over parts of the log of the standard error each promises for the whole, as a share of the whole's."""
    sums = by.sums(scores.influence)
    if by.codes is not None:
        sums = sums[np.bincount(by.codes, minlength=by.size) > 0]
    whole = math.sqrt(float((sums * sums).mean()))
    if by.count < PARTS * FEWEST or not whole > 0.0:
        return float("nan")
    parts = [math.sqrt(float((sums[part::PARTS] ** 2).mean())) for part in range(PARTS)]
    return float(np.median(parts)) / whole


def _caveat(promised: float, n_clusters: int) -> str:
    if math.isnan(promised):
        return f"a guess: {n_clusters} clusters are too few to tell how heavy the tail of the weights is"
    if promised < TAIL:
        return (
            f"a guess, and likely too few: a sixteenth of this log would have promised an interval {promised:.0%} as "
            "wide as it is, so the weights have a heavy tail and more searches bring larger weights"
        )
    return ""

"""Values and lifts by segment: locale, device, new and returning shoppers, head and tail.

Who looks at ten segments finds one that moved by luck. So the intervals of lifts hold all at once, and p-values are
corrected for their number; the verdict of a segment is made from its own rows, and is often worse than that of the
whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from offpolicy.estimate import Estimate, evaluate
from offpolicy.estimators import estimator
from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters, Interval, clusters, student
from offpolicy.intervals.case import Asked
from offpolicy.intervals.simultaneous import by_segment, holm, p_values, simultaneous
from offpolicy.rows import take
from offpolicy.statistics import Scores, scores
from offpolicy.tuning import tuned
from simenv.errors import UserError, unknown_name

FEWEST = 30  # rows, and shoppers, of a segment that is told of


@dataclass(frozen=True)
class SegmentEstimate:
    """One segment's estimate.

    Attributes:
        column: What the rows are cut by.
        segment: Its name.
        estimate: From its rows alone; its lift's interval holds together with those of the other segments.
        p: Of no lift, two-sided, corrected for the number of segments (Holm, 1979); 1 where the lift is not defined.
    """

    column: str
    segment: str
    estimate: Estimate
    p: float

    def record(self) -> dict[str, str | float | int | list[str] | None]:
        """As a row of a table."""
        return {"column": self.column, "segment": self.segment, **self.estimate.record(), "p": self.p}


@dataclass(frozen=True)
class BySegment:
    """Estimates by segment, and the names of segments too small to be told of."""

    estimates: tuple[SegmentEstimate, ...]
    too_small: tuple[str, ...]


def evaluate_segments(evidence: Evidence, column: str, name: str, level: float = 0.95, seed: int = 0) -> BySegment:
    """Estimate value and lift of each segment by one estimator.

    Args:
        evidence: The columns, with `segments`.
        column: One of `evidence.segments`.
        name: The estimator, maybe with a strength.
        level: Of a segment's value alone, and of all lifts together.
        seed: Of the draws behind simultaneous intervals.

    Raises:
        UserError: If the evidence has no such column, no segment is large enough, or as `offpolicy.evaluate`.
    """
    if column not in evidence.segments:
        raise unknown_name("segment", column, evidence.segments)
    labels = evidence.segments[column].astype(str)
    large = [str(label) for label in np.unique(labels) if _is_large(evidence, labels == label)]
    small = tuple(sorted(set(labels.tolist()) - set(large)))
    if not large:
        raise UserError(
            f"no segment of '{column}' has {FEWEST} rows of {FEWEST} shoppers; leave --by out, or log more."
        )
    by = clusters(evidence)
    one = tuned(estimator(name), evidence, by, level)
    if one.tuning:  # one strength for all segments
        name = f"{name.partition(':')[0]}:{one.at:g}"
    statistics = one.statistics(evidence)
    lifts = by_segment(one.against(statistics, evidence), labels)
    parts = {label: take(evidence, labels == label) for label in large}
    # One in which nothing has weight has no lift, and must not take that of the others along.
    told = [label for label in large if math.isfinite(lifts[label].value)]
    counts = [clusters(parts[label]).count for label in told]
    held = _together([lifts[label] for label in told], by, counts, Asked(level, seed))
    found = dict(zip(told, held, strict=True))
    made = []
    for label, part in parts.items():
        own = evaluate(part, [name], level)[0]
        lift, corrected = found.get(label, (own.lift, 1.0))
        # A half-life, or how shoppers read, is that of the whole log, for the value as for the lift.
        value = student(scores(statistics.take(labels == label)), clusters(part), level)
        made.append(SegmentEstimate(column, label, replace(own, interval=value, lift=lift), corrected))
    return BySegment(tuple(made), small)


def _together(
    lifts: Sequence[Scores], by: Clusters, counts: Sequence[int], asked: Asked
) -> list[tuple[Interval, float]]:
    """Intervals that hold at once, with corrected p-values."""
    if not lifts:
        return []
    intervals = simultaneous(lifts, by, asked, counts).intervals
    return list(zip(intervals, holm(p_values(lifts, by, counts)), strict=True))


def _is_large(evidence: Evidence, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> bool:
    return int(rows.sum()) >= FEWEST and len(np.unique(evidence.cluster[rows])) >= FEWEST

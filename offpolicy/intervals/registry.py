"""The registry of intervals, and what an interval may be made from.

A rule gets a `Case` (one estimate with everything behind it) and what was asked (level, seed, replicates), and returns
an `Interval`. The same rule makes the interval of the lift: its case holds the statistics of the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from offpolicy.estimators import Estimator
from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters, Interval, normal, student
from offpolicy.statistics import Scores, Statistics
from offpolicy.terms import Terms
from simenv.errors import UserError, unknown_name


@dataclass(frozen=True)
class Asked:
    """What the reader asked for.

    Attributes:
        level: Confidence level in (0, 1).
        seed: Names the luck of resampling.
        replicates: B, of a bootstrap.

    Raises:
        UserError: If the level is out of range, or replicates are too few for its tails.
    """

    level: float = 0.95
    seed: int = 0
    replicates: int = 1000

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise UserError(f"level is {self.level}; expected a number between 0 and 1, such as 0.95.")
        if self.replicates < 100:
            raise UserError(f"replicates is {self.replicates}; expected at least 100, and 1,000 for a 95% interval.")


@dataclass(frozen=True)
class Case:
    """One estimate with everything that an interval may be made from.

    Attributes:
        estimator: What made it.
        evidence: From what.
        terms: The evidence as this estimator cuts it, weights reshaped.
        statistics: What its formula made of each row; of the difference to the logger where `is_lift`.
        scores: Value and influences of the same.
        by: Clusters of the rows.
        is_lift: Whether this is the difference to the logger's mean on the same rows.
    """

    estimator: Estimator
    evidence: Evidence
    terms: Terms
    statistics: Statistics
    scores: Scores
    by: Clusters
    is_lift: bool = False


@dataclass(frozen=True)
class IntervalRule:
    """A named rule: how it is made, what it promises, and where it comes from.

    Attributes:
        name: Registry key.
        make: Case and wishes in, interval out. Raises `UserError` where the case lacks what it needs.
        promise: When it covers, in one sentence.
        paper: Where it comes from.
    """

    name: str
    make: Callable[[Case, Asked], Interval]
    promise: str
    paper: str


INTERVALS: dict[str, IntervalRule] = {
    rule.name: rule
    for rule in (
        IntervalRule(
            "t",
            lambda case, asked: student(case.scores, case.by, asked.level),
            "in large logs whose weights have a variance, by the number of clusters",
            "Liang and Zeger 1986",
        ),
        IntervalRule(
            "normal",
            lambda case, asked: normal(case.scores, case.by, asked.level),
            "as 't' with very many clusters",
            "Liang and Zeger 1986",
        ),
    )
}


def interval_rule(name: str) -> IntervalRule:
    """The rule of that name.

    Raises:
        UserError: If there is none; suggests the nearest.
    """
    if name not in INTERVALS:
        raise unknown_name("interval", name, INTERVALS)
    return INTERVALS[name]

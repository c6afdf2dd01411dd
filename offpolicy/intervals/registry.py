"""The registry of intervals: each rule gets a `Case` and what was asked, and returns an `Interval`.

The same rule makes the interval of the lift: its case holds the statistics of the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from offpolicy.inference import Interval, normal, student
from offpolicy.intervals.betting import betting, sequence
from offpolicy.intervals.bootstrap import bca, bootstrap
from offpolicy.intervals.bounded import bernstein, hoeffding
from offpolicy.intervals.case import Asked, Case
from simenv.errors import unknown_name


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


_ASYMPTOTIC = "in large logs whose weights have a variance"
_ALWAYS = "in any log, from rewards of a known range; without one, a lower limit only"

_ALL = (
    IntervalRule(
        "t",
        lambda case, asked: student(case.scores, case.by, asked.level),
        f"{_ASYMPTOTIC}, by the number of clusters",
        "Liang and Zeger 1986",
    ),
    IntervalRule(
        "normal",
        lambda case, asked: normal(case.scores, case.by, asked.level),
        "as 't' with very many clusters",
        "Liang and Zeger 1986",
    ),
    IntervalRule("bootstrap", bootstrap, f"{_ASYMPTOTIC}; clusters drawn again", "Efron 1979"),
    IntervalRule("bca", bca, f"{_ASYMPTOTIC}; as 'bootstrap', corrected for bias and skewness", "Efron 1987"),
    IntervalRule(
        "hoeffding", hoeffding, "in any log, from known ranges of reward and weight; very wide", "Hoeffding 1963"
    ),
    IntervalRule(
        "bernstein",
        bernstein,
        "in any log, from known ranges of reward and weight; narrower where rewards are rare",
        "Maurer and Pontil 2009",
    ),
    IntervalRule("betting", betting, _ALWAYS, "Waudby-Smith and Ramdas 2024"),
    IntervalRule(
        "sequence",
        sequence,
        f"{_ALWAYS}; and at every time of looking at once",
        "Waudby-Smith and Ramdas 2024; Karampatziakis, Mineiro and Ramdas 2021",
    ),
)

INTERVALS: dict[str, IntervalRule] = {rule.name: rule for rule in _ALL}


def interval_rule(name: str) -> IntervalRule:
    """The rule of that name.

    Raises:
        UserError: If there is none; suggests the nearest.
    """
    if name not in INTERVALS:
        raise unknown_name("interval", name, INTERVALS)
    return INTERVALS[name]

"""Hoeffding's interval and the empirical Bernstein interval: they hold in any log, and are wide.

Both need the range of a payoff, and take it from `reward_range` and `max_weight`, facts about the policies: with the
largest weight of the sample in its place a bound promised to hold in 95% of logs was measured to hold in 33%.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from offpolicy.inference import Interval, standard_error
from offpolicy.intervals.case import Asked, Case
from offpolicy.intervals.payoffs import Payoff, payoffs
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Radius = Callable[[Floats, float, float], float]  # of a mean: payoffs (G,), width of their range, alpha of one side

_HALVINGS = 60


def hoeffding(case: Case, asked: Asked) -> Interval:
    """Mean -+ R sqrt(log(1 / alpha) / (2 G)), R the width of the range; alpha is half of 1 - level.

    Hoeffding, "Probability inequalities for sums of bounded random variables" (1963).

    Raises:
        UserError: If the range is not known.
    """
    return _interval(case, asked, hoeffding_radius)


def bernstein(case: Case, asked: Asked) -> Interval:
    """Mean -+ [sqrt(2 s^2 log(2 / alpha) / G) + 7 R log(2 / alpha) / (3 (G - 1))]; alpha is half of 1 - level.

    Maurer and Pontil, "Empirical Bernstein bounds and sample variance penalization" (2009), theorem 4.

    Raises:
        UserError: If the range is not known.
    """
    return _interval(case, asked, bernstein_radius)


def hoeffding_radius(column: Floats, spread: float, alpha: float) -> float:
    """How far the mean of a column (G,) may lie above its expectation."""
    return spread * math.sqrt(math.log(1.0 / alpha) / (2.0 * len(column)))


def bernstein_radius(column: Floats, spread: float, alpha: float) -> float:
    """The same, narrower where the column's variance is small."""
    n, log = len(column), math.log(2.0 / alpha)
    return math.sqrt(2.0 * float(column.var(ddof=1)) * log / n) + 7.0 * spread * log / (3.0 * (n - 1))


def _interval(case: Case, asked: Asked, radius: Radius) -> Interval:
    made = payoffs(case)
    alpha = (1.0 - asked.level) / 2.0
    if not made.below or not made.above or math.isinf(made.below[0].spread) or math.isinf(made.above[0].spread):
        missing = [
            name
            for name in ("reward_range", "max_weight")
            if getattr(case.evidence, name) is None and (name != "max_weight" or case.estimator.strength is None)
        ]
        raise UserError(
            f"this interval of '{case.estimator.name}' needs the range of what it averages, and "
            + (f"{' and '.join(missing)} of the evidence {_is(missing)} not known" if missing else "that has no bound")
            + ". Declare them (--reward-range LOW,HIGH, --max-weight W; a logger with a floor bounds the weight by "
            "itself), or ask for the interval 'betting', which needs no largest weight."
        )
    low, high = (
        made.low + made.scale * side.value(_limit(side, radius, alpha)) for side in (made.below[0], made.above[0])
    )
    return Interval(case.scores.value, standard_error(case.scores.influence, case.by), low, high)


def _limit(side: Payoff, radius: Radius, alpha: float) -> float:
    """The theta below the estimate at which the mean of a - theta * b is just as large as chance allows."""
    start, centre = side.range[0], float(side.a.sum() / side.b.sum())

    def is_excluded(theta: float) -> bool:
        column = side.a - theta * side.b
        return float(column.mean()) > radius(column, side.spread, alpha)

    if not is_excluded(start):
        return start
    low, high = start, max(centre, start)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if is_excluded(middle) else (low, middle)
    return low


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"

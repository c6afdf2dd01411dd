"""Betting: intervals that hold in any log, however heavy the weights, and at any time of looking.

Whoever bets against the true value, with stakes chosen before each outcome is seen, multiplies their money by a large
factor with a small chance only: P(money ever reaches 1 / alpha) <= alpha (Ville, 1939). So a value against which the
money has grown so far is excluded. Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting"
(2024); for importance weights Karampatziakis, Mineiro and Ramdas, "Off-policy confidence sequences" (2021).

The stake on cluster t is min(sqrt(2 log(1 / alpha) / (v T)), 1 / (2 |least payoff|)), with v the variance of the
payoffs before t, and T the number of clusters (`betting`: as narrow as can be when all are in) or t log(1 + t)
(`sequence`: for looking at any time). Money falls as the value that is bet against grows, so the limit is found by
halving, to 30 bits, and not on a grid. Where several payoffs tell of one side, the money is split between them.
Each side gets half of alpha; clusters come in the order in which they first appear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.inference import Interval, standard_error
from offpolicy.intervals.case import Asked, Case
from offpolicy.intervals.payoffs import Payoff, Payoffs, payoffs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHARE = 0.5  # of the money that one outcome may cost at most
_HALVINGS = 30


@dataclass(frozen=True)
class Running:
    """A confidence sequence: with the asked probability it holds the value at all of these times at once.

    Attributes:
        clusters: Clusters seen, (T,), growing.
        low, high: Limits then, (T,); infinite where there is none.
    """

    clusters: Ints  # (T,)
    low: Floats  # (T,)
    high: Floats  # (T,)


def betting(case: Case, asked: Asked) -> Interval:
    """The interval of a log whose size was decided before it was looked at.

    Raises:
        UserError: If nothing may be bet on; see `offpolicy.intervals.payoffs`.
    """
    return _interval(case, asked, always=False)


def sequence(case: Case, asked: Asked) -> Interval:
    """The last step of the always-valid sequence: it holds however often the log was looked at on the way.

    Raises:
        UserError: As `betting`.
    """
    return _interval(case, asked, always=True)


def running(case: Case, asked: Asked, times: int = 50) -> Running:
    """The always-valid sequence at about that many times, spaced evenly on a logarithmic scale.

    Raises:
        UserError: As `betting`.
    """
    made = payoffs(case)
    last = case.by.count
    at = np.unique(np.geomspace(min(10, last), last, times).astype(np.int64))
    low, high = np.full(len(at), -math.inf), np.full(len(at), math.inf)
    for i, t in enumerate(at):
        low[i], high[i] = _limits(made, asked.level, int(t), always=True)
    return Running(at, np.maximum.accumulate(low), np.minimum.accumulate(high))


def _interval(case: Case, asked: Asked, *, always: bool) -> Interval:
    low, high = _limits(payoffs(case), asked.level, case.by.count, always=always)
    return Interval(case.scores.value, standard_error(case.scores.influence, case.by), low, high)


def _limits(made: Payoffs, level: float, t: int, *, always: bool) -> tuple[float, float]:
    """Low and high after the first t clusters, in the unit of the reward."""
    alpha = (1.0 - level) / 2.0
    low = made.low + made.scale * _limit(made.below, alpha, t, always) if made.below else -math.inf
    high = made.low + made.scale * _limit(made.above, alpha, t, always) if made.above else math.inf
    return low, high


def _limit(sides: Sequence[Payoff], alpha: float, t: int, always: bool) -> float:
    """The outermost scaled value that the bets have not excluded by then."""
    tables = [(one, one.a[:t], one.b[:t], stakes(one, alpha, t, always)) for one in sides]
    first = sides[0]

    def is_excluded(theta: float) -> bool:
        money: Floats | None = None
        for one, a, b, stake in tables:
            own = (first.value(theta) - one.offset) / one.sign
            least = max(one.floor[0] + one.floor[1] * own, 1e-300)
            log_money = np.cumsum(np.log1p(np.minimum(stake, _SHARE / least) * (a - own * b)))
            money = log_money if money is None else np.logaddexp(money, log_money)
        assert money is not None
        return float(money.max()) >= math.log(len(tables) / alpha)

    low, high = first.range
    if not is_excluded(low + 1e-12):
        return first.value(low)
    if math.isinf(high):
        high = max(1.0, 2.0 * float(first.a[:t].sum() / first.b[:t].sum()))
        while is_excluded(high):
            high *= 2.0
    elif is_excluded(high):
        return first.value(high)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if is_excluded(middle) else (low, middle)
    return first.value(low)


def stakes(one: Payoff, alpha: float, t: int, always: bool) -> Floats:
    """The stake on each of the first t clusters, from what came before it, (t,)."""
    step = np.arange(1, t + 1)
    a, b = one.a[:t], one.b[:t]
    rows = np.cumsum(b)
    mean = np.divide(np.cumsum(a), rows, out=np.zeros(t), where=rows > 0.0)
    squares = (a - mean * b) ** 2
    # A quarter is the largest variance of what lies in [0, 1]; without a scale the largest payoff so far gives one.
    prior = 0.25 * (rows / step) ** 2 if one.has_scale else 0.25 * np.maximum.accumulate(a * a)
    variance = np.concatenate([[0.0], ((prior + np.cumsum(squares)) / (step + 1))[:-1]])  # nothing known, nothing bet
    per = variance * (step * np.log1p(step) if always else t)
    return np.asarray(np.sqrt(2.0 * math.log(1.0 / alpha) / np.where(per > 0.0, per, math.inf)))

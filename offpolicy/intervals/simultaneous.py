"""Intervals that hold for many estimates at once, for the best of several policies and for segments.

Whoever looks at the best of m estimates looks at the luckiest. Simultaneous intervals are wider by as much as that
costs: the critical value is the quantile of the largest |t| of m estimates that move together as their influences on
the same clusters do. The multiplier bootstrap with normal multipliers (Chernozhukov, Chetverikov and Kato, "Gaussian
approximations and multiplier bootstrap for maxima of sums of high-dimensional random vectors", 2013) has, given the
log, exactly a normal distribution with the correlation of those influences, so that is what is drawn from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.inference import Clusters, Interval
from offpolicy.intervals.case import Asked
from offpolicy.statistics import Scores, Statistics, scores
from simenv.errors import UserError
from simenv.hashing import stream

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.generic]

DRAWS = 20_000  # of the largest |t|: its 95% quantile is then known to .02


@dataclass(frozen=True)
class Simultaneous:
    """Intervals that hold all at once.

    Attributes:
        intervals: One an estimate, in the order given.
        critical: Standard errors to either side of each (of the one with the fewest clusters); 1.96 would do for one
            alone.
        may_be_best: Of each, whether the data leave open that its true value is the largest.
    """

    intervals: tuple[Interval, ...]
    critical: float
    may_be_best: tuple[bool, ...]


def simultaneous(
    estimates: Sequence[Scores], by: Clusters, asked: Asked, counts: Sequence[int] | None = None
) -> Simultaneous:
    """Intervals for m estimates on the same rows, such that all hold at once with the asked probability.

    The interval of whichever looks best is among them, so it is honest although it was chosen by its looks.

    Args:
        estimates: Value and influences (N,) of each.
        by: Clusters of the rows.
        asked: Level and seed.
        counts: Clusters that each estimate rests on, where that is not all of them: an estimate of a segment knows its
            standard error from the segment's shoppers only.

    Raises:
        UserError: If there is no estimate, or one is not defined.
    """
    values, sums = _joint(estimates, by)
    count = _counts(counts, by, len(values))
    stderr, critical = _stderr(sums, count, len(estimates[0].influence)), _critical(sums, count, asked)
    reach = critical * stderr
    intervals = tuple(
        Interval(float(value), float(error), float(value - far), float(value + far))
        for value, error, far in zip(values, stderr, reach, strict=True)
    )
    return Simultaneous(intervals, float(critical.max()), _may_be_best(estimates, by, asked))


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for their number. Holm, "A simple sequentially rejective multiple test procedure" (1979).

    Rejecting those at most alpha keeps the chance of any false rejection at most alpha, however they depend.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    worst = 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * float(p[i])))
        adjusted[i] = worst
    return [float(value) for value in adjusted]


def p_values(estimates: Sequence[Scores], by: Clusters, counts: Sequence[int] | None = None) -> list[float]:
    """Two-sided p-value of each estimate against 0 (of lifts: against no difference), by Student's t of G - 1.

    `counts` is G of each, where it is not that of all rows; see `simultaneous`.
    """
    from scipy.special import stdtr  # deferred: importing it costs more than answering `--help`

    values, sums = _joint(estimates, by)
    count = _counts(counts, by, len(values))
    stderr = _stderr(sums, count, len(estimates[0].influence))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(values == 0.0, 0.0, np.abs(values) / stderr)
    return [float(p) for p in 2.0 * stdtr(count - 1.0, -t)]


def by_segment(statistics: Statistics, labels: Labels) -> dict[str, Scores]:
    """An estimate for each segment of the rows, with influences on all rows (0 outside), in the order of the labels.

    A shopper may be in several segments, so segments are not independent: their influences on the same rows carry
    that, and `simultaneous`, `p_values` and `holm` take them.

    Args:
        statistics: What the formula made of each row; of the lift where that is asked for.
        labels: (N,), one a row.
    """
    made: dict[str, Scores] = {}
    for label in np.unique(labels):
        inside = labels == label
        own = scores(statistics.take(inside))
        influence = np.zeros(len(labels))
        influence[inside] = own.influence * (len(labels) / np.count_nonzero(inside))
        made[str(label)] = Scores(own.value, influence)
    return made


def _joint(estimates: Sequence[Scores], by: Clusters) -> tuple[Floats, Floats]:
    """Values (m,) and the clusters' sums of influences (G, m)."""
    if not estimates:
        raise UserError("no estimate was given; expected at least one.")
    values = np.array([one.value for one in estimates])
    if not np.isfinite(values).all():
        raise UserError(f"estimate {int(np.argmin(np.isfinite(values))) + 1} is not defined; leave it out.")
    return values, np.stack([by.sums(one.influence) for one in estimates], axis=1)


def _counts(counts: Sequence[int] | None, by: Clusters, m: int) -> Floats:
    """Clusters of each of m estimates, (m,)."""
    return np.full(m, by.count, dtype=np.float64) if counts is None else np.asarray(counts, dtype=np.float64)


def _stderr(sums: Floats, count: Floats, n_rows: int) -> Floats:
    made: Floats = np.sqrt(count / (count - 1.0) * (sums * sums).sum(axis=0)) / n_rows
    return made


def _critical(sums: Floats, count: Floats, asked: Asked) -> Floats:
    """Quantiles of |t| (m,), of G - 1 degrees each, that the columns of sums (G, m) pass together at the level."""
    from scipy.special import stdtr, stdtrit  # deferred: importing it costs more than answering `--help`

    size = np.sqrt((sums * sums).sum(axis=0))
    is_moving, degrees = size > 0.0, count - 1.0
    moving = sums[:, is_moving] / size[is_moving]
    if not moving.shape[1]:
        return np.zeros(len(count))
    variance, axes = np.linalg.eigh(moving.T @ moving)
    root = axes * np.sqrt(np.maximum(variance, 0.0))  # (m, m)
    rng = np.random.default_rng(stream(asked.seed, "simultaneous intervals"))
    normals = rng.standard_normal((DRAWS, moving.shape[1])) @ root.T
    own = degrees[is_moving]
    # Student: the errors are estimates too, of the same clusters or, where their numbers differ, of segments.
    drawn = (DRAWS, 1) if (own == own[0]).all() else (DRAWS, len(own))
    spread = np.sqrt(rng.chisquare(own[: drawn[1]], drawn) / own[: drawn[1]])
    rarest = stdtr(own, -np.abs(normals) / spread).min(axis=1)
    return np.asarray(stdtrit(degrees, 1.0 - np.quantile(rarest, 1.0 - asked.level)), dtype=np.float64)


def _may_be_best(estimates: Sequence[Scores], by: Clusters, asked: Asked) -> tuple[bool, ...]:
    """Multiple comparisons with the best: those that no other beats for sure, by the max-t of all differences."""
    m = len(estimates)
    pairs = [(i, j) for i in range(m) for j in range(i)]
    if not pairs:
        return (True,)
    gaps = [
        Scores(estimates[i].value - estimates[j].value, estimates[i].influence - estimates[j].influence)
        for i, j in pairs
    ]
    values, sums = _joint(gaps, by)
    count = _counts(None, by, len(pairs))
    beyond = _critical(sums, count, asked) * _stderr(sums, count, len(gaps[0].influence))
    beaten = {j if gap > 0.0 else i for (i, j), gap, far in zip(pairs, values, beyond, strict=True) if abs(gap) > far}
    return tuple(i not in beaten for i in range(m))


def share_of_level(level: float, m: int) -> float:
    """The level each of m finite-sample intervals needs so that all hold at once (Bonferroni)."""
    if m < 1 or not 0.0 < level < 1.0 or math.isnan(level):
        raise UserError(f"level is {level} for {m} intervals; expected a level in (0, 1) and at least one interval.")
    return 1.0 - (1.0 - level) / m

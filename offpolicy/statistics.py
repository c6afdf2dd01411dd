"""Statistics: what a formula makes of each row; everything later is made from their sums.

Every estimator of this package is one shape: a plain mean plus, maybe, a sum of ratios of means,

    V = mean(plain) + sum_j mean(above_j) / mean(below_j).

That is all that the rest needs to know. The influence of a row is the ratio linearised; a bootstrap replicate divides
by its own summed weights; and since sums add, a log may be cut into parts that are summed by different machines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """An estimate and what each row adds to it.

    Attributes:
        value: The estimate; NaN where it is not defined.
        influence: (N,), mean zero: N times what each row adds to the value's error, to first order.
    """

    value: float
    influence: Floats  # (N,)


@dataclass(frozen=True)
class Statistics:
    """What a formula makes of each row.

    Attributes:
        plain: What is averaged over rows, (N,).
        above: Numerators of the J ratios, (N, J); J is 0 for an estimator that is a mean.
        below: Their denominators, (N, J).
    """

    plain: Floats  # (N,)
    above: Floats  # (N, J)
    below: Floats  # (N, J)

    @property
    def n_ratios(self) -> int:
        """J."""
        return int(self.above.shape[1])

    def take(self, rows: npt.NDArray[np.bool_]) -> Statistics:
        """Those of some rows, by a mask (N,)."""
        return Statistics(self.plain[rows], self.above[rows], self.below[rows])

    def means(self) -> Floats:
        """Means over rows of plain, above and below, (1 + 2J,)."""
        return np.concatenate([[self.plain.mean()], self.above.mean(axis=0), self.below.mean(axis=0)])

    def columns(self) -> Floats:
        """All of them side by side: plain, above, below; (N, 1 + 2J)."""
        return np.concatenate([self.plain[:, None], self.above, self.below], axis=1)


def mean_of(plain: Floats) -> Statistics:
    """Statistics of an estimator that is a mean over rows, (N,)."""
    none = np.empty((len(plain), 0))
    return Statistics(plain, none, none)


def ratios_of(above: Floats, below: Floats, plain: Floats | None = None) -> Statistics:
    """Statistics of an estimator that is a sum of J ratios, (N, J) each, maybe with a plain part (N,)."""
    return Statistics(np.zeros(len(above)) if plain is None else plain, above, below)


def value_of(means: Floats) -> Floats:
    """The estimate from the means of the columns, (..., 1 + 2J) to (...); NaN where a denominator is 0."""
    j = (means.shape[-1] - 1) // 2
    if j == 0:
        return means[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = means[..., 1 : 1 + j] / means[..., 1 + j :]
    ratios = np.where(means[..., 1 + j :] == 0.0, np.nan, ratios)
    made: Floats = means[..., 0] + ratios.sum(axis=-1)
    return made


def gradient_of(means: Floats) -> Floats:
    """How the estimate moves with each mean, (1 + 2J,) to (1 + 2J,); NaN where a denominator is 0."""
    j = (len(means) - 1) // 2
    above, below = means[1 : 1 + j], means[1 + j :]
    below = np.where(below == 0.0, np.nan, below)
    return np.concatenate([[1.0], 1.0 / below, -above / below**2])


def scores(statistics: Statistics) -> Scores:
    """The estimate and the influence of each row."""
    plain = float(statistics.plain.mean())
    if statistics.n_ratios == 0:
        return Scores(plain, statistics.plain - plain)
    above, below = statistics.above.mean(axis=0), statistics.below.mean(axis=0)  # (J,)
    if (below == 0.0).any():
        return Scores(float("nan"), np.full(len(statistics.plain), np.nan))
    ratio = above / below
    linear = (statistics.above - ratio * statistics.below) / below
    influence = statistics.plain - plain + (linear[:, 0] if len(ratio) == 1 else linear.sum(axis=1))
    return Scores(plain + float(ratio.sum()), influence)

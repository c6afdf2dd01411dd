"""Sums of weights: what the diagnostics of one family of weights need, of a part of a log, in constant memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.audit.tail import FEWEST, fitted_shape, tail_size
from offpolicy.terms import Terms

Floats = npt.NDArray[np.float64]

LARGEST = 20_000  # weights that are kept: the tail of up to 44 million rows


@dataclass(frozen=True)
class WeightSums:
    """Of the weights (n, J) of some rows.

    Attributes:
        rows, pieces: n and J.
        weight, weight_squared: Sums over all pieces.
        earned, earned_squared: Sums of w |r| and of its square.
        squared, cubed: Sums of r^2 and of |r|^3, of rewards alone.
        row_sum: Sum over rows of their mean weight.
        row_max: The largest mean weight of a row.
        seen: Whether each piece has a weight above 0 in some row, (J,).
        error: Sum over rows of the relative error that marginals state.
        top: The largest mean weights of rows, in any order, at most LARGEST + 1 of them.
    """

    rows: int
    pieces: int
    weight: float
    weight_squared: float
    earned: float
    earned_squared: float
    squared: float
    cubed: float
    row_sum: float
    row_max: float
    seen: npt.NDArray[np.bool_]
    error: float
    top: Floats

    def effective_rows(self) -> float:
        """(sum w)^2 / sum w^2, in rows."""
        return self.weight**2 / self.weight_squared / self.pieces if self.weight_squared > 0.0 else 0.0

    def effective_positives(self) -> float:
        """(sum w |r|)^2 / sum (w r)^2."""
        return self.earned**2 / self.earned_squared if self.earned_squared > 0.0 else 0.0

    @property
    def cut(self) -> float:
        """No weight up to this can be among the largest of these rows and any others."""
        return float(self.top.min()) if len(self.top) > LARGEST else -math.inf

    def pareto_k(self) -> float:
        """Shape of the tail of the rows' weights; NaN where there is none, or too few weights."""
        m = min(tail_size(self.rows), len(self.top) - 1)  # of more rows than LARGEST is made for, a thinner tail
        if m < FEWEST:
            return math.nan
        top = np.sort(self.top)[::-1]
        excess = top[:m][::-1] - top[m]
        return fitted_shape(excess[excess > 0.0])


def weight_sums_of(terms: Terms, above: float = -math.inf) -> WeightSums:
    """Sums of one family of weights over some rows.

    Args:
        terms: Their weights and rewards.
        above: Mean weights of rows up to this are known not to be among the largest, and need not be kept.
    """
    n, pieces = terms.weight.shape
    earned = terms.weight * np.abs(terms.reward)
    squared = terms.reward * terms.reward
    row = terms.weight[:, 0] if pieces == 1 else terms.weight.mean(axis=1)
    return WeightSums(
        rows=n,
        pieces=pieces,
        weight=float(terms.weight.sum()),
        weight_squared=float(np.vdot(terms.weight, terms.weight)),
        earned=float(earned.sum()),
        earned_squared=float(np.vdot(earned, earned)),
        squared=float(squared.sum()),
        cubed=float(np.abs(terms.reward * squared).sum()),
        row_sum=float(row.sum()),
        row_max=float(row.max()),
        seen=terms.weight.max(axis=0) > 0.0,
        error=terms.error * n,
        top=_largest(row if above == -math.inf else row[row > above]),
    )


def merge_weights(one: WeightSums, other: WeightSums) -> WeightSums:
    """Sums over two parts together."""
    return WeightSums(
        one.rows + other.rows,
        one.pieces,
        one.weight + other.weight,
        one.weight_squared + other.weight_squared,
        one.earned + other.earned,
        one.earned_squared + other.earned_squared,
        one.squared + other.squared,
        one.cubed + other.cubed,
        one.row_sum + other.row_sum,
        max(one.row_max, other.row_max),
        one.seen | other.seen,
        one.error + other.error,
        _largest(np.concatenate([one.top, other.top])) if len(other.top) else one.top,
    )


def _largest(row: Floats) -> Floats:
    keep = LARGEST + 1
    return np.partition(row, len(row) - keep)[len(row) - keep :] if len(row) > keep else row

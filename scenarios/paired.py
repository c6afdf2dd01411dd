"""Differences over training seeds: what two policies brought under the same seeds, and how sure that makes anybody.

Two learners of one seed learned from the same log and were judged on the same shoppers with the same luck, so what the
seed did to both cancels in their difference: its mean has a paired t-interval, right where differences are roughly
normal over seeds. Student, "The probable error of a mean", 1908.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
BETTER, WORSE, UNDECIDED = "better", "worse", "not told apart"


@dataclass(frozen=True)
class Spread:
    """A mean over seeds with its 95% t-interval; the ends are NaN with one seed, which says nothing of spread."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def verdict(self) -> str:
        """Of a difference: better, worse, or not told apart where 0 is inside or the interval unknown."""
        return BETTER if self.low > 0.0 else WORSE if self.high < 0.0 else UNDECIDED


def over_seeds(values: Sequence[float]) -> Spread:
    """The mean of one number a seed, with its interval.

    Args:
        values: (S,) at least one.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Spread(mean, float("nan"), float("nan"), len(values))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Spread(mean, mean - reach, mean + reach, len(values))


def paired(own: Sequence[float], other: Sequence[float]) -> Spread:
    """`own` minus `other`: entry i of both is of the same seed."""
    return over_seeds([a - b for a, b in zip(own, other, strict=True)])

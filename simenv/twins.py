"""Counterfactual twins: a difference between two policies on the same shoppers with the same luck, and what that saves.

What a shopper is worth varies far more between shoppers than between policies. Where both policies meet the same
shoppers with the same luck, what is common to both cancels in the difference:
Var(a - b) = Var(a) + Var(b) - 2 Cov(a, b). Two plays of strangers have no covariance, so they need
(Var(a) + Var(b)) / Var(a - b) times as many shoppers for the same error. The gain is largest between policies that show
much the same, and fades where they soon lead shoppers apart.

Common random numbers: Glasserman and Yao, "Some guidelines and guarantees for common random numbers", 1992.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """Sums per shopper: value = sum of totals / sum of counts.

    total: (U,) what was gained. count: (U,) the units it is per (searches, sessions, or one a shopper).
    """

    total: F64
    count: F64

    @property
    def value(self) -> float:
        """The ratio of the sums."""
        return float(self.total.sum() / self.count.sum())

    @property
    def stderr(self) -> float:
        """Standard error of the value, clustered by shopper."""
        return _stderr(self.influence())

    def influence(self) -> F64:
        """Each shopper's first-order influence on the value, (U,), mean zero."""
        influence: F64 = (self.total - self.value * self.count) / self.count.mean()
        return influence


@dataclass(frozen=True)
class Difference:
    """The value of one policy minus that of another, on the same shoppers.

    stderr: standard error of the difference between twins. stderr_apart: what it would be between two plays of as many
    shoppers each, with nothing in common.
    """

    value: float
    stderr: float
    stderr_apart: float

    @property
    def twins_save(self) -> float:
        """How many times as many shoppers strangers would need for the same error; NaN where twins have no error."""
        return (self.stderr_apart / self.stderr) ** 2 if self.stderr > 0.0 else float("nan")


def difference(own: Ratio, base: Ratio) -> Difference:
    """`own` minus `base`, paired by shopper: entry i of both must be the same shopper.

    Errors are of first order (delta method), which is exact where the count is one a shopper.
    """
    return Difference(
        value=own.value - base.value,
        stderr=_stderr(own.influence() - base.influence()),
        stderr_apart=float(np.hypot(own.stderr, base.stderr)),
    )


def _stderr(influence: F64) -> float:
    return float(influence.std(ddof=1) / np.sqrt(len(influence)))

"""The three propensities of a slate, as three types that cannot be mistaken for one another.

A slate fills K slots one after another. Its probability can be told in three ways, and estimators that take one
in place of another are biased without a warning:

* *conditional*: the item at slot k given the items above it. What a policy reports.
* *prefix*: the running product of the conditionals; its last column is the probability of the whole slate.
* *marginal*: the item at slot k whatever stands above it. What item-position weights need.

All hold natural logarithms, shape (N, K), float64. An empty slot has log-probability 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Conditional:
    """log p(item at slot k | items at slots 1..k-1)."""

    logp: Floats  # (N, K)

    def prefix(self) -> Prefix:
        """The running product: log p(items at slots 1..k)."""
        return Prefix(np.cumsum(self.logp, axis=1))


@dataclass(frozen=True)
class Prefix:
    """log p(items at slots 1..k), the joint probability of the top of the slate."""

    logp: Floats  # (N, K)

    @property
    def joint(self) -> Floats:
        """Log p(slate), shape (N,)."""
        return self.logp[:, -1]


@dataclass(frozen=True)
class Marginal:
    """log p(item at slot k), summed over everything that could stand above it.

    `error` is the largest absolute error of exp(logp) that the computation states for itself (0 where exact).
    """

    logp: Floats  # (N, K)
    error: float = 0.0

"""Calibration: where an action was to be played with probability p, it is played with that frequency.

Actions are looked at together whose probabilities lie between the same two edges. The edges stand still, so that what
is counted adds up over any parts of a log.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable

Floats = npt.NDArray[np.float64]

EDGES = 0.5 ** np.array([12, 9, 7, 6, 5, 4, 3, 2, 1])  # of probabilities
BINS = len(EDGES) + 1


@dataclass(frozen=True)
class Played:
    """How often actions were played, by the bin of their probability.

    Attributes:
        surplus: Whether the row's action is of this bin, minus the probability of all actions of this bin; (N, BINS).
            Its mean is 0 where actions were drawn as logged.
        expected: That probability, (N, BINS).
    """

    surplus: Floats
    expected: Floats


def played(table: ActionTable) -> Played:
    """How often the actions of some rows were played, against their logged probabilities."""
    n = len(table.action)
    bins = np.searchsorted(EDGES, table.logger, side="left")  # (N, A)
    place = np.arange(n)[:, None] * BINS + bins
    summed = np.bincount(place.ravel(), weights=table.logger.ravel(), minlength=n * BINS)
    expected: Floats = summed.astype(np.float64, copy=False).reshape(n, BINS)
    surplus = -expected
    surplus[np.arange(n), bins[np.arange(n), table.action]] += 1.0
    return Played(surplus, expected)


def gaps(surplus: Floats, stderr: Floats, expected: Floats, chance: Floats) -> list[tuple[float, float]]:
    """The z of each bin's surplus, and its share of what was expected; bins that nothing was expected of are left out.

    A bin of rare actions that were never played varies little: what chance alone would make of its probabilities
    counts where that is more.

    Args:
        surplus: Mean over rows, (BINS,).
        stderr: Its clustered standard error, (BINS,).
        expected: Mean over rows, (BINS,).
        chance: Standard error of the surplus where rows are independent and actions drawn as logged, (BINS,).
    """
    made = []
    for own, error, share, least in zip(surplus, stderr, expected, chance, strict=True):
        if share > 0.0:
            error = max(float(error), float(least))
            z = 0.0 if abs(own) <= 1e-9 else float(own) / error if error > 0.0 else math.copysign(math.inf, own)
            made.append((z, float(own) / float(share)))
    return made


def chance_of(expected: Floats, expected_squared: Floats, n_rows: int) -> Floats:
    """Standard error of the mean surplus over rows that chance alone makes, from the means of e and e^2, (BINS,)."""
    made: Floats = np.sqrt(np.maximum(expected - expected_squared, 0.0) / n_rows)
    return made

"""How much items differ in what draws clicks, beyond what their place and their match with the query say.

Of two shoppers who were shown one item, clicks beyond the expected go together if items differ:

    sum over items and pairs of shoppers of (clicks - expected)(clicks' - expected')
    --------------------------------------------------------------------------------
             sum over items and pairs of shoppers of expected * expected'

is the variance of relative click rates between items, without a bias by chance, since two shoppers' luck is
independent. Two shoppers also share a taste here and there; simulations have the same, and only they are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.fitting.seen import Seen
from simenv.catalogue import I64

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairSums:
    """Clicks by shopper and item: (M,) each.

    shopper, item: which, every pair once. beyond: clicks minus what was expected. expected: clicks by place and match.
    """

    shopper: I64
    item: I64
    beyond: F64
    expected: F64

    def value(self, weights: F64 | None = None) -> float:
        """The variance above; NaN where no item was shown to two. Shoppers may count as often as (U,) weights say."""
        if not len(self.item):
            return float("nan")
        often = np.ones(len(self.item)) if weights is None else weights[self.shopper]
        return _pairs(self.item, often * self.beyond) / _pairs(self.item, often * self.expected)


def pair_sums(seen: Seen, match: I64) -> PairSums:
    """The sums of a log.

    Args:
        seen: The log.
        match: (N, K) small numbers of 0 or more that say how what is shown matches the query.
    """
    _, shopper = np.unique(seen.shopper, return_inverse=True)
    row, slot = np.nonzero(seen.items >= 0)
    clicked = seen.clicked[row, slot].astype(np.float64)
    cell = slot * (int(match.max(initial=0)) + 1) + match[row, slot]
    rate = np.bincount(cell, clicked) / np.maximum(np.bincount(cell), 1)
    n_items = int(seen.items.max(initial=0)) + 1
    pair, place = np.unique(shopper[row] * n_items + seen.items[row, slot], return_inverse=True)
    expected: F64 = np.bincount(place, rate[cell], len(pair)).astype(np.float64)
    beyond: F64 = np.bincount(place, clicked, len(pair)).astype(np.float64) - expected
    return PairSums(pair // n_items, pair % n_items, beyond, expected)


def _pairs(item: I64, values: F64) -> float:
    """Sum over items of the products of two different entries."""
    total = np.bincount(item, values)
    pairs = float((total**2).sum() - (values**2).sum())
    return pairs if pairs != 0.0 else float("nan")

"""Co-view: who clicked this also clicked that, mixed with what is clicked much; the baseline of item-to-item shops.

Counts c(a, b) of a click on b by a shopper who has a among the last clicks, or clicks a on the same page. The score is

    log((clicks_b + prior) / (expected_b + prior)) + weight * sum_a c(a, b) / (sqrt(c_a c_b) + damping)

over the last clicks a. expected_b are the clicks that an average item would have had in b's slots, so standing high is
not popularity; c_a and c_b are the counts' own sums (Linden, Smith and York, "Amazon.com recommendations: item-to-item
collaborative filtering", 2003; Sarwar, Karypis, Konstan and Riedl, "Item-based collaborative filtering recommendation
algorithms", 2001). It reads neither the query nor any column: right where the engine has found what was asked for and
items are clicked often. Counts are sums of integers: order and batches of feedback do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from policies.examples import Examples
from policies.features import CHUNK, FeatureMap
from policies.kernels.feedback import Tensors, first_deliveries
from policies.ranking import F32
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.errors import UserError
from simenv.world import Page

I64 = npt.NDArray[np.int64]


class CoView:
    """Counts of pairs and of clicks.

    Attributes:
        pair, count: (P,) int64, a * I + b in rising order, and how often.
        clicks: (I, K) int64, by item and slot. shown: (I, K) int64.
        n_searches: How many searches it has learned from; a second delivery of one does not count.
    """

    kind = "co-view"

    def __init__(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> None:
        """Start without counts.

        Args:
            catalogue: Public columns.
            n_slots: K.
            settings: `weight` of what was clicked together; `prior`, clicks that every item is given; `damping` of
                pairs that are rare; `personal`, False for popularity alone.
        """
        defaults = {"weight": 3.0, "prior": 5.0, "damping": 3.0, "personal": True}
        self.settings: dict[str, Any] = chosen(self.kind, settings, defaults)
        self.feature_map, self.n_searches = FeatureMap(catalogue, self.settings["personal"]), 0
        self.n_items = len(catalogue.category)
        self.pair, self.count = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self.clicks = np.zeros((self.n_items, n_slots), dtype=np.int64)
        self.shown = np.zeros_like(self.clicks)
        self._delivered = np.empty(0, dtype=np.uint64)

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> CoView:
        """Without counts, from the settings of a saved one or from defaults. Nothing is random."""
        return CoView(catalogue, n_slots, settings)

    def update(self, examples: Examples) -> None:
        """Count a batch of searches.

        Raises:
            UserError: for examples without their pages or items.
        """
        if examples.page is None or examples.item is None:
            raise UserError("policy 'co-view' counts items: it needs examples with their pages; see policies.examples.")
        if examples.id is not None:
            new = first_deliveries(examples.id, self._delivered)
            self._delivered = np.union1d(self._delivered, examples.id)
            examples = take(examples, new)
        self.n_searches += len(examples)
        assert examples.page is not None
        assert examples.item is not None
        row, slot = np.nonzero(examples.shown)
        np.add.at(self.shown, (examples.item[row, slot], slot), 1)
        row, slot = np.nonzero(examples.shown & (examples.reward > 0))
        clicked = examples.item[row, slot].astype(np.int64)
        np.add.at(self.clicks, (clicked, slot), 1)
        before = examples.page.recent[row].astype(np.int64)  # (n clicks, L)
        beside = np.where(examples.reward > 0, examples.item, -1)[row].astype(np.int64)  # (n clicks, K)
        beside[np.arange(len(row)), slot] = -1
        self._count(np.concatenate([before, beside], axis=1), clicked)

    def finish(self) -> None:
        """Nothing left to do: the counts are the model."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """See the module; (N, C)."""
        item, popularity = np.maximum(page.candidates, 0), self.popularity()
        score = popularity[item]
        if self.settings["personal"] and len(self.pair):
            of = self.sums()
            for first in range(0, len(page), CHUNK):
                rows = slice(first, first + CHUNK)
                score[rows] += self.settings["weight"] * self._together(item[rows], page.recent[rows], of)
        return score.astype(np.float32)

    def tensors(self) -> Tensors:
        """What a saved model holds."""
        return {
            "pair": self.pair,
            "count": self.count,
            "clicks": self.clicks,
            "shown": self.shown,
            "delivered": self._delivered,
            "n_searches": np.array(self.n_searches),
        }

    def restore(self, tensors: Tensors) -> None:
        """Take the counts of a saved model of the same catalogue and slots.

        Raises:
            KeyError: where an array is missing. ValueError: for another shape, or what no counts can be.
        """
        held = {name: np.array(tensors[name], dtype=np.int64) for name in ("pair", "count", "clicks", "shown")}
        for name in ("clicks", "shown"):
            if held[name].shape != self.clicks.shape:
                raise ValueError(f"{name} has shape {held[name].shape}; expected {self.clicks.shape}")
        pair, count = held["pair"], held["count"]
        in_order = pair.shape == count.shape and pair.ndim == 1 and (np.diff(pair) > 0).all()
        if not in_order or ((pair < 0) | (pair >= self.n_items**2)).any() or min(map(_least, held.values())) < 0:
            raise ValueError("pair and count are no counts of pairs of items")
        self.pair, self.count, self.clicks, self.shown = pair, count, held["clicks"], held["shown"]
        self._delivered = np.array(tensors["delivered"], dtype=np.uint64)
        self.n_searches = int(tensors["n_searches"].item())

    def popularity(self) -> npt.NDArray[np.float64]:
        """Log of clicks over those that an average item would have had in the same slots, (I,)."""
        rate = self.clicks.sum(axis=0) / np.maximum(self.shown.sum(axis=0), 1)
        prior = self.settings["prior"]
        made: npt.NDArray[np.float64] = np.log((self.clicks.sum(axis=1) + prior) / (self.shown @ rate + prior))
        return made

    def sums(self) -> npt.NDArray[np.float64]:
        """The counts' own sums: of pairs with a in the past and of those with b clicked, (2, I)."""
        of = np.zeros((2, self.n_items))
        np.add.at(of[0], self.pair // self.n_items, self.count)
        np.add.at(of[1], self.pair % self.n_items, self.count)
        return of

    def _count(self, first: I64, clicked: I64) -> None:
        """Add pairs of `first` (n, M), -1 for none, and `clicked` (n,)."""
        made = (first * self.n_items + clicked[:, None])[(first >= 0) & (first != clicked[:, None])]
        pair, at = np.unique(np.concatenate([self.pair, made]), return_inverse=True)
        count = np.zeros(len(pair), dtype=np.int64)
        np.add.at(count, at, np.concatenate([self.count, np.ones(len(made), dtype=np.int64)]))
        self.pair, self.count = pair, count

    def _together(
        self, item: npt.NDArray[np.int32], recent: npt.NDArray[np.int32], of: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Sum of similarities of candidates (n, C) to the last clicks (n, L), (n, C)."""
        total = np.zeros(item.shape)
        for last in recent.T.astype(np.int64):
            row = np.flatnonzero(last >= 0)
            key = last[row, None] * self.n_items + item[row]
            at = np.minimum(np.searchsorted(self.pair, key), len(self.pair) - 1)
            count = np.where(self.pair[at] == key, self.count[at], 0)
            norm = np.sqrt(of[0][last[row], None] * of[1][item[row]])
            total[row] += count / (norm + self.settings["damping"])
        return total


def _least(counts: I64) -> int:
    return int(counts.min(initial=0))

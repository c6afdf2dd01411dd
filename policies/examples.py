"""What a learner learns from: the features of shown items and what was clicked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.features import FeatureMap, features
from simenv import hashing
from simenv.world import Page


@dataclass(frozen=True)
class Examples:
    """Shown slots of n searches.

    features: (n, K, F) float32. reward: (n, K) float32 in [0, 1], usually clicks. shown: (n, K) bool, False for an
    empty slot, which teaches nothing. Where known: item (n, K) int32 ids, -1 for an empty slot; day (n,) int32;
    id (n,) uint64, the search's name, by which a second delivery of it is known.
    """

    features: npt.NDArray[np.float32]
    reward: npt.NDArray[np.float32]
    shown: npt.NDArray[np.bool_]
    item: npt.NDArray[np.int32] | None = None
    day: npt.NDArray[np.int32] | None = None
    id: npt.NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        """Number of searches, n."""
        return len(self.reward)


def examples(
    feature_map: FeatureMap, page: Page, slate: npt.NDArray[np.integer], reward: npt.NDArray[np.generic]
) -> Examples:
    """Examples of one batch of searches, in the order of its rows."""
    item = np.take_along_axis(page.candidates, np.maximum(slate, 0).astype(np.int64), axis=1)
    return Examples(
        features(feature_map, page, slate),
        reward.astype(np.float32),
        slate >= 0,
        item=np.where(slate >= 0, item, np.int32(-1)),
        day=page.day,
        id=page_names(page, 0),
    )


def page_names(page: Page, seed: int) -> hashing.Keys:
    """One key a row that names the page of the search, (N,) uint64, under a seed."""
    key = hashing.absorb(hashing.stream(seed, "page name"), page.shopper)
    for part in (page.visit, page.search, page.page):
        key = hashing.absorb(key, part)
    return key

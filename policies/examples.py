"""What a learner learns from: the features of shown items and what was clicked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.features import FeatureMap, features
from simenv.world import Page


@dataclass(frozen=True)
class Examples:
    """Shown slots of n searches.

    features: (n, K, F) float32. reward: (n, K) float32 in [0, 1], usually clicks. shown: (n, K) bool, False for an
    empty slot, which teaches nothing.
    """

    features: npt.NDArray[np.float32]
    reward: npt.NDArray[np.float32]
    shown: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of searches, n."""
        return len(self.reward)


def examples(
    feature_map: FeatureMap, page: Page, slate: npt.NDArray[np.integer], reward: npt.NDArray[np.generic]
) -> Examples:
    """Examples of one batch of searches, in the order of its rows."""
    return Examples(features(feature_map, page, slate), reward.astype(np.float32), slate >= 0)

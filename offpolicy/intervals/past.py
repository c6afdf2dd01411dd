"""A reward model of the past only: what a doubly robust bet may know when it is placed.

Cross-fitted folds know the rows to come, and money that was bet with them proves nothing. Here shoppers come in the
order in which they first appear, in blocks that double; each block is predicted by a model of all blocks before it. The
first block is predicted by the least reward there is, which leaves plain importance weighting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.reward_model import CrossFit, RewardModel, TargetFeatures, fit
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CHUNK = 4096  # rows whose target features are held at once


@dataclass(frozen=True)
class PastModels:
    """A reward model for each block of shoppers, fitted on all blocks before it.

    Attributes:
        shoppers: Ids of the shoppers that were seen, ascending, (G,).
        block: The block of each, (G,); whoever is not among them appeared later and belongs to the last.
        models: One a block; None for the first, of which nothing is known.
        slot_range: Expectations are clipped to it; the first block is expected to earn its lower end.
        notes: What a reader should know.
    """

    shoppers: Ints  # (G,)
    block: Ints  # (G,)
    models: tuple[RewardModel | None, ...]
    slot_range: tuple[float, float]
    notes: tuple[str, ...]

    def expect(self, cluster: Ints, features: npt.NDArray[np.floating], slot: int | None = None) -> Floats:
        """Expected reward of slots by models of earlier shoppers; arguments and shapes as `FoldModels.expect`."""
        made = np.full(features.shape[:-1], self.slot_range[0])
        of_row = self.block_of(cluster)
        for block, model in enumerate(self.models):
            rows = of_row == block
            if model is not None and rows.any():
                made[rows] = np.clip(model.expect(features[rows], slot), *self.slot_range)
        return made

    def block_of(self, cluster: Ints) -> Ints:
        """The block of each row, (n,)."""
        place = np.minimum(np.searchsorted(self.shoppers, cluster), len(self.shoppers) - 1)
        return np.where(self.shoppers[place] == cluster, self.block[place], len(self.models) - 1)


def fit_past(
    features: npt.NDArray[np.floating],
    reward: Floats,
    cluster: Ints,
    slot_range: tuple[float, float] = (0.0, 1.0),
    first: int = 200,
) -> PastModels:
    """Fit a reward model of the past for each block.

    Args:
        features: Public features of the items in the logged slots, (N, K, F), rows in the order of the log. They may be
            the beginning of a longer log: shoppers that appear later are then predicted by a model of all these.
        reward: Reward of each slot, (N, K).
        cluster: Shopper of each row, (N,).
        slot_range: Least and largest reward of one slot, the latter maybe infinite.
        first: Shoppers of the first block; blocks double from there.

    Raises:
        UserError: If `first` or the range is out of range.
    """
    low, high = slot_range
    if first < 1 or not -np.inf < low < high:
        raise UserError(f"first is {first} and slot_range {slot_range}; expected at least 1 shopper, and low < high.")
    shoppers, appeared, code = np.unique(cluster, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(appeared))  # (G,) the order in which shoppers first appeared
    starts = [first]
    while starts[-1] < len(shoppers):
        starts.append(2 * starts[-1])
    models = [fit(features[known], reward[known]) for known in (place[code] < start for start in starts) if known.any()]
    note = f"the first {min(first, len(shoppers))} shoppers have no reward model; {len(models)} were fitted after them"
    return PastModels(shoppers, np.searchsorted(starts, place, side="right"), (None, *models), slot_range, (note,))


def past_only(
    features: Floats,
    reward: Floats,
    target_features: TargetFeatures | Floats,
    cluster: Ints,
    slot_range: tuple[float, float] = (0.0, 1.0),
    first: int = 200,
) -> CrossFit:
    """The reward model's two columns of evidence, each row's from earlier shoppers alone.

    Put them into `Evidence(q_logged=..., q_target=..., q_is_past_only=True)`.

    Args:
        features: Public features of the items in the logged slots, (N, K, F).
        reward: Reward of each slot, (N, K).
        target_features: Features of M slates a row drawn from the target policy, (N, M, K, F), or a function from row
            numbers (n,), at most 4,096 of them, to (n, M, K, F).
        cluster: Shopper of each row, (N,).
        slot_range: Least and largest reward of one slot; expectations are clipped to it.
        first: Shoppers of the first block; blocks double from there.

    Raises:
        UserError: If `first` or the range is out of range.
    """
    models = fit_past(features, reward, cluster, slot_range, first)
    q_logged, q_target = models.expect(cluster, features), np.empty(len(reward))
    for chunk in np.array_split(np.arange(len(reward)), -(-len(reward) // _CHUNK)):
        drawn = target_features(chunk) if callable(target_features) else target_features[chunk]
        q_target[chunk] = models.expect(cluster[chunk], drawn).sum(axis=2).mean(axis=1)
    return CrossFit(q_logged, q_target, models.notes)

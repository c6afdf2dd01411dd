"""A reward model of the past only: what a doubly robust bet may know when it is placed.

Cross-fitted folds know the rows to come, and money that was bet with them proves nothing. Here shoppers come in the
order in which they first appear, in blocks that double; each block is predicted by a model of all blocks before it. The
first block is predicted by the least reward there is, which leaves plain importance weighting.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.reward_model import CrossFit, TargetFeatures, fit
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CHUNK = 4096  # rows whose target features are held at once


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
    low, high = slot_range
    if first < 1 or not low < high:
        raise UserError(f"first is {first} and slot_range {slot_range}; expected at least 1 shopper, and low < high.")
    _, appeared, code = np.unique(cluster, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(appeared))[code]  # (N,) the order in which the row's shopper first appeared
    n_slots = reward.shape[1]
    q_logged, q_target = np.full(reward.shape, low), np.full(len(reward), n_slots * low)
    start = first
    while start < len(appeared):
        known, part = place < start, np.flatnonzero((place >= start) & (place < 2 * start))
        model = fit(features[known], reward[known])
        for chunk in np.array_split(part, -(-len(part) // _CHUNK)):
            drawn = target_features(chunk) if callable(target_features) else target_features[chunk]
            q_logged[chunk] = np.clip(model.expect(features[chunk]), low, high)
            q_target[chunk] = np.clip(model.expect(drawn), low, high).sum(axis=2).mean(axis=1)
        start *= 2
    return CrossFit(q_logged, q_target, (f"the first {min(first, len(appeared))} shoppers have no model",))

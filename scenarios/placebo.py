"""The placebo of item-position weights: what chance put at a slot, which must not move the rewards of other slots."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from policies import plackett_luce
from simenv.log import LogBatch

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]


def placebo(batch: LogBatch, liking: F64) -> F64:
    """The reward model's liking (N, C) of each slot's item, minus its expectation given the rest of the slate; (N, K).

    NaN for a greedy logger, which leaves nothing to chance.
    """
    made = np.full(batch.slate.shape, np.nan)
    for temperature, floor, rows in explorations(batch.temperature, batch.floor):
        if temperature > 0:
            weight = np.exp(plackett_luce.log_weights(batch.scores[rows], temperature, floor))
            made[rows] = surprise(weight, batch.slate[rows], liking[rows])
    return made


def surprise(weight: F64, slate: I32, liking: F64) -> F64:
    """Liking of each slot's item minus its mean over what the logger could have put there in the same rest, (n, K).

    Given the rest, the item at slot k was j with probability proportional to
    w_j * prod_{m>k} 1 / (1 - w_j - sum of the weights of the rest above slot m). Rows with empty slots are 0.
    """
    n_slots = slate.shape[1]
    every, full = np.arange(len(slate)), (slate >= 0).all(axis=1)
    place = np.maximum(slate, 0).astype(np.int64)
    own = np.take_along_axis(weight, place, axis=1)  # (n, K)
    made = np.zeros(slate.shape)
    for k in range(n_slots):
        chance, taken = weight.copy(), weight + own[:, :k].sum(axis=1, keepdims=True)
        for m in range(k + 1, n_slots):
            chance /= np.maximum(1.0 - taken, 1e-12)
            taken += own[:, m : m + 1]
        np.put_along_axis(chance, np.delete(place, k, axis=1), 0.0, axis=1)
        mean = (chance * np.where(chance > 0, liking, 0.0)).sum(axis=1) / np.maximum(chance.sum(axis=1), 1e-300)
        made[:, k] = np.where(full, liking[every, place[:, k]] - mean, 0.0)
    return made


def explorations(temperature: F64, floor: F64) -> Iterator[tuple[float, float, npt.NDArray[np.int64]]]:
    """Each (temperature, floor) that a logger used, with the rows where it did."""
    for one, other in sorted(set(zip(temperature.tolist(), floor.tolist(), strict=True))):
        yield one, other, np.flatnonzero((temperature == one) & (floor == other))

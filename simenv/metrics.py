"""Ranking metrics against hidden relevance: NDCG and MRR.

Gains are the graded relevance itself, discounts 1 / log2(slot + 1) (Järvelin and Kekäläinen, "Cumulated gain-based
evaluation of IR techniques", 2002). Rows without any relevant candidate have no ideal ranking and are NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

RELEVANT = 0.5  # graded relevance from which MRR counts an item as relevant


def ndcg(relevance: npt.NDArray[np.floating], slate: npt.NDArray[np.integer]) -> F64:
    """NDCG at K.

    Args:
        relevance: (N, C) graded relevance of each candidate, 0 at holes.
        slate: (N, K) positions, -1 for an empty slot.

    Returns:
        (N,) in [0, 1]; NaN where no candidate is relevant at all.
    """
    n_slots = slate.shape[1]
    discount = 1.0 / np.log2(np.arange(n_slots) + 2.0)
    gained = (_shown(relevance, slate) * discount).sum(axis=1)
    best = -np.sort(-relevance.astype(np.float64), axis=1)[:, :n_slots]
    ideal = (best * discount[: best.shape[1]]).sum(axis=1)
    share: F64 = np.divide(gained, ideal, out=np.full(len(slate), np.nan), where=ideal > 0)
    return share


def reciprocal_rank(relevance: npt.NDArray[np.floating], slate: npt.NDArray[np.integer]) -> F64:
    """1 / slot of the first relevant item, 0 where none is shown; NaN where no candidate is relevant. (N,)."""
    hit = _shown(relevance, slate) >= RELEVANT
    first = np.where(hit.any(axis=1), 1.0 / (np.argmax(hit, axis=1) + 1.0), 0.0)
    return np.where((relevance >= RELEVANT).any(axis=1), first, np.nan)


def _shown(relevance: npt.NDArray[np.floating], slate: npt.NDArray[np.integer]) -> F64:
    safe = np.maximum(slate, 0).astype(np.int64)
    return np.take_along_axis(relevance, safe, axis=1).astype(np.float64) * (slate >= 0)

"""Slates from simpler actions: the definitions that both doors' wrappers share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from simenv.catalogue import I32, I64
from simenv.errors import UserError
from simenv.vector_env import as_array

Below = Literal["engine", "nothing"]


def top_slate(scores: Any, candidates: I32, n_slots: int) -> I64:
    """The K candidates with the highest scores, best first, (N, K) positions.

    Equal scores go to the earlier position. Holes come behind every candidate whatever their score, and stand in a
    slate only where there are fewer than K candidates; there the slot stays empty. Only the order of scores matters.

    Args:
        scores: (N, C) floats or integers; infinite ones are extreme, like any other.
        candidates: (N, C) item ids, -1 for a hole.
        n_slots: K.

    Raises:
        UserError: for another shape, for booleans and whatever is no number, and for NaN.
    """
    array = as_array(scores)
    if array.shape != candidates.shape or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise UserError(
            f"the scores have shape {array.shape} and dtype {array.dtype}; expected {candidates.shape}, numbers."
        )
    cost = -array.astype(np.float64 if array.dtype.kind != "f" else array.dtype)
    if np.isnan(cost).any():
        row = int(np.argmax(np.isnan(cost).any(axis=1)))
        raise UserError(f"row {row} of the scores has NaN, which has no place in a ranking; expected numbers.")
    # Even a candidate of score -inf stands before a hole.
    np.minimum(cost, np.finfo(cost.dtype).max, out=cost)
    cost[candidates < 0] = np.inf
    return np.argsort(cost, axis=1, kind="stable")[:, :n_slots]


def slate_with_first(choice: Any, candidates: I32, n_slots: int, below: Below) -> I64:
    """A slate that begins with one chosen position, (N, K) positions.

    Args:
        choice: (N,) integer positions. A hole leaves the first slot empty.
        candidates: (N, C) item ids, -1 for a hole.
        n_slots: K.
        below: What stands under the choice: the other candidates in the engine's order, or nothing.

    Raises:
        UserError: for another shape, for what is not integers (booleans and whole floats too), and out of range.
    """
    array = as_array(choice)
    n, n_candidates = candidates.shape
    if array.shape != (n,) or not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"the choice has shape {array.shape} and dtype {array.dtype}; expected ({n},), integers.")
    outside = (array < 0) | (array >= n_candidates)
    if outside.any():
        row = int(np.argmax(outside))
        raise UserError(
            f"row {row} of the choice is {array[row]}; expected a position in [0, {n_candidates}), not an item id."
        )
    first = array.astype(np.int64)
    if below == "nothing":
        return np.repeat(first[:, None], n_slots, axis=1)  # a position that is repeated leaves its slot empty
    place = np.where(candidates < 0, n_candidates, 0) + np.arange(n_candidates)
    place[np.arange(n), first] = -1
    return np.argsort(place, axis=1, kind="stable")[:, :n_slots]

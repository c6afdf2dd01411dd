"""Searching for the best slate where no argument says which it is: every slate where they are few, else local search.

Nothing here knows a click model: a slate is as good as its exact expected reward. Rows do not depend on each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import perm

import numpy as np
import numpy.typing as npt

from simenv.clicks.model import Appeal, Bools, ClickModel, Floats

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MOST_SLATES = 720  # of a row that are all looked at: 10 candidates in 3 slots, or 6 items in every order
AT_ONCE = 200_000  # slates judged at once
GAIN = 1e-12  # of the reward, that a move must bring; less is rounding


@dataclass(frozen=True)
class Around:
    """Places of the page that are filled whatever is chosen; slots are the others, from the top.

    places: H of them, where the last H of the candidates stand, from 0 at the top of a page of K + H. Nobody chooses
    them, and their clicks are worth nothing. first: (N, K) the slates to climb from.
    """

    places: tuple[int, ...]
    first: I64

    @property
    def own(self) -> I64:
        """(K,) the places of the slots."""
        return np.setdiff1d(np.arange(self.first.shape[1] + len(self.places)), self.places)

    def pages(self, slate: npt.NDArray[np.integer], n_candidates: int) -> I64:
        """The whole page (M, K + H) of slates (M, k), k up to K; `n_candidates` with those that nobody chooses."""
        own, n_house = self.own, len(self.places)
        page = np.full((len(slate), len(own) + n_house), -1, dtype=np.int64)
        page[:, own[: slate.shape[1]]] = slate
        page[:, list(self.places)] = np.arange(n_candidates - n_house, n_candidates)
        return page


def slate_reward(model: ClickModel, appeal: Appeal, value: Floats, slate: npt.NDArray[np.integer]) -> F64:
    """Exact expected reward of slates, (N,).

    Args:
        model: The click model.
        appeal: Of the candidates, (N, C).
        value: (N, C) expected reward of a click.
        slate: (N, K) positions among the candidates; -1 for an empty slot.
    """
    shown = slate >= 0
    at = np.where(shown, slate, 0).astype(np.int64)
    attraction, satisfaction, worth = (
        np.where(shown, np.take_along_axis(each, at, axis=1), 0.0)
        for each in (appeal.attraction, appeal.satisfaction, value)
    )
    clicks = model.click_probability(Appeal(attraction, satisfaction)).astype(np.float64)
    reward: F64 = (clicks * worth).sum(axis=1)
    return reward


def search_slates(
    model: ClickModel, appeal: Appeal, value: Floats, allowed: Bools, n_slots: int, around: Around | None = None
) -> tuple[I64, Bools]:
    """The best slates of the allowed candidates, (N, K) positions, and whether all slates were looked at, (N,).

    A row with at most MOST_SLATES slates is enumerated; any other climbs from the ranking by attraction times value, or
    from the slates given `around`.
    Slots are filled from the top as far as there are candidates; ties go to the slate that is looked at first.
    """
    n_allowed = allowed.sum(axis=1)
    slate = np.full((len(allowed), n_slots), -1, dtype=np.int64)
    # Positions of the allowed candidates first, the most worthy foremost.
    worth = np.where(allowed, appeal.attraction * value, -np.inf)
    if around is not None:
        for k in range(n_slots - 1, -1, -1):
            rows = np.flatnonzero(around.first[:, k] >= 0)
            worth[rows, around.first[rows, k]] = worth[rows].max(axis=1) + 1.0
    ranked = np.argsort(-worth, axis=1, kind="stable")
    is_exact = np.ones(len(allowed), dtype=bool)
    for n in np.unique(n_allowed[n_allowed > 0]).tolist():
        rows = np.flatnonzero(n_allowed == n)
        n_shown = min(n, n_slots)
        few = perm(n, n_shown) <= MOST_SLATES
        is_exact[rows] = few
        part = Appeal(appeal.attraction[rows], appeal.satisfaction[rows])
        find = _enumerate if few else _climb
        slate[rows, :n_shown] = find(model, part, value[rows], ranked[rows, :n], n_shown, around)
    return slate, is_exact


def _enumerate(
    model: ClickModel, appeal: Appeal, value: Floats, items: I64, n_shown: int, around: Around | None
) -> I64:
    """The best of all slates of `items` (N, n), (N, n_shown)."""
    every = np.array(list(permutations(range(items.shape[1]), n_shown)))  # (P, n_shown)
    slates = items[:, every]
    best = _rewards(model, appeal, value, slates, around).argmax(axis=1)
    chosen: I64 = slates[np.arange(len(slates)), best]
    return chosen


def _climb(model: ClickModel, appeal: Appeal, value: Floats, items: I64, n_shown: int, around: Around | None) -> I64:
    """Local search: the best single change of the slate, again and again, until none is better.

    A change swaps two slots, moves an item to another slot, or shows another item in its place.
    """
    # A page as an order of all items: its head is shown, so every change is a permutation of places.
    orders = _changes(items.shape[1], n_shown)  # (M, n), the first changes nothing
    order = items.copy()
    active = np.arange(len(items))
    while len(active):
        part = Appeal(appeal.attraction[active], appeal.satisfaction[active])
        reward = _rewards(model, part, value[active], order[active][:, orders[:, :n_shown]], around)  # (A, M)
        best = reward.argmax(axis=1)
        gain = reward[np.arange(len(active)), best] - reward[:, 0]
        better = gain > GAIN * np.abs(reward[:, 0])
        active, best = active[better], best[better]
        order[active] = np.take_along_axis(order[active], orders[best], axis=1)
    return order[:, :n_shown]


def _changes(n: int, n_shown: int) -> I64:
    """Orders of n places that differ from 0..n-1 by one change of what the first `n_shown` hold, (M, n)."""
    found = [list(range(n))]
    for k in range(n_shown):
        for other in range(k + 1, n):
            swapped = list(range(n))
            swapped[k], swapped[other] = other, k
            found.append(swapped)
        for to in range(n_shown):
            if abs(to - k) > 1:  # moving by one place is a swap
                moved = list(range(n))
                moved.insert(to, moved.pop(k))
                found.append(moved)
    return np.array(found)


def _rewards(model: ClickModel, appeal: Appeal, value: Floats, slates: I64, around: Around | None) -> F64:
    """Expected rewards of M slates a row, (N, M, k) -> (N, M), in parts of bounded size."""
    n_rows, n_slates, n_shown = slates.shape
    reward = np.empty((n_rows, n_slates))
    at_once = max(1, AT_ONCE // n_slates)
    for first in range(0, n_rows, at_once):
        rows = np.repeat(np.arange(first, min(first + at_once, n_rows)), n_slates)
        many = Appeal(appeal.attraction[rows], appeal.satisfaction[rows])
        part = slates[first : first + at_once].reshape(-1, n_shown)
        if around is not None:
            part = around.pages(part, value.shape[1])
        reward[first : first + at_once] = slate_reward(model, many, value[rows], part).reshape(-1, n_slates)
    return reward

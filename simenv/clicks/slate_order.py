"""What best slates are found with: the candidates to choose from, and the arguments that several click models share.

Every function is exact, and its docstring says why. `simenv.clicks.best_slate` says which one holds for which model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simenv.clicks.model import Appeal, Bools, for_slots
from simenv.clicks.slate_search import F64, I64

Found = tuple[I64, Bools]  # slates (N, K) and whether each is the best


@dataclass(frozen=True)
class Choice:
    """What there is to choose from: candidates with attraction 0 do not exist.

    attraction, satisfaction, value: (N, C) float64. here: (N, C) candidates that exist. n_shown: (N,) slots that they
    fill. n_slots: K.
    """

    attraction: F64
    satisfaction: F64
    value: F64
    here: Bools
    n_shown: I64
    n_slots: int

    @property
    def appeal(self) -> Appeal:
        """What a click model is told."""
        return Appeal(self.attraction, self.satisfaction)

    @property
    def all_rows(self) -> Bools:
        """(N,) True."""
        return np.ones(len(self.here), dtype=bool)

    @property
    def same_value(self) -> Bools:
        """(N,) whether a click on any candidate brings the same."""
        low = np.where(self.here, self.value, np.inf).min(axis=1)
        same: Bools = low >= np.where(self.here, self.value, -np.inf).max(axis=1)
        return same


def matched(choice: Choice, worth: F64, prominence: F64) -> I64:
    """The items worth most, (N, K): the first in the most prominent of the slots that are filled, and so on."""
    filled = np.arange(choice.n_slots) < choice.n_shown[:, None]  # (N, K)
    slots = np.argsort(np.where(filled, -prominence, np.inf), axis=1, kind="stable")
    items = np.argsort(np.where(choice.here, -worth, np.inf), axis=1, kind="stable")[:, : choice.n_slots]
    slate = np.full(filled.shape, -1)
    taken = filled[:, : items.shape[1]]
    rows, place = np.nonzero(taken)
    slate[rows, slots[rows, place]] = items[rows, place]
    return slate


def assigned(choice: Choice, gain: F64) -> I64:
    """The assignment of items to slots with the largest sum of gains (N, C, K); slates (N, K).

    Exact, by successive longest paths: one slot after another is filled, and whoever held what it takes moves on, along
    the path of moves that gains most (Jewell, "Optimal flow through networks", 1958; Busacker and Gowen, 1961).
    """
    gain = np.where(choice.here[:, :, None], gain, -np.inf)
    slate = np.full((len(gain), choice.n_slots), -1)
    for k in range(choice.n_slots):
        rows = np.flatnonzero(choice.n_shown > k)
        slate[rows, : k + 1] = _fill_one_more(gain[rows, :, : k + 1], slate[rows, :k])
    return slate


def _fill_one_more(gain: F64, held: I64) -> I64:
    """The best assignment to k + 1 slots, (N, k + 1), from the best to the first k, (N, k); gain (N, C, k + 1)."""
    n_rows, k = held.shape
    rows = np.arange(n_rows)
    free = gain.copy()
    free[rows[:, None], held] = -np.inf
    at = gain[rows[:, None], held]  # (N, k, k + 1) what the item of slot t gains in slot s
    move = at - np.diagonal(at, axis1=1, axis2=2)[:, :, None]  # s takes the item of t
    rounding = 1e-14 * np.abs(at).max(axis=(1, 2), initial=0.0)[:, None]
    # The most that is gained when slot t has lost its item, and the slot that took it.
    reach, taker = np.full((n_rows, k + 1), -np.inf), np.full((n_rows, k + 1), -1)
    reach[:, k] = 0.0
    for _ in range(k):
        by = reach[:, None, :] + move
        better = by.max(axis=2, initial=-np.inf) > reach[:, :k] + rounding
        taker[:, :k] = np.where(better, by.argmax(axis=2), taker[:, :k])
        reach[:, :k] = np.where(better, by.max(axis=2, initial=-np.inf), reach[:, :k])
    slot = (reach + free.max(axis=1)).argmax(axis=1)
    item = free[rows, :, slot].argmax(axis=1)
    filled = np.concatenate([held, np.full((n_rows, 1), -1)], axis=1)
    while len(rows):
        filled[rows, slot], item = item, filled[rows, slot]
        slot = taker[rows, slot]
        goes_on = slot >= 0
        rows, slot, item = rows[goes_on], slot[goes_on], item[goes_on]
    return filled


def best_chain(choice: Choice, goes_on: F64) -> Found:
    """Exact for a shopper who reads from the top and goes on from an item with a probability that is the item's own.

    The page is worth r_1 + q_1 (r_2 + q_2 (...)), r = a * v, q = `goes_on` (N, C). Swapping neighbours i and j changes
    it by the sign of r_i (1 - q_j) - r_j (1 - q_i) whatever stands around them, so any set of items stands best by
    r / (1 - q), the largest first (Kempe and Mahdian, "A cascade model for externalities in sponsored search", 2008,
    who also choose the items by the dynamic programme of `best_in_order`).
    """
    stops = 1.0 - goes_on
    reward = choice.attraction * choice.value
    never_stops = np.select([reward > 0.0, reward < 0.0], [np.inf, -np.inf], 0.0)
    index = np.divide(reward, stops, out=never_stops, where=stops > 0.0)
    return best_in_order(choice, index, goes_on[:, :, None]), choice.all_rows


def best_in_order(choice: Choice, key: F64, goes_on: F64) -> I64:
    """The best items where it is known in which order any set of them stands best: the largest `key` (N, C) first.

    A dynamic programme from the last item to the first: V(i, m), the most that m of the items from i on are worth, is
    the better of V(i + 1, m) and r_i + q_i V(i + 1, m - 1), q_i being the probability to go on from item i in the slot
    where it then stands. Right since q_i is not negative. `goes_on` is (N, C, K) or (N, C, 1).
    """
    n_rows, n_candidates = key.shape
    n_slots, n_shown, rows = choice.n_slots, choice.n_shown, np.arange(n_rows)
    order = np.lexsort((-key, ~choice.here), axis=1)  # stable; holes last
    reward = choice.attraction * choice.value
    slot = np.clip(n_shown[:, None] - np.arange(1, n_slots + 1), 0, n_slots - 1)  # (N, K) with 1..K still to choose
    takes = np.zeros((n_candidates, n_rows, n_slots + 1), dtype=bool)
    best = np.full((n_rows, n_slots + 1), -np.inf)
    best[:, 0] = 0.0
    for i in range(n_candidates - 1, -1, -1):
        item = order[:, i]
        q = goes_on[rows[:, None], item[:, None], slot if goes_on.shape[2] > 1 else 0]  # (N, K)
        possible = np.isfinite(best[:, :-1]) & choice.here[rows, item][:, None]
        taken = np.where(possible, reward[rows, item][:, None] + q * np.where(possible, best[:, :-1], 0.0), -np.inf)
        takes[i, :, 1:] = possible & (taken >= best[:, 1:])
        best[:, 1:] = np.maximum(best[:, 1:], taken)
    slate, left = np.full((n_rows, n_slots), -1), n_shown.copy()
    for i in range(n_candidates):
        took = np.flatnonzero(takes[i, rows, left])
        slate[took, (n_shown - left)[took]] = order[took, i]
        left[took] -= 1
    return slate


def best_share(choice: Choice, weight: F64, no_click: float | F64, prominence: tuple[float, ...]) -> Found:
    """Exact for a choice of one item or none: maximise a ratio by Dinkelbach's method.

    The page is worth sum_k g[k] w[k] v[k] / (no_click + sum_k g[k] w[k]) with prominence g. It is worth more than x
    exactly where sum_k g[k] w[k] (v[k] - x) > no_click * x, and the left side is largest where w * (v - x) and g are
    sorted alike. So take the best page for x, set x to its worth, until x rises no more: then no page is worth more
    than x. Every round has another page, so it ends (Dinkelbach, "On nonlinear fractional programming", 1967; with
    equal slots it is assortment by logit, Rusmevichientong, Shen and Shmoys, 2010). `no_click` may be (N,).
    """
    curve = for_slots("prominence", prominence, choice.n_slots) if prominence else np.ones(choice.n_slots)

    def worth_of(slate: I64) -> F64:
        w = np.where(slate >= 0, np.take_along_axis(weight, np.maximum(slate, 0), axis=1), 0.0) * curve
        ratio: F64 = (w * np.take_along_axis(choice.value, np.maximum(slate, 0), axis=1)).sum(axis=1)
        ratio /= no_click + w.sum(axis=1)
        return ratio

    slate = matched(choice, weight * choice.value, curve)
    worth = worth_of(slate)
    rises = np.ones(len(slate), dtype=bool)
    while rises.any():
        other = matched(choice, weight * (choice.value - worth[:, None]), curve)
        value = worth_of(other)
        rises = value > worth
        slate, worth = np.where(rises[:, None], other, slate), np.where(rises, value, worth)
    return slate, choice.all_rows


def undominated(choice: Choice) -> Bools:
    """(N, C) candidates with fewer than `n_shown` others at least as attractive and at least as valuable.

    Of equal candidates the earlier counts as better.
    """
    a, v = choice.attraction, choice.value
    place = np.arange(a.shape[1])
    above = np.zeros(a.shape, dtype=np.int64)
    for j in range(a.shape[1]):
        as_good = (a >= a[:, j : j + 1]) & (v >= v[:, j : j + 1]) & choice.here
        equal = (a == a[:, j : j + 1]) & (v == v[:, j : j + 1])
        above[:, j] = (as_good & ~(equal & (place >= j))).sum(axis=1)
    return above < choice.n_shown[:, None]

"""A position-based click model for logs without propensities: what a ranking would be clicked, were the model right.

A production ranker that always answers a query alike leaves nothing to weigh by. What is left is a model of clicks:

    P(click on item d at slot k for query q) = examination_k * attraction_{q,d}

(Richardson, Dominowska and Ragno, "Predicting clicks: estimating the click-through rate for new ads", 2007; named so in
Chuklin, Markov and de Rijke, "Click models for web search", 2015). Examination and attraction can only be told apart
where the same item was shown for the same query at several slots. An estimate from it rests on the model alone and is
never trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRIOR = 2.0  # pages' worth of the mean attraction that every pair starts with
STEPS = 200
_STOP = 1e-7  # largest move of an examination at which the steps end


@dataclass(frozen=True)
class ClickLog:
    """Pages with what was shown and clicked.

    Attributes:
        query: Query of each page as a code from 0, (N,).
        item: Item at each slot as a code from 0, (N, K); -1 where the slot is empty.
        click: 0 or 1, (N, K); 0 where the slot is empty.
        cluster: Shopper (or session, or page) of each page, (N,).
        names: What the user calls each item code; the code after the last stands for every item that was never shown.

    Raises:
        UserError: If a click is neither 0 nor 1, or the shapes disagree.
    """

    query: Ints  # (N,)
    item: Ints  # (N, K)
    click: Floats  # (N, K)
    cluster: Ints  # (N,)
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        n_rows = len(self.query)
        if self.item.shape != self.click.shape or self.item.shape[0] != n_rows or self.cluster.shape != (n_rows,):
            raise UserError(
                f"query {self.query.shape}, item {self.item.shape}, click {self.click.shape} and cluster "
                f"{self.cluster.shape} disagree; expected (N,), (N, K), (N, K) and (N,)."
            )
        bad = ~np.isin(self.click, (0.0, 1.0))
        if bad.any():
            row, slot = np.argwhere(bad)[0]
            raise UserError(
                f"log row {row}, slot {slot + 1}: the reward is {self.click[row, slot]:g}; a click model is of clicks, "
                "0 or 1. Name the click column as the reward."
            )

    @property
    def n_items(self) -> int:
        """Codes that an item may have, the one of all that were never shown included."""
        return len(self.names) + 1


@dataclass(frozen=True)
class ClickModel:
    """A fitted position-based model.

    Attributes:
        examination: Chance that a slot is looked at, relative to the first, (K,).
        pair: Sorted codes of the (query, item) pairs that were shown, query * n_items + item.
        attraction: Of each of those pairs.
        prior: Attraction of a pair that was never shown.
        n_items: To make codes with.
    """

    examination: Floats  # (K,)
    pair: Ints  # (P,)
    attraction: Floats  # (P,)
    prior: float
    n_items: int

    def expect(self, query: Ints, item: Ints) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Expected click of each slot, (N, K), and whether its pair was ever shown, (N, K); 0 and True where empty.

        Args:
            query: (N,).
            item: (N, K), -1 for an empty slot.
        """
        code = query[:, None] * self.n_items + np.maximum(item, 0)
        at = np.minimum(np.searchsorted(self.pair, code), len(self.pair) - 1)
        known = self.pair[at] == code
        attraction = np.where(known, self.attraction[at], self.prior)
        empty = item < 0
        return np.where(empty, 0.0, attraction * self.examination), known | empty


def identified(log: ClickLog) -> bool:
    """Whether the log alone tells examination from attraction: pairs shown at several slots link all slots."""
    pair, slot = _shown(log)
    n_slots = log.item.shape[1]
    used = np.unique(slot)
    reached = np.zeros(n_slots, dtype=np.bool_)
    reached[used[0]] = True
    table = np.zeros((pair.max() + 1, n_slots), dtype=np.bool_)
    table[pair, slot] = True
    for _ in range(n_slots):
        reached = reached | table[table[:, reached].any(axis=1)].any(axis=0)
    return bool(reached[used].all())


def fit(log: ClickLog, examination: Floats | None = None) -> ClickModel:
    """Fit by expectation-maximisation, attractions smoothed towards their mean.

    Args:
        log: What was shown and clicked.
        examination: Chances by slot, relative to the first, (K,), where they are known; fitted where None.

    Raises:
        UserError: If no slot was shown, if examination is given and of the wrong shape or range, or if it is not given
            and the log cannot tell it.
    """
    n_slots = log.item.shape[1]
    if not (log.item >= 0).any():
        raise UserError("no page shows any item; a click model needs what was shown at which slot.")
    if examination is not None and (
        examination.shape != (n_slots,) or not ((examination > 0.0) & (examination <= 1.0)).all()
    ):
        raise UserError(
            f"examination is {examination.tolist()}; expected {n_slots} numbers above 0 and at most 1, one a slot."
        )
    if examination is None and not identified(log):
        raise UserError(
            "the log cannot tell how much of a click is the slot and how much the item: hardly any item was shown for "
            "the same query at several slots. Declare examination = [1.0, ...] (one number a slot) in the mapping, "
            "from an experiment that swaps slots, or let the ranker explore."
        )
    return _maximise(log, examination)


def _maximise(log: ClickLog, given: Floats | None) -> ClickModel:
    pair, slot = _shown(log)
    click = log.click[log.item >= 0]
    n_items = log.n_items
    codes = np.unique((log.query[:, None] * n_items + log.item)[log.item >= 0])
    n_slots, n_pairs = log.item.shape[1], len(codes)
    theta = np.full(n_slots, 0.5) if given is None else given  # at 1 a slot would stay at 1
    shown_at = np.maximum(np.bincount(slot, minlength=n_slots), 1)
    mean = float(click.mean()) if click.any() else 0.5 / (len(click) + 1.0)
    alpha = np.full(n_pairs, mean)
    for _ in range(STEPS):
        looked = theta[slot]
        liked = alpha[pair]
        miss = np.maximum(1.0 - looked * liked, 1e-12)
        attracted = click + (1.0 - click) * liked * (1.0 - looked) / miss
        examined = click + (1.0 - click) * looked * (1.0 - liked) / miss
        weight = np.bincount(pair, minlength=n_pairs)
        total = np.bincount(pair, weights=attracted, minlength=n_pairs)
        prior = float(attracted.mean())
        alpha = (total + PRIOR * prior) / (weight + PRIOR)
        if given is not None:
            moved = float(np.abs(alpha[pair] - liked).max())
        else:
            fresh = np.bincount(slot, weights=examined, minlength=n_slots) / shown_at
            moved, theta = float(np.abs(fresh - theta).max()), fresh
        if moved < _STOP:
            break
    top = float(theta.max()) if given is None else 1.0  # only ratios are known: the most looked-at slot is the unit
    return ClickModel(theta / top, codes, np.minimum(alpha * top, 1.0), float(alpha.mean() * top), n_items)


def _shown(log: ClickLog) -> tuple[Ints, Ints]:
    """Pair and slot of everything that was shown, as codes, (S,) each."""
    shown = log.item >= 0
    _, pair = np.unique((log.query[:, None] * log.n_items + log.item)[shown], return_inverse=True)
    slot = np.broadcast_to(np.arange(log.item.shape[1]), log.item.shape)[shown]
    return pair.astype(np.int64), slot.astype(np.int64)

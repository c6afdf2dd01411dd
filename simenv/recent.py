"""What the shop remembers of a shopper item by item: the last clicks, latest first.

Public, as the history is. The history says what is liked in the mean; this says which items, for rankers that look at
items one by one (attention, co-views).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.catalogue import I32

I16 = npt.NDArray[np.int16]
Bools = npt.NDArray[np.bool_]

OLDEST = np.iinfo(np.int16).max  # days; what is older counts as this old


@dataclass(frozen=True)
class Recent:
    """The last L clicks of N shoppers, latest first, (N, L) each. An item clicked twice stands there twice.

    item: ids, -1 behind the first click of a shopper's life. bought: whether the item was bought on the page of the
    click. day: of the click, -1 where there is none.
    """

    item: I32
    bought: Bools
    day: I32

    def age(self, today: I32) -> I16:
        """Days since each click, (N, L); -1 where there is none."""
        age = np.minimum(today[:, None] - self.day, OLDEST)
        return np.where(self.item >= 0, age, -1).astype(np.int16)


def no_recent(n: int, length: int) -> Recent:
    """N shoppers who have not clicked yet."""
    return Recent(
        item=np.full((n, length), -1, dtype=np.int32),
        bought=np.zeros((n, length), dtype=bool),
        day=np.full((n, length), -1, dtype=np.int32),
    )


def after_clicks(recent: Recent, items: I32, clicked: Bools, bought: Bools, day: I32) -> Recent:
    """What is remembered after a page: its clicks before all others, the last clicked place of it first.

    Args:
        recent: Before.
        items: (N, P) on the page, in the order of its places.
        clicked: (N, P).
        bought: (N, P).
        day: (N,) of the page.
    """
    length = recent.item.shape[1]
    rows = np.flatnonzero(clicked.any(axis=1))
    if not length or not len(rows):
        return recent

    def joined(new: npt.NDArray[np.generic], old: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        made = np.concatenate([new[rows, ::-1], old[rows]], axis=1)
        after = old.copy()
        after[rows] = np.take_along_axis(made, kept, axis=1)
        return after

    counts = np.concatenate([clicked[rows, ::-1], np.ones((len(rows), length), dtype=bool)], axis=1)
    kept = np.argsort(~counts, axis=1, kind="stable")[:, :length]
    days = np.broadcast_to(day[:, None], items.shape)
    return Recent(
        item=joined(items, recent.item).astype(np.int32, copy=False),
        bought=joined(bought, recent.bought).astype(bool, copy=False),
        day=joined(days, recent.day).astype(np.int32, copy=False),
    )

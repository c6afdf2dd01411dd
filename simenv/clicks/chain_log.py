"""A log as the likelihood of a chain needs it: what is known of its pages, and what is hidden.

Down to the last click everything about a page is known; what is hidden is how far below it the shopper read. Pages
whose last click is in the same slot stand together, as columns over pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class AfterClick(Enum):
    """What decides whether a shopper reads on after a click."""

    STOP = "nothing: they never do"
    SLOT = "a probability of the slot"
    ITEM = "whether the item satisfied, and the continuation"


@dataclass(frozen=True)
class Tails:
    """Pages on which it is hidden how far below slot `last` (-1: no click at all) the shopper read; n of them.

    documents: (L, n) below the last click, D for a slot whose attraction is 0. clicked: (n,) the last clicked document.
    """

    last: int
    documents: I64
    clicked: I64


@dataclass(frozen=True)
class Chain:
    """A log as a chain's likelihood needs it; D documents. Known counts and hidden tails.

    tires: whether the chance to go on without a click is a parameter; it is 1 otherwise.
    clicks, skips, passes: (D,) times clicked; seen for certain and not clicked; clicked and read past for certain.
    passes_at: (K,) clicks at a slot that were read past for certain. n_skips: times somebody went on without a click.
    n_ends: (K,) pages with the last click at a slot.
    """

    after_click: AfterClick
    tires: bool
    n_slots: int
    n_documents: int
    clicks: F64
    skips: F64
    passes: F64
    passes_at: F64
    n_skips: float
    tails: tuple[Tails, ...]

    @property
    def n_global(self) -> int:
        """Continuation without a click where the shopper tires, and after a click at each slot but the last."""
        return int(self.tires) + (self.n_slots - 1 if self.after_click is AfterClick.SLOT else 0)


def read_chain(
    documents: I64, clicks: npt.NDArray[np.bool_], n_documents: int, after_click: AfterClick, tires: bool
) -> Chain:
    """Sort a log by what is known and what is hidden.

    Args:
        documents: (N, K) numbers from 0 to D; D marks a slot whose attraction is 0.
        clicks: (N, K).
        n_documents: D.
        after_click: What decides after a click.
        tires: Whether people may stop without a click.
    """
    n_slots = clicks.shape[1]
    last = np.where(clicks.any(axis=1), n_slots - 1 - clicks[:, ::-1].argmax(axis=1), -1)
    slots = np.arange(n_slots)
    above = slots < last[:, None]
    seen = slots <= last[:, None]
    tails = []
    for slot in range(-1, n_slots - 1):
        rows = np.flatnonzero(last == slot)
        hidden = tires if slot < 0 else after_click is not AfterClick.STOP
        if len(rows) and hidden:
            below = np.ascontiguousarray(documents[rows, slot + 1 :].T)
            tails.append(Tails(slot, below, documents[rows, max(slot, 0)]))
        elif len(rows) and slot < 0:
            seen[rows] = True
            above[rows] = slots < n_slots - 1
    size = n_documents + 1

    def count(where: npt.NDArray[np.bool_]) -> F64:
        return np.bincount(documents[where], minlength=size)[:n_documents].astype(np.float64)

    return Chain(
        after_click=after_click,
        tires=tires,
        n_slots=n_slots,
        n_documents=n_documents,
        clicks=count(clicks),
        skips=count(seen & ~clicks),
        passes=count(above & clicks),
        passes_at=(above & clicks).sum(axis=0).astype(np.float64),
        n_skips=float((above & ~clicks).sum()),
        tails=tuple(tails),
    )

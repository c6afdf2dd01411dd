"""What a learner that trains in rounds keeps of the past: a bounded, even sample of all searches it was told of.

Every search has a key hashed from its name; kept are those with the smallest keys. That is a uniform sample of the
searches without repeats, whatever their order and their batches, and it is the same again when the run is repeated.
Only what learning needs is kept: features, rewards, gains and what was shown; pages only for networks that embed ids.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policies.examples import Examples
from policies.kernels.feedback import first_deliveries
from simenv import hashing
from simenv.columns import join, take
from simenv.errors import UserError

SLACK = 1.25  # over the bound, before what is too much is thrown away


class Replay:
    """A sample of at most `memory` searches.

    Attributes:
        n_seen: How many different searches were offered.
        delivered: (n_seen,) the names of those that had one, sorted.
    """

    def __init__(self, memory: int, seed: int, with_pages: bool = False) -> None:
        """Empty; `memory` in searches, `seed` of which are kept.

        Raises:
            UserError: for a memory of nothing.
        """
        if memory < 1:
            raise UserError(f"memory is {memory}; expected the number of searches to keep, 1 or more.")
        self.memory, self.seed, self.n_seen, self.with_pages = memory, seed, 0, with_pages
        self.delivered = np.empty(0, dtype=np.uint64)
        self._parts: list[Examples] = []

    def add(self, examples: Examples) -> Examples:
        """Take searches in; returns those that are new, without what is not kept and under the keys they have here."""
        if examples.id is not None:
            new = first_deliveries(examples.id, self.delivered)
            self.delivered = np.union1d(self.delivered, examples.id)
            examples = examples if new.all() else take(examples, new)
        key = _keys(examples, self.n_seen, self.seed)
        light = Examples(
            examples.features,
            examples.reward,
            examples.shown,
            item=examples.item,
            id=key,
            gain=examples.gain,
            page=examples.page if self.with_pages else None,
        )
        self.n_seen += len(light)
        if len(light):
            self._parts.append(light)
        if sum(map(len, self._parts)) > SLACK * self.memory:
            self.kept()
        return light

    def kept(self) -> Examples | None:
        """What is kept, in the order of the keys; None where nothing was seen."""
        if not self._parts:
            return None
        whole = join(self._parts)
        key = _key(whole)
        if len(whole) > self.memory or (key[1:] < key[:-1]).any():
            whole = take(whole, np.argsort(key, kind="stable")[: self.memory])
        self._parts = [whole]
        return whole

    def scale(self) -> float:
        """How many searches one that is kept stands for."""
        return self.n_seen / max(1, min(self.n_seen, self.memory))


def _keys(examples: Examples, n_before: int, seed: int) -> npt.NDArray[np.uint64]:
    """Keys by name; searches without names are told apart by when they came."""
    if examples.id is not None:
        return hashing.absorb(hashing.stream(seed, "replay"), examples.id)
    return hashing.absorb(hashing.stream(seed, "replay, nameless"), n_before + np.arange(len(examples)))


def _key(examples: Examples) -> npt.NDArray[np.uint64]:
    if examples.id is None:  # not where they come from `add`
        raise UserError("kept searches have no keys.")
    return examples.id

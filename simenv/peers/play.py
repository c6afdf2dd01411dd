"""Playing users of a peer's market to the end of their lives under a ranker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simenv import hashing
from simenv.columns import take
from simenv.peers.peer_world import F64, I64, PeerWorld
from simenv.peers.rankers import Ranker, best

BLOCK = 4096  # users that are in memory at once


@dataclass(frozen=True)
class Lives:
    """What became of U users, in the order asked for.

    returns: (U,) sum of rewards. steps: (U,) pages seen.
    """

    returns: F64
    steps: I64

    @property
    def mean(self) -> float:
        """Mean return per user."""
        return float(self.returns.mean())

    @property
    def stderr(self) -> float:
        """Standard error of the mean; users are independent."""
        return float(self.returns.std(ddof=1) / np.sqrt(len(self.returns)))


def play(world: PeerWorld[Any], ranker: Ranker, seed: int, users: I64, ranker_seed: int | None = None) -> Lives:
    """Play users until each has left or reached the horizon.

    Args:
        world: The market, on the backend that is given; `world.fastest()` for the quickest.
        ranker: Who ranks.
        seed: The users' luck. Two rankers under one seed face the same users with the same luck.
        users: (U,) distinct ids, at least two for a standard error.
        ranker_seed: The ranker's own luck; by default `seed`, under a stream that no market uses.

    Returns:
        Whole lives, so that no long one is missing.
    """
    luck = hashing.absorb(hashing.stream(seed if ranker_seed is None else ranker_seed, "peer ranker"), users)
    returns, steps = np.zeros(len(users)), np.zeros(len(users), dtype=np.int64)
    for first in range(0, len(users), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(users)))
        state, step = world.begin(seed, users[rows]), 0
        while len(rows):
            known = world.truth(state) if ranker.sees_truth else None
            scores = ranker.scores(world.observe(state), hashing.absorb(luck[rows], step), known)
            state, outcome = world.step(state, best(scores, world.n_slots))
            step += 1
            returns[rows] += outcome.reward
            steps[rows] = step
            stay = ~(outcome.terminated | outcome.truncated)
            if not stay.all():
                rows, state = rows[stay], take(state, stay)
    return Lives(returns, steps)

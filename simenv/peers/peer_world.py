"""What a peer's market owes to those who play it: `begin`, `observe`, `step`, and the hidden truth about candidates.

A row is one user, and a user lives for one episode. Every draw is hashed from (seed, stream, user id, step, candidate
or slot), so that a life depends neither on the batch nor on who plays beside it, and two rankers can face the same
users with the same luck. Worlds are frozen dataclasses: their fields are all there is to a market but its luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from simenv import hashing
from simenv.errors import UserError

Observation = dict[str, npt.NDArray[Any]]
Slates = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

S = TypeVar("S")

INT_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Outcome:
    """What came of a slate. Arrays (N,) unless said.

    reward: float64. expected: its exact expectation given state and slate; hidden truth.
    terminated: the user left. truncated: the user would have stayed, but the horizon is reached.
    told: what is public of the response, by name, arrays of N rows.
    """

    reward: F64
    expected: F64
    terminated: Bools
    truncated: Bools
    told: dict[str, npt.NDArray[Any]]


class PeerWorld(Protocol[S]):
    """A market of a peer; `S` is its state, a frozen dataclass of arrays with N rows.

    Attributes:
        n_candidates: C, candidates on every page.
        n_slots: K, slots of a slate.
    """

    @property
    def n_candidates(self) -> int:
        """See the attributes."""

    @property
    def n_slots(self) -> int:
        """See the attributes."""

    def observation_space(self) -> spaces.Dict:
        """The space of one row of what `observe` returns."""

    def begin(self, seed: int, users: I64) -> S:
        """Let users (N,) arrive. The seed is their luck; the same user under the same seed lives the same life."""

    def observe(self, state: S) -> Observation:
        """What a ranker may see: new arrays of N rows, which the caller may overwrite."""

    def step(self, state: S, slate: Slates) -> tuple[S, Outcome]:
        """Show slates (N, K) of candidate positions, best first; a slot is empty as `filled_slots` says.

        The inputs stay as they are. The next state is meaningless in rows whose life is over.
        """

    def truth(self, state: S) -> F64:
        """Hidden: (N, C), what each candidate is worth at once; each world says in which unit."""

    def fastest(self) -> PeerWorld[S]:
        """The same market on the quickest backend that is installed; itself where there is but one."""


def filled_slots(slate: Slates, n_candidates: int) -> Bools:
    """Which slots of (N, K) show something: not those out of range, nor those that repeat a position higher up."""
    filled: Bools = (slate >= 0) & (slate < n_candidates)
    for k in range(1, slate.shape[1]):
        for above in range(k):
            filled[:, k] &= slate[:, k] != slate[:, above]
    return filled


def uniforms(key: hashing.Keys, draw: int, names: npt.NDArray[np.integer[Any]]) -> F64:
    """Uniforms (N, M) for the draws of one kind, named by candidates or slots (M,) or (N, M)."""
    return hashing.uniform(hashing.absorb(hashing.absorb(key, draw)[:, None], names))


def check_sizes(n_candidates: int, n_slots: int) -> None:
    """Refuse sizes that make no page.

    Raises:
        UserError: unless 1 <= n_slots <= n_candidates.
    """
    if not 1 <= n_slots <= n_candidates:
        raise UserError(
            f"a slate of {n_slots} from {n_candidates} candidates; expected 1 <= n_slots <= n_candidates, since a "
            "slate shows nothing twice."
        )

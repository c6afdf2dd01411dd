"""RecoGym: what users look at by themselves, and what they click when it is recommended.

A user alternates between organic sessions, in which they view products of their own accord, and bandit sessions, in
which each step shows one recommended product. Both follow from one hidden taste, so that organic behaviour is evidence
for recommendation; how good evidence is a parameter.

Source: Rohde, Bonner, Dunlop, Vasile and Karatzoglou, "RecoGym: a reinforcement learning environment for the problem of
product recommendation in online advertising", 2018; released code 0.1.3.0, the defaults of reco-gym-v1.

What the peer got wrong, and what is different here:

- It ignores `prob_leave_bandit`: set to 0.9, users go on leaving after 1% of the ads. Here `leave_bandit` is what it
  says.
- A user may leave before the first ad; then an episode is over before it began. Here a life begins at the first ad, and
  the first organic session is drawn given that it comes to one.
- Steps with no ad give the reward None, and observations are lists of any length; here every step is an ad with a
  number for its reward, and organic views are counts.
- Its logs have room for 65,535 users, and one generator serves everybody, so that one more view changes the luck of all
  who come later; here draws are hashed from user, event and product.

As in the peer, a click always leads to an organic session: who clicks does not leave on that very step.

Question: how far do organic views carry a recommender, and how far do they mislead when clicks follow other products?
Finding, in clicks per ad over eight catalogues of 10 products (standard errors 0.0003 to 0.001): random 0.0104, the
oracle 0.0196 (the peer itself: 0.0110 and 0.0204), the product that the user viewed most 0.0194. With `n_flips=5`, all
responses swapped between likest products, the most viewed earns 0.0114, little more than random.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from gymnasium import spaces

from simenv import hashing
from simenv.columns import join, overwrite, take
from simenv.errors import UserError
from simenv.peers.peer_world import (
    F32,
    F64,
    I32,
    I64,
    INT_LIMIT,
    Bools,
    Observation,
    Outcome,
    PeerWorld,
    Slates,
    filled_slots,
)


class Draw(IntEnum):
    """The streams of one event."""

    CLICK, MOVE, DRIFT, VIEW = range(4)


@dataclass(frozen=True)
class State:
    """Where N users are. The views are public, the rest hidden."""

    key: hashing.Keys  # (N,)
    user: I64  # (N,)
    event: I32  # (N,) views and ads so far
    taste: F32  # (N, F)
    views: I32  # (N, P) organic views so far
    session_views: I32  # (N, P) those since the last ad
    gone: Bools  # (N,)


@dataclass(frozen=True)
class RecoGym:
    """The market's parameters, and its physics.

    Products have factors G ~ N(0, 1)^(P, F) and popularity m ~ N(0, popularity_sd^2), drawn from `catalogue_seed`;
    users have a taste w ~ N(0, taste_sd^2)^F. An organic view is of product p with probability softmax(G w + m)_p. An
    ad for p is clicked with probability sig(5 sig(2 sig(0.3 x) - 2) - 6), x = (B w + b)_p, where B and b are G and m
    with the `n_flips` likest pairs of products swapped. After an organic view the user goes to ads with probability
    `organic_to_bandit` or leaves with `leave_organic`; after an ad to organic views with `bandit_to_organic`, or leaves
    with `leave_bandit`; a click leads to organic views in any case. At each move to an organic view, taste takes a step
    N(0, drift_sd^2).

    Candidates are the whole catalogue; a slate is one product.
    """

    n_candidates: int = 10
    n_factors: int = 5
    n_flips: int = 0
    organic_to_bandit: float = 0.25
    leave_organic: float = 0.01
    bandit_to_organic: float = 0.05
    leave_bandit: float = 0.01
    taste_sd: float = 1.0
    drift_sd: float = 0.1
    popularity_sd: float = 3.0
    catalogue_seed: int = 0

    def __post_init__(self) -> None:
        """Check what could not be played.

        Raises:
            UserError: for an empty catalogue, more swaps than pairs, no probabilities, or users who would never leave.
        """
        if self.n_candidates < 1 or not 0 <= 2 * self.n_flips <= self.n_candidates:
            raise UserError(
                f"{self.n_candidates} products and n_flips {self.n_flips}; expected at least 1, and one swap each."
            )
        for name, total in (
            ("organic_to_bandit + leave_organic", self.organic_to_bandit + self.leave_organic),
            ("bandit_to_organic + leave_bandit", self.bandit_to_organic + self.leave_bandit),
        ):
            if not 0.0 <= total <= 1.0:
                raise UserError(f"{name} is {total}; expected a probability.")
        if self.organic_to_bandit <= 0.0 or max(self.leave_organic * self.bandit_to_organic, self.leave_bandit) <= 0.0:
            raise UserError("organic_to_bandit must be positive and there must be a way to leave.")

    @property
    def n_slots(self) -> int:
        """One product a slate."""
        return 1

    @cached_property
    def factors(self) -> F64:
        """(P, F + 1) what organic views follow: G, and m as the last column. Hidden."""
        key = hashing.absorb(hashing.stream(self.catalogue_seed, "recogym products"), np.arange(self.n_candidates))
        made = hashing.normal(hashing.absorb(key[:, None], np.arange(self.n_factors + 1)))
        made[:, -1] *= self.popularity_sd
        return made

    @cached_property
    def responses(self) -> F64:
        """(P, F + 1) what clicks follow: B, and b as the last column. Hidden."""
        g = self.factors[:, :-1]
        likeness = np.einsum("pf,qf->pq", g, g)
        index, free = np.arange(len(g)), np.ones(len(g), dtype=bool)
        pairs = np.stack(np.triu_indices(len(g), 1), axis=1)
        flips = 0
        for p, q in pairs[np.argsort(-likeness[pairs[:, 0], pairs[:, 1]], kind="stable")]:
            if flips == self.n_flips:
                break
            if free[p] and free[q]:
                index[p], index[q], free[p], free[q] = q, p, False, False
                flips += 1
        return self.factors[index]

    def observation_space(self) -> spaces.Dict:
        """Organic views by product (P,), so far and since the last ad."""
        counts = spaces.Box(0, INT_LIMIT, (self.n_candidates,), np.int32)
        return spaces.Dict({"session_views": counts, "views": counts})

    def begin(self, seed: int, users: I64) -> State:
        """See `PeerWorld.begin`: an organic session that comes to an ad."""
        own = hashing.absorb(hashing.stream(seed, "recogym user"), users)
        n = len(users)
        taste = self.taste_sd * hashing.normal(hashing.absorb(own[:, None], np.arange(self.n_factors)))
        state = State(
            key=hashing.absorb(hashing.stream(seed, "recogym event"), users),
            user=np.asarray(users, dtype=np.int64),
            event=np.zeros(n, dtype=np.int32),
            taste=taste.astype(np.float32),
            views=np.zeros((n, self.n_candidates), dtype=np.int32),
            session_views=np.zeros((n, self.n_candidates), dtype=np.int32),
            gone=np.zeros(n, dtype=bool),
        )
        return self._organic(state, np.ones(n, dtype=bool), may_leave=False)

    def observe(self, state: State) -> Observation:
        """See `PeerWorld.observe`."""
        return {"session_views": state.session_views.copy(), "views": state.views.copy()}

    def step(self, state: State, slate: Slates) -> tuple[State, Outcome]:
        """See `PeerWorld.step`. Told: `clicked` (N, 1)."""
        key, row = hashing.absorb(state.key, state.event), np.arange(len(state.user))
        filled = filled_slots(slate, self.n_candidates)[:, 0]
        product = np.where(filled, slate[:, 0], 0)
        ctr = np.where(filled, self.truth(state)[row, product], 0.0)
        clicked = hashing.uniform(hashing.absorb(hashing.absorb(key, Draw.CLICK), product)) < ctr
        u = hashing.uniform(hashing.absorb(key, Draw.MOVE))
        moves = u < self.bandit_to_organic
        leaves = ~moves & (u < self.bandit_to_organic + self.leave_bandit) & ~clicked
        after = dataclasses.replace(
            state,
            event=state.event + np.int32(1),
            taste=np.where(moves[:, None], self._drifted(key, state.taste), state.taste),
            session_views=np.zeros_like(state.session_views),
            gone=leaves,
        )
        after = self._organic(after, moves | clicked, may_leave=True)
        outcome = Outcome(
            reward=clicked.astype(np.float64),
            expected=ctr,
            terminated=after.gone.copy(),
            truncated=np.zeros(len(row), dtype=bool),
            told={"clicked": clicked[:, None].copy()},
        )
        return after, outcome

    def truth(self, state: State) -> F64:
        """See `PeerWorld.truth`: the click probability of an ad for each product."""
        x = _affinity(state.taste, self.responses)
        return _sigmoid(5.0 * _sigmoid(2.0 * _sigmoid(0.3 * x) - 2.0) - 6.0)

    def fastest(self) -> PeerWorld[State]:
        """See `PeerWorld.fastest`: numpy only."""
        return self

    def _organic(self, state: State, rows: Bools, may_leave: bool) -> State:
        """An organic session for the chosen rows, view by view, until each comes to an ad or leaves."""
        where = np.flatnonzero(rows)
        if not len(where):
            return state
        playing, ended, at = take(state, where), [], []
        to_ads = self.organic_to_bandit if may_leave else self.organic_to_bandit + self.leave_organic
        while len(where):
            key = hashing.absorb(playing.key, playing.event)
            product = self._viewed(key, playing.taste)
            seen = (product[:, None] == np.arange(self.n_candidates)).astype(np.int32)
            u = hashing.uniform(hashing.absorb(key, Draw.MOVE))
            stays = u >= self.organic_to_bandit + self.leave_organic
            playing = dataclasses.replace(
                playing,
                event=playing.event + np.int32(1),
                taste=np.where(stays[:, None], self._drifted(key, playing.taste), playing.taste),
                views=playing.views + seen,
                session_views=playing.session_views + seen,
                gone=~stays & (u >= to_ads),
            )
            at.append(where[~stays])
            ended.append(take(playing, ~stays))
            where, playing = where[stays], take(playing, stays)
        return overwrite(state, np.concatenate(at), join(ended))

    def _viewed(self, key: hashing.Keys, taste: F32) -> I64:
        affinity = _affinity(taste, self.factors)
        reach = np.cumsum(np.exp(affinity - affinity.max(axis=1, keepdims=True)), axis=1)
        aim = hashing.uniform(hashing.absorb(key, Draw.VIEW)) * reach[:, -1]
        product: I64 = np.minimum((reach <= aim[:, None]).sum(axis=1), self.n_candidates - 1)
        return product

    def _drifted(self, key: hashing.Keys, taste: F32) -> F32:
        names = hashing.absorb(hashing.absorb(key, Draw.DRIFT)[:, None], np.arange(self.n_factors))
        return (taste + self.drift_sd * hashing.normal(names)).astype(np.float32)


def _affinity(taste: F32, products: F64) -> F64:
    """(N, P) inner products plus the last column, summed factor by factor so that no batch size changes a bit."""
    total = np.broadcast_to(products[:, -1], (len(taste), len(products))).copy()
    for f in range(taste.shape[1]):
        total += taste[:, f, None] * products[:, f]
    return total


def _sigmoid(x: F64) -> F64:
    made: F64 = 1.0 / (1.0 + np.exp(-x))
    return made

"""Long-term satisfaction: RecSim's "choc and kale" market.

A user consumes one document a page for a fixed time. Clickbait engages now and sours the user; its opposite engages
less and builds satisfaction, which multiplies every later engagement. Satisfaction is hidden and shows in engagement
only.

Source: Ie, Hsu, Mladenov, Jain, Narvekar, Wang, Wu and Boutilier, "RecSim: a configurable simulation platform for
recommender systems", 2019; after Mladenov, Meshi, Ooi, Schuurmans and Boutilier, "Advantage amplification in slowly
evolving latent-state environments", 2019. Released code 0.2.4, whose defaults these are.

What the peer got wrong, and what is different here:

- Its documentation adds 2 (c - 1/2) to the user's exposure, its code subtracts it. The code is right: clickbait sours.
- Its environment ignores the seed that it is given, and the noise comes from numpy's global generator; here draws are
  hashed from the user's id, the step, and the candidate where it is the candidate's.
- The user always consumes the first document, so a slate is no more than its first slot, which only a comment in the
  code says. Here too: the first slot that is not empty.
- It reports engagement cut at 100 to the ranker and rewards the uncut one. Here too: the observation is bounded.
- Its defaults hold no dilemma, though one is announced: at sensitivity 0.01 satisfaction moves between 0.49 and 0.51
  alone, and the most clickbait is the best policy. `sensitivity=0.1` makes the trade-off that the story tells.

Question: when does a ranker that maximises engagement now lose engagement later?
Finding, in engagement per user with 20 candidates: at the published sensitivity never (most clickbait 1,136, random
941, least 770); at 0.1 always (most 832, random 944, least 997). Half-widths of 95% intervals are 6 to 8.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from gymnasium import spaces

from simenv import hashing
from simenv.errors import UserError
from simenv.peers.peer_world import (
    F32,
    F64,
    I32,
    I64,
    Observation,
    Outcome,
    PeerWorld,
    Slates,
    check_sizes,
    filled_slots,
    uniforms,
)

SEEN_ENGAGEMENT = 100.0  # the most that a ranker is told of


class Draw(IntEnum):
    """The streams of one page."""

    CLICKBAIT, ENGAGEMENT, INNOVATION = range(3)


@dataclass(frozen=True)
class State:
    """Where N users are. `exposure` is hidden; what was consumed last is public, 0 before anything was."""

    key: hashing.Keys  # (N,)
    user: I64  # (N,)
    step: I32  # (N,) pages seen
    exposure: F64  # (N,) net positive exposure
    last_clickbait: F32  # (N,)
    last_engagement: F32  # (N,)


@dataclass(frozen=True)
class LongTermSatisfaction:
    """The market's parameters, and its physics.

    A document has clickbait c ~ U(0, 1). Satisfaction is s = sigmoid(sensitivity * exposure). Consuming engages by a
    log-normal e with log e ~ N((c * choc_mean + (1 - c) * kale_mean) * s, (c * choc_sd + (1 - c) * kale_sd)^2), which
    is the reward; then exposure = memory * exposure - 2 (c - 1/2) + N(0, innovation_sd^2). Exposure starts uniform in
    +-1/2 / (1 - memory). The user leaves after `n_steps` pages. Candidates are drawn afresh for every page.
    """

    n_candidates: int = 20
    n_slots: int = 2
    n_steps: int = 60
    memory: float = 0.7
    sensitivity: float = 0.01
    innovation_sd: float = 0.05
    choc_mean: float = 5.0
    choc_sd: float = 1.0
    kale_mean: float = 4.0
    kale_sd: float = 1.0

    def __post_init__(self) -> None:
        """Check what could not be played.

        Raises:
            UserError: for sizes that make no page, no steps, or a memory that never fades.
        """
        check_sizes(self.n_candidates, self.n_slots)
        if self.n_steps < 1 or not 0.0 <= self.memory < 1.0:
            raise UserError(
                f"n_steps is {self.n_steps} and memory {self.memory}; expected at least 1, and 0 <= memory < 1."
            )

    def observation_space(self) -> spaces.Dict:
        """Clickbait of the candidates (C,), and clickbait and engagement of what was consumed last."""
        return spaces.Dict(
            {
                "clickbait": spaces.Box(0.0, 1.0, (self.n_candidates,), np.float32),
                "last_clickbait": spaces.Box(0.0, 1.0, (), np.float32),
                "last_engagement": spaces.Box(0.0, SEEN_ENGAGEMENT, (), np.float32),
            }
        )

    def begin(self, seed: int, users: I64) -> State:
        """See `PeerWorld.begin`."""
        own = hashing.absorb(hashing.stream(seed, "long-term-satisfaction user"), users)
        n = len(users)
        return State(
            key=hashing.absorb(hashing.stream(seed, "long-term-satisfaction page"), users),
            user=np.asarray(users, dtype=np.int64),
            step=np.zeros(n, dtype=np.int32),
            exposure=(hashing.uniform(own) - 0.5) / (1.0 - self.memory),
            last_clickbait=np.zeros(n, dtype=np.float32),
            last_engagement=np.zeros(n, dtype=np.float32),
        )

    def observe(self, state: State) -> Observation:
        """See `PeerWorld.observe`."""
        return {
            "clickbait": self._clickbait(state),
            "last_clickbait": state.last_clickbait.copy(),
            "last_engagement": state.last_engagement.copy(),
        }

    def step(self, state: State, slate: Slates) -> tuple[State, Outcome]:
        """See `PeerWorld.step`. Told: `clicked` (N, K) and `engagement` (N,). An empty slate costs a page of time."""
        key, row = hashing.absorb(state.key, state.step), np.arange(len(state.user))
        filled = filled_slots(slate, self.n_candidates)
        slot = filled.argmax(axis=1)
        consumes = filled[row, slot]
        position = np.where(consumes, slate[row, slot], 0)
        clickbait = uniforms(key, Draw.CLICKBAIT, position[:, None])[:, 0].astype(np.float32)
        mean, spread = self._log_engagement(state, clickbait)
        luck = hashing.normal(hashing.absorb(hashing.absorb(key, Draw.ENGAGEMENT), position))
        engagement = np.where(consumes, np.exp(mean + spread * luck), 0.0)
        innovation = self.innovation_sd * hashing.normal(hashing.absorb(key, Draw.INNOVATION))
        exposure = self.memory * state.exposure - 2.0 * (clickbait.astype(np.float64) - 0.5) + innovation
        after = dataclasses.replace(
            state,
            step=state.step + np.int32(1),
            exposure=np.where(consumes, exposure, state.exposure),
            last_clickbait=np.where(consumes, clickbait, state.last_clickbait),
            last_engagement=np.minimum(engagement, SEEN_ENGAGEMENT).astype(np.float32),
        )
        outcome = Outcome(
            reward=engagement,
            expected=np.where(consumes, np.exp(mean + spread**2 / 2.0), 0.0),
            terminated=after.step >= self.n_steps,
            truncated=np.zeros(len(row), dtype=bool),
            told={
                "clicked": consumes[:, None] & (slot[:, None] == np.arange(self.n_slots)),
                "engagement": engagement.copy(),
            },
        )
        return after, outcome

    def truth(self, state: State) -> F64:
        """See `PeerWorld.truth`: the expected engagement with each candidate."""
        mean, spread = self._log_engagement(state, self._clickbait(state))
        return np.exp(mean + spread**2 / 2.0)

    def fastest(self) -> PeerWorld[State]:
        """See `PeerWorld.fastest`: numpy only."""
        return self

    def _clickbait(self, state: State) -> F32:
        key = hashing.absorb(state.key, state.step)
        return uniforms(key, Draw.CLICKBAIT, np.arange(self.n_candidates)).astype(np.float32)

    def _log_engagement(self, state: State, clickbait: F32) -> tuple[F64, F64]:
        """Mean and standard deviation of the logarithm of engagement with documents (N,) or (N, C)."""
        satisfaction = 1.0 / (1.0 + np.exp(-self.sensitivity * state.exposure))
        c = clickbait.astype(np.float64)
        mean = (c * self.choc_mean + (1.0 - c) * self.kale_mean) * satisfaction.reshape(-1, *[1] * (c.ndim - 1))
        return mean, c * self.choc_sd + (1.0 - c) * self.kale_sd

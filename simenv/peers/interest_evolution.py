"""Interest evolution: RecSim's video market, the environment of SlateQ.

A user with hidden time watches videos. Each page offers C videos, each of one of T topics; the low topics are trash on
average and the high ones are worth the time. The user picks at most one of the slate in proportion to interest, watches
it, becomes keener on its topic or tires of it, and gets time back in the measure of the video's quality.

Source: Ie, Hsu, Mladenov, Jain, Narvekar, Wang, Wu and Boutilier, "RecSim: a configurable simulation platform for
recommender systems", 2019, and Ie and others, "SlateQ: a tractable decomposition for reinforcement learning with
recommendation sets", 2019; released code 0.2.4, whose defaults these are.

What the peer got wrong, and what is different here:

- Its choices and its changes of interest come from numpy's global generator, so that a seed does not fix a run; here
  every draw is hashed from the user's id and the step.
- It plays one user at a time, some 1,500 pages a second at 100 candidates.
- It accepts a slate of copies of one video, which multiplies that video's weight; here a repeat leaves its slot empty.
- It ships no oracle, so that nobody saw how far the published policies (at best 174.6) are from what is possible.
- It tells the quality of every video shown; here that of the video watched alone, since nothing else was experienced.

Question: how much does planning beat the myopic ranking by interest, when what people like is not what keeps them?
Finding, at 10 candidates and 3 slots, in minutes watched per user: random 160, myopic 168, and 265 for the plain
ranking by topic, as much as for an oracle that sees each video's quality. Most of SlateQ's problem is one public
number.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
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
)

MAX_TOPICS = 127  # ids are int8
CHUNK = 2**14  # documents hashed at once: what a core's own cache holds


class Draw(IntEnum):
    """The streams of one page."""

    TOPIC, QUALITY, CHOICE, FLIP = range(4)


@dataclass(frozen=True)
class State:
    """Where N users are. `interest` is public, the rest hidden."""

    key: hashing.Keys  # (N,) the user's luck
    user: I64  # (N,)
    step: I32  # (N,) pages seen
    interest: F32  # (N, T) in [-1, 1]
    budget: F64  # (N,) minutes left


@dataclass(frozen=True)
class InterestEvolution:
    """The market's parameters, and its physics in numpy.

    A video of topic t has quality q ~ N(mu_t, quality_spread); mu rises linearly from -quality_range to 0 over the
    first `trash_share` of the topics, and from 0 to quality_range over the others. With interests u, the user takes
    slot i with probability proportional to u[t_i] + 1, and nothing with no_click_mass + 1. Watching lasts
    w = min(budget, video_length), which is the reward, and budget += -w + extension * w * q; taking nothing costs
    `no_click_cost`. Interest in the topic watched moves by a * (1 - u[t]), a = drift * (1 - |u[t]|): up with
    probability (u[t] + 1) / 2, else down, and stays within [-1, 1]. The user leaves when the budget is spent.

    Candidates are drawn afresh for every page.
    """

    n_candidates: int = 10
    n_slots: int = 3
    n_topics: int = 20
    trash_share: float = 0.7
    quality_range: float = 3.0
    quality_spread: float = 0.1
    video_length: float = 4.0
    budget: float = 200.0
    extension: float = 0.9 / 3.4
    no_click_mass: float = 1.0
    no_click_cost: float = 0.5
    drift: float = 0.3

    def __post_init__(self) -> None:
        """Check what could not be played.

        Raises:
            UserError: for sizes that make no page, more topics than ids, or users who would never leave.
        """
        check_sizes(self.n_candidates, self.n_slots)
        if not 1 <= self.n_topics <= MAX_TOPICS:
            raise UserError(f"n_topics is {self.n_topics}; expected 1 to {MAX_TOPICS}.")
        if min(self.no_click_cost, self.video_length, self.budget) <= 0 or self.no_click_mass < -1:
            raise UserError(
                "no_click_cost, video_length and budget must be positive and no_click_mass at least -1, or somebody "
                "would never leave."
            )

    @cached_property
    def topic_quality(self) -> F64:
        """(T,) mean quality of each topic."""
        n_trash = int(self.n_topics * self.trash_share)
        trash = np.linspace(-self.quality_range, 0.0, n_trash)
        return np.concatenate([trash, np.linspace(0.0, self.quality_range, self.n_topics - n_trash)])

    def observation_space(self) -> spaces.Dict:
        """Topics (C,) int8, the public feature of the candidates; interests (T,) float32."""
        return spaces.Dict(
            {
                "interest": spaces.Box(-1.0, 1.0, (self.n_topics,), np.float32),
                "topic": spaces.Box(0, self.n_topics - 1, (self.n_candidates,), np.int8),
            }
        )

    def begin(self, seed: int, users: I64) -> State:
        """See `PeerWorld.begin`: interests are uniform in [-1, 1)."""
        own = hashing.absorb(hashing.stream(seed, "interest-evolution user"), users)
        u = hashing.uniform(hashing.absorb(own[:, None], np.arange(self.n_topics)))
        return State(
            key=hashing.absorb(hashing.stream(seed, "interest-evolution page"), users),
            user=np.asarray(users, dtype=np.int64),
            step=np.zeros(len(users), dtype=np.int32),
            interest=(2.0 * u - 1.0).astype(np.float32),
            budget=np.full(len(users), self.budget),
        )

    def observe(self, state: State) -> Observation:
        """See `PeerWorld.observe`."""
        n, positions = len(state.user), np.arange(self.n_candidates)
        key = hashing.absorb(page_key(state), Draw.TOPIC)
        topic = np.empty((n, self.n_candidates), dtype=np.int8)
        rows = max(1, CHUNK // self.n_candidates)
        for first in range(0, n, rows):
            topic[first : first + rows] = self._topic(key[first : first + rows, None], positions)
        return {"interest": state.interest.copy(), "topic": topic}

    def step(self, state: State, slate: Slates) -> tuple[State, Outcome]:
        """See `PeerWorld.step`.

        Told: `clicked` (N, K), and of the video watched `watch_time`, `topic` and `quality`, each (N,); where nothing
        was watched 0, -1 and NaN.
        """
        key, row = page_key(state), np.arange(len(state.user))
        filled = filled_slots(slate, self.n_candidates)
        position = np.where(filled, slate, 0)
        topics = self._topic(hashing.absorb(key, Draw.TOPIC)[:, None], position)

        # Choose in proportion to interest, or nothing.
        weight = np.where(filled, state.interest[row[:, None], topics] + np.float64(1.0), 0.0)
        reach = np.cumsum(weight, axis=1)
        mass = reach[:, -1] + (self.no_click_mass + 1.0)
        aim = hashing.uniform(hashing.absorb(key, Draw.CHOICE)) * mass
        slot = (reach <= aim[:, None]).sum(axis=1)
        watches = slot < self.n_slots
        slot = np.minimum(slot, self.n_slots - 1)
        topic = topics[row, slot]

        # Watch, and spend time.
        watch = np.minimum(state.budget, self.video_length)
        quality = self._quality(hashing.absorb(key, Draw.QUALITY), position[row, slot], topic)
        spent = np.where(
            watches, state.budget - watch + self.extension * watch * quality, state.budget - self.no_click_cost
        )

        # Grow keener or tire.
        x = state.interest[row, topic].astype(np.float64)
        move = self.drift * (1.0 - np.abs(x)) * (1.0 - x)
        keener = hashing.uniform(hashing.absorb(key, Draw.FLIP)) < (x + 1.0) / 2.0
        interest = state.interest.copy()
        interest[row[watches], topic[watches]] = np.clip(np.where(keener, x + move, x - move), -1.0, 1.0)[watches]

        after = dataclasses.replace(state, step=state.step + np.int32(1), interest=interest, budget=spent)
        clicked = watches[:, None] & (slot[:, None] == np.arange(self.n_slots))
        reward = np.where(watches, watch, 0.0)
        outcome = Outcome(
            reward=reward,
            expected=watch * (reach[:, -1] / mass),
            terminated=spent <= 0.0,
            truncated=np.zeros(len(row), dtype=bool),
            told={
                "clicked": clicked,
                "quality": np.where(watches, quality, np.nan),
                "topic": np.where(watches, topic, -1).astype(np.int8),
                "watch_time": reward.copy(),
            },
        )
        return after, outcome

    def truth(self, state: State) -> F64:
        """See `PeerWorld.truth`: the quality of each candidate."""
        key, positions = page_key(state), np.arange(self.n_candidates)[None, :]
        topic = self._topic(hashing.absorb(key, Draw.TOPIC)[:, None], positions)
        return self._quality(hashing.absorb(key, Draw.QUALITY)[:, None], positions, topic)

    def fastest(self) -> PeerWorld[State]:
        """See `PeerWorld.fastest`: compiled by numba where it is installed."""
        try:
            from simenv.peers.kernels import CompiledInterestEvolution
        except ImportError:
            return self
        return CompiledInterestEvolution(self)

    def _topic(self, key: hashing.Keys, positions: npt.NDArray[np.integer]) -> I64:
        return hashing.integers(hashing.absorb(key, positions), self.n_topics)

    def _quality(self, key: hashing.Keys, positions: npt.NDArray[np.integer], topic: I64) -> F64:
        return self.topic_quality[topic] + self.quality_spread * hashing.normal(hashing.absorb(key, positions))


def page_key(state: State) -> hashing.Keys:
    """(N,) the root of every draw of the current page."""
    return hashing.absorb(state.key, state.step)

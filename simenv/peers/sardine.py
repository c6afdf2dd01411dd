"""SARDINE: slates for users who get bored and are influenced.

Users click what matches their taste, by position. Five clicks on one topic within a short while bore a user, who then
loses interest in the topic or in everything; every click draws taste toward what was clicked.

Source: Deffayet, Thonet, Hwang, Lehoux, Renders and de Rijke, "SARDINE: a simulator for automated recommendation in
dynamic and interactive environments", 2024; released code 1.0.8, the defaults of its SlateTopK-BoredInf-v0.

What the peer got wrong, and what is different here:

- Influence: it averages the clicked items' embeddings over all axes at once, so that a click draws taste toward one and
  the same uniform vector whatever was clicked. Here the mean is taken per axis.
- Its anti-oracle shows the *best* items in reverse order, so that the data sets of its "bad" logging policy come from
  an oracle. The anti-oracle of `simenv.peers.rankers` shows the worst.
- Slates may be ten copies of one item, and its random ones repeat items; here a repeat leaves its slot empty, and the
  first slate, which the market draws by itself, has none.
- The horizon ends an episode as `terminated`, so that learners take the value of going on for zero; here `truncated`.
- Policies and catalogue come from numpy's global generator; here everything is hashed from ids.
- Items' features are in no observation, and the published catalogue is a file; here the catalogue is drawn from
  `catalogue_seed` by the same rule, `items` and `item_topic` are its public columns, and observations carry ids.

Question: does a ranker that shows users what they click bore them, and what does sparing them gain?
Finding, in clicks per user over 100 pages: the greedy oracle, who knows what is relevant now, earns 135 where 535 were
to be had without boredom (random 50, the true anti-oracle 0). The same oracle who never shows more of a topic than
boredom leaves room for earns 434.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Literal

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
    Bools,
    Observation,
    Outcome,
    PeerWorld,
    Slates,
    check_sizes,
    filled_slots,
    uniforms,
)

I8 = npt.NDArray[np.int8]
MAX_TOPICS = 127  # ids are int8
MIN_ITEM_TOPICS, MAX_ITEM_TOPICS = 2, 3
MEAN_USER_TOPICS = 4  # before only counts of one more or one less are kept


class Draw(IntEnum):
    """The streams of one page, and of one user's arrival."""

    EXAMINE, ATTRACT, FIRST_SLATE, N_TOPICS, TOPICS, TASTE = range(6)


@dataclass(frozen=True)
class State:
    """Where N users are; hidden but for what was shown and clicked last."""

    key: hashing.Keys  # (N,)
    user: I64  # (N,)
    step: I32  # (N,) pages seen, the market's own first one included
    taste: F32  # (N, T) of length 1
    recent_topic: I8  # (N, M) topics of the last clicks, the newest last; -1 none
    recent_step: I32  # (N, M) when they were
    bored_left: I8  # (N, T) pages that boredom with the topic still lasts; 0 not bored
    last_slate: I32  # (N, K) items, -1 empty
    last_clicked: Bools  # (N, K)


@dataclass(frozen=True)
class Sardine:
    """The market's parameters, and its physics.

    Items have two or three topics and users three to five, with uniform weights, scaled to length 1. Relevance is
    sigmoid(slope * (taste . item - offset)); slot k is examined with probability decay^k (with `mixed_examination` the
    mean of that and its reverse), and clicked when examined and relevant. Where at least `same_topic_limit` items of a
    slate share their main topic, relevance is divided by `same_topic_penalty`. At least `boredom_clicks` clicks on one
    topic among the last `memory` clicks of the last `window` pages bore the user for `window` pages: with boredom
    "everything" nothing is relevant meanwhile, with "topic" the topic alone drops out of the taste. With
    `bored_penalty`, relevance also halves for each topic that bores. After clicks taste becomes inertia * taste + (1 -
    inertia) * mean of the clicked items, scaled to length 1. `inertia=1` switches influence off, and
    `boredom_clicks=11` boredom.

    Candidates are the whole catalogue on every page: position and item id are the same.
    """

    n_candidates: int = 1000
    n_slots: int = 10
    n_topics: int = 10
    horizon: int = 100
    offset: float = 0.65
    slope: float = 100.0
    decay: float = 0.85
    mixed_examination: bool = False
    same_topic_limit: int = 4
    same_topic_penalty: float = 1.0
    boredom: Literal["everything", "topic"] = "everything"
    boredom_clicks: int = 5
    memory: int = 10
    window: int = 5
    bored_penalty: bool = False
    inertia: float = 0.95
    catalogue_seed: int = 0

    def __post_init__(self) -> None:
        """Check what could not be played.

        Raises:
            UserError: for sizes that make no page, or a number of topics or kind of boredom that does not exist.
        """
        check_sizes(self.n_candidates, self.n_slots)
        if not MEAN_USER_TOPICS < self.n_topics <= MAX_TOPICS:
            raise UserError(f"n_topics is {self.n_topics}; expected {MEAN_USER_TOPICS + 1} to {MAX_TOPICS}.")
        if self.boredom not in ("everything", "topic"):
            raise UserError(f"boredom is '{self.boredom}'; expected 'everything' or 'topic'.")

    @cached_property
    def items(self) -> F32:
        """(I, T) the public features of the items, of length 1."""
        key = hashing.absorb(hashing.stream(self.catalogue_seed, "sardine items"), np.arange(self.n_candidates))
        counts = MIN_ITEM_TOPICS + hashing.integers(
            hashing.absorb(key, Draw.N_TOPICS), MAX_ITEM_TOPICS - MIN_ITEM_TOPICS + 1
        )
        return _directions(key, counts, self.n_topics)

    @cached_property
    def item_topic(self) -> I8:
        """(I,) the main topic of the items."""
        topic: I8 = self.items.argmax(axis=1).astype(np.int8)
        return topic

    @cached_property
    def examination(self) -> F64:
        """(K,) probability that a slot is looked at."""
        falling = self.decay ** np.arange(self.n_slots, dtype=np.float64)
        return (falling + falling[::-1]) / 2.0 if self.mixed_examination else falling

    def observation_space(self) -> spaces.Dict:
        """Items shown last (-1 empty), which were clicked, and recent clicks by topic as a share of what bores."""
        return spaces.Dict(
            {
                "clicked": spaces.Box(0, 1, (self.n_slots,), np.int8),
                "history": spaces.Box(0.0, 1.0, (self.n_topics,), np.float32),
                "slate": spaces.Box(-1, self.n_candidates - 1, (self.n_slots,), np.int32),
            }
        )

    def begin(self, seed: int, users: I64) -> State:
        """See `PeerWorld.begin`. The market shows a random first slate by itself, whose clicks are no reward."""
        own = hashing.absorb(hashing.stream(seed, "sardine user"), users)
        n = len(users)
        state = State(
            key=hashing.absorb(hashing.stream(seed, "sardine page"), users),
            user=np.asarray(users, dtype=np.int64),
            step=np.zeros(n, dtype=np.int32),
            taste=_directions(own, self._topics_per_user(own), self.n_topics),
            recent_topic=np.full((n, self.memory), -1, dtype=np.int8),
            recent_step=np.zeros((n, self.memory), dtype=np.int32),
            bored_left=np.zeros((n, self.n_topics), dtype=np.int8),
            last_slate=np.full((n, self.n_slots), -1, dtype=np.int32),
            last_clicked=np.zeros((n, self.n_slots), dtype=bool),
        )
        order = uniforms(own, Draw.FIRST_SLATE, np.arange(self.n_candidates))
        first = np.argsort(order, axis=1)[:, : self.n_slots]
        return self.step(state, first)[0]

    def observe(self, state: State) -> Observation:
        """See `PeerWorld.observe`."""
        history = np.minimum(self._recent_clicks(state) / self.boredom_clicks, 1.0)
        return {
            "clicked": state.last_clicked.astype(np.int8),
            "history": history.astype(np.float32),
            "slate": state.last_slate.copy(),
        }

    def step(self, state: State, slate: Slates) -> tuple[State, Outcome]:
        """See `PeerWorld.step`. Told: `clicked` (N, K)."""
        key = hashing.absorb(state.key, state.step)
        filled = filled_slots(slate, self.n_candidates)
        item = np.where(filled, slate, 0)
        relevance = self._relevance(state, self.items[item])
        if self.same_topic_penalty != 1.0:
            relevance /= self._penalty(item, filled)[:, None]
        attracts = np.where(filled, relevance, 0.0)
        examined = uniforms(key, Draw.EXAMINE, np.arange(self.n_slots)) < self.examination
        clicked = examined & (uniforms(key, Draw.ATTRACT, item) < attracts)
        after = self._remember(state, item, clicked)
        after = dataclasses.replace(
            after, last_slate=np.where(filled, slate, -1).astype(np.int32), last_clicked=clicked
        )
        outcome = Outcome(
            reward=clicked.sum(axis=1).astype(np.float64),
            expected=(attracts * self.examination).sum(axis=1),
            terminated=np.zeros(len(state.user), dtype=bool),
            truncated=after.step > self.horizon,
            told={"clicked": clicked.copy()},
        )
        return after, outcome

    def truth(self, state: State) -> F64:
        """See `PeerWorld.truth`: the relevance of each item now."""
        return self._relevance(state, self.items[None, :, :])

    def fastest(self) -> PeerWorld[State]:
        """See `PeerWorld.fastest`: numpy only."""
        return self

    def _relevance(self, state: State, items: F32) -> F64:
        """Relevance (N, M) of items (N, M, T) or (1, M, T)."""
        bored = state.bored_left > 0
        lost = bored if self.boredom == "topic" else bored.any(axis=1, keepdims=True)
        taste = np.where(lost, np.float32(0.0), state.taste).astype(np.float64)
        match = np.zeros((len(taste), items.shape[1]))
        for t in range(self.n_topics):  # in this order for every batch size
            match += taste[:, t, None] * items[:, :, t]
        relevance: F64 = 1.0 / (1.0 + np.exp(-self.slope * (match - self.offset)))
        if self.bored_penalty:
            relevance *= 0.5 ** bored.sum(axis=1, keepdims=True)
        return relevance

    def _penalty(self, item: I64, filled: Bools) -> F64:
        """(N,) what relevance is divided by."""
        topic = np.where(filled, self.item_topic[item], -1 - np.arange(self.n_slots))
        most = (topic[:, :, None] == topic[:, None, :]).sum(axis=2).max(axis=1)
        return np.where(most >= self.same_topic_limit, self.same_topic_penalty, 1.0)

    def _remember(self, state: State, item: I64, clicked: Bools) -> State:
        """The state after clicks: time, memory of clicks, boredom and taste."""
        step = state.step + np.int32(1)
        topics = np.concatenate([state.recent_topic, np.where(clicked, self.item_topic[item], np.int8(-1))], axis=1)
        when = np.concatenate([state.recent_step, np.broadcast_to(state.step[:, None], clicked.shape)], axis=1)
        is_click = topics >= 0
        # The last `memory` clicks of the last `window` pages, moved to the end in their order.
        newer = np.cumsum(is_click[:, ::-1], axis=1)[:, ::-1]
        kept = is_click & (newer <= self.memory) & (when >= (step - self.window)[:, None])
        order = np.argsort(kept, axis=1, kind="stable")[:, -self.memory :]
        after = dataclasses.replace(
            state,
            step=step,
            taste=self._influenced(state.taste, item, clicked),
            recent_topic=np.take_along_axis(np.where(kept, topics, np.int8(-1)), order, axis=1),
            recent_step=np.take_along_axis(when, order, axis=1),
        )
        left = np.maximum(state.bored_left - np.int8(1), np.int8(0))
        bores = (self._recent_clicks(after) >= self.boredom_clicks) & (left == 0)
        return dataclasses.replace(after, bored_left=np.where(bores, np.int8(self.window), left))

    def _recent_clicks(self, state: State) -> I64:
        """(N, T) remembered clicks by topic."""
        return np.stack([(state.recent_topic == t).sum(axis=1) for t in range(self.n_topics)], axis=1)

    def _influenced(self, taste: F32, item: I64, clicked: Bools) -> F32:
        """Taste (N, T) drawn toward the mean, topic by topic, of the items clicked."""
        count = clicked.sum(axis=1, keepdims=True)
        total = np.zeros(taste.shape)
        for k in range(self.n_slots):
            total += np.where(clicked[:, k, None], self.items[item[:, k]], np.float32(0.0))
        drawn = self.inertia * taste + (1.0 - self.inertia) * total / np.maximum(count, 1)
        return np.where(count > 0, drawn / np.linalg.norm(drawn, axis=1, keepdims=True), taste).astype(np.float32)

    def _topics_per_user(self, own: hashing.Keys) -> I64:
        """(N,) three to five: how many of the topics, each wanted with chance 4 / T, given that it is so many."""
        counts = np.arange(MEAN_USER_TOPICS - 1, MEAN_USER_TOPICS + 2)
        p = MEAN_USER_TOPICS / self.n_topics
        choose = [float(np.prod([(self.n_topics - i) / (i + 1) for i in range(k)])) for k in counts]
        mass = np.cumsum(np.array(choose) * p**counts * (1.0 - p) ** (self.n_topics - counts))
        u = hashing.uniform(hashing.absorb(own, Draw.N_TOPICS)) * mass[-1]
        drawn: I64 = counts[(mass <= u[:, None]).sum(axis=1)]
        return drawn


def _directions(key: hashing.Keys, counts: I64, n_topics: int) -> F32:
    """Vectors (N, T) of length 1 with as many topics as said, chosen alike, weighted uniformly."""
    names = np.arange(n_topics)
    rank = np.argsort(np.argsort(uniforms(key, Draw.TOPICS, names), axis=1), axis=1)
    weight = np.where(rank < counts[:, None], uniforms(key, Draw.TASTE, names), 0.0)
    made: F32 = (weight / np.linalg.norm(weight, axis=1, keepdims=True)).astype(np.float32)
    return made

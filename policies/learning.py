"""Learning: from a log, and online in the market.

A learner takes batches of shown slots (`update`) and may end with a round of training (`finish`); between the two it
ranks with what it has. Learning online is the same loop with the learner's own policy as the one that plays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from policies.examples import Examples, Shown, batch_examples, examples
from policies.features import FeatureMap
from policies.plackett_luce import log_weights
from policies.ranking import F32, RankingPolicy
from simenv import hashing
from simenv.catalogue import I64
from simenv.columns import take
from simenv.decision import Truth, with_query
from simenv.log.read import Log
from simenv.vector_env import SearchVectorEnv
from simenv.world import Page, policy_keys

Tensors = dict[str, npt.NDArray[np.generic]]


class Learner(Protocol):
    """A scorer that learns from shown slots and can be saved."""

    kind: str
    settings: dict[str, Any]
    feature_map: FeatureMap
    n_searches: int

    def update(self, examples: Examples) -> None:
        """Learn from a batch of searches."""

    def finish(self) -> None:
        """End a round of learning."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Scores (N, C)."""

    def tensors(self) -> Tensors:
        """The state to save."""

    def restore(self, tensors: Tensors) -> None:
        """Take a saved state."""


def metrics_of(learner: Learner) -> dict[str, float]:
    """What a learner has to say about its own training, for its card; nothing where it keeps no record."""
    return dict(getattr(learner, "metrics", {}))


def in_half(shopper: I64, half: int) -> npt.NDArray[np.bool_]:
    """Which shoppers belong to a half of the population (0: learning, 1: evaluation).

    A fixed function of the shopper's id, the same for every log, so that learning and evaluation never share one.
    """
    inside: npt.NDArray[np.bool_] = (hashing.absorb(hashing.stream(0, "half"), shopper) & np.uint64(1)) == half
    return inside


def log_examples(feature_map: FeatureMap, log: Log, half: int | None, want_query: bool = False) -> Iterator[Examples]:
    """A log as examples, streamed; rewards are clicks.

    Args:
        feature_map: Features over the log's catalogue.
        log: The log.
        half: Only the shoppers of that half (`in_half`); all where None.
        want_query: Whether who learns reads the queries as typed (`policies.ranking.reads_query`).
    """
    keep = None if half is None else (lambda shopper: in_half(shopper, half))
    for batch in log.batches(keep, want_query=want_query):
        yield batch_examples(feature_map, batch)


def learn(learner: Learner, batches: Iterable[Examples]) -> None:
    """Learn from examples, batch after batch, and finish."""
    for batch in batches:
        learner.update(batch)
    learner.finish()


def learn_online(
    learner: Learner,
    env: SearchVectorEnv,
    seed: int,
    searches: int,
    exploration: tuple[float, float],
    finish_every: int,
    on_round: Callable[[int], None] = lambda _: None,
) -> None:
    """Act in the market with the learner's own policy, and learn from every page before the next is shown.

    Args:
        learner: Scores and learns.
        env: The market, N shoppers side by side; it is reset.
        seed: Of the shoppers' luck and of the policy's.
        searches: How many pages to learn from, about (a whole step of the rows is never split).
        exploration: Temperature and floor of the policy that acts.
        finish_every: Searches between rounds of training.
        on_round: Told the number of searches so far after each round.
    """
    policy = RankingPolicy(learner.kind, learner, *exploration)
    env.reset(seed=seed)
    done, next_round = 0, finish_every
    over = np.zeros(env.num_envs, dtype=bool)
    while done < searches:
        page, played = env.page, ~over  # rows whose episode is over only start their next one
        if policy.reads_query:
            page = with_query(env.world, env.state, page)
        decision = policy.act(page, env.world.params.n_slots, policy_keys(env.state, seed))
        slate = decision.slate
        # An empty slot is told to the environment as a repeat of the first one, or as a hole where nothing was found.
        _, _, terminated, truncated, info = env.step(np.where(slate < 0, slate[:, :1].clip(min=0), slate))
        logw = log_weights(decision.scores, *exploration) if exploration[0] > 0 else None
        shown = Shown(slate, info["clicked"], info["slot_reward"], decision.logp.logp, logw)
        learner.update(examples(learner.feature_map, take(page, played), take(shown, played)))
        done, over = done + int(played.sum()), terminated | truncated
        if done >= next_round:
            learner.finish()
            on_round(done)
            next_round = done + finish_every
    learner.finish()
    on_round(done)

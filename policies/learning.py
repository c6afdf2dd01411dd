"""Learning: from a log, and online in the market.

A learner takes batches of shown slots (`update`) and may end with a round of training (`finish`); between the two it
ranks with what it has. Learning online is the same loop with the learner's own policy as the one that plays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from policies.examples import Examples, examples
from policies.features import FeatureMap
from policies.ranking import F32, RankingPolicy
from simenv import hashing
from simenv.catalogue import I64
from simenv.decision import Truth
from simenv.log.read import Log
from simenv.play import play
from simenv.world import Page, World

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


def in_half(shopper: I64, half: int) -> npt.NDArray[np.bool_]:
    """Which shoppers belong to a half of the population (0: learning, 1: evaluation).

    A fixed function of the shopper's id, the same for every log, so that learning and evaluation never share one.
    """
    return (hashing.absorb(hashing.stream(0, "half"), shopper) & np.uint64(1)) == half


def log_examples(feature_map: FeatureMap, log: Log, half: int | None) -> Iterator[Examples]:
    """A log as examples, streamed; rewards are clicks.

    Args:
        feature_map: Features over the log's catalogue.
        log: The log.
        half: Only the shoppers of that half (`in_half`); all where None.
    """
    keep = None if half is None else (lambda shopper: in_half(shopper, half))
    for batch in log.batches(keep):
        yield examples(feature_map, batch.page, batch.slate, batch.clicked)


def learn(learner: Learner, batches: Iterable[Examples], n_searches: int | None = None) -> None:
    """Learn from examples, at most `n_searches` of them, and finish."""
    left = n_searches
    for batch in batches:
        part = batch if left is None or len(batch) <= left else _first(batch, left)
        learner.update(part)
        if left is not None:
            left -= len(part)
            if left <= 0:
                break
    learner.finish()


def learn_online(
    learner: Learner,
    world: World,
    seed: int,
    shoppers: I64,
    temperature: float,
    floor: float,
    finish_every: int = 20_000,
    on_round: Callable[[int], None] = lambda _: None,
) -> None:
    """Play the market with the learner's own policy and learn from every page before the next is shown.

    Args:
        learner: Scores and learns.
        world: The market.
        seed: The shoppers' luck.
        shoppers: (U,) ids, played block by block, each block page by page.
        temperature: Of the policy that plays.
        floor: Of the policy that plays.
        finish_every: Searches between rounds of training.
        on_round: Told the number of searches so far after each round.
    """
    policy = RankingPolicy(learner.kind, learner, temperature, floor)
    done, next_round = 0, finish_every
    for step in play(world, policy, seed, shoppers):
        learner.update(examples(learner.feature_map, step.page, step.decision.slate, step.outcome.clicked))
        done += len(step.page)
        if done >= next_round:
            learner.finish()
            on_round(done)
            next_round = done + finish_every
    learner.finish()
    on_round(done)


def _first(batch: Examples, n: int) -> Examples:
    return Examples(batch.features[:n], batch.reward[:n], batch.shown[:n])

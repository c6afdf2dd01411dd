"""Learners, and the logs that they learn from.

A learner takes batches of shown slots (`update`) and may end with a round of training (`finish`); between the two it
ranks with what it has. The loop in which it does so, in the market or from a log, is `policies.training`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from policies.examples import Examples, batch_examples
from policies.features import FeatureMap
from policies.ranking import F32
from simenv import hashing
from simenv.catalogue import I64
from simenv.decision import Truth
from simenv.log.read import Log
from simenv.world import Page

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

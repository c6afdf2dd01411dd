"""Reference rankers of the peers' markets: scores from the page, and for oracles from the hidden truth.

A ranker shows the K best-scored candidates, best first; ties go to the candidate that stands earlier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.peers.peer_world import F64, I64, Observation

Scores = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Ranker:
    """How to score the candidates of a page.

    Attributes:
        about: One line for tables.
        scores: From the page, the luck of its rows (N,) and the truth (N, C), the scores (N, C). The truth is None
            unless `sees_truth`.
        sees_truth: True for oracles only.
    """

    about: str
    scores: Callable[[Observation, hashing.Keys, F64 | None], Scores]
    sees_truth: bool = False


def best(scores: Scores, n_slots: int) -> I64:
    """The positions (N, K) of the highest scores, best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :n_slots]


def at_random(n_candidates: int) -> Ranker:
    """Every order alike, drawn from the row's luck."""
    names = np.arange(n_candidates)
    return Ranker(
        "every order of the candidates alike",
        lambda page, luck, truth: hashing.uniform(hashing.absorb(luck[:, None], names)),
    )


ORACLE = Ranker("the best by hidden truth, now", lambda page, luck, truth: _known(truth), sees_truth=True)
ANTI_ORACLE = Ranker("the worst by hidden truth, now", lambda page, luck, truth: -_known(truth), sees_truth=True)

# Interest evolution.
MYOPIC = Ranker(
    "by the interest in the candidate's topic: who is clicked now",
    lambda page, luck, truth: np.take_along_axis(page["interest"], page["topic"].astype(np.int64), axis=1),
)
BY_TOPIC = Ranker(
    "by topic id, along which mean quality rises: who keeps people",
    lambda page, luck, truth: page["topic"].astype(np.float64),
)

# Long-term satisfaction.
MOST_CLICKBAIT = Ranker("most clickbait first", lambda page, luck, truth: page["clickbait"])
LEAST_CLICKBAIT = Ranker("least clickbait first", lambda page, luck, truth: -page["clickbait"])


# SARDINE.
def sparing_oracle(item_topic: npt.NDArray[np.integer], boredom_clicks: int) -> Ranker:
    """The most relevant items, but no more of a topic than can be clicked without boring; then the least relevant.

    Args:
        item_topic: (I,) main topics.
        boredom_clicks: Clicks on one topic that bore.
    """
    topics = [np.flatnonzero(item_topic == t) for t in range(int(item_topic.max()) + 1)]

    def scores(page: Observation, luck: hashing.Keys, truth: F64 | None) -> Scores:
        known = _known(truth)
        made = -known  # below zero stand those that had better not be clicked
        room = boredom_clicks - 1 - np.rint(page["history"] * boredom_clicks)  # (N, T)
        for t, items in enumerate(topics):
            rank = np.argsort(np.argsort(-known[:, items], axis=1, kind="stable"), axis=1)
            made[:, items] = np.where(rank < room[:, t, None], known[:, items], made[:, items])
        return made

    return Ranker("the best now, sparing topics that are about to bore", scores, sees_truth=True)


# RecoGym.
MOST_VIEWED = Ranker(
    "the product that the user viewed most", lambda page, luck, truth: page["views"].astype(np.float64)
)


def _known(truth: F64 | None) -> F64:
    assert truth is not None, "an oracle was asked without the truth"
    return truth

"""What a learner learns from: the features of shown items and what was clicked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.features import FeatureMap, features
from policies.plackett_luce import log_weights
from simenv import hashing
from simenv.errors import UserError
from simenv.log.batch import LogBatch
from simenv.play import Step
from simenv.world import Page


@dataclass(frozen=True)
class Examples:
    """Shown slots of n searches.

    features: (n, K, F) float32. reward: (n, K) float32 in [0, 1], usually clicks. shown: (n, K) bool, False for an
    empty slot, which teaches nothing. Where known: item (n, K) int32 ids, -1 for an empty slot; day (n,) int32;
    id (n,) uint64, the search's name, by which a second delivery of it is known; gain (n, K) float32, what the market
    counts for the slot, which is not the click; the page; slate (n, K) int32 positions into its candidates, -1 for an
    empty slot; logp (n, K) float64, the conditional log-propensities of who showed them; logw (n, C) float64, their
    Plackett-Luce log-weights of all candidates, -inf at holes.
    """

    features: npt.NDArray[np.float32]
    reward: npt.NDArray[np.float32]
    shown: npt.NDArray[np.bool_]
    item: npt.NDArray[np.int32] | None = None
    day: npt.NDArray[np.int32] | None = None
    id: npt.NDArray[np.uint64] | None = None
    gain: npt.NDArray[np.float32] | None = None
    page: Page | None = None
    slate: npt.NDArray[np.int32] | None = None
    logp: npt.NDArray[np.float64] | None = None
    logw: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """Number of searches, n."""
        return len(self.reward)


@dataclass(frozen=True)
class Shown:
    """What was shown on n pages and what came of it; (n, K) each.

    slate: int32 positions, -1 for an empty slot. clicked: bool. gain: float64, what the market counts.
    logp: float64, conditional log-propensities. logw: (n, C) float64, log-weights of all candidates.
    """

    slate: npt.NDArray[np.int32]
    clicked: npt.NDArray[np.bool_]
    gain: npt.NDArray[np.float64] | None = None
    logp: npt.NDArray[np.float64] | None = None
    logw: npt.NDArray[np.float64] | None = None


def examples(feature_map: FeatureMap, page: Page, shown: Shown) -> Examples:
    """Examples of one batch of searches, in the order of its rows; rewards are clicks."""
    slate = shown.slate.astype(np.int32)
    item = np.take_along_axis(page.candidates, np.maximum(slate, 0).astype(np.int64), axis=1)
    return Examples(
        features(feature_map, page, slate),
        shown.clicked.astype(np.float32),
        slate >= 0,
        item=np.where(slate >= 0, item, np.int32(-1)),
        day=page.day,
        id=page_names(page, 0),
        gain=None if shown.gain is None else shown.gain.astype(np.float32),
        page=page,
        slate=slate,
        logp=shown.logp,
        logw=shown.logw,
    )


def step_examples(feature_map: FeatureMap, step: Step, exploration: tuple[float, float] | None = None) -> Examples:
    """Examples of one step of `simenv.play`.

    Args:
        feature_map: Features.
        step: Of the play.
        exploration: Temperature > 0 and floor of the policy that played, without which its weights are not known.
    """
    decision, outcome = step.decision, step.outcome
    logw = None if exploration is None else log_weights(decision.scores, *exploration)
    shown = Shown(decision.slate, outcome.clicked, outcome.reward, decision.logp.logp, logw)
    return examples(feature_map, step.page, shown)


def batch_examples(feature_map: FeatureMap, batch: LogBatch) -> Examples:
    """Examples of some rows of a log; without weights where a greedy policy wrote some of them."""
    logw = np.empty(batch.scores.shape) if (batch.temperature > 0).all() else None
    for temperature, floor in np.unique(np.stack([batch.temperature, batch.floor], axis=1), axis=0):
        if logw is not None:
            rows = (batch.temperature == temperature) & (batch.floor == floor)
            logw[rows] = log_weights(batch.scores[rows], float(temperature), float(floor))
    shown = Shown(batch.slate, batch.clicked, batch.reward, batch.logp.logp, logw)
    return examples(feature_map, batch.page, shown)


def in_features_of(feature_map: FeatureMap, given: Examples) -> Examples:
    """The same examples in the features of this map, made from their pages.

    Examples that do not hold their pages are taken as they are where they have as many features.

    Raises:
        UserError: where the features are fewer or more and the examples do not hold the pages that they came from.
    """
    if given.page is not None and given.slate is not None:
        return dataclasses.replace(given, features=features(feature_map, given.page, given.slate))
    if given.features.shape[-1] != len(feature_map.feature_names):
        raise UserError("examples without their pages cannot be told in other features; make them by `examples`.")
    return given


def page_names(page: Page, seed: int) -> hashing.Keys:
    """One key a row that names the page of the search, (N,) uint64, under a seed.

    Day and second are part of the name: a simulated shopper of the same number in another play is somebody else.
    """
    key = hashing.absorb(hashing.stream(seed, "page name"), page.shopper)
    for part in (page.visit, page.day, page.time, page.search, page.page):
        key = hashing.absorb(key, part)
    return key

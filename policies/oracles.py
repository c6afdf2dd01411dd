"""Rankers that see hidden truth: the best page now, pages that also please, and pages chosen by playing on.

Yardsticks, not policies that could be shipped. All of them are greedy, and their scores only say which page they show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.ranking import F32, RankingPolicy
from simenv.catalogue import PublicCatalogue
from simenv.clicks import Appeal, best_slate
from simenv.decision import Truth
from simenv.errors import UserError
from simenv.lookahead import Lookahead, choose_pages
from simenv.world import Page, World


@dataclass(frozen=True)
class MyopicOracle:
    """Shows the page with the highest exact expected reward that hidden truth allows, under the world's click model.

    See `simenv.clicks.best_slate` for what is proved of which model, also where the market fills places of the page
    itself. Says nothing about later pages or visits.
    """

    catalogue: PublicCatalogue

    def score(self, page: Page, truth: Truth | None) -> F32:
        """The number of slots from an item's own down to the last; below 1 for what is not on the best page."""
        known = _required(truth)
        return page_of_worth(known, known.value)


@dataclass(frozen=True)
class PleasingOracle:
    """Shows the best page where a click is worth its reward and `weight` times the chance that its item satisfies.

    An index: the simplest form of looking further than the page, since whoever is satisfied comes back more often
    and looks at fewer further pages. Weight 0 is the myopic oracle. `policies.index_search` finds the weight.
    """

    weight: float

    def score(self, page: Page, truth: Truth | None) -> F32:
        """See `MyopicOracle.score`."""
        known = _required(truth)
        return page_of_worth(known, known.value + self.weight * known.satisfaction if self.weight else known.value)


@dataclass(frozen=True)
class LookaheadOracle:
    """Shows the page that is worth most when the shopper is played to the end after it; see `simenv.lookahead`."""

    world: World
    lookahead: Lookahead

    def score(self, page: Page, truth: Truth | None) -> F32:
        """See `MyopicOracle.score`."""
        known = _required(truth)
        chosen = choose_pages(self.world, self.lookahead, known.state, page)
        return slate_scores(chosen.slate, known.attraction * known.value)


def pleasing(weight: float) -> RankingPolicy:
    """The oracle of that weight of satisfaction, as a policy."""
    return RankingPolicy(f"pleasing {weight:+g}", PleasingOracle(weight), 0.0, sees_truth=True)


def slate_scores(slate: npt.NDArray[np.int32], worth: npt.NDArray[np.floating]) -> F32:
    """Scores (N, C) whose ranking is a given slate (N, K), then all other candidates by their worth (N, C).

    From K in the first slot down to 1 in the last; between 0 and 1 below.
    """
    score: F32 = (0.5 + 0.5 * worth / (1.0 + np.abs(worth))).clip(0.0, 0.999).astype(np.float32)
    rows, slot = np.nonzero(slate >= 0)
    score[rows, slate[rows, slot]] = slate.shape[1] - slot
    return score


def page_of_worth(known: Truth, worth: npt.NDArray[np.floating]) -> F32:
    """Scores (N, C) that show the best page where a click on each candidate is worth that much, (N, C)."""
    look = Appeal(known.attraction, known.satisfaction)
    best = best_slate(known.click_model, look, worth, known.n_slots, known.taken)
    return slate_scores(best.slate, known.attraction * worth)


def _required(truth: Truth | None) -> Truth:
    if truth is None:
        raise UserError("the oracle ranks by hidden truth, which a log does not hold; it can be played, not judged.")
    return truth

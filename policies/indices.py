"""Indices: rankers that see hidden truth and add to a click's reward a weight times something that matters later.

The simplest ways of looking further than the page, one a reason: who is satisfied comes back; who has bought is sated,
so that a purchase spared may be clicks kept; who is sated with a category may be left alone with it; a page of several
categories sells less of one; tastes follow what is clicked. With weight 0 each is the myopic oracle. Yardsticks, like
`policies.oracles`: how much one of these reasons is worth at most says what a learner could find there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.oracles import page_of_worth
from policies.ranking import F32, RankingPolicy
from simenv.behaviour import style_match
from simenv.decision import Truth
from simenv.errors import UserError, unknown_name
from simenv.mind import satiation_of
from simenv.world import Page, World
from simenv.worth import worth

F64 = npt.NDArray[np.float64]
Aim = Callable[[World, Page, Truth], npt.NDArray[np.floating]]


def _satisfaction(world: World, page: Page, truth: Truth) -> npt.NDArray[np.floating]:
    return truth.satisfaction


def _purchase(world: World, page: Page, truth: Truth) -> npt.NDArray[np.floating]:
    known = worth(world, truth.state, page.candidates)
    return known.cart * known.buy


def _satiation(world: World, page: Page, truth: Truth) -> npt.NDArray[np.floating]:
    return satiation_of(truth.state.mind, world.catalogue, page.candidates)


def _taste(world: World, page: Page, truth: Truth) -> npt.NDArray[np.floating]:
    return style_match(world.catalogue, truth.state.taste, page.candidates)


def _repetition(world: World, page: Page, truth: Truth) -> npt.NDArray[np.floating]:
    """How many candidates of the item's category earn more now, up to K; 0 for the first of a category on a page."""
    earns = truth.attraction * truth.value  # (N, C)
    category = world.catalogue.category[np.maximum(page.candidates, 0)]
    before = np.zeros(earns.shape, dtype=np.int64)
    for c in range(earns.shape[1]):
        same = (category == category[:, c : c + 1]) & (page.candidates >= 0)
        before[:, c] = (same & (earns > earns[:, c : c + 1])).sum(axis=1)
    return np.minimum(before, truth.n_slots).astype(np.float64)


# What a weight may be put on: of a candidate, (N, C).
AIMS: dict[str, Aim] = {
    "satisfaction": _satisfaction,  # the chance that the item satisfies who clicks it
    "purchase": _purchase,  # the chance that it is bought by who clicks it
    "satiation": _satiation,  # how sated the shopper is with its category
    "repetition": _repetition,  # how many candidates of its category are better
    "taste": _taste,  # how well its style fits the shopper's
}


@dataclass(frozen=True)
class IndexOracle:
    """Shows the best page where a click is worth its reward and `weight` times the aim; see `MyopicOracle`."""

    world: World
    aim: str
    weight: float

    def score(self, page: Page, truth: Truth | None) -> F32:
        """See `policies.oracles.MyopicOracle.score`."""
        if truth is None:
            raise UserError("an index reads hidden truth, which a log does not hold; it can be played, not judged.")
        return page_of_worth(truth, truth.value + self.weight * AIMS[self.aim](self.world, page, truth))


def index(world: World, aim: str, weight: float) -> RankingPolicy:
    """The index as a policy.

    Raises:
        UserError: for an unknown aim.
    """
    if aim not in AIMS:
        raise unknown_name("aim", aim, AIMS)
    return RankingPolicy(f"{aim} {weight:+g}", IndexOracle(world, aim, weight), 0.0, sees_truth=True)

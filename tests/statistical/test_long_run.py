"""Worlds where the best page of today is not the best policy: what the myopic oracle leaves on the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from policies.ranking import RankingPolicy
from policies.registry import named_policy
from simenv.decision import Truth
from simenv.play import shopper_range
from simenv.truth import lives
from simenv.world import Page, World
from simenv.worlds import load_world

N_SHOPPERS = 2500


@dataclass(frozen=True)
class WithoutBait:
    """Attraction, times what the item does to trust: exp(0.6 quality - 0.9 bait)."""

    world: World

    def score(self, page: Page, truth: Truth | None) -> npt.NDArray[np.float32]:
        """Hidden truth is needed."""
        assert truth is not None
        catalogue, item = self.world.catalogue, np.maximum(page.candidates, 0)
        kept = np.exp(0.6 * catalogue.quality[item] - 0.9 * catalogue.bait[item])
        return (truth.attraction * kept).astype(np.float32)


@dataclass(frozen=True)
class ForSatisfaction:
    """Attraction times (1 + chance of a cart of somebody without a taste)."""

    world: World

    def score(self, page: Page, truth: Truth | None) -> npt.NDArray[np.float32]:
        """Hidden truth is needed."""
        assert truth is not None
        weights, quality = self.world.params.conversion, self.world.catalogue.quality[np.maximum(page.candidates, 0)]
        utility = weights.cart_base + weights.cart_relevance * truth.relevance + weights.cart_quality * quality
        return (truth.attraction * (1 + 1 / (1 + np.exp(-utility)))).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ranker", "gain", "material"),
    [("trust", WithoutBait, 0.81, 0.5), ("retention", ForSatisfaction, 0.19, 0.1)],
)
def test_looking_beyond_the_page_beats_the_myopic_oracle(
    name: str, ranker: type[WithoutBait] | type[ForSatisfaction], gain: float, material: float
) -> None:
    """Value per shopper over the horizon, paired over the same shoppers with the same luck: the gain that the world's
    question says, within four standard errors of the difference of two such runs; beyond chance; and material."""
    world = load_world(name)
    far = RankingPolicy("far", ranker(world), 0.0, 0.0, sees_truth=True)
    myopic = named_policy("oracle", world.catalogue.public())
    played = lives(world, {"far": far, "myopic": myopic}, 11, shopper_range(N_SHOPPERS))
    base = played["myopic"].expected
    difference = played["far"].expected - base
    error = difference.std(ddof=1) / np.sqrt(N_SHOPPERS)
    print(name, base.mean(), difference.mean() / base.mean(), error / base.mean(), difference.mean() / error)
    assert difference.mean() / error > 5
    assert difference.mean() / base.mean() > material
    assert abs(difference.mean() / base.mean() - gain) < 4 * np.sqrt(2) * error / base.mean()

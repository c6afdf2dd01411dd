"""The bandits earn their place: from production logs they go at least 30% of the way to the best public ranking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from policies.examples import step_examples
from policies.public_oracle import fit_public_oracle
from policies.ranking import RankingPolicy
from policies.registry import POLICIES, named_policy, new_learner
from simenv.play import play, shopper_range
from simenv.truth import gap_closed, on_logger_contexts
from simenv.twins import Ratio
from simenv.worlds import load_world

pytestmark = pytest.mark.slow

BANDITS = ("linear", "neural-linear")
SEEDS = 5
SHOPPERS = 7_200  # of one training log: about 57,000 searches
SHARE = 0.30


@pytest.fixture(scope="module")
def worth() -> dict[str, Ratio]:
    """Worth over the logger's contexts of 3,000 fresh shoppers: logger, yardsticks, and each bandit by training seed.

    A training seed has its own log (shoppers that no other has seen) and its own start of the network.
    """
    world = load_world("default")
    catalogue = world.catalogue.public()
    logger = named_policy("production", catalogue)
    best = fit_public_oracle(world, logger, seed=101, shoppers=shopper_range(8000))
    targets = {"best public": RankingPolicy("best public", best, 0.0), "oracle": named_policy("oracle", catalogue)}
    for seed in range(SEEDS):
        learners = {name: new_learner(name, catalogue, world.params.n_slots, seed) for name in BANDITS}
        feature_map = learners["linear"].feature_map
        for step in play(world, logger, 1000 + seed, shopper_range(SHOPPERS)):
            batch = step_examples(feature_map, step)
            for learner in learners.values():
                learner.update(batch)
        for name, learner in learners.items():
            learner.finish()
            entry = POLICIES[name]
            targets[f"{name} {seed}"] = RankingPolicy(name, learner, entry.temperature, entry.floor)
    return on_logger_contexts(world, logger, targets, seed=202, shoppers=shopper_range(3000))


@pytest.mark.parametrize("name", BANDITS)
def test_a_bandit_closes_thirty_percent_of_the_gap(name: str, worth: dict[str, Ratio]) -> None:
    """The lower limit of a 95% t-interval over five training seeds, every seed judged on the same shoppers."""
    shares = [gap_closed(worth, "production", "best public", f"{name} {seed}") for seed in range(SEEDS)]
    closed, of_shoppers = np.array([share for share, _ in shares]), max(error for _, error in shares)
    low, high = stats.t.interval(0.95, SEEDS - 1, closed.mean(), stats.sem(closed))
    oracle, _ = gap_closed(worth, "production", "best public", "oracle")
    print(
        f"{name}: {closed.mean():.1%} of the gap [{low:.1%}, {high:.1%}]; error of one seed's share over shoppers "
        f"{of_shoppers:.1%}; clicks a search: production {worth['production'].value:.3f}, best public "
        f"{worth['best public'].value:.3f}; the myopic oracle, which sees hidden taste, stands at {oracle:.0%}"
    )
    assert low > SHARE


def test_the_yardsticks_are_in_order(worth: dict[str, Ratio]) -> None:
    """Public information is worth something, and hidden taste more: else shares of the gap mean nothing."""
    logger, best, oracle = (worth[name].value for name in ("production", "best public", "oracle"))
    assert 1.2 * logger < best < oracle
    learned = [ratio.value for name, ratio in worth.items() if name.split()[0] in BANDITS]
    assert max(learned) < best

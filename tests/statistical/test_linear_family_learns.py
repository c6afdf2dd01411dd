"""The linear family earns its place: from production logs it goes at least 30% of the way to the best public ranking.

At the temperatures and floors of the registry, which explore; greedy they go further.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from policies.examples import step_examples
from policies.public_oracle import fit_public_oracle
from policies.ranking import RankingPolicy
from policies.registry import POLICIES, named_policy, new_learner
from simenv.play import play, shopper_range
from simenv.truth import Ratio, gap_closed, on_logger_contexts
from simenv.worlds import load_world

pytestmark = pytest.mark.slow

FAMILY = ("linear-ts", "linear-disjoint", "logistic")
SEEDS = 3
SHOPPERS = 3_600  # of one training log: about 28,000 searches
SHARE = 0.30


@pytest.fixture(scope="module")
def worth() -> dict[str, Ratio]:
    """Worth over the logger's contexts of 1,500 fresh shoppers; a training seed has its own log."""
    world = load_world("default")
    catalogue = world.catalogue.public()
    logger = named_policy("production", catalogue)
    best = fit_public_oracle(world, logger, seed=101, shoppers=shopper_range(8000))
    targets = {"best public": RankingPolicy("best public", best, 0.0)}
    for seed in range(SEEDS):
        learners = {name: new_learner(name, catalogue, world.params.n_slots, seed) for name in FAMILY}
        feature_map = learners["linear-ts"].feature_map
        for step in play(world, logger, 1000 + seed, shopper_range(SHOPPERS)):
            batch = step_examples(feature_map, step)
            for learner in learners.values():
                learner.update(batch)
        for name, learner in learners.items():
            learner.finish()
            entry = POLICIES[name]
            targets[f"{name} {seed}"] = RankingPolicy(name, learner, entry.temperature, entry.floor)
    return on_logger_contexts(world, logger, targets, seed=202, shoppers=shopper_range(1500))


@pytest.mark.parametrize("name", FAMILY)
def test_a_linear_bandit_closes_thirty_percent_of_the_gap(name: str, worth: dict[str, Ratio]) -> None:
    """The lower limit of a 95% t-interval over the training seeds, every seed judged on the same shoppers."""
    closed = np.array([gap_closed(worth, "production", "best public", f"{name} {seed}")[0] for seed in range(SEEDS)])
    low, high = stats.t.interval(0.95, SEEDS - 1, closed.mean(), stats.sem(closed))
    print(f"{name}: {closed.mean():.1%} of the gap [{low:.1%}, {high:.1%}]")
    assert low > SHARE

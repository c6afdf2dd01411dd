"""What tests of policies share: the tiny market, what its production ranker was clicked for, and trained learners."""

from __future__ import annotations

import numpy as np
import pytest

from policies.examples import Examples, step_examples
from policies.learning import Learner
from policies.registry import POLICIES, named_policy, new_learner
from simenv.catalogue import PublicCatalogue
from simenv.columns import join
from simenv.play import Step, play, shopper_range
from simenv.world import World
from simenv.worlds import load_world


@pytest.fixture(scope="session")
def tiny() -> World:
    """The market of 8 candidates and 3 slots."""
    return load_world("tiny")


@pytest.fixture(scope="session")
def catalogue(tiny: World) -> PublicCatalogue:
    """Its public catalogue."""
    return tiny.catalogue.public()


@pytest.fixture(scope="session")
def steps(tiny: World, catalogue: PublicCatalogue) -> Step:
    """Every page of 600 shoppers under the production ranker."""
    return join(list(play(tiny, named_policy("production", catalogue), 11, shopper_range(600))))


@pytest.fixture(scope="session")
def seen(steps: Step, catalogue: PublicCatalogue) -> Examples:
    """The same pages as examples."""
    feature_map = new_learner("linear", catalogue, 3, 0).feature_map
    production = POLICIES["production"]
    return step_examples(feature_map, steps, (production.temperature, production.floor))


@pytest.fixture(scope="session")
def trained(catalogue: PublicCatalogue, seen: Examples) -> dict[str, Learner]:
    """Every registered learner with weights that say something; tests leave them as they are."""
    made = {}
    for name, entry in POLICIES.items():
        if not entry.learns:
            continue
        learner = new_learner(name, catalogue, 3, seed=1)
        if entry.trained_by:  # by RLlib; here its weights are drawn
            rng = np.random.default_rng(0)
            drawn = {key: (value + 0.3 * rng.normal(size=value.shape)).astype(value.dtype)  # type: ignore[operator]
                     for key, value in learner.tensors().items()}  # fmt: skip
            learner.restore(drawn)
        else:
            learner.update(seen)
            learner.finish()
        made[name] = learner
    return made

"""What a policy does to shoppers: lives counted from day 0, and figures that say what is shown."""

from __future__ import annotations

import numpy as np
import pytest

from policies.registry import named_policy
from scenarios.conduct import CONDUCT, conduct
from simenv.play import shopper_range
from simenv.truth import lives
from simenv.worlds import load_world

SHOPPERS = shopper_range(60)


def test_lives_are_those_of_the_truth_with_zeros_for_who_left() -> None:
    world = load_world("tiny")
    policy = named_policy("production", world.catalogue.public())
    came, life = conduct(world, policy, 3, SHOPPERS), lives(world, {"": policy}, 3, SHOPPERS)[""]
    np.testing.assert_array_equal(came.worth, life.expected)
    assert list(came.figures) == list(CONDUCT)
    assert came.figures["visits"] == pytest.approx(life.sessions.mean())
    assert came.figures["searches"] == pytest.approx(life.searches.mean())
    assert came.figures["clicks"] == pytest.approx(life.clicks.sum() / life.searches.sum())
    assert came.figures["purchases"] == pytest.approx(life.purchases.mean())
    assert len(came.worth) == len(SHOPPERS)


def test_pages_of_one_category_have_no_entropy_and_satiation_is_that_of_what_was_bought() -> None:
    """The world without satiation tells 0 of it; with it somebody who bought is shown the like again."""
    world = load_world("tiny")
    policy = named_policy("popularity", world.catalogue.public())
    plain = conduct(world, policy, 3, SHOPPERS).figures
    assert plain["satiation"] == 0.0
    assert 1.0 <= plain["categories"] <= 3.0
    assert 0.0 <= plain["entropy"] <= np.log(3.0)
    assert 0.0 < plain["seen"] < 1.0
    sated = load_world("long-term")
    figures = conduct(sated, named_policy("production", sated.catalogue.public()), 3, SHOPPERS).figures
    assert figures["satiation"] > 0.0
    assert figures["purchases"] > 0.0

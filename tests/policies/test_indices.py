"""Indices: with weight 0 the myopic oracle; with a weight, more or less of what the weight is on."""

from __future__ import annotations

import numpy as np
import pytest

from policies.indices import AIMS, index
from policies.registry import named_policy
from simenv.columns import join
from simenv.errors import UserError
from simenv.play import Step, play, shopper_range, truth
from simenv.world import World
from simenv.worlds import load_world


@pytest.fixture(scope="module")
def world() -> World:
    """Satiation is on and strong."""
    return load_world("satiation")


@pytest.fixture(scope="module")
def met(world: World) -> Step:
    """Pages that shoppers meet under the production ranker."""
    steps = list(play(world, named_policy("production", world.catalogue.public()), 3, shopper_range(60)))
    return join(steps)


def shown(world: World, met: Step, aim: str, weight: float) -> np.ndarray:
    known = truth(world, met.state, met.page)
    return index(world, aim, weight).act(met.page, world.params.n_slots, met.state.key, known).slate


@pytest.mark.parametrize("aim", AIMS)
def test_an_index_of_weight_0_shows_the_myopic_oracles_page(world: World, met: Step, aim: str) -> None:
    known, oracle = truth(world, met.state, met.page), named_policy("oracle", world.catalogue.public())
    best = oracle.act(met.page, world.params.n_slots, met.state.key, known).slate
    np.testing.assert_array_equal(shown(world, met, aim, 0.0), best)


@pytest.mark.parametrize("aim", AIMS)
def test_a_positive_weight_shows_more_of_the_aim_and_a_negative_one_less(world: World, met: Step, aim: str) -> None:
    """The mean of the aim over filled slots. Repetition goes to 5 and the worth of a click must stay positive."""
    known = truth(world, met.state, met.page)
    value = AIMS[aim](world, met.page, known)

    def mean(weight: float) -> float:
        slate = shown(world, met, aim, weight)
        return float(np.take_along_axis(value, np.maximum(slate, 0), axis=1)[slate >= 0].mean())

    weight = {"repetition": 0.15, "taste": 0.1}.get(aim, 0.9)
    assert mean(-weight) < mean(0.0) < mean(weight)


def test_repetition_counts_better_candidates_of_the_same_category(world: World, met: Step) -> None:
    known = truth(world, met.state, met.page)
    counted = AIMS["repetition"](world, met.page, known)
    earns, category = known.attraction * known.value, world.catalogue.category[np.maximum(met.page.candidates, 0)]
    row = int(np.argmax((met.page.candidates >= 0).sum(axis=1)))
    for c in np.flatnonzero(met.page.candidates[row] >= 0)[:10]:
        same = (category[row] == category[row, c]) & (met.page.candidates[row] >= 0)
        assert counted[row, c] == min((earns[row, same] > earns[row, c]).sum(), known.n_slots)


def test_an_unknown_aim_is_refused_and_so_is_a_log(world: World, met: Step) -> None:
    with pytest.raises(UserError, match="aim"):
        index(world, "satisfactoin", 1.0)
    with pytest.raises(UserError, match="hidden truth"):
        index(world, "purchase", 1.0).act(met.page, 5, met.state.key, None)

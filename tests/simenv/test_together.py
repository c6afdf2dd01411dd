"""Every mechanism of the market at once: they share no luck, disturb each other nowhere, and let nothing out.

Each has tests of its own; here are those that only several together can fail.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from policies.registry import named_policy
from simenv import hashing
from simenv.abandonment import Abandonment
from simenv.check.ranker import UniformByHash
from simenv.columns import join, take
from simenv.habits import Boredom, Habits, Influence, Loyalty, Satiation, Trust
from simenv.house import HouseSlots
from simenv.invented import InventedDemand
from simenv.market import LIVELY, Churn, Prices, Seasons, Stock, Trends
from simenv.params import Filters, WorldParams
from simenv.play import Step, play, play_apart, shopper_range
from simenv.postclick import PostClick
from simenv.world import World, make_world, observe
from simenv.worlds import world_params

SEED = 5


def everything() -> WorldParams:
    """The tiny market with eight candidates for four slots and a house, and all that can be switched on."""
    params = world_params("tiny")
    return dataclasses.replace(
        params,
        n_candidates=12,
        habits=Habits.all_on(),
        market=dataclasses.replace(LIVELY, stock=Stock(units=20.0)),
        house=HouseSlots(sponsored=(0, 3), pinned=(2,)),
        post_click=PostClick(dwell=25.0, returns=0.1),
        abandonment=Abandonment(good=0.3, bad=0.3),
        filters=Filters(weight=2.0),
        conversion=dataclasses.replace(params.conversion, cart_base=-2.0),
    )


@pytest.fixture(scope="module")
def lively() -> World:
    return make_world(everything())


@pytest.fixture(scope="module")
def lives(lively: World) -> Step:
    return lives_in(lively, 150)


def lives_in(world: World, n: int = 60) -> Step:
    """In the order of (shopper, visit, step), also where they are played day by day."""
    steps = join(list(play(world, UniformByHash(), SEED, shopper_range(n))))
    return take(steps, np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper)))


def test_no_two_draws_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of all uniforms of whole lives, by the line that asked for them and its stream: no key at two places.

    Of about a million keys of 64 bits two are equal by chance with probability 3e-8.
    """
    keys: dict[str, list[npt.NDArray[np.uint64]]] = defaultdict(list)

    def heard(draw: Any) -> Any:
        def listening(key: npt.NDArray[np.uint64]) -> Any:
            keys[_who_asks()].append(np.unique(key))
            return draw(key)

        return listening

    monkeypatch.setattr(hashing, "uniform", heard(hashing.uniform))
    monkeypatch.setattr(hashing, "uniform_open", heard(hashing.uniform_open))
    params = dataclasses.replace(everything(), seed=8)  # not made before, so that its making is heard
    world = make_world(params, "numpy")  # the definition, whose draws can be heard
    for _ in play(world, named_policy("production", world.catalogue.public()), SEED, shopper_range(60)):
        pass
    places = {place: np.unique(np.concatenate(each)) for place, each in keys.items()}
    assert len(places) > 50
    together = np.concatenate(list(places.values()))
    place = np.repeat(list(places), [len(each) for each in places.values()])
    order = np.argsort(together, kind="stable")
    twice = np.flatnonzero(together[order][1:] == together[order][:-1])
    assert not len(twice), f"one key at {place[order][twice[0]]} and {place[order][twice[0] + 1]}"


def _who_asks() -> str:
    """File and line of the frame that draws, and the stream where it goes through `simenv.state.uniforms`."""
    frame = sys._getframe(2)
    while frame.f_back is not None and Path(frame.f_code.co_filename).name == "hashing.py":
        frame = frame.f_back
    stream = ""
    if frame.f_back is not None and frame.f_code.co_name == "uniforms":
        stream, frame = f" {frame.f_locals['draw'].name}", frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}{stream}"


IDLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "filters": ({"filters": Filters(weight=0.0, reach=7)}, {"filters": Filters()}),
    "post-click": ({"post_click": PostClick(regret=9.0, dwell_spread=2.0)}, {"post_click": PostClick()}),
    "abandonment": ({"abandonment": Abandonment(relevant=0.1)}, {"abandonment": Abandonment()}),
    "house": ({"house": HouseSlots(advertised=0.9, bid=3.0)}, {"house": HouseSlots()}),
}
IDLE_HABITS = {
    "influence": Influence(rate=0.0),
    "satiation": Satiation(click=0.0, cart=0.0, intent=0.0),
    "boredom": Boredom(weight=0.0),
    "loyalty": Loyalty(win=0.0, lose=0.0),
    "trust": Trust(rate=0.0),
}
IDLE_MARKET = {
    "churn": Churn(0.0, 0.0),
    "stock": Stock(units=1e6),
    "prices": Prices(0.0, 0.0),
    "seasons": Seasons(strength=0.0),
    "trends": Trends(0.0, 0.0),
}


@pytest.mark.parametrize("name", [*IDLE, *IDLE_HABITS, *IDLE_MARKET])
def test_a_mechanism_of_no_strength_is_as_good_as_off_among_all_the_others(name: str) -> None:
    """Whole lives are the same to the last event; what a habit of no strength keeps in the state is not compared."""
    params = everything()
    if name in IDLE:
        idle, off = (dataclasses.replace(params, **each) for each in IDLE[name])
    else:
        group, made = ("habits", IDLE_HABITS) if name in IDLE_HABITS else ("market", IDLE_MARKET)
        idle, off = (
            dataclasses.replace(params, **{group: dataclasses.replace(getattr(params, group), **{name: each})})
            for each in (made[name], None)
        )
    one, other = lives_in(make_world(idle)), lives_in(make_world(off))
    for part in ("page", "outcome"):
        for field in dataclasses.fields(getattr(one, part)):
            here, there = (getattr(getattr(each, part), field.name) for each in (one, other))
            assert np.array_equal(here, there), f"{part}.{field.name} differs"
    assert one.outcome.clicked.any()


def test_twins_share_their_luck_wherever_they_meet_the_same(lively: World) -> None:
    """On first pages hidden states are equal; what two rankers both show and shoppers look at in both is clicked in
    both or in neither, and then put into the cart, bought, kept and looked at alike."""
    rankers = (UniformByHash(), named_policy("popularity", lively.catalogue.public()))
    one, other = (next(iter(play_apart(lively, ranker, SEED, shopper_range(2000)))) for ranker in rankers)
    assert np.array_equal(one.state.key, other.state.key)
    shared = one.outcome.items[:, :, None] == other.outcome.items[:, None, :]
    row, here, there = np.nonzero(shared & (one.outcome.items >= 0)[:, :, None])
    clicked = [step.outcome.clicked[row, slot] for step, slot in ((one, here), (other, there))]
    examined = one.outcome.examined[row, here] & other.outcome.examined[row, there]
    assert examined.sum() > 300
    assert np.array_equal(clicked[0][examined], clicked[1][examined])
    both = clicked[0] & clicked[1]
    assert both.any()
    for name in ("carted", "purchased", "returned", "dwell"):
        assert np.array_equal(
            getattr(one.outcome, name)[row, here][both], getattr(other.outcome, name)[row, there][both]
        ), name


def test_a_page_tells_nothing_of_what_items_are_worth_or_of_what_was_left_unsaid(lively: World, lives: Step) -> None:
    """Pages in the midst of lives, apart: with hidden quality and bait turned round, and with another value of every
    attribute that is wanted and was neither said nor filtered for, they are the same."""
    state = lives.state
    seen = observe(lively, state)
    assert (seen.filters >= 0).any()
    assert (seen.house >= 0).any()
    catalogue = dataclasses.replace(
        lively.catalogue, quality=-lively.catalogue.quality[::-1], bait=-lively.catalogue.bait[::-1]
    )
    assert isinstance(lively.demand, InventedDemand)
    demand = dataclasses.replace(lively.demand, catalogue=catalogue)
    turned = observe(dataclasses.replace(lively, catalogue=catalogue, demand=demand), state)
    intent = state.intent.copy()
    said = lively.demand.said(state)
    hidden = (intent >= 0) & (said.terms < 0) & (seen.filters < 0)
    hidden[:, :1] = False  # a category decides which words there are
    intent = np.where(hidden, (intent + 1) % np.array(lively.demand.n_values), intent).astype(np.int32)
    assert hidden.sum() > 100
    unsaid = observe(lively, dataclasses.replace(state, intent=intent))
    for field in dataclasses.fields(seen):
        for other in (turned, unsaid):
            assert np.array_equal(getattr(seen, field.name), getattr(other, field.name)), field.name


def test_what_is_new_looks_all_the_same_in_the_catalogue(lively: World) -> None:
    """No public column that follows quality tells new items apart before anybody has bought them."""
    assert lively.calendar.first_day is not None
    new = lively.calendar.first_day > 0
    public = lively.catalogue.public()
    assert new.sum() > 100
    for name in ("rating", "popularity"):
        assert len(np.unique(getattr(public, name)[new])) == 1, name

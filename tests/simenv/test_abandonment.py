"""How a page ends: labels that follow from what happened, good and bad abandonment as planted, and satisfied looks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simenv.abandonment import Abandonment, Ending
from simenv.check.ranker import UniformByHash
from simenv.clicks import CLICK_MODELS
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.play import Step, play, shopper_range
from simenv.world import World, begin, make_world, observe, step
from simenv.worlds import load_world, world_params
from simenv.worth import worth

LEAVING = dataclasses.replace(
    world_params("default"), abandonment=Abandonment(good=0.4, bad=0.5, relevant=0.8, price_gap=1.0)
)


def lives(world: World, n: int = 1500) -> Step:
    return join(list(play(world, UniformByHash(), 0, shopper_range(n))))


@pytest.fixture(scope="module")
def played() -> Step:
    return lives(make_world(LEAVING))


@pytest.fixture(scope="module")
def plain() -> Step:
    return lives(load_world("default"), 400)


def test_every_page_ends_as_what_happened_on_it_says(plain: Step) -> None:
    outcome = plain.outcome
    clicked, bought = outcome.clicked.any(axis=1), outcome.purchased.any(axis=1)
    over = outcome.session_over
    is_ending = {ending: outcome.ending == ending for ending in Ending}
    assert np.array_equal(is_ending[Ending.BOUGHT], bought)
    assert np.array_equal(is_ending[Ending.BAD], over & ~clicked)
    assert np.array_equal(is_ending[Ending.LEFT], over & clicked & ~bought)
    assert np.array_equal(is_ending[Ending.NEXT_PAGE] | is_ending[Ending.ASKED_AGAIN], ~over)
    assert not is_ending[Ending.GOOD].any()
    assert not is_ending[Ending.SATISFIED].any()


def _answers(world: World, steps: Step) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(no click, an answer was examined, nothing useful was examined) of each page, said again in the test's words."""
    outcome, params = steps.outcome, world.params.abandonment
    known = worth(world, steps.state, outcome.items)
    price = world.catalogue.price_z[np.maximum(outcome.items, 0)]
    fits = np.abs(price - steps.state.traits.price_taste[:, None]) <= params.price_gap
    answer = (outcome.examined & fits & (known.relevance >= params.relevant)).any(axis=1)
    useless = ~(outcome.examined & (known.relevance >= params.useless)).any(axis=1)
    return ~outcome.clicked.any(axis=1), answer, useless


def test_who_saw_an_answer_leaves_content_as_often_as_the_world_says(played: Step) -> None:
    """Within four standard errors on 40,000 first pages; and nobody else does."""
    world = make_world(LEAVING)
    state = begin(world, 7, np.arange(40_000))
    page = observe(world, state)
    _, outcome = step(world, state, page, np.repeat([np.arange(5)], len(page), axis=0))
    silent, answer, _ = _answers(world, Step(state, page, played.decision, outcome))
    good = outcome.ending == Ending.GOOD
    assert not good[~(silent & answer)].any()
    rows = silent & answer
    assert rows.sum() > 2000
    assert abs(good[rows].mean() - 0.4) < 4 * np.sqrt(0.24 / rows.sum())
    assert outcome.session_over[good].all()


def test_who_saw_nothing_useful_gives_up_as_often_as_the_world_says(played: Step) -> None:
    """On first pages, where without giving up a share q goes on: (1 - bad) * q do, within five standard errors."""
    calm_world = make_world(
        dataclasses.replace(LEAVING, abandonment=Abandonment(good=0.4, relevant=0.8, price_gap=1.0))
    )
    rates = []
    for world in (calm_world, make_world(LEAVING)):
        state = begin(world, 5, np.arange(20_000))
        page = observe(world, state)
        _, outcome = step(world, state, page, np.repeat([[40, 41, 42, 43, 44]], len(page), axis=0))
        steps = Step(state, page, played.decision, outcome)
        silent, _, useless = _answers(world, steps)
        rows = silent & useless
        goes_on = ~outcome.session_over[rows]
        rates.append((goes_on.mean(), goes_on.var() / rows.sum()))
    (calm, calm_error), (angry, angry_error) = rates
    assert abs(angry - 0.5 * calm) < 5 * np.sqrt(angry_error + 0.25 * calm_error)


def test_content_counts_as_satisfied(played: Step) -> None:
    world = make_world(LEAVING)
    memory = world.params.dynamics.satisfaction_memory
    state = begin(world, 0, np.arange(4000))
    page = observe(world, state)
    after, outcome = step(world, state, page, np.repeat([np.arange(5)], 4000, axis=0))
    good = outcome.ending == Ending.GOOD
    assert good.sum() > 50
    np.testing.assert_allclose(after.satisfaction[good], memory * 0.5 + (1 - memory), rtol=1e-6)


def test_chance_nought_is_exactly_off(plain: Step) -> None:
    world = make_world(
        dataclasses.replace(world_params("default"), abandonment=Abandonment(relevant=0.1, price_gap=9.0, useless=1.1))
    )
    other = lives(world, 400)
    for name in ("clicked", "purchased", "session_over", "gone", "ending"):
        assert getattr(plain.outcome, name).tobytes() == getattr(other.outcome, name).tobytes()


@pytest.mark.parametrize("name", ["dbn", "simplified-dbn", "dependent-click"])
def test_a_satisfied_click_ends_page_and_visit(name: str) -> None:
    world = make_world(dataclasses.replace(world_params("default"), click_model=CLICK_MODELS[name](5)))
    outcome = lives(world, 300).outcome
    satisfied = outcome.satisfied.any(axis=1)
    assert satisfied.sum() > 100
    assert outcome.session_over[satisfied].all()
    assert (outcome.satisfied.sum(axis=1) <= 1).all()
    label = outcome.ending == Ending.SATISFIED
    assert np.array_equal(label, satisfied & ~outcome.purchased.any(axis=1))


def test_clicks_satisfy_as_often_as_the_model_says() -> None:
    """Of clicks under a dynamic Bayesian network, within five standard errors of the items' own chances."""
    world = load_world("dbn")
    steps = lives(world, 1500)
    from simenv.worth import appeal

    chance = appeal(world, worth(world, steps.state, steps.outcome.items)).satisfaction[steps.outcome.clicked]
    satisfied = steps.outcome.satisfied[steps.outcome.clicked]
    assert abs((satisfied - chance).sum()) < 5 * np.sqrt((chance * (1.0 - chance)).sum())


def test_dependent_clicks_satisfy_with_what_continuation_leaves_the_last_slot_too() -> None:
    world = make_world(dataclasses.replace(world_params("default"), click_model=CLICK_MODELS["dependent-click"](5)))
    outcome = lives(world, 600).outcome
    for slot in range(5):
        rows = outcome.clicked[:, slot]
        share = outcome.satisfied[rows, slot].mean()
        assert abs(share - 0.4) < 5 * np.sqrt(0.24 / rows.sum()), slot


def test_models_without_satisfaction_satisfy_nobody(plain: Step) -> None:
    assert not plain.outcome.satisfied.any()
    assert not take(plain.outcome, slice(0, 0)).satisfied.any()


def test_chances_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="abandonment: bad is 2"):
        Abandonment(bad=2)

"""The market's story: who comes, what draws them, what follows; and no two things share a draw."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simenv import behaviour
from simenv.catalogue import I32
from simenv.check.ranker import UniformByHash
from simenv.clicks import CLICK_MODELS, Appeal, PositionBased
from simenv.columns import join
from simenv.hashing import stream
from simenv.language.attributes import SHARES
from simenv.params import Reward
from simenv.play import Step, play, shopper_range
from simenv.shoppers import Traits
from simenv.world import (
    State,
    World,
    begin,
    make_world,
    observe,
    policy_keys,
    step,
)
from simenv.worlds import WORLDS, load_world, world_params
from simenv.worth import appeal as appeal_from
from simenv.worth import click_values, expected_reward, worth

N = 20_000


def appeal_of(world: World, state: State, items: I32) -> Appeal:
    return appeal_from(world, worth(world, state, items))


@pytest.fixture(scope="module")
def world() -> World:
    return load_world("default")


@pytest.fixture(scope="module")
def played(world: World) -> Step:
    return join(list(play(world, UniformByHash(), 0, shopper_range(600))))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(abs(np.corrcoef(a, b)[0, 1]))


def test_traits_are_independent_of_each_other_and_of_the_first_day(world: World) -> None:
    """All pairs of traits that the model draws apart, within 5 / sqrt(N)."""
    state = begin(world, 0, np.arange(N))
    who = state.traits
    own = {
        "day": state.day,
        "gap": who.gap_days,
        "patience": who.patience,
        "price": who.price_taste,
        "device": who.device,
        "loyal": state.mind.favourite_brand >= 0,
        "taste": who.taste[:, 0] - who.taste[:, 1],
        "category": state.intent[:, 0],
        "wants brand": state.intent[:, 1] >= 0,
    }
    for one in own:
        for other in own:
            if one < other and {one, other} != {"loyal", "wants brand"}:
                assert correlation(own[one], own[other]) < 5 / np.sqrt(N), (one, other)


def test_what_a_visit_is_for_never_reuses_the_luck_of_taste(world: World) -> None:
    """No key of a visit's intent is a key of a trait; as they were when traits and visits hung under one key."""
    from simenv import hashing
    from simenv.state import Draw, visit_key

    state = begin(world, 0, np.arange(50))
    traits = hashing.absorb(hashing.stream(0, "traits"), state.shopper)
    of_traits = hashing.absorb(hashing.absorb(traits[:, None], np.arange(12))[:, :, None], np.arange(12)).ravel()
    of_visits = [
        hashing.absorb(visit_key(state.key, np.full(50, visit, np.int32), Draw.INTENT)[:, None], np.arange(9)).ravel()
        for visit in range(12)
    ]
    assert not np.isin(np.concatenate(of_visits), of_traits).any()


def test_the_population_has_the_shares_that_its_parameters_say(world: World) -> None:
    """Within five standard errors of each share."""
    params, state = world.params, begin(world, 0, np.arange(N))
    for column, share in [
        (state.traits.locale, params.shoppers.locale_share),
        (state.traits.device, params.shoppers.device_share),
    ]:
        got = np.bincount(column, minlength=len(share)) / N
        assert (np.abs(got - share) < 5 * np.sqrt(0.25 / N)).all()
    loyal = params.shoppers.loyal_share
    assert abs((state.mind.favourite_brand >= 0).mean() - loyal) < 5 * np.sqrt(0.25 / N)
    kinds = (params.queries.navigational, params.queries.focused, params.queries.exploratory)
    for place, term in [(1, "brand"), (2, "colour")]:  # every category has colours
        share = sum(kind.share * kind.wants[place - 1] for kind in kinds)
        assert abs((state.intent[:, place] >= 0).mean() - share) < 5 * np.sqrt(0.25 / N), term
    assert abs(state.traits.gap_days.mean() / params.shoppers.mean_gap_days - 1) < 0.02


def test_shoppers_wait_as_long_between_visits_as_their_trait_says(world: World) -> None:
    """The mean of gap / (own mean gap) is 1, within five standard errors, where the horizon cuts nothing off."""
    params = world_params("default")
    patient = dataclasses.replace(params, shoppers=dataclasses.replace(params.shoppers, horizon_days=10_000))
    far = make_world(patient)
    state = begin(far, 0, np.arange(8000))
    page = observe(far, state)
    after, outcome = step(far, state, page, np.zeros((8000, 5), int))
    rows = outcome.session_over & ~outcome.gone
    ratio = (after.day - state.day)[rows] / state.traits.gap_days[rows]
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(rows.sum())


def test_everybody_says_something(world: World, played: Step) -> None:
    assert all(world.demand.strings(played.state))


def test_expectations_are_the_click_model_over_hidden_attractions(world: World, played: Step) -> None:
    appeal = worth(world, played.state, played.outcome.items).attraction
    assert ((appeal >= 0) & (appeal < 1)).all()
    assert (appeal[played.outcome.items < 0] == 0).all()
    examination = np.array(world.params.click_model.examination[:5])  # type: ignore[attr-defined]
    # Two backends round the log-odds, which are of order 10, to 2**-24 of that at each of about a dozen terms.
    rounding = 12 * 10 * 2.0**-24
    np.testing.assert_allclose(played.outcome.expected, appeal * examination, rtol=rounding)
    np.testing.assert_allclose(
        expected_reward(world, played.state, played.page, played.decision.slate), played.outcome.expected, rounding
    )


@pytest.mark.parametrize("reward", ["clicks", "purchases", "revenue"])
@pytest.mark.parametrize("name", CLICK_MODELS)
def test_expected_reward_of_a_slate_agrees_with_what_step_says(reward: Reward, name: str) -> None:
    made = make_world(dataclasses.replace(world_params("tiny"), reward=reward, click_model=CLICK_MODELS[name](3)))
    steps = join(list(play(made, UniformByHash(), 0, shopper_range(80))))
    again = expected_reward(made, steps.state, steps.page, steps.decision.slate)
    np.testing.assert_allclose(again, steps.outcome.expected, rtol=1e-6, atol=1e-9)
    assert (click_values(made, worth(made, steps.state, steps.outcome.items)) >= 0).all()


@pytest.mark.parametrize("name", CLICK_MODELS)
def test_clicks_and_purchases_come_as_often_as_every_click_model_expects(name: str) -> None:
    """Per slot, over first pages of different shoppers (independent rows), within five standard errors."""
    made = make_world(dataclasses.replace(world_params("tiny"), click_model=CLICK_MODELS[name](3)))
    state = begin(made, 3, shopper_range(N))
    page = observe(made, state)
    slate = np.tile(np.arange(3), (N, 1))
    _, outcome = step(made, state, page, slate)
    bought = dataclasses.replace(made, params=dataclasses.replace(made.params, reward="purchases"))
    _, sales = step(bought, state, page, slate)
    for got in (outcome, sales):
        difference = got.reward - got.expected
        assert (abs(difference.mean(axis=0)) <= 5 * difference.std(axis=0) / np.sqrt(N)).all()
        assert got.expected.sum() > 0


def test_satisfaction_follows_utility_and_not_attraction(world: World) -> None:
    """Bait draws and does not satisfy, quality satisfies more than it draws; the odds are those of a cart, scaled."""
    state = begin(world, 0, shopper_range(500))
    items = observe(world, state).candidates
    appeal = appeal_of(world, state, items)
    real = items >= 0
    assert np.array_equal(appeal.attraction, worth(world, state, items).attraction)
    assert ((appeal.satisfaction > 0) & (appeal.satisfaction < 1)).all()
    lured = dataclasses.replace(world.catalogue, bait=world.catalogue.bait + 1)
    better = dataclasses.replace(world.catalogue, quality=world.catalogue.quality + 1)
    with_bait = appeal_of(dataclasses.replace(world, catalogue=lured), state, items)
    with_quality = appeal_of(dataclasses.replace(world, catalogue=better), state, items)
    assert np.array_equal(with_bait.satisfaction, appeal.satisfaction)
    assert (with_bait.attraction > appeal.attraction)[real].all()
    assert (with_quality.satisfaction > appeal.satisfaction)[real].all()


def test_the_satisfaction_of_an_item_changes_what_a_dynamic_network_expects_and_nothing_else() -> None:
    for name, moves in (("dbn", True), ("default", False), ("ubm", False), ("choice", False)):
        made = load_world(name)
        state = begin(made, 0, shopper_range(50))
        appeal = appeal_of(made, state, observe(made, state).candidates[:, :5])
        never = Appeal(appeal.attraction, np.zeros_like(appeal.satisfaction))
        model = made.params.click_model
        assert np.array_equal(model.click_probability(appeal), model.click_probability(never)) != moves


def test_examination_falls_with_the_slot_as_the_curve_says(world: World, played: Step) -> None:
    """Share of slots looked at, within five standard errors (rows are independent draws here)."""
    curve = np.array(world.params.click_model.examination[:5])  # type: ignore[attr-defined]
    got, n = played.outcome.examined.mean(axis=0), len(played.state)
    assert (np.abs(got - curve) <= 5 * np.sqrt(curve * (1 - curve) / n)).all()


def test_nobody_goes_on_after_a_purchase(played: Step) -> None:
    bought = played.outcome.purchased.any(axis=1)
    assert bought.any()
    assert played.outcome.session_over[bought].all()


def test_nobody_turns_to_an_empty_page() -> None:
    """Where the first page shows every candidate there is no second one."""
    params = dataclasses.replace(world_params("tiny"), n_candidates=6, n_slots=6, max_pages=3)
    steps = join(list(play(make_world(params), UniformByHash(), 0, shopper_range(200))))
    assert steps.page.page.max() == 0
    half = dataclasses.replace(params, n_slots=4)
    steps = join(list(play(make_world(half), UniformByHash(), 0, shopper_range(200))))
    assert steps.page.page.max() == 1
    assert (steps.page.candidates >= 0).any(axis=1)[steps.page.page == 1].all()


def test_twins_share_their_luck(world: World) -> None:
    """A slate turned round: what is examined at a slot is the same, and an item that is looked at twice acts alike."""
    state = begin(world, 0, np.arange(3000))
    page = observe(world, state)
    slate = np.tile(np.arange(5), (3000, 1))
    _, one = step(world, state, page, slate)
    _, two = step(world, state, page, slate[:, ::-1])
    assert np.array_equal(one.examined, two.examined)
    both = one.examined & two.examined[:, ::-1]
    assert np.array_equal(one.clicked[both], two.clicked[:, ::-1][both])


def test_the_policys_luck_is_not_the_shoppers(world: World) -> None:
    state = begin(world, 0, np.arange(N))
    own = policy_keys(state, 0)
    assert correlation(own.astype(float), state.key.astype(float)) < 5 / np.sqrt(N)
    assert not np.isin(own, state.key).any()
    assert stream(0, "policy") != stream(0, "shopper")


def test_taste_drifts_towards_what_was_clicked_and_history_remembers_it(world: World) -> None:
    state = begin(world, 0, np.arange(3000))
    after, outcome = step(world, state, observe(world, state), np.tile(np.arange(5), (3000, 1)))
    once = np.flatnonzero(outcome.clicked.sum(axis=1) == 1)
    slot = outcome.clicked[once].argmax(axis=1)
    item = outcome.items[once, slot]
    style = world.catalogue.style[item]
    rate = world.params.dynamics.taste_drift
    np.testing.assert_allclose(after.taste[once], (1 - rate) * state.taste[once] + rate * style, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after.history[once, :-1], style, rtol=1e-6)
    np.testing.assert_allclose(after.history[once, -1], world.catalogue.price_z[item], rtol=1e-6)
    assert np.array_equal(after.last_brand[once], world.catalogue.brand[item])
    none = ~outcome.clicked.any(axis=1)
    assert np.array_equal(after.taste[none], state.taste[none])
    assert (after.last_brand[none] == -1).all()


def test_step_and_observe_leave_their_inputs_alone(world: World) -> None:
    state = begin(world, 0, np.arange(100))
    before = begin(world, 0, np.arange(100))
    page = observe(world, state)
    candidates = page.candidates.copy()
    step(world, state, page, np.tile(np.arange(5), (100, 1)))
    assert np.array_equal(page.candidates, candidates)
    for field in dataclasses.fields(state):
        if field.name not in ("traits", "mind", "recent"):
            assert np.array_equal(getattr(state, field.name), getattr(before, field.name)), field.name
    for part in ("mind", "recent"):
        for name, levels in vars(getattr(before, part)).items():
            assert np.array_equal(getattr(getattr(state, part), name), levels), f"{part}.{name}"


def test_relevance_grades_category_department_brand_and_colour(world: World) -> None:
    catalogue, department = world.catalogue, world.demand.lexicon.department
    item = np.array([[1000, -1]], dtype=np.int32)
    own = (catalogue.category[1000], catalogue.brand[1000], catalogue.colour[1000])
    cousin = int(np.flatnonzero((department == department[own[0]]) & (np.arange(len(department)) != own[0]))[0])
    stranger = int(np.flatnonzero(department != department[own[0]])[0])
    other_brand, other_colour = (own[1] + 1) % 48, (own[2] + 1) % 10
    for wanted, expected in [
        ((own[0], -1, -1), 1.0),
        (own, 1.0),
        ((own[0], other_brand, -1), behaviour.BRAND_MISSED),
        ((own[0], -1, other_colour), behaviour.COLOUR_MISSED),
        ((own[0], other_brand, other_colour), behaviour.BRAND_MISSED * behaviour.COLOUR_MISSED),
        ((cousin, -1, -1), behaviour.SAME_DEPARTMENT),
        ((stranger, -1, -1), 0.0),
    ]:
        wish = np.array([[*wanted, -1, -1, -1, -1]], dtype=np.int32)
        grade = behaviour.relevance(catalogue, wish, item)
        np.testing.assert_allclose(grade, [[expected, 0.0]], rtol=1e-6)


@pytest.mark.parametrize(("place", "name"), [(3, "size"), (4, "material"), (5, "audience"), (6, "use")])
def test_an_item_with_another_value_is_less_relevant_and_one_with_none_in_particular_is_not(
    world: World, place: int, name: str
) -> None:
    catalogue = world.catalogue
    column = getattr(catalogue, name)
    some, none = int(np.flatnonzero(column >= 0)[0]), int(np.flatnonzero(column < 0)[0])
    for item, value, expected in [
        (some, column[some], 1.0),
        (some, column[some] + 1, behaviour.ATTRIBUTE_MISSED[name]),
        (none, 0, 1.0),
    ]:
        intent = np.full((1, 7), -1, np.int32)
        intent[0, [0, place]] = catalogue.category[item], value
        grade = behaviour.relevance(catalogue, intent, np.array([[item]], np.int32))
        np.testing.assert_allclose(grade, [[expected]], rtol=1e-6)


def test_items_have_attributes_only_where_they_fit(world: World) -> None:
    catalogue, lexicon = world.catalogue, world.demand.lexicon
    for a, name in enumerate(("size", "material", "audience", "use"), start=1):
        column = getattr(catalogue, name)
        for item in np.flatnonzero(column >= 0)[::97]:
            g = catalogue.category[item]
            assert column[item] in lexicon.fits[a, g, : lexicon.n_fits[a, g]]
        can = lexicon.n_fits[a, catalogue.category] > 0
        assert (column[~can] == -1).all()
        share = SHARES[name]  # within five standard errors
        assert abs((column[can] >= 0).mean() - share) < 5 * np.sqrt(share * (1 - share) / can.sum())


def test_bait_draws_clicks_and_sells_nothing_and_quality_sells(world: World) -> None:
    catalogue = world.catalogue
    lured = dataclasses.replace(catalogue, bait=catalogue.bait + 1)
    better = dataclasses.replace(catalogue, quality=catalogue.quality + 1)
    state = begin(world, 0, np.arange(100))
    items = observe(world, state).candidates
    grade = behaviour.relevance(catalogue, state.intent, items)
    match = behaviour.style_match(catalogue, state.taste, items)
    fit = behaviour.Fit(grade, match, catalogue.price_z[np.maximum(items, 0)])
    click = [
        behaviour.attraction(dataclasses.replace(world, catalogue=one), state, fit, items, None)
        for one in (catalogue, lured, better)
    ]
    cart = [
        behaviour.conversion(world.params.conversion, one, fit, items, None)[0] for one in (catalogue, lured, better)
    ]
    real = items >= 0
    assert (click[1] > click[0])[real].all()
    assert np.array_equal(cart[1], cart[0])
    assert (cart[2] > cart[0])[real].all()


def test_nothing_personal_is_left_in_the_impersonal_world() -> None:
    """Shoppers with other traits but the same intent are drawn by the same items."""
    made = load_world("impersonal")
    state = begin(made, 0, np.arange(500))
    items = observe(made, state).candidates
    turned = begin(made, 1, np.arange(500))
    traits: Traits = dataclasses.replace(turned.traits, locale=state.traits.locale)
    other = dataclasses.replace(state, traits=traits, taste=turned.taste, mind=turned.mind)
    np.testing.assert_allclose(worth(made, state, items).attraction, worth(made, other, items).attraction, rtol=1e-6)


@pytest.mark.parametrize("name", WORLDS)
def test_parameters_are_told_apart_by_their_digest(name: str) -> None:
    params = world_params(name)
    assert params.digest() == dataclasses.replace(params).digest()
    models = [CLICK_MODELS[model](n_slots) for model in CLICK_MODELS for n_slots in (6, 7)]
    models = [model for k, model in enumerate(models) if model not in [params.click_model, *models[:k]]]
    changes = [
        dataclasses.replace(params, seed=params.seed + 1),
        dataclasses.replace(params, click_model=PositionBased((0.5,) * 60)),
        *(dataclasses.replace(params, click_model=model) for model in models),
        dataclasses.replace(params, dynamics=dataclasses.replace(params.dynamics, taste_drift=0.123)),
    ]
    assert len({one.digest() for one in [params, *changes]}) == len(changes) + 1


def test_the_catalogue_is_a_shop_that_a_person_would_know(world: World) -> None:
    catalogue = world.catalogue
    assert (np.diff(catalogue.category) >= 0).all()
    assert (catalogue.price > 0).all()
    assert ((catalogue.rating >= 1) & (catalogue.rating <= 5)).all()
    assert np.bincount(catalogue.category, minlength=64).min() >= 0.4 * 10_000 / 64
    assert abs(catalogue.popularity.mean()) < 1e-3
    assert 0.4 < np.corrcoef(catalogue.rating, catalogue.quality)[0, 1] < 0.95
    for category in range(64):
        for brand in (0, 7, 47):
            first, end = catalogue.range_start[category, brand : brand + 2]
            inside = (catalogue.category == category) & (catalogue.brand == brand)
            assert np.array_equal(np.flatnonzero(inside), np.arange(first, end))

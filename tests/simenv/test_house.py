"""Places that the market fills itself: off is nothing, the whole page is clicked, and nothing stands on it twice."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from simenv.check import check_world
from simenv.check.ranker import UniformByHash
from simenv.clicks import CLICK_MODELS, PositionBased
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.house import HouseSlots, bids, full_page, house_places, policy_places
from simenv.params import Reward, Shoppers
from simenv.play import Step, play, shopper_range
from simenv.world import World, begin, make_world, observe, step
from simenv.worlds import load_world, world_params
from simenv.worth import appeal, click_values, expected_reward, worth

HOUSE = HouseSlots(sponsored=(0, 3), pinned=(2,))
TINY = dataclasses.replace(world_params("tiny"), n_candidates=16, house=HOUSE)


def lives(world: World, n: int = 300) -> Step:
    return join(list(play(world, UniformByHash(), 0, shopper_range(n))))


@pytest.fixture(scope="module")
def sponsored() -> World:
    return load_world("sponsored")


@pytest.fixture(scope="module")
def played(sponsored: World) -> Step:
    return lives(sponsored)


def test_without_places_of_the_house_a_page_is_the_slate() -> None:
    assert policy_places(HouseSlots(), 5) == slice(None)
    items = np.arange(10, dtype=np.int32).reshape(2, 5)
    assert full_page(HouseSlots(), items, np.zeros((2, 0), np.int32)) is items
    played = lives(load_world("tiny"), 20)
    assert played.page.house.shape == (len(played.page), 0)
    assert played.outcome.house_clicked.shape == (len(played.page), 0)


def test_the_slots_of_the_policy_fill_the_places_that_the_house_leaves() -> None:
    mine, theirs = policy_places(HOUSE, 3), house_places(HOUSE)
    assert isinstance(mine, np.ndarray)
    assert isinstance(theirs, np.ndarray)
    assert mine.tolist() == [1, 4, 5]
    assert theirs.tolist() == [0, 2, 3]
    page = full_page(HOUSE, np.array([[1, 2, 3]]), np.array([[7, 8, 9]]))
    assert page.tolist() == [[7, 1, 8, 9, 2, 3]]
    assert HOUSE.labels() == ("sponsored", "pinned", "sponsored")


@pytest.mark.parametrize("name", CLICK_MODELS)
@pytest.mark.parametrize("reward", ["clicks", "net revenue"])
def test_the_expected_reward_of_a_page_with_a_house_is_that_of_all_its_click_patterns(
    name: str, reward: Reward
) -> None:
    """Every pattern of clicks on the six places, with its probability: the policy's slots get their marginals."""
    world = make_world(dataclasses.replace(TINY, reward=reward, click_model=CLICK_MODELS[name](6)))
    state = begin(world, 0, np.arange(20))
    page = observe(world, state)
    slate = np.argsort(page.candidates < 0, axis=1, kind="stable")[:, :3]
    shown = full_page(HOUSE, np.take_along_axis(page.candidates, slate, axis=1), page.house)
    known = worth(world, state, shown)
    total = np.zeros(shown.shape)
    for pattern in itertools.product([False, True], repeat=6):
        clicks = np.repeat([pattern], len(shown), axis=0)
        total += np.exp(world.params.click_model.log_prob(appeal(world, known), clicks))[:, None] * clicks
    exact = (total * click_values(world, known))[:, policy_places(HOUSE, 3)]
    np.testing.assert_allclose(expected_reward(world, state, page, slate), exact, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(step(world, state, page, slate)[1].expected, exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["cascade", "dbn", "multinomial-logit"])
def test_a_world_with_a_house_keeps_the_contract_under_models_whose_slots_touch(name: str) -> None:
    check_world(make_world(dataclasses.replace(TINY, click_model=CLICK_MODELS[name](6))))


def test_a_cascade_stops_at_an_advertisement() -> None:
    world = make_world(dataclasses.replace(TINY, click_model=CLICK_MODELS["cascade"](6)))
    outcome = lives(world).outcome
    first = outcome.house_clicked[:, 0]  # at the top of the page
    assert first.sum() > 20
    assert not outcome.examined[first].any()
    assert not outcome.house_examined[first, 1:].any()


def test_nothing_of_the_house_is_among_the_candidates_so_no_policy_can_repeat_it(played: Step) -> None:
    house, candidates = played.page.house, played.page.candidates
    assert not ((house[:, :, None] == candidates[:, None, :]) & (house[:, :, None] >= 0)).any()
    assert (house >= 0).all(axis=1).mean() > 0.4


def test_the_house_shows_the_same_to_all_whose_query_found_the_same(sponsored: World, played: Step) -> None:
    """Other shoppers, other luck and other tastes: the same candidates on a day have the same house."""
    seen: dict[bytes, bytes] = {}
    state = begin(sponsored, 1, np.arange(4000))
    page = observe(sponsored, dataclasses.replace(state, day=np.zeros_like(state.day)))
    for candidates, house in zip(page.candidates, page.house, strict=True):
        key = candidates.tobytes()
        assert seen.setdefault(key, house.tobytes()) == house.tobytes()
    assert len(seen) < 3000


def test_pinned_places_are_filled_as_often_as_the_world_says() -> None:
    """By category and week, within five standard errors; sponsored ones wherever somebody bids."""
    world = make_world(dataclasses.replace(world_params("sponsored"), shoppers=Shoppers(horizon_days=140)))
    state = begin(world, 0, np.arange(6000))
    filled: dict[tuple[int, int], bool] = {}
    for week in range(20):
        page = observe(world, dataclasses.replace(state, day=np.full_like(state.day, 7 * week)))
        first = page.candidates[np.arange(6000), np.argmax(page.candidates >= 0, axis=1)]
        found = np.flatnonzero(first >= 0)
        category = page.query_terms[found, 0]
        for row, group in zip(found, category, strict=True):
            if group >= 0 and world.catalogue.category[first[row]] == group:
                filled[int(group), week] = bool(page.house[row, 1] >= 0)
    share = world.params.house.pinned_share
    assert abs(np.mean(list(filled.values())) - share) < 5 * np.sqrt(share * (1 - share) / len(filled))


def test_sellers_pay_their_bid_for_a_click_and_nothing_for_what_is_pinned(sponsored: World, played: Step) -> None:
    house, outcome = sponsored.params.house, played.outcome
    assert (outcome.ad_revenue[:, 1] == 0).all()
    paid = outcome.ad_revenue[:, [0, 2]][outcome.house_clicked[:, [0, 2]]]
    own = bids(house, sponsored.catalogue, played.page.house, played.page.day)[:, [0, 2]]
    np.testing.assert_array_equal(paid, own[outcome.house_clicked[:, [0, 2]]])
    assert (paid > 0).all()
    # The share of items with a bid, and the median bid; within five standard errors (of a median: 1.25 of a mean's).
    every = np.arange(sponsored.catalogue.n_items, dtype=np.int32)[None, :]
    offered = bids(house, sponsored.catalogue, every, np.zeros(1, np.int32))[0]
    bidding = offered[offered > 0]
    assert abs(len(bidding) / 10_000 - house.advertised) < 5 * np.sqrt(0.25 / 10_000)
    error = 1.25 * house.bid_spread / np.sqrt(len(bidding))
    assert abs(np.log(np.median(bidding) / house.bid)) < 5 * error


def test_a_higher_bid_wins_where_predictions_are_alike() -> None:
    house = dataclasses.replace(HOUSE, pinned=(), prediction_noise=0.0, bid_spread=3.0)
    world = make_world(dataclasses.replace(TINY, house=house))
    state = begin(world, 0, np.arange(500))
    page = observe(world, state)
    offered = bids(house, world.catalogue, page.house, page.day)
    both = (page.house >= 0).all(axis=1)
    assert both.sum() > 50
    assert (offered[both, 0] > offered[both, 1]).mean() > 0.8  # the rest by popularity


def test_what_the_house_showed_stays_out_of_the_next_page(sponsored: World, played: Step) -> None:
    rows = np.flatnonzero(played.page.page > 0)
    later = take(played.page, rows)
    assert not ((later.house[:, :, None] == later.candidates[:, None, :]) & (later.house[:, :, None] >= 0)).any()


def test_places_and_models_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="place 9 is not on the page"):
        dataclasses.replace(TINY, house=HouseSlots(sponsored=(9,)))
    with pytest.raises(UserError, match="hold one twice"):
        HouseSlots(sponsored=(1,), pinned=(1,))
    with pytest.raises(UserError, match="the slate has 6 slots"):
        make_world(dataclasses.replace(TINY, click_model=PositionBased((1.0, 0.5, 0.3))))
    with pytest.raises(UserError, match="3 places of the house"):
        dataclasses.replace(TINY, n_candidates=5)
    with pytest.raises(UserError, match="pinned_share"):
        HouseSlots(pinned_share=1.5)

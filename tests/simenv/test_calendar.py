"""What happens on which day: items come and go, prices, demand and taste move, and policies see today's price."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from simenv.calendar import discount, draw_category, prices
from simenv.check.ranker import UniformByHash
from simenv.columns import join
from simenv.market import LIVELY, Churn, Market, Prices, Seasons, Shock
from simenv.play import Step, play, shopper_range
from simenv.world import World, begin, make_world, observe
from simenv.worlds import world_params
from simenv.worth import worth

TINY = world_params("tiny")


def world_of(market: Market) -> World:
    return make_world(dataclasses.replace(TINY, market=market))


def lives(world: World, n: int = 300) -> Step:
    return join(list(play(world, UniformByHash(), 3, shopper_range(n))))


def test_only_listed_items_are_candidates_and_new_ones_are_found_from_their_day_on() -> None:
    world = world_of(Market(churn=Churn(0.5, 0.3)))
    page, calendar = lives(world).page, world.calendar
    assert calendar.first_day is not None
    assert calendar.last_day is not None
    row, place = np.nonzero(page.candidates >= 0)
    item, day = page.candidates[row, place], page.day[row]
    assert (calendar.first_day[item] <= day).all()
    assert (calendar.last_day[item] >= day).all()
    assert (calendar.first_day[item] > 0).any()
    plain = world_of(Market()).demand.search(begin(world, 3, np.arange(300))).candidates
    first = observe(world, begin(world, 3, np.arange(300)))
    listed = (calendar.first_day[plain] <= first.day[:, None]) & (calendar.last_day[plain] >= first.day[:, None])
    assert np.array_equal(first.candidates, np.where(listed & (plain >= 0), plain, -1))


def test_shares_of_churn_are_those_asked_for_and_nothing_leaves_before_it_comes() -> None:
    """Of 1,600 items, within five standard errors: .061 for a share of .4, .05 for one of .2."""
    calendar = world_of(Market(churn=Churn(0.4, 0.2))).calendar
    assert calendar.first_day is not None
    assert calendar.last_day is not None
    assert abs((calendar.first_day > 0).mean() - 0.4) < 0.061
    assert abs((calendar.last_day < 28).mean() - 0.2) < 0.05
    assert (calendar.last_day >= calendar.first_day).all()
    assert calendar.first_day.max() == 27


def test_a_new_item_has_no_sales_and_no_rating_to_show_and_is_as_good_as_any() -> None:
    plain, world = world_of(Market()).catalogue, world_of(Market(churn=Churn()))
    assert world.calendar.first_day is not None
    new = world.calendar.first_day > 0
    public = world.catalogue.public()
    assert (public.popularity[new] == plain.popularity.min()).all()
    assert len(np.unique(public.rating[new])) == 1
    for name in ("quality", "bait", "style", "price"):
        assert np.array_equal(getattr(world.catalogue, name), getattr(plain, name))
    for name in ("popularity", "rating"):
        assert np.array_equal(getattr(public, name)[~new], getattr(plain, name)[~new])


def test_todays_price_is_public_and_is_what_is_paid_and_what_the_shopper_minds() -> None:
    world = world_of(dataclasses.replace(LIVELY, stock=None))
    steps = lives(world)
    at = np.maximum(steps.decision.slate, 0).astype(np.int64)
    price = world.catalogue.price[np.maximum(steps.outcome.items, 0)] * np.exp(
        np.take_along_axis(steps.page.discount, at, axis=1)
    )
    bought = steps.outcome.purchased
    assert bought.sum() > 20
    np.testing.assert_allclose(steps.outcome.revenue[bought], price[bought], rtol=1e-6)  # float32, of either backend
    assert (steps.page.discount[steps.page.candidates < 0] == 0).all()
    dear = world_of(Market(shocks=(Shock("prices", 0, 0.5),)))
    plain = world_of(Market())
    state = begin(plain, 3, np.arange(50))
    items = observe(plain, state).candidates
    before, after = worth(plain, state, items), worth(dear, state, items)
    real = items >= 0
    assert (after.buy[real] < before.buy[real]).all()
    np.testing.assert_allclose(after.price[real], before.price[real] * np.exp(np.float32(0.5)), rtol=1e-6)
    spread = np.log(after.price[real] / before.price[real]) / (after.price_z - before.price_z)[real]
    assert 0.1 < spread.min() <= spread.max() < 1.5  # a category's spread of log prices


def test_prices_change_by_the_week_and_sales_are_as_many_and_as_deep_as_asked_for() -> None:
    """Of 1,600 items a week, a share of .2 within five standard errors: .05. Half precision keeps .001."""
    world = world_of(Market(prices=Prices(step=0.0, sale_share=0.2, sale_depth=0.4)))
    items = np.arange(1600, dtype=np.int32)[None]
    weeks = [discount(world.calendar, items, np.array([day], np.int32))[0] for day in range(28)]
    for day in range(28):
        assert np.array_equal(weeks[day], weeks[day - day % 7])
        on_sale = weeks[day] < -0.01
        assert abs(on_sale.mean() - 0.2) < 0.05
        np.testing.assert_allclose(weeks[day][on_sale], np.log(0.6), atol=1e-3)
        assert (weeks[day][~on_sale] == 0).all()
    assert not np.array_equal(weeks[0], weeks[7])
    walking = world_of(Market(prices=Prices(step=0.05, sale_share=0.0)))
    week = [discount(walking.calendar, items, np.array([day], np.int32))[0] for day in (0, 7, 14, 21)]
    # Standard deviation .05 a week over 1,600 items: five standard errors are .0044.
    assert (week[0] == 0).all()
    assert all(abs((b - a).std() - 0.05) < 0.0044 for a, b in itertools.pairwise(week))


def test_demand_is_drawn_by_the_shares_of_its_day() -> None:
    """Of a grid of 200,000 uniforms, each category gets its share to within two points of the grid."""
    world = world_of(Market(seasons=Seasons(strength=1.0, period_days=28)))
    edges = world.demand.category_edges  # type: ignore[attr-defined]
    u = (np.arange(200_000) + 0.5) / 200_000
    for day in (0, 7, 27, 40):
        drawn = draw_category(edges, u, np.full(len(u), day, np.int32))
        share = np.diff(edges[min(day, 27)], prepend=0.0) / edges[min(day, 27), -1]
        assert np.abs(np.bincount(drawn, minlength=64) / len(u) - share).max() < 2 / len(u)
    still = np.cumsum(np.full(5, 0.2))[None]
    assert np.array_equal(draw_category(still, u, np.zeros(len(u), np.int32)), (u * 5).astype(int))


def test_intents_follow_a_shock_of_demand_from_its_day_to_its_end() -> None:
    world = world_of(Market(shocks=(Shock("demand", 10, 4.0, target=30, days=5),)))
    n = 4_000
    ids = np.arange(n)
    state = begin(world, 3, ids)
    share = []
    for day in (9, 10, 14, 15):
        days = np.full(n, day, np.int32)
        intent = world.demand.intents(
            state.key, state.visit, days, state.mind.favourite_brand, np.zeros((n, 0), np.float32)
        )
        share.append((intent[:, 0] == 30).mean())
    assert share[0] == share[3]
    assert share[1] == share[2]
    assert share[1] > 5 * share[0]


def test_a_brand_whose_supply_fails_is_gone_while_it_lasts() -> None:
    world = world_of(Market(shocks=(Shock("supply", 7, target=0, days=7),)))
    page = lives(world).page
    of_brand = (world.catalogue.brand[np.maximum(page.candidates, 0)] == 0) & (page.candidates >= 0)
    gone = (page.day >= 7) & (page.day < 14)
    assert not of_brand[gone].any()
    assert of_brand[~gone].any(axis=1).mean() > 0.3
    assert of_brand[page.day >= 14].any()


def test_a_shock_of_taste_moves_the_worth_of_items_by_their_style_and_not_the_shoppers_own_taste() -> None:
    plain, world = world_of(Market()), world_of(Market(shocks=(Shock("taste", 0, 2.0),)))
    way = world.calendar.taste
    assert way is not None
    assert np.linalg.norm(way[0]) == pytest.approx(2.0, rel=1e-6)
    state = begin(plain, 3, np.arange(50))
    assert np.array_equal(state.taste, begin(world, 3, np.arange(50)).taste)
    items = observe(plain, state).candidates
    before, after = (np.log(a / (1 - a)) for a in (worth(w, state, items).attraction.astype(float) + 1e-30
                                                   for w in (plain, world)))  # fmt: skip
    moved = TINY.attraction.taste * plain.catalogue.style[np.maximum(items, 0)] @ way[0]
    real = items >= 0
    np.testing.assert_allclose((after - before)[real], moved[real], atol=1e-4)  # float32 log-odds of order 5


def test_the_same_price_is_in_the_page_and_in_the_truth() -> None:
    world = world_of(LIVELY)
    steps = lives(world, 60)
    price, _ = prices(world.calendar, world.catalogue, steps.page.candidates, steps.page.day)
    real = steps.page.candidates >= 0
    public = world.catalogue.price[np.maximum(steps.page.candidates, 0)] * np.exp(steps.page.discount)
    assert np.array_equal(price[real], public[real])


def test_tables_of_a_million_items_are_small() -> None:
    """Two days of int16 and four weeks of float16 an item: 12 bytes."""
    calendar = world_of(dataclasses.replace(LIVELY, stock=None)).calendar
    tables = [getattr(calendar, field.name) for field in dataclasses.fields(calendar)]
    by_item = sum(t.nbytes for t in tables if t is not None and TINY.n_items in t.shape)
    assert by_item == 12 * TINY.n_items
    assert sum(t.nbytes for t in tables if t is not None) - by_item < 20_000

"""After the click: dwell and returns follow utility, planted rates come back, and off is exactly off."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from simenv.behaviour import disappointment, logit, style_match
from simenv.check.ranker import UniformByHash
from simenv.check.world import check_world
from simenv.columns import join
from simenv.errors import UserError
from simenv.params import Conversion
from simenv.play import Step, play, shopper_range
from simenv.postclick import PostClick
from simenv.world import World, make_world
from simenv.worlds import load_world, world_params
from simenv.worth import click_values, worth

SELLING = dataclasses.replace(
    world_params("default"),
    conversion=Conversion(cart_base=-1.5),
    post_click=PostClick(dwell=20.0, dwell_utility=0.4, dwell_spread=0.7, returns=0.1, regret=2.0),
)


@pytest.fixture(scope="module")
def selling() -> World:
    return make_world(SELLING, "numpy")  # bytes are those of one backend


@pytest.fixture(scope="module")
def played(selling: World) -> Step:
    return join(list(play(selling, UniformByHash(), 0, shopper_range(3000))))


def test_without_them_nothing_is_recorded_or_sent_back_and_nothing_else_is_another() -> None:
    world = make_world(dataclasses.replace(SELLING, post_click=PostClick()), "numpy")
    plain, on = (
        join(list(play(each, UniformByHash(), 0, shopper_range(100)))) for each in (world, make_world(SELLING, "numpy"))
    )
    assert not plain.outcome.dwell.any()
    assert not plain.outcome.returned.any()
    assert on.outcome.dwell.any()
    for field in dataclasses.fields(plain.outcome):
        if field.name not in ("dwell", "returned"):
            assert np.array_equal(getattr(plain.outcome, field.name), getattr(on.outcome, field.name)), field.name
    assert np.array_equal(plain.state.satisfaction, on.state.satisfaction)


def test_dwells_are_log_normal_around_utility(selling: World, played: Step) -> None:
    """Intercept, slope and spread of log seconds over utility, each within five standard errors of what was planted."""
    clicked = played.outcome.clicked
    assert np.array_equal(played.outcome.dwell > 0, clicked)
    params = selling.params
    cart = worth(selling, played.state, played.outcome.items).cart[clicked].astype(float)
    utility = logit(cart) - params.conversion.cart_base - params.conversion.cart_relevance  # type: ignore[arg-type]
    y = np.log(played.outcome.dwell[clicked].astype(float))
    x = np.column_stack([np.ones_like(utility), utility])
    found, *_ = np.linalg.lstsq(x, y, rcond=None)
    residual = y - x @ found
    planted = params.post_click.dwell_spread
    error = planted * np.sqrt(np.diag(np.linalg.inv(x.T @ x)))
    assert abs(found[0] - np.log(params.post_click.dwell)) < 5 * error[0]
    assert abs(found[1] - params.post_click.dwell_utility) < 5 * error[1]
    assert abs(residual.std() - planted) < 5 * planted / np.sqrt(2 * len(y))


def test_purchases_are_sent_back_as_often_as_disappointment_says(selling: World, played: Step) -> None:
    """Overall, and among the more and the less disappointing half; within five standard errors."""
    bought = played.outcome.purchased
    assert not (played.outcome.returned & ~bought).any()
    items, params = played.outcome.items, selling.params
    match = style_match(selling.catalogue, played.state.taste, items)
    gap = disappointment(params.attraction, params.conversion, selling.catalogue, match, items)[bought].astype(float)
    odds = np.log(params.post_click.returns / (1 - params.post_click.returns)) + params.post_click.regret * gap
    chance, back = 1 / (1 + np.exp(-odds)), played.outcome.returned[bought]
    for rows in (gap > -np.inf, gap > np.median(gap), gap <= np.median(gap)):
        error = np.sqrt((chance * (1 - chance))[rows].sum())
        assert abs((back - chance)[rows].sum()) < 5 * error
    assert chance[gap > np.median(gap)].mean() > 2 * chance[gap <= np.median(gap)].mean()


def test_bait_up_and_quality_down_send_things_back(selling: World) -> None:
    catalogue, params = selling.catalogue, selling.params
    items = np.arange(200, dtype=np.int32)[None, :]
    match = np.zeros((1, 200), np.float32)
    plain = disappointment(params.attraction, params.conversion, catalogue, match, items)
    bait = dataclasses.replace(catalogue, bait=catalogue.bait + 1)
    poor = dataclasses.replace(catalogue, quality=catalogue.quality - 1)
    for worse in (bait, poor):
        assert (disappointment(params.attraction, params.conversion, worse, match, items) > plain).all()


def test_net_revenue_is_what_stays_sold() -> None:
    world = make_world(dataclasses.replace(SELLING, reward="net revenue"))
    played = join(list(play(world, UniformByHash(), 0, shopper_range(300))))
    outcome = played.outcome
    np.testing.assert_array_equal(outcome.reward, np.where(outcome.returned, 0.0, outcome.revenue))
    assert 0 < outcome.reward.sum() < outcome.revenue.sum()
    known = worth(world, played.state, outcome.items)
    stays = (known.cart * known.buy).astype(float) * (1.0 - known.back) * known.price
    np.testing.assert_allclose(click_values(world, known), stays, rtol=1e-6)
    bought = outcome.purchased
    error = np.sqrt((known.back * (1 - known.back))[bought].sum())
    assert abs((outcome.returned - known.back)[bought].sum()) < 5 * error
    check_world(world)  # the expectation is exact: rewards agree with it within four standard errors


def test_net_revenue_is_revenue_where_nothing_is_sent_back() -> None:
    params = world_params("tiny")
    net, gross = (
        join(list(play(make_world(each, "numpy"), UniformByHash(), 0, shopper_range(60))))
        for each in (dataclasses.replace(params, reward=kind) for kind in ("net revenue", "revenue"))
    )
    assert np.array_equal(net.outcome.reward, gross.outcome.reward)
    assert np.array_equal(net.outcome.expected, gross.outcome.expected)


def test_the_world_of_returns_sells_things_that_come_back() -> None:
    outcome = join(list(play(load_world("returns"), UniformByHash(), 0, shopper_range(500)))).outcome
    share = outcome.returned.sum() / outcome.purchased.sum()
    assert 0.1 < share < 0.5


def test_chances_out_of_range_are_refused() -> None:
    for wrong in ({"returns": 1.0}, {"dwell": -1.0}, {"dwell_spread": -0.1}):
        with pytest.raises(UserError, match="post_click"):
            PostClick(**wrong)

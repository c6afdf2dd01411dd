"""Each mechanism of the market can be switched on alone, and off means exactly off."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from simenv.calendar import Calendar
from simenv.check import check_world
from simenv.check.ranker import UniformByHash
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.market import LIVELY, Churn, Market, Prices, Seasons, Shock, Stock, Trends
from simenv.params import Shoppers
from simenv.play import Step, play, shopper_range
from simenv.world import World, make_world
from simenv.worlds import world_params

TINY = world_params("tiny")
SHORT = dataclasses.replace(TINY, shoppers=Shoppers(horizon_days=10))  # long enough for every shock below
SWITCHES = tuple(field.name for field in dataclasses.fields(Market))
TABLES = ("first_day", "last_day", "brand_gone", "item_price", "all_prices", "price_spread", "demand", "taste")
# Every kind of shock, so that each switch reaches each table that it can.
ON = dataclasses.replace(
    LIVELY,
    shocks=(
        Shock("taste", 5, 2.0), Shock("demand", 5, 1.0, target=3), Shock("prices", 5, 0.2), Shock("supply", 5, target=1)
    ),
)  # fmt: skip


def market_of(names: tuple[str, ...]) -> Market:
    return Market(**{name: getattr(ON, name) for name in names})


def world_of(market: Market) -> World:
    return make_world(dataclasses.replace(SHORT, market=market), "numpy")  # bytes are those of one backend


def lives(world: World, n: int = 60) -> Step:
    steps = join(list(play(world, UniformByHash(), 3, shopper_range(n))))
    return take(steps, np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper)))


def bytes_of(steps: Step) -> bytes:
    """Every array of the state, the page and the outcome."""
    made = b""
    for part in (steps.state, steps.page, steps.outcome, steps.decision):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            made += value.tobytes() if isinstance(value, np.ndarray) else b""
    return made


# Each mechanism with no strength at all.
STILL: dict[str, Any] = {
    "churn": Churn(0.0, 0.0),
    "stock": Stock(units=1e9),
    "prices": Prices(step=0.0, sale_share=0.0),
    "seasons": Seasons(strength=0.0),
    "trends": Trends(0.0, 0.0),
    "shocks": (Shock("taste", 10_000), Shock("demand", 10_000), Shock("prices", 10_000), Shock("supply", 10_000)),
}
COMBINATIONS = [names for n in range(len(SWITCHES) + 1) for names in itertools.combinations(SWITCHES, n)]


@pytest.fixture(scope="module")
def alone() -> dict[str, Calendar]:
    return {name: world_of(market_of((name,))).calendar for name in SWITCHES}


def test_there_is_a_combination_for_each_way_of_setting_the_switches() -> None:
    assert len(COMBINATIONS) == 2 ** len(SWITCHES) == 64


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_a_mechanism_does_the_same_whatever_else_is_on_and_nothing_where_it_is_off(
    names: tuple[str, ...], alone: dict[str, Calendar]
) -> None:
    """Listing and item prices belong to one switch each; demand and taste add up over those that move them.

    And lives have the same bytes as where what is off is on with no strength.
    """
    world = world_of(market_of(names))
    for table in TABLES:
        found = getattr(world.calendar, table)
        owners = [getattr(alone[name], table) for name in names if getattr(alone[name], table) is not None]
        if not owners:
            assert found is None, f"{table} exists though nothing that moves it is on"
        elif table in ("demand", "taste"):
            # Sums of at most three float64 tables of order 1; `taste` is stored in float32 of order 1.
            np.testing.assert_allclose(found, sum(owners), atol=1e-6)
        else:
            assert np.array_equal(found, owners[0])
    still = dataclasses.replace(market_of(names), **{name: STILL[name] for name in SWITCHES if name not in names})
    assert bytes_of(lives(world, 3)) == bytes_of(lives(world_of(still), 3)), (
        "off is not what a mechanism of no strength is"
    )


def test_each_mechanism_changes_what_happens() -> None:
    plain = bytes_of(lives(world_of(Market())))
    for name in SWITCHES:
        assert bytes_of(lives(world_of(market_of((name,))))) != plain, name


def test_a_market_with_everything_on_keeps_the_contract() -> None:
    check_world(world_of(ON))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Churn(new_share=1.5), "churn: new_share is 1.5"),
        (lambda: Stock(restock_days=0), "stock: restock_days is 0"),
        (lambda: Prices(sale_depth=1.0), "prices: sale_depth is 1.0"),
        (lambda: Seasons(period_days=0), "seasons: period_days is 0"),
        (lambda: Trends(style=-1.0), "trends: style is -1.0"),
        (lambda: Shock("flood", 3), "a shock's kind is 'flood'"),  # type: ignore[arg-type]
        (lambda: Shock("taste", -3), "shock: day is -3"),
        (lambda: world_of(Market(shocks=(Shock("supply", 3, target=8),))), "supply shock has target 8"),
        (lambda: world_of(Market(shocks=(Shock("demand", 3, target=64),))), "demand shock has target 64"),
    ],
)
def test_what_no_market_can_do_is_refused(make: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()

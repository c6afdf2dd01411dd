"""The calendar: what happens in the market on which day, whoever ranks.

Which items are listed, what they cost, what is in demand and where taste moves are pure functions of (world seed, day,
item, category, brand), held as small tables. A mechanism that is off has no table. Days after the horizon are like its
last.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32, Catalogue, price_spread
from simenv.errors import UserError
from simenv.market import Market, Shock
from simenv.params import WorldParams

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PERIOD = 7  # days from one change of prices to the next
NEVER = np.iinfo(np.int16).max


@dataclass(frozen=True, eq=False)
class Calendar:
    """Tables by day; T days, W weeks, I items, B brands, G categories, D style dimensions. None where nothing changes.

    first_day, last_day: (I,) int16, the first and the last day an item is listed.
    brand_gone: (T, B) bool, whether a brand cannot be had.
    item_price: (W, I) float16, log of an item's price over the catalogue's; a half keeps it to 1 part in 1,000.
    all_prices: (T,) float32, the same of every price.
    price_spread: (G,) float32, standard deviation of log price in a category; there where one of the two above is.
    demand: (T, G) float64, log factor of a category's demand.
    taste: (T, D) float32, what is added to everybody's taste.
    """

    first_day: npt.NDArray[np.int16] | None = None
    last_day: npt.NDArray[np.int16] | None = None
    brand_gone: Bools | None = None
    item_price: npt.NDArray[np.float16] | None = None
    all_prices: F32 | None = None
    price_spread: F32 | None = None
    demand: F64 | None = None
    taste: F32 | None = None


def make_calendar(params: WorldParams, catalogue: Catalogue) -> Calendar:
    """The calendar of a world.

    Raises:
        UserError: for a shock on a category or brand that does not exist.
    """
    market, seed, n_days = params.market, params.seed, params.shoppers.horizon_days
    n_categories, n_brands = len(catalogue.departments), len(catalogue.brand_start) - 1
    for shock in market.shocks:
        size = {"demand": n_categories, "supply": n_brands}.get(shock.kind)
        if size is not None and shock.target >= size:
            raise UserError(f"a {shock.kind} shock has target {shock.target}; expected a number below {size}.")
    first, last = _listing(market, catalogue.n_items, n_days, seed)
    item_price = _item_price(market, catalogue.n_items, n_days, seed)
    all_prices = _by_shock(market, "prices", n_days, 1)
    return Calendar(
        first_day=first,
        last_day=last,
        brand_gone=_brand_gone(market, n_days, n_brands),
        item_price=item_price,
        all_prices=None if all_prices is None else all_prices[:, 0].astype(np.float32),
        price_spread=None
        if item_price is None and all_prices is None
        else price_spread(catalogue.price, catalogue.category, n_categories),
        demand=_demand(market, n_days, n_categories, seed),
        taste=_taste(market, n_days, catalogue.style.shape[1], seed),
    )


def cold_started(catalogue: Catalogue, calendar: Calendar) -> Catalogue:
    """The catalogue as it is known on day 0: items that come later have the least sales and the average rating."""
    if calendar.first_day is None:
        return catalogue
    new = calendar.first_day > 0
    average = np.round(catalogue.rating.mean(dtype=np.float64), 1)
    return dataclasses.replace(
        catalogue,
        popularity=np.where(new, catalogue.popularity.min(), catalogue.popularity),
        rating=np.where(new, np.float32(average), catalogue.rating),
    )


def unlisted(calendar: Calendar, catalogue: Catalogue, items: I32, day: I32) -> Bools | None:
    """Which items (N, M) cannot be found on the day of each row (N,); None where all can always. Not said of holes."""
    found: Bools | None = None
    item = np.maximum(items, 0)
    if calendar.first_day is not None and calendar.last_day is not None:
        found = (calendar.first_day[item] > day[:, None]) | (calendar.last_day[item] < day[:, None])
    if calendar.brand_gone is not None:
        gone = calendar.brand_gone[_row(calendar.brand_gone, day)[:, None], catalogue.brand[item]]
        found = gone if found is None else found | gone
    return found


def discount(calendar: Calendar, items: I32, day: I32) -> F32:
    """Log of the day's price over the catalogue's, (N, M); 0 where prices stand still and for a hole."""
    made = np.zeros(items.shape, dtype=np.float32)
    if calendar.item_price is not None:
        made += calendar.item_price[_row(calendar.item_price, day // PERIOD)[:, None], np.maximum(items, 0)]
    if calendar.all_prices is not None:
        made += calendar.all_prices[_row(calendar.all_prices, day)[:, None]]
    if calendar.price_spread is not None:
        made[items < 0] = 0.0
    return made


def prices(calendar: Calendar, catalogue: Catalogue, items: I32, day: I32) -> tuple[F32, F32]:
    """The day's price of items (N, M) in euros, and in standard deviations of the category's catalogue prices."""
    item = np.maximum(items, 0)
    price, price_z = catalogue.price[item], catalogue.price_z[item]
    if calendar.price_spread is None:
        return price, price_z
    change = discount(calendar, items, day)
    return price * np.exp(change), price_z + change / calendar.price_spread[catalogue.category[item]]


def taste_of_day(calendar: Calendar, taste: F32, day: I32) -> F32:
    """Tastes (N, D) as they are felt on the day of each row."""
    return taste if calendar.taste is None else taste + calendar.taste[_row(calendar.taste, day)]


def demand_edges(calendar: Calendar, share: F64) -> F64:
    """Cumulative demand of the categories by day, (T, G), from the share (G,) of each; (1, G) where it stands still."""
    if calendar.demand is None:
        return np.cumsum(share)[None]
    return np.cumsum(share * np.exp(calendar.demand), axis=1)


def draw_category(edges: F64, u: F64, day: I32) -> npt.NDArray[np.int64]:
    """The category that each uniform (N,) falls into on the day of its row, from `demand_edges`."""
    last = edges.shape[1] - 1
    if len(edges) == 1:
        whole: npt.NDArray[np.int64] = np.searchsorted(edges[0], u * edges[0, -1], side="right")
        return whole.clip(max=last)
    of_day = edges[_row(edges, day)]
    passed: npt.NDArray[np.int64] = (of_day <= (u * of_day[:, -1])[:, None]).sum(axis=1)
    return passed.clip(max=last)


def _row(table: npt.NDArray[np.generic], at: I32) -> I32:
    return np.minimum(at, len(table) - 1)


def _keys(seed: int, name: str, ids: npt.NDArray[np.integer]) -> hashing.Keys:
    return hashing.absorb(hashing.stream(seed, name), ids)


def _listing(
    market: Market, n_items: int, n_days: int, seed: int
) -> tuple[npt.NDArray[np.int16] | None, npt.NDArray[np.int16] | None]:
    if market.churn is None:
        return None, None
    u = hashing.uniform(hashing.absorb(_keys(seed, "churn", np.arange(n_items))[:, None], np.arange(4)))
    comes = np.minimum(1 + (u[:, 1] * (n_days - 1)).astype(np.int64), n_days - 1)
    first = np.where(u[:, 0] < market.churn.new_share, comes, 0)
    leaves = first + (u[:, 3] * (n_days - first)).astype(np.int64)
    last = np.where(u[:, 2] < market.churn.gone_share, leaves, NEVER)
    return first.astype(np.int16), last.astype(np.int16)


def _item_price(market: Market, n_items: int, n_days: int, seed: int) -> npt.NDArray[np.float16] | None:
    if market.prices is None:
        return None
    key = _keys(seed, "prices", np.arange(n_items))
    walk = np.zeros(n_items)
    table = np.empty((-(-n_days // PERIOD), n_items), dtype=np.float16)
    for week in range(len(table)):
        of_week = hashing.absorb(key, week)
        if week and market.prices.step:
            walk += market.prices.step * hashing.normal(hashing.absorb(of_week, 1))
        on_sale = hashing.uniform(hashing.absorb(of_week, 2)) < market.prices.sale_share
        table[week] = walk + on_sale * np.log1p(-market.prices.sale_depth)
    return table


def _brand_gone(market: Market, n_days: int, n_brands: int) -> Bools | None:
    shift = _by_shock(market, "supply", n_days, n_brands)
    return None if shift is None else shift > 0


def _demand(market: Market, n_days: int, n_categories: int, seed: int) -> F64 | None:
    parts = []
    if market.seasons is not None:
        phase = hashing.uniform(_keys(seed, "season", np.arange(n_categories)))
        turn = np.arange(n_days)[:, None] / market.seasons.period_days + phase
        parts.append(market.seasons.strength * np.sin(2 * np.pi * turn))
    if market.trends is not None:
        parts.append(market.trends.demand * _walk(seed, "demand trend", n_days, n_categories))
    shocked = _by_shock(market, "demand", n_days, n_categories)
    if shocked is not None:
        parts.append(shocked)
    return sum(parts[1:], parts[0]) if parts else None


def _taste(market: Market, n_days: int, n_style: int, seed: int) -> F32 | None:
    parts = []
    if market.trends is not None:
        parts.append(market.trends.style * _walk(seed, "style trend", n_days, n_style))
    for shock in market.shocks:
        if shock.kind == "taste":
            way = hashing.normal(hashing.absorb(_keys(seed, "style shock", np.array(shock.day)), np.arange(n_style)))
            parts.append(shock.size * _lasting(shock, n_days)[:, None] * way / np.sqrt((way**2).sum()))
    return sum(parts[1:], parts[0]).astype(np.float32) if parts else None


def _walk(seed: int, name: str, n_days: int, n: int) -> F64:
    """Random walks of unit step from 0 on day 0, (T, n)."""
    steps = hashing.normal(hashing.absorb(_keys(seed, name, np.arange(n_days))[:, None], np.arange(n)))
    steps[0] = 0.0
    return np.cumsum(steps, axis=0)


def _by_shock(market: Market, kind: str, n_days: int, n_targets: int) -> F64 | None:
    """What the shocks of a kind add up to by day and target, (T, n); a missing supply counts 1. None without any."""
    shocks = [shock for shock in market.shocks if shock.kind == kind]
    table = np.zeros((n_days, n_targets))
    for shock in shocks:
        size = 1.0 if kind == "supply" else shock.size
        table[:, 0 if kind == "prices" else shock.target] += size * _lasting(shock, n_days)
    return table if shocks else None


def _lasting(shock: Shock, n_days: int) -> F64:
    """1 on the days that a shock lasts, (T,)."""
    since = np.arange(n_days) - shock.day
    return ((since >= 0) & (since < (n_days if shock.days is None else shock.days))).astype(np.float64)

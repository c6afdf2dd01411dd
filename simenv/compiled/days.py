"""What every day of the calendar brings, as the kernels read it: computed once by the definition's own functions.

Whether an item can be had, what it costs, and what the house makes of it are pure functions of the day and the item, so
that a kernel looks them up. Flags are packed into bits, and the order of a contest stands in place of its scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.calendar import unlisted
from simenv.catalogue import F32, I32, Catalogue
from simenv.house import WEEK, bids, liking, offers
from simenv.state import World
from simenv.stock import expected_out

F64 = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint8]
Order = npt.NDArray[np.uint16]
MOST = np.iinfo(np.uint16).max  # items of a category, and candidates
CELLS = 2**26  # of the largest table of days and items: 256 MB


class Days(NamedTuple):
    """Tables by day or week; T days, W weeks, I items. A table has no rows where its mechanism is off.

    unlisted: (T, I / 8) bits, the first item lowest. absent: the same of what is unlisted or, where no shelves are
    given, sold out.
    item_price: (W, I) log of an item's price over the catalogue's; all_prices: (T,); price_spread: (G,).
    taste: (T, D) what is added to everybody's taste.
    liking: (W, I + 1) place of an item in the merchandiser's order of its category, the least liked first, from 1; in
    the last column 0, for nobody.
    offer: (T, I + 1) the same of what sellers offer in the auction; 0 where they offer nothing.
    bid: (W, I) euros a click.
    """

    unlisted: Bits
    absent: Bits
    item_price: F32
    all_prices: F32
    price_spread: F32
    taste: F32
    liking: Order
    offer: Order
    bid: F64


def too_large(world: World) -> str | None:
    """Why these tables cannot be made of a world; None where they can."""
    params, catalogue = world.params, world.catalogue
    if n_cells(world) > CELLS:
        return f"a table of its {params.shoppers.horizon_days} days and {params.n_items} items is too large"
    if params.house.n and np.bincount(catalogue.category).max() > MOST:
        return f"a category has more than {MOST} items"
    if params.house.n and params.n_candidates > MOST:
        return f"it has more than {MOST} candidates, of which its house chooses"
    return None


def n_cells(world: World) -> int:
    """Cells of the largest table that a world needs here."""
    params = world.params
    by_day = params.market.makes_holes or bool(params.house.n)
    return params.shoppers.horizon_days * params.n_items if by_day else 0


def days_of(world: World) -> Days:
    """The tables of a world."""
    params, catalogue, calendar, house = world.params, world.catalogue, world.calendar, world.params.house
    n_days, items = params.shoppers.horizon_days, np.arange(catalogue.n_items, dtype=np.int32)[None]
    n_weeks = -(-n_days // WEEK)

    def is_unlisted(day: I32) -> Bits:
        absent = unlisted(calendar, catalogue, items, day)
        return np.packbits(np.zeros(items.shape, bool) if absent is None else absent, axis=1, bitorder="little")

    def is_absent(day: I32) -> Bits:
        absent = is_unlisted(day)
        if params.market.stock is not None:
            absent |= np.packbits(expected_out(world, items, day), axis=1, bitorder="little")
        return absent

    def order_of_liking(week: I32) -> Order:
        names = hashing.absorb(hashing.absorb(hashing.stream(catalogue.seed, "house"), catalogue.category), week)
        return _places(catalogue, liking(catalogue, items.T, names)[:, 0])

    def order_of_offers(day: I32) -> Order:
        names = hashing.absorb(hashing.absorb(hashing.stream(catalogue.seed, "auction"), catalogue.category), day)
        offered = offers(house, catalogue, items.T, np.repeat(day, catalogue.n_items), names)[:, 0]
        places = _places(catalogue, offered)
        places[:, :-1] *= offered > 0.0
        return places

    no_bits, no_order = np.empty((0, 0), np.uint8), np.empty((0, 0), np.uint16)
    return Days(
        unlisted=_by(is_unlisted, n_days) if params.market.makes_holes else no_bits,
        absent=_by(is_absent, n_days) if params.market.makes_holes else no_bits,
        item_price=_or_none(calendar.item_price, 2),
        all_prices=_or_none(calendar.all_prices, 1),
        price_spread=_or_none(calendar.price_spread, 1),
        taste=_or_none(calendar.taste, 2),
        liking=_by(order_of_liking, n_weeks) if house.pinned else no_order,
        offer=_by(order_of_offers, n_days) if house.sponsored else no_order,
        bid=_by(lambda week: bids(house, catalogue, items, week * WEEK), n_weeks)
        if house.sponsored
        else np.empty((0, 0)),
    )  # fmt: skip


def _by(row: Callable[[I32], npt.NDArray[np.generic]], n: int) -> npt.NDArray[Any]:
    """Rows made one by one, so that memory holds the work of one."""
    return np.concatenate([row(np.array([at], dtype=np.int32)) for at in range(n)])


def _places(catalogue: Catalogue, scores: F64) -> Order:
    """(1, I + 1) place of each item in the order of its category, from 1; 0 for nobody, who stands last."""
    order, places = np.lexsort((scores, catalogue.category)), np.zeros((1, len(scores) + 1), dtype=np.uint16)
    first = catalogue.range_start[catalogue.category, 0]  # items are sorted by category
    places[0, order] = np.arange(1, len(scores) + 1) - first
    return places


def _or_none(table: npt.NDArray[np.floating] | None, n_axes: int) -> F32:
    return np.empty((0,) * n_axes, np.float32) if table is None else np.ascontiguousarray(table, dtype=np.float32)

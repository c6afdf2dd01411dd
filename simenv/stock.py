"""Stock: one shelf for all shoppers, frozen within a day.

What is sold on a day is taken off the shelves of the next day, as integers summed over all shoppers; so rows never
depend on each other within a day, and neither the order of shoppers, nor the size of blocks, nor the number of workers
that exchange their sums changes anything. What is bought beyond a day's stock is delivered later: a sale that was shown
is kept.

Where shoppers are played apart, each at a day of its own, as in the Gymnasium environments, there is no population
that could empty a shelf. There the rest of the market is expected to: whether an item is sold out on a day is a pure
function of (world seed, day, item), whatever the rows do.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import I32, I64
from simenv.market import Stock
from simenv.state import Bools, Outcome, Page, World


@dataclass(frozen=True)
class Shelves:
    """What can be had on one day.

    stock: (I,) int32 units. full: (I,) int32 units of a full shelf. phase: (I,) int16, an item's shelf is filled up at
    the start of the days that, with it added, are multiples of `Stock.restock_days`.
    """

    day: int
    stock: I32
    full: I32
    phase: npt.NDArray[np.int16]


def first_shelves(world: World, n_shoppers: int) -> Shelves:
    """Day 0: every shelf is full, in proportion to the number of shoppers that share it."""
    stock = _stock(world)
    items = np.arange(world.catalogue.n_items)
    share = hashing.uniform(_keys(world, "shelf", items))
    full = np.floor(stock.units * n_shoppers / 1000.0 + share).astype(np.int32)  # right in the mean
    return Shelves(day=0, stock=full, full=full, phase=_phase(world, items).astype(np.int16))


def next_shelves(world: World, shelves: Shelves, sold: I64) -> Shelves:
    """The next day's shelves after `sold` (I,) units were bought: some are filled up.

    Args:
        world: The market.
        shelves: Of the day.
        sold: Units by item, summed over all shoppers.
    """
    day = shelves.day + 1
    left = np.maximum(shelves.stock - sold, 0).astype(np.int32)
    filled = (day + shelves.phase) % _stock(world).restock_days == 0
    return dataclasses.replace(shelves, day=day, stock=np.where(filled, shelves.full, left))


def count_sold(page: Page, outcome: Outcome, sold: I64) -> None:
    """Add the units bought on a page, of the house's places too, to `sold` (I,), in place."""
    np.add.at(sold, outcome.items[outcome.purchased], 1)
    np.add.at(sold, page.house[outcome.house_purchased], 1)


def sold_out(world: World, items: I32, day: I32, shelves: Shelves | None) -> Bools:
    """Which items (N, M) cannot be had on the day of each row; not said of holes.

    Args:
        world: The market.
        items: Ids.
        day: (N,) all of them the shelves' where those are given.
        shelves: What the population has left; where None, what the rest of the market is expected to leave.
    """
    item = np.maximum(items, 0)
    return expected_out(world, item, day) if shelves is None else shelves.stock[item] <= 0


def expected_out(world: World, item: I32, day: I32) -> Bools:
    """Which items (N, M) are sold out on the days (N,) where nobody says what sales left.

    Since its last filling an item sold at a pace of that time, exponential around what its popularity
    says.
    """
    stock = _stock(world)
    at = day[:, None] + _phase(world, item)
    since = np.minimum(at % stock.restock_days, day[:, None])  # all are full on day 0
    cycle = hashing.absorb(_keys(world, "rest of the market", item), at // stock.restock_days)
    pace = -np.log(hashing.uniform_open(cycle)) * np.exp(world.catalogue.popularity[item]) / stock.sold_out_days
    out: Bools = since * pace >= 1.0
    return out


def _phase(world: World, items: npt.NDArray[np.integer]) -> I64:
    return hashing.integers(_keys(world, "restock", items), _stock(world).restock_days)


def _keys(world: World, name: str, items: npt.NDArray[np.integer]) -> hashing.Keys:
    return hashing.absorb(hashing.stream(world.params.seed, name), items)


def _stock(world: World) -> Stock:
    assert world.params.market.stock is not None
    return world.params.market.stock

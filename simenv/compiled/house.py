"""The market's own places of one row: twins of `house.fill` and of the auction's bill."""

from __future__ import annotations

import numpy as np

from simenv.catalogue import I32, I64
from simenv.compiled.days import Order
from simenv.compiled.hashing import Int, absorb, inlined, uniform, woven
from simenv.compiled.tables import Tables
from simenv.house import WEEK


@woven
def fill(tables: Tables, day: Int, candidates: I32, house: I32, i: int) -> None:
    """Twin of `house.fill` and `house.take_out`: fill row i of `house` (N, H) from the candidates."""
    for h in range(house.shape[1]):
        house[i, h] = -1
    first = -1
    for c in range(candidates.shape[1]):
        if candidates[i, c] >= 0:
            first = candidates[i, c]
            break
    if first < 0:
        return
    # Items are sorted by category, so that those of one are a range of ids.
    category, last = tables.items[first].category, tables.range_start.shape[1] - 1
    start, stop = tables.range_start[category, 0], tables.range_start[category, last]
    places = absorb(absorb(absorb(tables.numbers[0].house, category), day // WEEK), 2)
    for pin in range(len(tables.pinned)):
        if uniform(absorb(places, tables.pinned[pin, 0])) < tables.numbers[0].pinned_share:
            at = best(tables.days.liking[day // WEEK], candidates[i], start, stop)
            take(candidates, house, at, tables.pinned[pin, 1], i)
    if len(tables.sponsored) > 0:
        run_auction(tables.days.offer[day], candidates[i], house[i], tables.sponsored, (start, stop))
        for ad in range(len(tables.sponsored)):
            h = tables.sponsored[ad]
            take(candidates, house, house[i, h], h, i)


@inlined
def take(candidates: I32, house: I32, at: Int, h: Int, i: int) -> None:
    """Give place h to the candidate at a position, where there is one; it leaves a hole."""
    house[i, h] = candidates[i, at] if at >= 0 else -1
    if at >= 0:
        candidates[i, at] = -1


@inlined
def best(order: Order, candidates: I32, start: Int, stop: Int) -> Int:
    """Position of the candidate of items [start, stop) that comes last in the order; -1 where there is none."""
    found, most = -1, 0
    for c in range(len(candidates)):
        rank = rank_of(order, candidates[c], start, stop)
        if rank > most:
            found, most = c, rank
    return found


@inlined
def rank_of(order: Order, item: Int, start: Int, stop: Int) -> Int:
    """Place in the order of one of the items [start, stop), 0 for any other; without branches nobody could predict."""
    return np.int64(order[max(item, 0)]) * np.int64((item >= start) & (item < stop))


@inlined
def run_auction(order: Order, candidates: I32, won: I32, ads: I64, category: tuple[Int, Int]) -> None:
    """Write into `won`, at the places `ads`, the positions of those that come last in the order; -1 for the rest."""
    start, stop = category
    worst = 0  # what the last advertisement has in the order
    for c in range(len(candidates)):
        rank = rank_of(order, candidates[c], start, stop)
        if rank > worst:
            at = len(ads) - 1
            while at > 0 and (won[ads[at - 1]] < 0 or order[candidates[won[ads[at - 1]]]] < rank):
                won[ads[at]] = won[ads[at - 1]]
                at -= 1
            won[ads[at]] = c
            last = won[ads[len(ads) - 1]]
            worst = order[candidates[last]] if last >= 0 else 0

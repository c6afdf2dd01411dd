"""The market's own places of one row: twins of `house.fill` and of the auction's bill."""

from __future__ import annotations

import numpy as np

from simenv.catalogue import I32
from simenv.compiled.days import MOST, Order
from simenv.compiled.hashing import Int, absorb, inlined, uniform, woven
from simenv.compiled.tables import U32, Tables
from simenv.house import WEEK


@woven
def fill(tables: Tables, day: Int, candidates: I32, house: I32, race: U32, i: int) -> None:
    """Twin of `house.fill` and `house.take_out`: fill row i of `house` (N, H); `race` (C,) is room to work in."""
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
    places, is_lined_up = absorb(absorb(absorb(tables.numbers[0].house, category), day // WEEK), 2), False
    for pin in range(len(tables.pinned)):
        if uniform(absorb(places, tables.pinned[pin, 0])) < tables.numbers[0].pinned_share:
            if not is_lined_up:
                line_up(tables.days.liking[day // WEEK], candidates[i], start, stop, race)
                is_lined_up = True
            give(candidates[i], house[i], tables.pinned[pin, 1], race)
    if len(tables.sponsored) > 0:
        line_up(tables.days.offer[day], candidates[i], start, stop, race)
        for ad in range(len(tables.sponsored)):
            give(candidates[i], house[i], tables.sponsored[ad], race)


@inlined
def line_up(order: Order, candidates: I32, start: Int, stop: Int, race: U32) -> None:
    """Write into `race` (C,) the candidates' places in the order of items [start, stop); 0 for any other item."""
    nobody = len(order) - 1
    for c in range(len(candidates)):  # without branches, which nobody could predict
        item = candidates[c]
        race[c] = order[np.uint32(item if (item >= start) & (item < stop) else nobody)]


@inlined
def give(candidates: I32, house: I32, h: Int, race: U32) -> None:
    """Give place h to whoever comes last in the order, where anybody is in it; that candidate leaves a hole."""
    most: Int = 0
    for c in range(len(race)):
        most = max(most, np.int64(race[c]) << 16 | c)  # with the position behind, the largest one says where it is
    if most > MOST:
        at = np.uint64(most & MOST)
        house[h], candidates[at], race[at] = candidates[at], -1, 0

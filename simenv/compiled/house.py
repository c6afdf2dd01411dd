"""The market's own places of one row: twins of `house.fill` and of the auction's bill."""

from __future__ import annotations

from simenv.catalogue import I32, I64
from simenv.compiled.hashing import Int, absorb, inlined, uniform, woven
from simenv.compiled.tables import Tables
from simenv.house import WEEK


@woven
def fill(tables: Tables, day: Int, candidates: I32, house: I32, i: int) -> None:
    """Twin of `house.fill`: fill row i of `house` (N, H)."""
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
            house[i, tables.pinned[pin, 1]] = best(tables.days.liking[day // WEEK], candidates, house, i, (start, stop))
    if len(tables.sponsored) > 0:
        run_auction(tables.days.offer[day], candidates, house, tables.sponsored, i, (start, stop))


@inlined
def run_auction(order: I32, candidates: I32, house: I32, ads: I64, i: int, category: tuple[Int, Int]) -> None:
    """Fill the places of advertisements with the candidates of the category that come last in the order."""
    start, stop = category
    worst = -1  # place in the order of what the last advertisement shows
    for c in range(candidates.shape[1]):
        item = candidates[i, c]
        place = order[max(item, 0)]
        place = place if start <= item and item < stop else -1
        if place > worst:  # seldom, so that it is well predicted
            is_taken = False
            for h in range(house.shape[1]):
                is_taken |= house[i, h] == item
            if not is_taken:
                at = len(ads) - 1
                while at > 0 and (house[i, ads[at - 1]] < 0 or order[house[i, ads[at - 1]]] < place):
                    house[i, ads[at]] = house[i, ads[at - 1]]
                    at -= 1
                house[i, ads[at]] = item
                last = house[i, ads[len(ads) - 1]]
                worst = order[last] if last >= 0 else -1


@inlined
def best(order: I32, candidates: I32, house: I32, i: int, category: tuple[Int, Int]) -> Int:
    """The candidate of the category that comes last in the order and has no place yet; -1 where there is none."""
    start, stop = category
    found, at = -1, -1
    for c in range(candidates.shape[1]):
        item = candidates[i, c]
        place = order[max(item, 0)]
        place = place if start <= item and item < stop else -1
        if place > at:  # seldom, so that it is well predicted
            is_taken = False
            for h in range(house.shape[1]):
                is_taken |= house[i, h] == item
            if not is_taken:
                found, at = item, place
    return found

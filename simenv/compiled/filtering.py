"""Retrieval with filters set, of one row: twin of `retrieval.retrieve_filtered`."""

from __future__ import annotations

from typing import Any, NamedTuple

from simenv.catalogue import I32
from simenv.compiled.asking import Understood
from simenv.compiled.hashing import U64, Int, absorb, inlined, integer, woven
from simenv.compiled.tables import Tables
from simenv.language.words import BRAND
from simenv.retrieval import _PRIMES

_ALL, _NAMED, _OTHERS = range(3)  # which of the items that match: all, those of a brand, those of any other


class Walk(NamedTuple):
    """A walk through places [first, end), in the order that the key gives, `reach` places at most."""

    key: U64
    first: Int
    end: Int
    reach: Int


@woven
def retrieve_filtered(
    tables: Tables, understood: Understood, key: U64, filters: I32, found: I32, candidates: I32, i: int
) -> None:
    """Fill row i of `candidates` (N, C) with what matches its filters; `found` (2, C) is room to work in."""
    primary, secondary, brand, nothing = understood
    n_candidates, n_primary, wanted = candidates.shape[1], tables.numbers[0].n_primary, filters[i, BRAND]
    for c in range(n_candidates):
        candidates[i, c] = -1
    if nothing:
        return
    by_brand = primary < 0
    if by_brand:
        one = _of_brand(tables, brand if brand >= 0 else wanted, absorb(key, 5))
    else:
        one = _of_category(tables, primary, wanted, absorb(key, 2))
    n_one = 0
    if brand >= 0:  # the brand that the query names comes first
        n_one = gather(tables.items, tables.brand_items, by_brand, one, filters[i], (_NAMED, brand), found[0], 0)
        n_one = gather(tables.items, tables.brand_items, by_brand, one, filters[i], (_OTHERS, brand), found[0], n_one)
    else:
        n_one = gather(tables.items, tables.brand_items, by_brand, one, filters[i], (_ALL, brand), found[0], 0)
    n_two = 0
    if secondary >= 0:
        two = _of_category(tables, secondary, wanted, absorb(key, 4))
        n_two = gather(tables.items, tables.brand_items, False, two, filters[i], (_ALL, brand), found[1], 0)
    # Each keeps its share; where one is short, the other fills in.
    n = mix(found[0], 0, min(n_one, n_primary), candidates[i], 0)
    n = mix(found[1], 0, min(n_two, n_candidates - n_primary), candidates[i], n)
    n = mix(found[0], n_primary, n_one, candidates[i], n)
    mix(found[1], n_candidates - n_primary, n_two, candidates[i], n)


@woven
def _of_brand(tables: Tables, brand: Int, key: U64) -> Walk:
    """Twin of `retrieval._of_brand`, its range: of places in `brand_items`."""
    first, end = (tables.brand_start[brand], tables.brand_start[brand + 1]) if brand >= 0 else (0, len(tables.items))
    return Walk(key, first, end, tables.numbers[0].reach)


@woven
def _of_category(tables: Tables, category: Int, brand: Int, key: U64) -> Walk:
    """Twin of `retrieval._walk_categories`, its range: of items."""
    last = tables.range_start.shape[1] - 1
    low, high = (brand, brand + 1) if brand >= 0 else (0, last)
    return Walk(key, tables.range_start[category, low], tables.range_start[category, high], tables.numbers[0].reach)


@inlined
def gather(
    items: Any,
    brand_items: I32,
    by_brand: bool,
    walk: Walk,
    wanted: I32,
    which: tuple[int, Int],
    found: I32,
    n: Int,
) -> Int:
    """Add what matches to the n items in `found`, until it is full; how many there are then."""
    length = max(walk.end - walk.first, 1)
    at = integer(absorb(walk.key, 0), length)
    step = _PRIMES[integer(absorb(walk.key, 1), len(_PRIMES))] % length
    for _ in range(min(walk.reach, walk.end - walk.first)):
        if n == len(found):
            break
        item = brand_items[walk.first + at] if by_brand else walk.first + at
        of_brand = items[item].brand == which[1]
        found[n] = item  # for the next one to overwrite unless it matches
        n += matches(items, item, wanted) & ((which[0] == _ALL) | (of_brand == (which[0] == _NAMED)))
        at += step
        if at >= length:
            at -= length
    return n


@inlined
def matches(items: Any, item: Int, wanted: I32) -> bool:
    """Twin of `retrieval._matches`; without branches, which nobody could predict."""
    it = items[item]
    fits = ((wanted[0] < 0) | (it.category == wanted[0])) & ((wanted[1] < 0) | (it.brand == wanted[1]))
    fits &= ((wanted[2] < 0) | (it.colour == wanted[2])) & ((wanted[3] < 0) | (it.size == wanted[3]))
    fits &= ((wanted[4] < 0) | (it.material == wanted[4])) & ((wanted[5] < 0) | (it.audience == wanted[5]))
    return bool(fits & ((wanted[6] < 0) | (it.use == wanted[6])))


@inlined
def mix(found: I32, start: Int, stop: Int, candidates: I32, n: Int) -> Int:
    """Append found[start:stop] to the n candidates as far as there is room; how many there are then."""
    for at in range(start, stop):
        if n < len(candidates):
            candidates[n] = found[at]
            n += 1
    return n

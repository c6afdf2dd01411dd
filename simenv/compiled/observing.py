"""Steps 2 and 3 of one row: twins of `world.observe`, `InventedDemand.search` and `simenv.retrieval`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simenv.calendar import PERIOD
from simenv.catalogue import F32, I32
from simenv.compiled.asking import Understood, ask, understand, write_filters, write_terms
from simenv.compiled.filtering import retrieve_filtered
from simenv.compiled.hashing import U64, Int, absorb, entry, inlined, integer, uniform, visit_key, woven
from simenv.compiled.house import fill
from simenv.compiled.tables import U32, Here, Tables
from simenv.recent import I16, OLDEST
from simenv.retrieval import _PRIMES
from simenv.state import Draw

PRIOR_CLICKS = np.float32(3.0)
_ZERO = np.float32(0.0)
_INTENT = int(Draw.INTENT)


class Seen(NamedTuple):
    """What `observe` fills: the columns of a `Page` that are made anew."""

    locale: npt.NDArray[np.int8]
    time: I32
    terms: I32  # (N, 7)
    filters: I32  # (N, 7)
    candidates: I32  # (N, C)
    house: I32  # (N, H)
    discount: F32  # (N, C)
    history: F32  # (N, D + 1)
    recent_age: I16  # (N, L), -1 already
    room: I32  # (2, C) to work in
    race: U32  # (C,) likewise


@entry
def observe(tables: Tables, here: Here, stock: I32, seen: Seen) -> None:
    """Twin of `world.observe`; `stock` (I,) is what the shelves hold, (0,) where none are given."""
    n = tables.numbers[0]
    for i in range(len(here.key)):
        query, today = ask(tables, here, i), min(here.day[i], n.horizon_days - 1)
        is_known = write_terms(tables, here, i, query, seen.terms)
        is_filtered = write_filters(here, i, query, seen.filters)
        read = understand(tables, here, i, query, is_known)
        key = absorb(absorb(absorb(absorb(n.retrieval, here.day[i]), read[0]), read[1]), read[2])
        if is_filtered:
            retrieve_filtered(tables, read, key, seen.filters, seen.room, seen.candidates, i)
        else:
            retrieve(tables, read, key, seen.candidates, i)
        if n.has_holes:
            take_absent(tables, today, stock, seen.candidates, i)
        if seen.house.shape[1] > 0:
            fill(tables, today, seen.candidates, seen.house, seen.race, i)
        leave_out(here, seen.candidates, i)
        if len(tables.days.price_spread) > 0:
            write_discount(tables, today, seen.candidates, seen.discount, i)
        u = uniform(absorb(visit_key(here.key[i], here.visit[i], _INTENT), 8))
        seen.time[i] = np.int32(3600.0 * (7.0 + 15.5 * u)) + 90 * here.step[i]
        seen.locale[i] = query[0]
        for d in range(here.history.shape[1]):
            seen.history[i, d] = here.history[i, d] / (here.history_weight[i] + PRIOR_CLICKS)
        for place in range(here.recent_day.shape[1]):
            if here.recent_day[i, place] < 0:
                break
            seen.recent_age[i, place] = min(here.day[i] - here.recent_day[i, place], OLDEST)


@woven
def take_absent(tables: Tables, day: Int, stock: I32, candidates: I32, i: int) -> None:
    """Make holes of what is unlisted or sold out: twin of `calendar.unlisted` and `stock.sold_out`."""
    has_shelves = len(stock) > 0
    table = tables.days.unlisted if has_shelves else tables.days.absent
    bits = table[day]
    for c in range(candidates.shape[1]):  # without branches, which nobody could predict
        item = candidates[i, c]
        at = max(item, 0)
        absent = (bits[at >> 3] >> (at & 7)) & 1
        candidates[i, c] = -1 if absent else item
    if has_shelves:
        for c in range(candidates.shape[1]):
            item = candidates[i, c]
            candidates[i, c] = -1 if stock[max(item, 0)] <= 0 else item


@woven
def leave_out(here: Here, candidates: I32, i: int) -> None:
    """Make holes of what an earlier page has shown."""
    for c in range(candidates.shape[1]):
        candidates[i, c] = -1 if here.shown[i, c] else candidates[i, c]


@woven
def write_discount(tables: Tables, day: Int, candidates: I32, discount: F32, i: int) -> None:
    """Twin of `calendar.discount` for a row of candidates."""
    days, weeks = tables.days.all_prices, tables.days.item_price
    of_all = days[min(day, len(days) - 1)] if len(days) > 0 else _ZERO
    if len(weeks) == 0:
        for c in range(candidates.shape[1]):
            discount[i, c] = of_all if candidates[i, c] >= 0 else _ZERO
        return
    week = weeks[min(day // PERIOD, len(weeks) - 1)]
    for c in range(candidates.shape[1]):
        change = week[max(candidates[i, c], 0)] + of_all
        discount[i, c] = change if candidates[i, c] >= 0 else _ZERO


@woven
def retrieve(tables: Tables, understood: Understood, key: U64, candidates: I32, i: int) -> None:
    """Twin of `retrieval.retrieve`: fill row i of `candidates` (N, C)."""
    primary, _, brand, nothing = understood
    n_candidates = candidates.shape[1]
    if nothing:
        for c in range(n_candidates):
            candidates[i, c] = -1
        return
    if primary >= 0:
        _of_categories(tables, understood, key, candidates, i)
        return
    first, end = (tables.brand_start[brand], tables.brand_start[brand + 1]) if brand >= 0 else (0, len(tables.items))
    walk(first, end, absorb(key, 5), candidates, i, 0, n_candidates)
    for c in range(n_candidates):
        if candidates[i, c] >= 0:
            candidates[i, c] = tables.brand_items[candidates[i, c]]


@woven
def _of_categories(tables: Tables, understood: Understood, key: U64, candidates: I32, i: int) -> None:
    """Twin of `retrieval._of_categories`."""
    primary, secondary, brand, _ = understood
    n_primary, n_brand, last = tables.numbers[0].n_primary, tables.numbers[0].n_brand, tables.range_start.shape[1] - 1
    walk(tables.range_start[primary, 0], tables.range_start[primary, last], absorb(key, 2), candidates, i, 0, n_primary)
    if brand >= 0:  # the brand's own items lead; the rest of the category follows without them
        start, stop = tables.range_start[primary, brand], tables.range_start[primary, brand + 1]
        for c in range(n_brand, n_primary):
            if start <= candidates[i, c] < stop:
                candidates[i, c] = -1
        walk(start, stop, absorb(key, 3), candidates, i, 0, n_brand)
    first, end = tables.range_start[secondary, 0], tables.range_start[secondary, last]
    walk(first, end, absorb(key, 4), candidates, i, n_primary, candidates.shape[1])


@inlined
def walk(first: Int, end: Int, key: U64, candidates: I32, i: int, start: Int, stop: Int) -> None:
    """Twin of `retrieval._walk`: fill places `start` to `stop` of row i."""
    length = max(end - first, 1)
    at = integer(absorb(key, 0), length)
    step = _PRIMES[integer(absorb(key, 1), len(_PRIMES))] % length
    if step == 0:
        step = 1  # only where length is 1
    full = start + max(min(stop - start, end - first), 0)
    share = 1.0 / length
    for c in range(start, full):  # by a reciprocal, and side by side, where a remainder would take them one by one
        far = at + step * (c - start)
        place = far - np.int64(far * share) * length  # off by one length at most
        place = place + length if place < 0 else place
        candidates[i, c] = first + (place - length if place >= length else place)
    for c in range(full, stop):
        candidates[i, c] = -1

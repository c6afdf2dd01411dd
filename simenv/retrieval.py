"""Retrieval: the market's own search engine, which answers a query with candidates, mostly right.

It knows what the query's letters say and nothing of the intent behind them. Words that a plain dictionary recognises
give their category and brand; a word with two meanings gives both; a misspelt word is matched by its letters, which
sometimes lands in a related category; a query that names a brand and no product is answered from the whole brand, one
that names neither from the whole shop, and sometimes nothing is found at all. It never depends on the policy or on the
shopper.

A candidate set is a walk through a contiguous range of items with a stride that is prime and larger than any range, so
that its members are distinct without sorting or rejection. Holes (-1) appear where a range is too short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import I32, I64, Catalogue

PRIMARY_SHARE = 0.76  # of the candidates come from the category that the engine understood
BRAND_SHARE = 0.2  # of the candidates come from the named brand where one was understood
FUZZY_HIT = 0.7  # chance that matching by letters finds the category of a misspelt word

_PRIMES = np.array([1000003, 1299709, 1618033, 2015177, 2718281, 3141601, 5915587, 7368787], dtype=np.int64)


@dataclass(frozen=True)
class Understood:
    """What the engine makes of a query; (N,) each, -1 for nothing.

    primary: the category it searches first; -1 where the query names none.
    secondary: the other meaning of the word, or a category it is confused with; -1 where `primary` is.
    brand: the brand.
    nothing: (N,) bool, whether it gives up and finds nothing.
    """

    primary: I32
    secondary: I32
    brand: I32
    nothing: npt.NDArray[np.bool_]


def retrieve(catalogue: Catalogue, asked: Understood, day: I32, n_candidates: int) -> I32:
    """Candidates for each query: the same for all who are understood alike on the same day.

    Args:
        catalogue: What there is.
        asked: What was understood.
        day: (N,) the index is rebuilt each day.
        n_candidates: C.

    Returns:
        (N, C) int32 item ids, distinct in a row; -1 is a hole.
    """
    key = _key(catalogue, asked, day)
    items = _of_categories(catalogue, asked, key, n_candidates)
    rows = np.flatnonzero(asked.primary < 0)
    if len(rows):
        items[rows] = _of_brand(catalogue, asked.brand[rows], key[rows], n_candidates)
    items[asked.nothing] = -1
    return items


def retrieve_filtered(catalogue: Catalogue, asked: Understood, filters: I32, day: I32, sizes: tuple[int, int]) -> I32:
    """Candidates that match the filters set beside a query: the engine walks on until it has enough of them.

    A filter on the brand walks the brand's range. The categories keep their shares of the candidates where each has
    enough that match; where one is short, the other fills in. Items of a brand that the query names come first.

    Args:
        catalogue: What there is.
        asked: What was understood.
        filters: (N, 7) set values of category, brand, colour, size, material, audience and use; -1 none.
        day: (N,).
        sizes: C, and how many items of a range the engine looks at, at most.

    Returns:
        (N, C) int32 item ids, distinct in a row, all matching; holes come last.
    """
    n_candidates, reach = sizes
    key, brand = _key(catalogue, asked, day), filters[:, 1]
    one = _walk_categories(catalogue, asked.primary, brand, hashing.absorb(key, 2), reach)
    two = _walk_categories(catalogue, asked.secondary, brand, hashing.absorb(key, 4), reach)
    rows = np.flatnonzero(asked.primary < 0)
    if len(rows):
        anywhere = np.where(asked.brand[rows] >= 0, asked.brand[rows], brand[rows])
        walked = _of_brand(catalogue, anywhere, key[rows], max(one.shape[1], reach))
        one = np.pad(one, ((0, 0), (0, walked.shape[1] - one.shape[1])), constant_values=-1)
        one[rows] = walked
    one, two = (_compact(np.where(_matches(catalogue, each, filters), each, -1)) for each in (one, two))
    named = (asked.brand >= 0)[:, None] & (one >= 0) & (catalogue.brand[np.maximum(one, 0)] == asked.brand[:, None])
    one = np.take_along_axis(one, np.argsort(~named, axis=1, kind="stable"), axis=1)
    n_primary = max(1, round(PRIMARY_SHARE * n_candidates))
    n_secondary = n_candidates - n_primary
    mixed = np.concatenate(
        [one[:, :n_primary], two[:, :n_secondary], one[:, n_primary:n_candidates], two[:, n_secondary:n_candidates]],
        axis=1,
    )
    items = np.full((len(mixed), n_candidates), -1, dtype=np.int32)
    mixed = _compact(mixed)[:, :n_candidates]
    items[:, : mixed.shape[1]] = mixed
    items[asked.nothing] = -1
    return items


def _key(catalogue: Catalogue, asked: Understood, day: I32) -> hashing.Keys:
    """What names a query's walk: the same for all who are understood alike on the same day, filters or not."""
    key = hashing.absorb(hashing.stream(catalogue.seed, "retrieval"), day)
    for column in (asked.primary, asked.secondary, asked.brand):
        key = hashing.absorb(key, column)
    return key


def _walk_categories(catalogue: Catalogue, category: I32, brand: I32, key: hashing.Keys, reach: int) -> I32:
    """The items of categories (N,), or of their brands where one is asked for, as far as the longest range goes."""
    safe, named = np.maximum(category, 0), brand >= 0
    first = catalogue.range_start[safe, np.where(named, brand, 0)]
    end = catalogue.range_start[safe, np.where(named, brand + 1, catalogue.range_start.shape[1] - 1)]
    end = np.where(category >= 0, end, first)
    n = int(min(reach, max(1, (end - first).max(initial=1))))
    return _walk(first, end, key, n).astype(np.int32)


def _matches(catalogue: Catalogue, items: I32, filters: I32) -> npt.NDArray[np.bool_]:
    """Whether items (N, M) have every value that is set in filters (N, 7)."""
    item = np.maximum(items, 0)
    columns = (catalogue.category, catalogue.brand, catalogue.colour, catalogue.size, catalogue.material,
               catalogue.audience, catalogue.use)  # fmt: skip
    matches: npt.NDArray[np.bool_] = items >= 0
    for place, column in enumerate(columns):
        matches &= (filters[:, place : place + 1] < 0) | (column[item] == filters[:, place : place + 1])
    return matches


def _compact(items: I32) -> I32:
    """Items in their order with the holes behind them."""
    return np.take_along_axis(items, np.argsort(items < 0, axis=1, kind="stable"), axis=1)


def _of_categories(catalogue: Catalogue, asked: Understood, key: hashing.Keys, n_candidates: int) -> I32:
    primary, secondary = np.maximum(asked.primary, 0), np.maximum(asked.secondary, 0)
    n_primary = max(1, round(PRIMARY_SHARE * n_candidates))
    n_brand = min(round(BRAND_SHARE * n_candidates), n_primary)
    whole = catalogue.range_start[:, [0, -1]]
    items = np.empty((len(primary), n_candidates), dtype=np.int32)
    first, end = whole[primary].T
    items[:, :n_primary] = _walk(first, end, hashing.absorb(key, 2), n_primary)
    rows = np.flatnonzero(asked.brand >= 0)
    if len(rows):  # the brand's own items lead; the rest of the category follows without them
        block, brand = items[rows, :n_primary], asked.brand[rows]
        start = catalogue.range_start[primary[rows], brand][:, None]
        stop = catalogue.range_start[primary[rows], brand + 1][:, None]
        block[(block >= start) & (block < stop)] = -1
        block[:, :n_brand] = _walk(start[:, 0], stop[:, 0], hashing.absorb(key[rows], 3), n_brand)
        items[rows, :n_primary] = block
    first, end = whole[secondary].T
    items[:, n_primary:] = _walk(first, end, hashing.absorb(key, 4), n_candidates - n_primary)
    return items


def _of_brand(catalogue: Catalogue, brand: I32, key: hashing.Keys, n_candidates: int) -> I32:
    """Items of a brand in every category; of the whole shop where no brand was understood either."""
    named = brand >= 0
    first = np.where(named, catalogue.brand_start[np.maximum(brand, 0)], 0)
    end = np.where(named, catalogue.brand_start[np.maximum(brand, 0) + 1], catalogue.n_items)
    place = _walk(first, end, hashing.absorb(key, 5), n_candidates)
    return np.where(place >= 0, catalogue.brand_items[np.maximum(place, 0)], np.int32(-1))


def _walk(first: I64, end: I64, key: hashing.Keys, n: int) -> I64:
    """`n` distinct items of each range [first, end) in an order of its own; -1 past the range's length."""
    length = (end - first).clip(1)
    offset = hashing.integers(hashing.absorb(key, 0), length)
    stride = _PRIMES[hashing.integers(hashing.absorb(key, 1), len(_PRIMES))] % length
    step = np.where(stride == 0, 1, stride)  # only where length is 1
    place = np.arange(n)
    walked: I64 = first[:, None] + (offset[:, None] + step[:, None] * place[None, :]) % length[:, None]
    walked[place[None, :] >= (end - first)[:, None]] = -1
    return walked

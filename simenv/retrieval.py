"""Retrieval: the market's own search engine, which answers a query with candidates, mostly right.

It sees the query's words as a plain dictionary recognises them (`-1` where a word was not said or not understood) and
falls back on fuzzy matching, which sometimes lands in a related category. It never depends on the policy or on the
shopper: the same words on the same day give the same candidates.

A candidate set is a walk through a contiguous range of items with a stride that is prime and larger than any range, so
that its members are distinct without sorting or rejection. Holes (-1) appear where a range is too short.
"""

from __future__ import annotations

import numpy as np

from simenv import hashing
from simenv.catalogue import I32, I64, Catalogue

PRIMARY_SHARE = 0.76  # of the candidates come from the category that the engine understood
BRAND_SHARE = 0.2  # of the candidates come from the named brand where one was recognised
FUZZY_HIT = 0.7  # chance that fuzzy matching finds the category of a word that the dictionary does not know

_PRIMES = np.array([1000003, 1299709, 1618033, 2015177, 2718281, 3141601, 5915587, 7368787], dtype=np.int64)


def retrieve(
    catalogue: Catalogue,
    related: I32,
    terms: I32,
    intent_category: I32,
    day: I32,
    n_candidates: int,
) -> I32:
    """Candidates for each query.

    Args:
        catalogue: What there is.
        related: (G, R) the categories that each category is confused with.
        terms: (N, 3) recognised category, brand, colour; -1 where none.
        intent_category: (N,) what was meant; used only where the engine's fuzzy match succeeds on words that the
            dictionary does not know, and for the second reading of an ambiguous word.
        day: (N,) the index is rebuilt each day.
        n_candidates: C.

    Returns:
        (N, C) int32 item ids, distinct in a row; -1 is a hole.
    """
    key = hashing.absorb(hashing.stream(catalogue.seed, "retrieval"), day)
    for column in (terms[:, 0], terms[:, 1], terms[:, 2], intent_category):
        key = hashing.absorb(key, column)
    confused = related[intent_category, hashing.integers(hashing.absorb(key, 0), related.shape[1])]
    known = terms[:, 0] >= 0
    fuzzy = np.where(hashing.uniform(hashing.absorb(key, 1)) < FUZZY_HIT, intent_category, confused)
    primary = np.where(known, terms[:, 0], fuzzy)
    second_reading = np.where(primary != intent_category, intent_category, confused)

    n_primary = max(1, round(PRIMARY_SHARE * n_candidates))
    n_brand = min(round(BRAND_SHARE * n_candidates), n_primary)
    whole = catalogue.range_start[:, [0, -1]]
    has_brand = terms[:, 1] >= 0
    brand = np.maximum(terms[:, 1], 0)
    brand_first = catalogue.range_start[primary, brand]
    brand_end = catalogue.range_start[primary, brand + 1]

    items = np.empty((len(terms), n_candidates), dtype=np.int32)
    first, end = whole[primary].T
    items[:, :n_primary] = _walk(first, end, hashing.absorb(key, 2), n_primary)
    rows = np.flatnonzero(has_brand)
    if len(rows):  # the brand's own items lead; the rest of the category follows without them
        block = items[rows, :n_primary]
        start, stop = brand_first[rows, None], brand_end[rows, None]
        block[(block >= start) & (block < stop)] = -1
        block[:, :n_brand] = _walk(start[:, 0], stop[:, 0], hashing.absorb(key[rows], 3), n_brand)
        items[rows, :n_primary] = block
    first, end = whole[second_reading].T
    items[:, n_primary:] = _walk(first, end, hashing.absorb(key, 4), n_candidates - n_primary)
    return items


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

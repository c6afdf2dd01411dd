"""A world as the kernels read it: its numbers, its items and its words flattened into arrays, once.

Named tuples rather than dataclasses, because numba takes them apart by name. Items are records, so that all that a page
asks of an item lies together in memory.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32, I64, Catalogue
from simenv.clicks import PositionBased
from simenv.clicks.model import for_slots
from simenv.invented import InventedDemand
from simenv.language import Lexicon
from simenv.language.queries import free_word_tables
from simenv.params import WorldParams
from simenv.retrieval import BRAND_SHARE, PRIMARY_SHARE
from simenv.shoppers import Traits, segment_centres
from simenv.state import State

F64 = npt.NDArray[np.float64]
U32 = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]
Records = npt.NDArray[np.void]
REWARDS = ("clicks", "purchases", "revenue")  # in the order of `Numbers.reward`
_ITEM_INTEGERS = ("category", "brand", "colour", "size", "material", "audience", "use")
_ITEM_FLOATS = ("price", "price_z", "quality", "bait", "popularity")


class Tables(NamedTuple):
    """What never changes while a world is played. Axes as in `simenv.language.lexicon.Lexicon` and `Catalogue`.

    numbers: (1,) record, see `_numbers`. items: (I,) records, the columns of the catalogue that behaviour looks at;
    style: (I, D) stands apart, or every D would want a compilation of its own.
    free_streams: (4,) roots of the streams that choose free words. n_free: (L, 4) how many there are.
    locale_edges, device_edges: cumulative shares without the last. examination: (K,) of position-based clicks; empty
    for any other click model, which is asked in numpy between two kernels.
    """

    numbers: Records
    items: Records
    style: F32
    departments: I32
    range_start: I64
    brand_items: I32
    brand_start: I64
    related: I32
    n_fits: I32
    fits: I32
    other_language: I32
    n_variants: I32
    word_recognised: I32
    other_meaning: I32
    n_free: I64
    free_streams: hashing.Keys
    category_edges: F64
    kind_edges: F64
    wants: U32
    first: U32
    ways: F64
    centres: F64
    locale_edges: F64
    device_edges: F64
    examination: F32


class Here(NamedTuple):
    """The columns of a `State` that kernels read, traits and mind included; each contiguous and of its own dtype."""

    key: hashing.Keys
    visit: I32
    day: I32
    search: I32
    page: I32
    step: I32
    intent: I32
    shown: Bools
    taste: F32
    history: F32
    history_weight: F32
    last_brand: I32
    satisfaction: F32
    visit_satisfaction: F32
    locale: npt.NDArray[np.int8]
    price_taste: F32
    favourite_brand: I32
    patience: F32
    gap_days: F32


def tables_of(demand: InventedDemand) -> Tables:
    """The tables of the world that an invented demand belongs to."""
    params, catalogue, lexicon, manner = demand.params, demand.catalogue, demand.lexicon, demand.manner
    n_free, free_streams = free_word_tables(lexicon)
    return Tables(
        numbers=_numbers(params, catalogue, lexicon, manner.switch),
        items=_items(catalogue),
        style=_plain(catalogue.style, np.float32),
        departments=_plain(catalogue.departments, np.int32),
        range_start=_plain(catalogue.range_start, np.int64),
        brand_items=_plain(catalogue.brand_items, np.int32),
        brand_start=_plain(catalogue.brand_start, np.int64),
        related=_plain(lexicon.related, np.int32),
        n_fits=_plain(lexicon.n_fits, np.int32),
        fits=_plain(lexicon.fits, np.int32),
        other_language=_plain(lexicon.other_language, np.int32),
        n_variants=_plain(lexicon.n_variants, np.int32),
        word_recognised=_plain(lexicon.word_recognised, np.int32),
        other_meaning=_plain(demand.other_meaning, np.int32),
        n_free=_plain(n_free, np.int64),
        free_streams=_plain(free_streams, np.uint64),
        category_edges=_plain(demand.category_edges[0], np.float64),
        kind_edges=_plain(manner.kind_edges, np.float64),
        wants=_plain(manner.wants, np.uint32),
        first=_plain(manner.first, np.uint32),
        ways=_plain(manner.ways, np.float64),
        centres=_plain(segment_centres(params.shoppers, params.seed, params.n_style), np.float64),
        locale_edges=_edges(params.shoppers.locale_share),
        device_edges=_edges(params.shoppers.device_share),
        examination=_examination(params),
    )


def here_of(state: State) -> Here:
    """The columns of a state as the kernels want them; copies only where a column is not yet so."""
    who: Traits = state.traits
    return Here(
        key=_plain(state.key, np.uint64),
        visit=_plain(state.visit, np.int32),
        day=_plain(state.day, np.int32),
        search=_plain(state.search, np.int32),
        page=_plain(state.page, np.int32),
        step=_plain(state.step, np.int32),
        intent=_plain(state.intent, np.int32),
        shown=_plain(state.shown, np.bool_),
        taste=_plain(state.taste, np.float32),
        history=_plain(state.history, np.float32),
        history_weight=_plain(state.history_weight, np.float32),
        last_brand=_plain(state.last_brand, np.int32),
        satisfaction=_plain(state.satisfaction, np.float32),
        visit_satisfaction=_plain(state.visit_satisfaction, np.float32),
        locale=_plain(who.locale, np.int8),
        price_taste=_plain(who.price_taste, np.float32),
        favourite_brand=_plain(state.mind.favourite_brand, np.int32),
        patience=_plain(who.patience, np.float32),
        gap_days=_plain(who.gap_days, np.float32),
    )


_plain = np.ascontiguousarray  # one type, one compilation


def _examination(params: WorldParams) -> F32:
    model = params.click_model
    if type(model) is not PositionBased:
        return np.empty(0, dtype=np.float32)
    return for_slots("examination", model.examination, params.n_slots).astype(np.float32)


def _edges(share: tuple[float, ...]) -> F64:
    parts = np.asarray(share, dtype=np.float64)
    edges: F64 = np.cumsum(parts / parts.sum())[:-1].copy()
    return edges


def _items(catalogue: Catalogue) -> Records:
    names = [(name, np.int32) for name in _ITEM_INTEGERS] + [(name, np.float32) for name in _ITEM_FLOATS]
    items = np.empty(catalogue.n_items, dtype=np.dtype(names, align=True))
    for name in (*_ITEM_INTEGERS, *_ITEM_FLOATS):
        items[name] = getattr(catalogue, name)
    return items


def _numbers(params: WorldParams, catalogue: Catalogue, lexicon: Lexicon, switch: float) -> Records:
    """All numbers of a world in one record: what meets float32 columns in numpy is float32 here."""
    n_primary = max(1, round(PRIMARY_SHARE * params.n_candidates))
    attraction, conversion, dynamics, shoppers = params.attraction, params.conversion, params.dynamics, params.shoppers
    streams = {
        "retrieval": hashing.stream(catalogue.seed, "retrieval"),
        "confused": hashing.stream(catalogue.seed, "confused"),
        "nothing_found_words": hashing.stream(catalogue.seed, "nothing found"),
    }
    integers = {
        "n_categories": len(lexicon.categories), "n_brands": params.n_brands,
        "n_primary": n_primary, "n_brand": min(round(BRAND_SHARE * params.n_candidates), n_primary),
        "max_pages": params.max_pages, "max_searches": dynamics.max_searches, "horizon_days": shoppers.horizon_days,
        "reward": REWARDS.index(params.reward), "n_segments": shoppers.n_segments,
    }  # fmt: skip
    singles = {
        "base": attraction.base, "relevance": attraction.relevance, "taste": attraction.taste,
        "price": attraction.price, "quality": attraction.quality, "bait": attraction.bait,
        "popularity": attraction.popularity,
        "cart_base": conversion.cart_base, "cart_relevance": conversion.cart_relevance,
        "cart_taste": conversion.cart_taste, "cart_quality": conversion.cart_quality,
        "buy_base": conversion.buy_base, "buy_price": conversion.buy_price,
        "satisfaction_odds": conversion.satisfaction_odds,
        "page_down": dynamics.page_down, "reformulate": dynamics.reformulate, "taste_drift": dynamics.taste_drift,
        "satisfaction_memory": dynamics.satisfaction_memory,
        "return_base": dynamics.return_base, "return_gain": dynamics.return_gain,
    }  # fmt: skip
    doubles = {
        "loyalty": attraction.loyalty, "switch_language": switch, "nothing_found": params.queries.nothing_found,
        "taste_spread": shoppers.taste_spread, "loyal_share": shoppers.loyal_share,
        "mean_gap_days": shoppers.mean_gap_days,
    }  # fmt: skip
    groups: list[tuple[dict[str, Any], Any]] = [
        (streams, np.uint64), (integers, np.int64), (doubles, np.float64), (singles, np.float32),
        ({_source(): 0}, np.int8),
    ]  # fmt: skip
    layout = np.dtype([(name, kind) for group, kind in groups for name in group], align=True)
    numbers = np.empty(1, dtype=layout)
    for group, _ in groups:
        for name, value in group.items():
            numbers[name] = value
    return numbers


@functools.cache
def _source() -> str:
    """A field's name that changes with any file of this folder, so that no kernel is taken from a stale cache."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return f"source_{digest.hexdigest()[:16]}"

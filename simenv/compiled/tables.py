"""A world as the kernels read it: its numbers, its items and its words flattened into arrays, once.

Named tuples rather than dataclasses, because numba takes them apart by name. Items are records, so that all that a page
asks of an item lies together in memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32, I64, Catalogue
from simenv.clicks import PositionBased
from simenv.clicks.model import for_slots
from simenv.compiled.days import Days, days_of
from simenv.compiled.numbers import Records, numbers_of
from simenv.house import HouseSlots, policy_places
from simenv.invented import InventedDemand
from simenv.language.queries import free_word_tables
from simenv.params import WorldParams
from simenv.shoppers import Traits, segment_centres
from simenv.state import State, World

F64 = npt.NDArray[np.float64]
U32 = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.uint64]  # without a sign, no kernel asks whether an index counts from the end
_ITEM_INTEGERS = ("category", "brand", "colour", "size", "material", "audience", "use")
_ITEM_FLOATS = ("price", "price_z", "quality", "bait", "popularity")


class Tables(NamedTuple):
    """What never changes while a world is played. Axes as in `simenv.language.lexicon.Lexicon` and `Catalogue`.

    numbers: (1,) record, see `simenv.compiled.numbers`. items: (I,) records, the columns of the catalogue that
    behaviour looks at; style: (I, D) stands apart, or every D would want a compilation of its own.
    free_streams: (4,) roots of the streams that choose free words. n_free: (L, 4) how many there are.
    locale_edges, device_edges: cumulative shares without the last. examination: (K + H,) of position-based clicks;
    empty for any other click model, which is asked in numpy between two kernels.
    places: (K + H,) what stands where on a page: the policy's slot, or -1 - h for place h of the house. is_ad: (H,).
    slots: (K,) and house: (H,) where on a page the policy's slots and the places of the house stand.
    pinned: (P, 2) places that are pinned, each with its h. sponsored: (S,) the h of those that are sponsored.
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
    places: I64
    slots: Places
    house: Places
    is_ad: Bools
    pinned: I64
    sponsored: I64
    days: Days


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
    recent_day: I32
    satisfaction: F32
    visit_satisfaction: F32
    locale: npt.NDArray[np.int8]
    price_taste: F32
    favourite_brand: I32
    trust: F32
    satiation: F32
    recent: F32
    patience: F32
    gap_days: F32


def tables_of(world: World, demand: InventedDemand) -> Tables:
    """The tables of a world with that demand."""
    params, catalogue, lexicon, manner = demand.params, demand.catalogue, demand.lexicon, demand.manner
    n_free, free_streams = free_word_tables(lexicon)
    return Tables(
        numbers=numbers_of(params, catalogue.seed, len(lexicon.categories)),
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
        category_edges=_plain(demand.category_edges, np.float64),
        kind_edges=_plain(manner.kind_edges, np.float64),
        wants=_plain(manner.wants, np.uint32),
        first=_plain(manner.first, np.uint32),
        ways=_plain(manner.ways, np.float64),
        centres=_plain(segment_centres(params.shoppers, params.seed, params.n_style), np.float64),
        locale_edges=_edges(params.shoppers.locale_share),
        device_edges=_edges(params.shoppers.device_share),
        examination=_examination(params),
        places=_places(params),
        slots=_slots(params),
        house=np.array(params.house.places, dtype=np.uint64),
        is_ad=np.array([label == "sponsored" for label in params.house.labels()], dtype=np.bool_),
        pinned=_pinned(params.house),
        sponsored=_numbered(params.house, params.house.sponsored),
        days=days_of(world),
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
        recent_day=_plain(state.recent.day, np.int32),
        satisfaction=_plain(state.satisfaction, np.float32),
        visit_satisfaction=_plain(state.visit_satisfaction, np.float32),
        locale=_plain(who.locale, np.int8),
        price_taste=_plain(who.price_taste, np.float32),
        favourite_brand=_plain(state.mind.favourite_brand, np.int32),
        trust=_plain(state.mind.trust, np.float32),
        satiation=_plain(state.mind.satiation, np.float32),
        recent=_plain(state.mind.recent, np.float32),
        patience=_plain(who.patience, np.float32),
        gap_days=_plain(who.gap_days, np.float32),
    )


_plain = np.ascontiguousarray  # one type, one compilation


def _examination(params: WorldParams) -> F32:
    model = params.click_model
    if type(model) is not PositionBased:
        return np.empty(0, dtype=np.float32)
    return for_slots("examination", model.examination, params.n_shown).astype(np.float32)


def _slots(params: WorldParams) -> Places:
    return np.arange(params.n_shown, dtype=np.uint64)[policy_places(params.house, params.n_slots)]


def _places(params: WorldParams) -> I64:
    places = np.empty(params.n_shown, dtype=np.int64)
    places[_slots(params)] = np.arange(params.n_slots)
    places[list(params.house.places)] = -1 - np.arange(params.house.n)
    return places


def _numbered(house: HouseSlots, places: tuple[int, ...]) -> I64:
    return np.array([house.places.index(place) for place in sorted(places)], dtype=np.int64)


def _pinned(house: HouseSlots) -> I64:
    return np.stack([np.array(sorted(house.pinned), dtype=np.int64), _numbered(house, house.pinned)], axis=1)


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

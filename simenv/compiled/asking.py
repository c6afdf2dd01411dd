"""Intents and queries of one row: twins of `simenv.invented`, `simenv.asking` and `simenv.understanding`."""

from __future__ import annotations

import math

import numpy as np

from simenv.asking import _N_SAID, EXPLORATORY, Reformulation, _Draw
from simenv.catalogue import F32, I32
from simenv.compiled.hashing import U64, Int, absorb, coin, integer, place_among, uniform, visit_key, woven
from simenv.compiled.tables import Here, Tables
from simenv.language.words import BRAND, CATEGORY, COLOUR, FREE, SIZE, TERMS
from simenv.retrieval import FUZZY_HIT
from simenv.state import Draw

# Language, bits said, bits misspelt, word variant, key of the words, bits with a filter.
Query = tuple[Int, Int, Int, Int, U64, Int]
Coming = tuple[Int, Int, Int]  # visit, its day, favourite brand
Understood = tuple[Int, Int, Int, bool]  # primary and secondary category, brand, whether nothing is found

N_TERMS, N_SAID, N_FREE = len(TERMS), _N_SAID, len(FREE)
SAID_BITS, TERM_BITS = (1 << N_SAID) - 1, (1 << N_TERMS) - 1
CATEGORY_BIT, BRAND_BIT, SIZE_BIT = 1 << CATEGORY, 1 << BRAND, 1 << SIZE
_INTENT, _QUERY = int(Draw.INTENT), int(Draw.QUERY)
_VARIANT, _WORDS, _COINS, _HOW = (int(draw) for draw in _Draw)
_, _CORRECT, _SPECIALISE, _GENERALISE, _REPHRASE, _SWITCH, _FILTER = (int(way) for way in Reformulation)
_LOW11 = np.uint64(0x7FF)


@woven
def kind_of(tables: Tables, key: U64, visit: Int) -> Int:
    """Twin of `InventedDemand._kind` and `asking.intent_kind`."""
    u = uniform(absorb(visit_key(key, visit, _INTENT), 9))
    return place_among(tables.kind_edges[:-1], u)


@woven
def write_intent(tables: Tables, key: U64, coming: Coming, satiation: F32, intent: I32, i: int) -> None:
    """Twin of `InventedDemand.intents` and `asking.intents`: fill row i of `intent` (N, 7)."""
    visit, day, favourite_brand = coming
    n = tables.numbers[0]
    at = visit_key(key, visit, _INTENT)
    if uniform(absorb(at, 0)) < 0.4:
        own = absorb(absorb(key, -1), np.int64(uniform(absorb(at, 1)) * 3))
        category = integer(own, n.n_categories)
    else:
        category = category_of(tables, day, uniform(absorb(at, 2)))
    if satiation.shape[1] > 0:  # twin of `mind.reluctance`
        reluctance = -math.expm1(-n.satiation_intent * satiation[i, category])
        if uniform(absorb(at, 11)) < reluctance:
            category = category_of(tables, day, uniform(absorb(at, 12)))
    if favourite_brand >= 0 and uniform(absorb(at, 3)) < 0.6:
        brand = np.int64(favourite_brand)
    else:
        brand = np.int64(min(n.n_brands * uniform(absorb(at, 4)) ** 1.5, np.float64(n.n_brands - 1)))

    kind, own = kind_of(tables, key, visit), absorb(at, 10)
    for term in range(N_TERMS):
        intent[i, term] = -1
    intent[i, CATEGORY] = category
    if coin(own, 0) < tables.wants[kind, 0]:
        intent[i, BRAND] = brand
    which = absorb(own, 100)
    for attribute in range(N_TERMS - COLOUR):
        if coin(own, 1 + attribute) < tables.wants[kind, 1 + attribute]:
            n_fits = tables.n_fits[attribute, category]
            if n_fits > 0:
                chosen = integer(absorb(which, attribute), n_fits)
                intent[i, COLOUR + attribute] = tables.fits[attribute, category, chosen]


@woven
def category_of(tables: Tables, day: Int, u: float) -> Int:
    """Twin of `calendar.draw_category`."""
    edges = tables.category_edges[min(day, len(tables.category_edges) - 1)]
    return np.int64(min(place_among(edges, u * edges[-1]), len(edges) - 1))


@woven
def ask(tables: Tables, here: Here, i: int) -> Query:
    """Twin of `asking.ask`: the query of row i."""
    key = visit_key(here.key[i], here.visit[i], _QUERY)
    kind = kind_of(tables, here.key[i], here.visit[i])
    category, coins = here.intent[i, CATEGORY], absorb(key, _COINS)
    said, wrong, wants = 0, 0, 0
    for place in range(N_SAID):
        if coin(coins, place) < tables.first[kind, place]:
            said |= 1 << place
    for term in range(N_TERMS):
        if coin(coins, N_SAID + term) < tables.first[kind, N_SAID + term]:
            wrong |= 1 << term
        if here.intent[i, term] >= 0:
            wants |= 1 << term
    said &= wants | ~TERM_BITS
    if kind != EXPLORATORY and said == 0:
        said = CATEGORY_BIT
    filtered, language = 0, np.int64(here.locale[i])
    variant = integer(absorb(key, _VARIANT), tables.n_variants[language, category])
    other, typed = np.int64(tables.other_language[language]), 0
    for number in range(1, here.search[i] + 1):
        luck = absorb(key, _HOW + number)
        # Filters stand beside the results of words that the engine knows, for all but the product type.
        facets = wants & ~said & ~CATEGORY_BIT & ~filtered if said & TERM_BITS else 0
        way = _way(tables, luck, said, wrong & ~typed, wants, facets != 0, other != language)
        typed |= said & TERM_BITS
        filtered = filtered | _pick(facets, luck) if way == _FILTER else 0
        if way == _SPECIALISE:
            missing = wants & ~said
            said |= CATEGORY_BIT if missing & CATEGORY_BIT else _pick(missing, luck)
        elif way == _GENERALISE:
            said &= ~_pick(said & ~CATEGORY_BIT, luck)
        elif way == _REPHRASE:
            variant += 1
        elif way == _SWITCH:
            language, other = other, language
    variant %= tables.n_variants[language, category]
    return language, said, said & wrong & ~typed & TERM_BITS, variant, absorb(key, _WORDS), filtered


@woven
def _way(tables: Tables, luck: U64, said: Int, wrong: Int, wants: Int, has_facets: bool, bilingual: bool) -> Int:
    """Twin of the first half of `asking._ask_again`: how a query departs from the one before."""
    if said & wrong:
        return _CORRECT
    if bilingual and uniform(absorb(luck, 1)) < tables.numbers[0].switch_language:
        return _SWITCH
    extra = said & ~CATEGORY_BIT
    one = tables.ways[0] if wants & ~said else 0.0
    two = tables.ways[1] if extra != 0 and said & (said - 1) != 0 else 0.0
    three = tables.ways[2] if said & CATEGORY_BIT else 0.0
    four = tables.ways[3] if has_facets else 0.0
    at = uniform(luck) * (one + two + three + four)
    if four > 0.0 and at >= one + two + three:
        return _FILTER
    if at >= one + two:
        return _REPHRASE
    return _SPECIALISE if at < one else _GENERALISE


@woven
def _pick(bits: Int, luck: U64) -> Int:
    """Twin of `asking._pick`."""
    start = np.int64(luck & _LOW11) % N_SAID
    turned = (bits >> start) | ((bits << (N_SAID - start)) & SAID_BITS)
    first = turned & -turned
    return ((first << start) | (first >> (N_SAID - start))) & SAID_BITS


@woven
def write_terms(tables: Tables, here: Here, i: int, query: Query, terms: I32) -> bool:
    """Twin of `queries.recognised_terms`: fill row i of `terms` (N, 7), and say whether there is any."""
    language, said, misspelt, variant, _, _ = query
    known, is_known = said & ~misspelt | said & SIZE_BIT, 0
    for term in range(N_TERMS):
        value = here.intent[i, term] if known & (1 << term) else np.int32(-1)
        is_known |= known & (1 << term) if value >= 0 else 0
        terms[i, term] = value
    if known & CATEGORY_BIT:
        terms[i, CATEGORY] = tables.word_recognised[language, here.intent[i, CATEGORY], variant]
    return is_known != 0


@woven
def write_filters(here: Here, i: int, query: Query, filters: I32) -> bool:
    """Twin of the filters of `asking.ask`: fill row i of `filters` (N, 7), and say whether any is set."""
    for term in range(N_TERMS):
        filters[i, term] = here.intent[i, term] if query[5] & (1 << term) else np.int32(-1)
    return bool(query[5] != 0)


@woven
def understand(tables: Tables, here: Here, i: int, query: Query, is_known: bool) -> Understood:
    """Twin of `understanding.understood`: primary and secondary category, brand, whether nothing is found."""
    language, said, misspelt, variant, key, _ = query
    brand = np.int64(here.intent[i, BRAND]) if said & BRAND_BIT else np.int64(-1)
    if not said & CATEGORY_BIT:
        return np.int64(-1), np.int64(-1), brand, not is_known and _finds_nothing(tables, query)
    category, n_related = np.int64(here.intent[i, CATEGORY]), tables.related.shape[1]
    wrong = misspelt & CATEGORY_BIT != 0
    if not wrong:
        primary = np.int64(tables.word_recognised[language, category, variant])
        other = np.int64(tables.other_meaning[language, category, variant])
        if other >= 0:
            return primary, other, brand, False
    elif uniform(absorb(key, 50)) < FUZZY_HIT:
        primary = category
    else:
        primary = np.int64(tables.related[category, integer(absorb(key, 51), n_related)])
    by_word = absorb(absorb(tables.numbers[0].confused, primary), language)
    return primary, np.int64(tables.related[primary, integer(by_word, n_related)]), brand, False


@woven
def _finds_nothing(tables: Tables, query: Query) -> bool:
    """Twin of `understanding.finds_nothing` and `queries.free_words`."""
    language, said, misspelt, _, key, _ = query
    wrong = misspelt & BRAND_BIT != 0
    if not (wrong or said >> N_TERMS):
        return False
    letters = absorb(tables.numbers[0].nothing_found_words, language)
    for kind in range(N_FREE):
        word = np.int64(-1)
        if said & (1 << (N_TERMS + kind)):
            word = integer(absorb(key, tables.free_streams[kind]), tables.n_free[language, kind])
        letters = absorb(letters, word)
    found_nothing: bool = uniform(absorb(key if wrong else letters, 52)) < tables.numbers[0].nothing_found
    return found_nothing

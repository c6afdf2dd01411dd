"""Asking: how an intent becomes words, and how it is put when the first words did not find it.

Everything is a pure function of a visit's key: what the first query says, which of its words are misspelt, and how each
later query departs from the one before. So a query needs no memory: the third one is found by going through the first
two again.

Kinds of intent after Broder, "A taxonomy of web search" (2002), and Su, He, Liu, Zhang and Ma, "User intent, behaviour,
and perceived satisfaction in product search" (2018): navigational (led by a brand), focused (on a kind of product),
exploratory (vague and short). How often shoppers reformulate in which way is a guess; see docs/facts.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.language import Lexicon, QueryParts
from simenv.language.words import BRAND, CATEGORY, COLOUR, FREE, SIZE, TERMS
from simenv.params import Filters, Queries

I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.int32]

INTENT_KINDS = ("navigational", "focused", "exploratory")
REFORMULATIONS = ("first", "correct", "specialise", "generalise", "rephrase", "switch", "filter")
EXPLORATORY = INTENT_KINDS.index("exploratory")

_ONE = 1 << 16  # chances are compared with 16 bits of a hash: four decisions a key

# What a query says is kept as bits: one for each of `TERMS`, then one for each kind of `FREE` words.
_N_SAID = len(TERMS) + len(FREE)
_N_DECISIONS = _N_SAID + len(TERMS)
_SAID_BITS = (1 << _N_SAID) - 1
_TERM_BITS = (1 << len(TERMS)) - 1
_CATEGORY_BIT = 1 << CATEGORY


class Reformulation(IntEnum):
    """Places in `REFORMULATIONS`: how a query departs from the one before; FILTER not in its words."""

    FIRST, CORRECT, SPECIALISE, GENERALISE, REPHRASE, SWITCH, FILTER = range(7)


class _Draw(IntEnum):
    """The last words of the names of a visit's draws."""

    VARIANT, WORDS, COINS, HOW = range(4)  # HOW + number of the query: the last


@dataclass(frozen=True, eq=False)
class Asking:
    """The parameters of `simenv.params.Queries` as arrays; chances in units of 2**-16. Axis 3: `INTENT_KINDS`.

    kind_edges: (3,) cumulative share. wants: (3, 6) chance that an intent has a brand, a colour, ... first: (3, 18)
    chances of a first query: that it says each of `TERMS` if wanted, has each kind of `FREE` words, misspells each of
    `TERMS`. ways: (4,) weights of specialising, generalising, rephrasing, setting a filter. switch: chance of the other
    language.
    """

    kind_edges: npt.NDArray[np.float64]
    wants: npt.NDArray[np.uint32]
    first: npt.NDArray[np.uint32]
    ways: npt.NDArray[np.float64]
    switch: float


def asking(params: Queries, filters: Filters) -> Asking:
    """The parameters as arrays."""
    kinds = (params.navigational, params.focused, params.exploratory)
    share = np.array([kind.share for kind in kinds])
    n_attributes = len(TERMS) - COLOUR
    wrong = [0.0 if term == SIZE else params.misspelling_rate for term in range(len(TERMS))]
    first = [
        (kind.says_category, kind.says_brand, *[kind.says_attribute] * n_attributes, *kind.adds, *wrong)
        for kind in kinds
    ]
    return Asking(
        kind_edges=np.cumsum(share / share.sum()),
        wants=_chances([kind.wants for kind in kinds]),
        first=_chances(first),
        ways=np.array([params.specialise, params.generalise, params.rephrase, filters.weight]),
        switch=params.switch_language,
    )


def intent_kind(how: Asking, key: hashing.Keys) -> I8:
    """Hidden: the kind of intent, (N,) index into `INTENT_KINDS`, from the key of a visit's intent."""
    return np.searchsorted(how.kind_edges[:-1], hashing.uniform(key), side="right").astype(np.int8)


def intents(how: Asking, lexicon: Lexicon, key: hashing.Keys, kind: I8, category: I32, brand: I32) -> I32:
    """What is wanted.

    Args:
        how: The parameters.
        lexicon: Which values fit which category.
        key: (N,) keys.
        kind: (N,) `intent_kind`.
        category: (N,) wanted.
        brand: (N,) that would be wanted if any.

    Returns:
        (N, 7) wanted value of each of `TERMS`; -1 any.
    """
    wants = _coins(key, len(TERMS) - 1) < np.take(how.wants, kind, axis=0)
    made = np.full((len(key), len(TERMS)), -1, dtype=np.int32)
    made[:, CATEGORY] = category
    made[:, BRAND] = np.where(wants[:, 0], brand, np.int32(-1))
    row, attribute = np.nonzero(wants[:, 1:])
    n = lexicon.n_fits[attribute, category[row]]
    row, attribute, n = row[n > 0], attribute[n > 0], n[n > 0]
    which = hashing.integers(hashing.absorb(hashing.absorb(key[row], 100), attribute), n)
    made[row, COLOUR + attribute] = lexicon.fits[attribute, category[row], which]
    return made


@dataclass(frozen=True)
class Asked:
    """Queries, the filters set beside them (N, 7), -1 none, and, hidden, how each departs from the one before.

    reformulation: (N,) index into `REFORMULATIONS`.
    """

    parts: QueryParts
    filters: I32
    reformulation: I8


@dataclass
class _Wording:
    """Queries on their way; (N,) arrays that later queries change in place.

    said: bits. typed: bits of terms that an earlier query said, which are spelt right ever since. wants, wrong: bits of
    terms that are wanted, and that are misspelt when they are typed first. filtered: bits of terms with a filter.
    """

    said: Bits
    typed: Bits
    filtered: Bits
    wants: Bits
    wrong: Bits
    variant: npt.NDArray[np.int64]
    language: npt.NDArray[np.integer]
    other_language: npt.NDArray[np.integer]  # the same where there is no other
    reformulation: I8


def ask(
    how: Asking,
    lexicon: Lexicon,
    key: hashing.Keys,
    kind: I8,
    intent: I32,
    locale: npt.NDArray[np.integer],
    search: I32,
) -> Asked:
    """What shoppers type.

    Args:
        how: The parameters.
        lexicon: The words.
        key: (N,) of the visit's queries; the same for each of them, so that wordings stay.
        kind: (N,) kind of intent.
        intent: (N, 7) wanted.
        locale: (N,) int64, where they shop.
        search: (N,) queries asked before in this visit.
    """
    decided = _bits(_coins(hashing.absorb(key, _Draw.COINS), _N_DECISIONS) < np.take(how.first, kind, axis=0))
    wants = _bits(intent >= 0)
    said = decided & (wants | ~np.int32(_TERM_BITS)) & _SAID_BITS
    said |= np.where((kind != EXPLORATORY) & (said == 0), np.int32(_CATEGORY_BIT), np.int32(0))
    n_variants = lexicon.n_variants[locale, intent[:, CATEGORY]]
    made = _Wording(
        said=said,
        typed=np.zeros_like(said),
        filtered=np.zeros_like(said),
        wants=wants,
        wrong=decided >> _N_SAID,
        variant=hashing.integers(hashing.absorb(key, _Draw.VARIANT), n_variants),
        language=locale.copy(),
        other_language=lexicon.other_language[locale],
        reformulation=np.zeros(len(key), dtype=np.int8),
    )
    for number in range(1, int(search.max(initial=0)) + 1):
        _ask_again(how, key, made, np.flatnonzero(search >= number), number)
    made.variant %= lexicon.n_variants[made.language, intent[:, CATEGORY]]
    spoken = _unpacked(made.said, _N_SAID)
    parts = QueryParts(
        locale=made.language,
        terms=np.where(spoken[:, : len(TERMS)], intent, np.int32(-1)),
        category_variant=made.variant,
        free=spoken[:, len(TERMS) :],
        misspelt=_unpacked(made.said & made.wrong & ~made.typed, len(TERMS)),
        key=hashing.absorb(key, _Draw.WORDS),
    )
    filtered = _unpacked(made.filtered, len(TERMS))
    return Asked(parts, np.where(filtered, intent, np.int32(-1)), made.reformulation)


def _ask_again(
    how: Asking,
    key: hashing.Keys,
    made: _Wording,
    rows: npt.NDArray[np.intp],
    number: int,
) -> None:
    """Turn query `number - 1` of some rows into query `number`: correct what is misspelt, else depart from it."""
    said = made.said[rows]
    misspelt = (said & made.wrong[rows] & ~made.typed[rows]) != 0
    made.typed[rows] |= said & _TERM_BITS
    missing, extra = made.wants[rows] & ~said, said & ~_CATEGORY_BIT
    # Filters stand beside the results of words that the engine knows, for all but the product type.
    facets = np.where(said & _TERM_BITS, missing & ~_CATEGORY_BIT & ~made.filtered[rows], np.int32(0))
    # A way is open where there is a word to add, a word to drop beside another, a product type to call otherwise, a
    # filter to set.
    open_ways = (missing != 0, (extra != 0) & (said & (said - 1) != 0), (said & _CATEGORY_BIT) != 0, facets != 0)
    luck = hashing.absorb(key[rows], _Draw.HOW + number)
    one, two, three, four = (weight * is_open for weight, is_open in zip(how.ways, open_ways, strict=True))
    at = hashing.uniform(luck) * (one + two + three + four)
    way = np.where(at < one, Reformulation.SPECIALISE, Reformulation.GENERALISE)
    way[at >= one + two] = Reformulation.REPHRASE
    way[(at >= one + two + three) & (four > 0.0)] = Reformulation.FILTER
    bilingual = np.flatnonzero(made.other_language[rows] != made.language[rows])
    switches = hashing.uniform(hashing.absorb(luck[bilingual], 1)) < how.switch
    way[bilingual[switches]] = Reformulation.SWITCH
    way[misspelt] = Reformulation.CORRECT
    made.reformulation[rows] = way

    more = np.flatnonzero(way == Reformulation.SPECIALISE)
    picked = _pick(missing[more], luck[more])
    made.said[rows[more]] |= np.where(missing[more] & _CATEGORY_BIT, _CATEGORY_BIT, picked)  # the product type first
    less = np.flatnonzero(way == Reformulation.GENERALISE)
    made.said[rows[less]] &= ~_pick(extra[less], luck[less])
    made.variant[rows[way == Reformulation.REPHRASE]] += 1
    setting = np.flatnonzero(way == Reformulation.FILTER)
    made.filtered[rows[way != Reformulation.FILTER]] = 0  # filters stay with the words that they were set beside
    made.filtered[rows[setting]] |= _pick(facets[setting], luck[setting])
    switching = rows[way == Reformulation.SWITCH]
    made.language[switching], made.other_language[switching] = (
        made.other_language[switching],
        made.language[switching],
    )


def _pick(bits: Bits, luck: hashing.Keys) -> Bits:
    """One of the bits set in each row, (R,): the first one round from a place drawn from bits that `uniform` leaves."""
    start = ((luck & np.uint64(0x7FF)) % np.uint64(_N_SAID)).astype(np.int32)
    turned = (bits >> start) | (bits << (_N_SAID - start)) & _SAID_BITS
    first = turned & -turned
    return (first << start | first >> (_N_SAID - start)) & _SAID_BITS


def _bits(decisions: Bools) -> Bits:
    """(N, up to 24) decisions as bits, the first lowest. In floats because that is many times faster, and exact."""
    powers = np.exp2(np.arange(decisions.shape[1])).astype(np.float32)
    made: Bits = (decisions.astype(np.float32) @ powers).astype(np.int32)
    return made


def _unpacked(bits: Bits, n: int) -> Bools:
    """The lowest n bits as decisions (N, n)."""
    made: Bools = ((bits[:, None] >> np.arange(n, dtype=np.int32)) & 1).astype(bool)
    return made


def _coins(key: hashing.Keys, n: int) -> npt.NDArray[np.uint16]:
    """(N, n) integers in [0, 2**16), four from each hash."""
    drawn: npt.NDArray[np.uint16] = hashing.absorb(key[:, None], np.arange(-(-n // 4))).view(np.uint16)[:, :n]
    return drawn


def _chances(shares: list[tuple[float, ...]]) -> npt.NDArray[np.uint32]:
    return np.round(np.array(shares) * _ONE).astype(np.uint32)

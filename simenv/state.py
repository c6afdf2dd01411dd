"""What the world's functions pass around: the market, where shoppers are, what a policy sees, what happened.

And the names of draws: every random number of a visit is named by (shopper, visit, stream, search, page, item or slot).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32, I64, Catalogue
from simenv.mind import Mind
from simenv.params import WorldParams
from simenv.shoppers import Traits

Bools = npt.NDArray[np.bool_]


class Draw(IntEnum):
    """The streams of one page, one visit or one search: the last word of every draw's name."""

    INTENT, QUERY, EXAMINE, ATTRACT, CART, BUY, REACT, RETURN, POLICY, LOYALTY = range(10)


@dataclass(frozen=True)
class World:
    """A market: its parameters and what follows from them alone. Make it with `make_world`.

    twin: the same doors compiled, where there are any; see `simenv.compiled`.
    """

    params: WorldParams
    catalogue: Catalogue
    demand: Demand
    twin: Twin | None = None

    @property
    def backend(self) -> Literal["numpy", "numba"]:
        """Who plays: "numba" where the world has a twin that is still its own, else "numpy"."""
        return "numpy" if self.twin is None or not self.twin.is_of(self) else "numba"


class Twin(Protocol):
    """The doors of one world, compiled; see `simenv.world` for what each of them does."""

    def is_of(self, world: World) -> bool:
        """Whether the twin was made of this world's parameters, catalogue and demand."""

    def begin(self, seed: int, shoppers: I64) -> State:
        """See `simenv.world.begin`."""

    def observe(self, state: State) -> Page:
        """See `simenv.world.observe`."""

    def step(self, state: State, page: Page, slate: npt.NDArray[np.integer]) -> tuple[State, Outcome]:
        """See `simenv.world.step`."""


class Demand(Protocol):
    """What shoppers want and type, what the engine finds for it, and how well an item answers it.

    `simenv.invented` makes it up for an invented catalogue.
    """

    @property
    def locales(self) -> tuple[str, ...]:
        """Names of the locales that `Page.locale` counts."""

    @property
    def n_values(self) -> tuple[int, ...]:
        """How many values each of the terms of a query can have; the first are categories, the second brands."""

    @property
    def colours(self) -> tuple[str, ...]:
        """Internal names of the colours that items are drawn in."""

    def intents(self, key: hashing.Keys, visit: I32, day: I32, favourite_brand: I32, reluctance: F32) -> I32:
        """Hidden: what visits are for, (N, T), -1 any; `key` is the shopper's luck.

        A category that would be wanted is passed over for another drawn afresh with chance `reluctance` (N, G); where
        satiation is off that is (N, 0) and nothing is drawn.
        """

    def kinds(self, state: State) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
        """Hidden: the kind of intent and how the query departs from the one before, as places in `simenv.asking`."""

    def search(self, state: State) -> Search:
        """The query of each row as a dictionary reads it, and what the engine finds."""

    def said(self, state: State) -> Said:
        """Hidden: what the queries say as they were meant to be typed."""

    def relevance(self, intent: I32, items: I32) -> F32:
        """Hidden: graded relevance of items (N, M) to intents (N, T), in [0, 1]; 0 for a hole."""

    def strings(self, state: State) -> list[str]:
        """The queries as typed. Made only when somebody reads them."""

    def titles(self, locale: int, items: npt.NDArray[np.integer]) -> list[str]:
        """Titles of items as a locale writes them."""

    def words(self, locale: int, terms: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
        """Terms that were understood, in the locale's words: (kind, word) of each that is not -1."""


@dataclass(frozen=True)
class Search:
    """Queries and what was found; (N,) unless said.

    locale: int64, of the shop as the query found it. terms: (N, T) what a plain dictionary recognises, -1 none.
    candidates: (N, C) item ids in the engine's order, -1 for a hole.
    """

    locale: I64
    terms: I32
    candidates: I32


@dataclass(frozen=True)
class Said:
    """Hidden: what queries say of an intent.

    terms: (N, T) int32, -1 where the query does not say it. misspelt: (N, T) whether the word for it is misspelt.
    """

    terms: I32
    misspelt: Bools


@dataclass(frozen=True)
class State:
    """Where N shoppers are; hidden. Arrays (N,) unless said."""

    key: hashing.Keys  # the shopper's luck
    shopper: I64
    visit: I32
    day: I32
    search: I32  # queries asked before in this visit
    page: I32  # pages of this query seen before
    step: I32  # pages of this visit seen before
    traits: Traits
    taste: F32  # (N, D)
    mind: Mind
    intent: I32  # (N, 7) wanted category, brand, colour, size, material, audience, use; -1 any
    shown: Bools  # (N, C) candidates shown on earlier pages of this query
    history: F32  # (N, D + 1) discounted sum of clicked style and price level
    history_weight: F32
    last_brand: I32
    satisfaction: F32  # running, in [0, 1]
    visit_satisfaction: F32  # best of this visit

    def __len__(self) -> int:
        """Number of rows, N."""
        return len(self.shopper)


@dataclass(frozen=True)
class Page:
    """What a policy may see of one search; a row each. Arrays (N,) unless said.

    locale: of the shop as the query found it; where a country has two languages, that of the query.
    query_terms: (N, 7) int32, category, brand, colour, size, material, audience and use that a plain dictionary
        recognises in the query; -1 none.
    candidates: (N, C) int32 item ids in the engine's order; -1 is a hole.
    time: seconds since midnight. search, page: queries of this visit, pages of this query before this one.
    history: (N, D + 1) float32, discounted mean of style and price level of what the shopper clicked, drawn to 0 by
        three imaginary clicks. history_weight: discounted number of clicks. last_brand: last clicked, -1 none.
    """

    shopper: I64
    visit: I32
    day: I32
    time: I32
    search: I32
    page: I32
    locale: npt.NDArray[np.int8]
    device: npt.NDArray[np.int8]
    query_terms: I32
    candidates: I32
    history: F32
    history_weight: F32
    last_brand: I32

    def __len__(self) -> int:
        """Number of rows, N."""
        return len(self.shopper)


@dataclass(frozen=True)
class Outcome:
    """What happened on a page. (N, K) unless said; `expected` and `examined` are hidden truth.

    reward: float64, what the world counts, per slot. expected: its exact expectation given the slate.
    items: int32 shown item ids, -1 for an empty slot. revenue: float64 euros.
    session_over: (N,) the visit ends here. gone: (N,) the shopper will not come back. truncated: (N,) the shopper would
    have come back after the horizon.
    """

    items: I32
    examined: Bools
    clicked: Bools
    carted: Bools
    purchased: Bools
    revenue: npt.NDArray[np.float64]
    reward: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]
    session_over: Bools
    gone: Bools
    truncated: Bools


def nothing_happened(n: int, n_slots: int) -> Outcome:
    """What comes of pages that were not shown: nothing."""
    flags, euros, rows = np.zeros((n, n_slots), dtype=bool), np.zeros((n, n_slots)), np.zeros(n, dtype=bool)
    return Outcome(
        items=np.full((n, n_slots), -1, dtype=np.int32),
        examined=flags,
        clicked=flags.copy(),
        carted=flags.copy(),
        purchased=flags.copy(),
        revenue=euros,
        reward=euros.copy(),
        expected=euros.copy(),
        session_over=rows,
        gone=rows.copy(),
        truncated=rows.copy(),
    )


def visit_key(key: hashing.Keys, visit: I32, draw: Draw) -> hashing.Keys:
    """The key of one stream of a shopper's visit."""
    return hashing.absorb(hashing.absorb(key, visit), draw)


def page_key(key: hashing.Keys, state: State) -> hashing.Keys:
    """The key of the page that the shopper is on, within a stream of the visit."""
    return hashing.absorb(hashing.absorb(key, state.search), state.page)


def uniforms(key: hashing.Keys, draw: Draw, names: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Uniforms of one stream of a page, one for each named item or slot, (N, K)."""
    return hashing.uniform(hashing.absorb(hashing.absorb(key, draw)[:, None], names))

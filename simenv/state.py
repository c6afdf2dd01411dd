"""What the world's functions pass around: the market, where shoppers are, what a policy sees, what happened.

And the names of draws: every random number of a visit is named by (shopper, visit, stream, search, page, item or slot).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.abandonment import Ending
from simenv.calendar import Calendar
from simenv.catalogue import F32, I32, I64, Catalogue
from simenv.mind import Mind
from simenv.params import WorldParams
from simenv.recent import I16, Recent
from simenv.shoppers import Traits

Bools = npt.NDArray[np.bool_]


class Draw(IntEnum):
    """The streams of one page, one visit or one search: the last word of every draw's name."""

    INTENT, QUERY, EXAMINE, ATTRACT, CART, BUY, REACT, RETURN, POLICY, LOYALTY, DWELL, SEND_BACK, ABANDON = range(13)


@dataclass(frozen=True)
class World:
    """A market: its parameters and what follows from them alone. Make it with `make_world`.

    twin: the same doors compiled, where there are any; see `simenv.compiled`.
    """

    params: WorldParams
    catalogue: Catalogue
    demand: Demand
    calendar: Calendar = field(default_factory=Calendar)
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

    def observe(self, state: State, stock: I32 | None) -> Page:
        """See `simenv.world.observe`; `stock` (I,) is what the shelves hold where they are given."""

    def step(self, state: State, page: Page, slate: npt.NDArray[np.integer]) -> tuple[State, Outcome]:
        """See `simenv.world.step`."""


class Demand(Protocol):
    """What shoppers want and type, what the engine finds for it, and how well an item answers it.

    `simenv.invented` makes it up for an invented catalogue, `simenv.real` has it from a user's files.
    """

    @property
    def locales(self) -> tuple[str, ...]:
        """Names of the locales that `Page.locale` counts."""

    @property
    def n_values(self) -> tuple[int, ...]:
        """How many values each of the terms of a query can have; the first are categories, the second brands."""

    @property
    def n_intent(self) -> int:
        """Columns of an intent, T: one a term, and what else a demand must know of it."""

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
    candidates: (N, C) item ids in the engine's order, -1 for a hole. filters: (N, T) that shoppers have set, -1 none;
    None for a shop without any.
    """

    locale: I64
    terms: I32
    candidates: I32
    filters: I32 | None = None


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
    intent: I32  # (N, T) wanted category, brand, colour, size, material, audience, use, ...; -1 any
    shown: Bools  # (N, C) candidates shown on earlier pages of this query
    history: F32  # (N, D + 1) discounted sum of clicked style and price level
    history_weight: F32
    last_brand: I32
    recent: Recent  # the last clicks one by one
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
    filters: (N, 7) int32, values that the shopper has set filters to, as in `query_terms`; -1 none.
    candidates: (N, C) int32 item ids in the engine's order; -1 is a hole.
    house: (N, H) int32 item ids that the market shows in its own places, from the top; -1 for an empty one. They are
        not among the candidates.
    time: seconds since midnight. search, page: queries of this visit, pages of this query before this one.
    history: (N, D + 1) float32, discounted mean of style and price level of what the shopper clicked, drawn to 0 by
        three imaginary clicks. history_weight: discounted number of clicks. last_brand: last clicked, -1 none.
    discount: (N, C) float32, log of the day's price over the catalogue's; 0 where prices stand still and at holes.
    recent: (N, L) int32, the items that the shopper clicked, latest first, of one page the last place first; the
        market's own places count, an item clicked twice stands there twice, -1 for none. recent_bought: (N, L) whether
        they were bought then. recent_age: (N, L) int16, days since then, -1 for none.
    query: (N,) the queries as typed; None where nobody announced that they read text: nobody pays for strings that
        nobody reads. See `simenv.decision.query_of`.
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
    filters: I32
    candidates: I32
    house: I32
    history: F32
    history_weight: F32
    last_brand: I32
    discount: F32
    recent: I32
    recent_bought: Bools
    recent_age: I16
    query: npt.NDArray[np.object_] | None = None

    def __len__(self) -> int:
        """Number of rows, N."""
        return len(self.shopper)


@dataclass(frozen=True)
class Outcome:
    """What happened on a page. (N, K) unless said; `expected`, `examined`, `satisfied` and `ending` are hidden truth.

    reward: float64, what the world counts, per slot. expected: its exact expectation given the slate.
    items: int32 shown item ids, -1 for an empty slot. revenue: float64 euros, before returns.
    satisfied: clicked, and it ended the look at the page; all False where the click model knows nothing of it.
    dwell: float32 seconds that a clicked item was looked at; 0 for others, and where the market does not record it.
    returned: bought and sent back.
    house_examined, house_clicked, house_carted, house_purchased: (N, H) the same for the places of the house.
    ad_revenue: (N, H) float64 euros that sellers pay for clicks on their advertisements.
    ending: (N,) int8 how the page ended, a place in `simenv.abandonment.ENDINGS`.
    session_over: (N,) the visit ends here. gone: (N,) the shopper will not come back. truncated: (N,) the shopper would
    have come back after the horizon.
    """

    items: I32
    examined: Bools
    clicked: Bools
    carted: Bools
    purchased: Bools
    satisfied: Bools
    dwell: F32
    returned: Bools
    revenue: npt.NDArray[np.float64]
    reward: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]
    house_examined: Bools
    house_clicked: Bools
    house_carted: Bools
    house_purchased: Bools
    ad_revenue: npt.NDArray[np.float64]
    ending: npt.NDArray[np.int8]
    session_over: Bools
    gone: Bools
    truncated: Bools


def nothing_happened(params: WorldParams, n: int) -> Outcome:
    """What comes of pages that were not shown to N rows: nothing."""

    def nothing(dtype: type[np.generic], *shape: int) -> Any:
        return np.zeros((n, *shape), dtype=dtype)

    k, h = params.n_slots, params.house.n
    return Outcome(
        items=np.full((n, k), -1, dtype=np.int32),
        examined=nothing(np.bool_, k),
        clicked=nothing(np.bool_, k),
        carted=nothing(np.bool_, k),
        purchased=nothing(np.bool_, k),
        satisfied=nothing(np.bool_, k),
        dwell=nothing(np.float32, k),
        returned=nothing(np.bool_, k),
        revenue=nothing(np.float64, k),
        reward=nothing(np.float64, k),
        expected=nothing(np.float64, k),
        house_examined=nothing(np.bool_, h),
        house_clicked=nothing(np.bool_, h),
        house_carted=nothing(np.bool_, h),
        house_purchased=nothing(np.bool_, h),
        ad_revenue=nothing(np.float64, h),
        ending=np.full(n, Ending.LEFT, dtype=np.int8),
        session_over=nothing(np.bool_),
        gone=nothing(np.bool_),
        truncated=nothing(np.bool_),
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

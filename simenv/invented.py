"""Demand made up for an invented catalogue: intents queries in ten locales, an engine's answer.

An intent becomes words (`simenv.asking`), the words become what a dictionary and an engine make of them
(`simenv.understanding`), and that becomes candidates (`simenv.retrieval`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import asking, hashing, understanding
from simenv.behaviour import relevance
from simenv.calendar import Calendar, demand_edges, draw_category
from simenv.catalogue import F32, I32, Catalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.language import Lexicon, QueryParts, load_lexicon, query_strings, recognised_terms
from simenv.language.misspell import SEAM
from simenv.language.titles import titles
from simenv.language.words import ATTRIBUTES
from simenv.params import IntentKind, Queries, WorldParams
from simenv.retrieval import retrieve, retrieve_filtered
from simenv.state import Draw, Said, Search, State, visit_key

FAVOURITE = 0.4  # of intents are for one of a shopper's favourite categories, which are any
N_FAVOURITES = 3


@dataclass(frozen=True, eq=False)
class InventedDemand:
    """The demand for an invented catalogue. Make it with `invented_demand`; see `simenv.state.Demand`."""

    params: WorldParams
    catalogue: Catalogue
    lexicon: Lexicon
    category_edges: npt.NDArray[np.float64]  # (T or 1, G) cumulative share of each category among intents, by day
    other_meaning: I32  # (L, G, V) the other category that a word variant of a category can mean; -1 for none
    manner: asking.Asking  # how intents are asked for

    @property
    def locales(self) -> tuple[str, ...]:
        """See `Demand`."""
        return self.lexicon.locales

    @property
    def n_values(self) -> tuple[int, ...]:
        """See `Demand`."""
        return (len(self.lexicon.categories), self.params.n_brands, *map(len, self.lexicon.values))

    @property
    def n_intent(self) -> int:
        """See `Demand`."""
        return len(self.n_values)

    @property
    def colours(self) -> tuple[str, ...]:
        """See `Demand`."""
        return self.lexicon.colours

    def intents(self, key: hashing.Keys, visit: I32, day: I32, favourite_brand: I32, reluctance: F32) -> I32:
        """A favourite category or one that everybody looks for; maybe a brand and attributes. See `Demand`."""
        n_categories, n_brands = len(self.lexicon.categories), self.params.n_brands
        at = visit_key(key, visit, Draw.INTENT)
        u = hashing.uniform(hashing.absorb(at[:, None], np.arange(5)))
        own = hashing.absorb(hashing.absorb(key, -1), (u[:, 1] * N_FAVOURITES).astype(np.int64))
        favourite = hashing.integers(own, n_categories)
        popular = draw_category(self.category_edges, u[:, 2], day)
        category = np.where(u[:, 0] < FAVOURITE, favourite, popular).astype(np.int32)
        if reluctance.shape[1]:
            passed_over = hashing.uniform(hashing.absorb(at, 11)) < reluctance[np.arange(len(category)), category]
            again = hashing.uniform(hashing.absorb(at[passed_over], 12))
            category[passed_over] = draw_category(self.category_edges, again, day[passed_over])
        # Brands are asked for as often as they have products, in the mean: few of them often, most of them rarely.
        any_brand = np.minimum(n_brands * u[:, 4] ** 1.5, n_brands - 1).astype(np.int32)
        brand = np.where((favourite_brand >= 0) & (u[:, 3] < 0.6), favourite_brand, any_brand)
        kind = self._kind(key, visit)
        return asking.intents(self.manner, self.lexicon, hashing.absorb(at, 10), kind, category, brand)

    def kinds(self, state: State) -> tuple[asking.I8, asking.I8]:
        """See `Demand`."""
        return self._kind(state.key, state.visit), self._asked(state).reformulation

    def parts(self, state: State) -> QueryParts:
        """Hidden: what the shoppers say of their intents, before it becomes strings; see `simenv.asking`."""
        return self._asked(state).parts

    def said(self, state: State) -> Said:
        """See `Demand`."""
        parts = self.parts(state)
        return Said(parts.terms.astype(np.int32), parts.misspelt & (parts.terms >= 0))

    def search(self, state: State) -> Search:
        """See `Demand`."""
        asked = self._asked(state)
        parts = asked.parts
        terms = recognised_terms(self.lexicon, parts)
        read = understanding.understood(
            parts, terms, self.lexicon, self.other_meaning, self.catalogue.seed, self.params.queries.nothing_found
        )
        found = retrieve(self.catalogue, read, state.day, self.params.n_candidates)
        rows = np.flatnonzero((asked.filters >= 0).any(axis=1))
        if len(rows):
            reach = self.params.filters.reach * self.params.n_candidates
            found[rows] = retrieve_filtered(
                self.catalogue,
                take(read, rows),
                asked.filters[rows],
                state.day[rows],
                (self.params.n_candidates, reach),
            )
        return Search(parts.locale.astype(np.int64), terms, found, asked.filters)

    def relevance(self, intent: I32, items: I32) -> F32:
        """See `Demand` and `simenv.behaviour.relevance`."""
        return relevance(self.catalogue, intent, items)

    def strings(self, state: State) -> list[str]:
        """See `Demand`."""
        return query_strings(self.lexicon, self.catalogue.brands, self.parts(state))

    def titles(self, locale: int, items: npt.NDArray[np.integer]) -> list[str]:
        """See `Demand`."""
        catalogue = self.catalogue
        key = hashing.absorb(hashing.stream(catalogue.seed, "title"), items)
        of = (catalogue.category[items], catalogue.brand[items], catalogue.colour[items])
        return titles(self.lexicon, catalogue.brands, locale, *of, key)

    def words(self, locale: int, terms: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
        """See `Demand`."""
        language = self.lexicon.languages[locale]
        category, brand, *values = terms
        words = [
            ("category", language.nouns[category] if category >= 0 else ""),
            ("brand", self.catalogue.brands[brand] if brand >= 0 else ""),
        ]
        for place, (kind, value) in enumerate(zip(ATTRIBUTES, values, strict=True)):
            words.append((kind, language.attributes[place][value][0][0].replace(SEAM, "") if value >= 0 else ""))
        return tuple((kind, word) for kind, word in words if word)

    def _kind(self, key: hashing.Keys, visit: I32) -> asking.I8:
        return asking.intent_kind(self.manner, hashing.absorb(visit_key(key, visit, Draw.INTENT), 9))

    def _asked(self, state: State) -> asking.Asked:
        return asking.ask(
            self.manner,
            self.lexicon,
            visit_key(state.key, state.visit, Draw.QUERY),
            self._kind(state.key, state.visit),
            state.intent,
            state.traits.locale.astype(np.int64),
            state.search,
        )


def invented_demand(params: WorldParams, catalogue: Catalogue, calendar: Calendar) -> InventedDemand:
    """The demand that the parameters describe.

    Raises:
        UserError: for shares that do not fit the locales or the kinds of intent.
    """
    lexicon = load_lexicon()
    if len(params.shoppers.locale_share) != len(lexicon.locales):
        raise UserError(
            f"locale_share has {len(params.shoppers.locale_share)} entries; expected {len(lexicon.locales)}, one for "
            f"each of {', '.join(lexicon.locales)}."
        )
    _check_queries(params.queries)
    return InventedDemand(
        params=params,
        catalogue=catalogue,
        lexicon=lexicon,
        category_edges=demand_edges(calendar, category_shares(params.queries, lexicon)),
        other_meaning=understanding.other_meanings(lexicon),
        manner=asking.asking(params.queries, params.filters),
    )


def category_shares(queries: Queries, lexicon: Lexicon) -> npt.NDArray[np.float64]:
    """Share of each category, (G,), among intents that follow no favourite; as given, or a Zipf-like head.

    Raises:
        UserError: for shares that do not fit the categories.
    """
    n_categories, given = len(lexicon.categories), np.array(queries.category_share, dtype=np.float64)
    if not len(given):
        rank = np.arange(1, n_categories + 1)
        made: npt.NDArray[np.float64] = 0.3 / n_categories + 0.7 * (1.0 / rank) / (1.0 / rank).sum()
        return made
    if len(given) != n_categories:
        raise UserError(
            f"queries.category_share has {len(given)} entries; expected {n_categories}, one for each category of the "
            "lexicon, or none at all."
        )
    if not (np.isfinite(given).all() and (given >= 0.0).all() and given.sum() > 0.0):
        raise UserError("queries.category_share: expected shares of 0 or more, one above 0 at least.")
    return given


def _check_queries(queries: Queries) -> None:
    for name in asking.INTENT_KINDS:
        kind: IntentKind = getattr(queries, name)
        chances = (kind.share, *kind.wants, kind.says_category, kind.says_brand, kind.says_attribute, *kind.adds)
        if not all(0.0 <= chance <= 1.0 for chance in chances):
            raise UserError(f"queries: {name} has a share or chance outside [0, 1]: {kind}.")
    if queries.navigational.share + queries.focused.share + queries.exploratory.share <= 0.0:
        raise UserError("queries: the shares of all three kinds of intent are 0; expected one above 0 at least.")

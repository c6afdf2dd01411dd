"""Demand in a real market: shoppers ask the user's own queries, and an index of real titles answers.

An intent is a line of the user's list, drawn by its frequency; behind it stands the need that the graded products tell.
Who asks again first corrects a misspelling and then asks the list's queries that are most alike, by the products that
graders liked for both and by the letters. What a query finds and how well products match it is computed when somebody
first asks it, kept, and never depends on who asks, on the day or on the policy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.asking import INTENT_KINDS, Reformulation
from simenv.catalogue import F32, I32
from simenv.language.misspell import misspell
from simenv.language.words import ATTRIBUTES
from simenv.real.answers import VARIANTS, Answers
from simenv.state import Draw, Said, Search, State, visit_key

KINDS = ("category", "brand", *ATTRIBUTES)
I8 = npt.NDArray[np.int8]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RealDemand:
    """The demand of a real market. Make it with `simenv.real.market`; see `simenv.state.Demand`.

    frequency_edges: (Q,) cumulative share of each query. related: (Q, A) queries to ask next, -1 for none. names: of
    the values of each term, by id. misspelling_rate: chance of each word of a first query.
    """

    answers: Answers
    locales: tuple[str, ...]
    locale: int
    frequency_edges: npt.NDArray[np.float64]
    related: I32
    names: tuple[tuple[str, ...], ...]
    product_titles: tuple[str, ...]
    misspelling_rate: float

    @property
    def n_values(self) -> tuple[int, ...]:
        """See `Demand`; at least 1, as a space with no width is refused by Gymnasium."""
        return tuple(max(1, len(values)) for values in self.names)

    @property
    def n_intent(self) -> int:
        """See `Demand`: the terms that the query names, and its place in the list."""
        return len(self.names) + 1

    @property
    def colours(self) -> tuple[str, ...]:
        """See `Demand`: the first colour of each value, "Black,Silver" -> "black"."""
        return tuple(name.replace("/", ",").split(",")[0].strip().lower() for name in self.names[2])

    def intents(self, key: hashing.Keys, visit: I32, day: I32, favourite_brand: I32, reluctance: F32) -> I32:
        """A query of the list by its frequency: its terms and, last, its place. See `Demand`."""
        at = visit_key(key, visit, Draw.INTENT)
        query = self._frequent(hashing.uniform(hashing.absorb(at, 0)))
        if reluctance.shape[1]:
            category = self.answers.query_terms[query, 0]
            chance = np.where(category >= 0, reluctance[np.arange(len(query)), np.maximum(category, 0)], 0.0)
            passed_over = hashing.uniform(hashing.absorb(at, 1)) < chance
            query[passed_over] = self._frequent(hashing.uniform(hashing.absorb(at[passed_over], 2)))
        return np.concatenate([self.answers.query_terms[query], query[:, None]], axis=1)

    def kinds(self, state: State) -> tuple[I8, I8]:
        """See `Demand`: navigational where the query names a brand, focused where a category, exploratory else."""
        terms = state.intent[:, :-1]
        kind = np.where(
            terms[:, 1] >= 0,
            INTENT_KINDS.index("navigational"),
            np.where(terms[:, 0] >= 0, INTENT_KINDS.index("focused"), INTENT_KINDS.index("exploratory")),
        )
        again = np.where(
            (state.search == 1) & (self._misspelt(state) > 0), Reformulation.CORRECT, Reformulation.REPHRASE
        )
        return kind.astype(np.int8), np.where(state.search == 0, Reformulation.FIRST, again).astype(np.int8)

    def search(self, state: State) -> Search:
        """See `Demand`."""
        query, variant = self._asked(state)
        terms, candidates = self.answers.look_up(query, variant)
        return Search(np.full(len(state), self.locale, dtype=np.int64), terms, candidates)

    def said(self, state: State) -> Said:
        """See `Demand`: what the query asked now names in the list's spelling and the intent wants."""
        query, variant = self._asked(state)
        listed, wanted = self.answers.query_terms[query], state.intent[:, :-1]
        terms = np.where(listed == wanted, listed, np.int32(-1))
        typed, _ = self.answers.look_up(query, variant)
        return Said(terms, (terms >= 0) & (typed != terms))

    def relevance(self, intent: I32, items: I32) -> F32:
        """See `Demand`: the grade where somebody judged the pair, else what the text model expects."""
        grades = self.answers.grades(intent[:, -1])
        return grades[intent[:, -1:], np.maximum(items, 0)] * (items >= 0)

    def strings(self, state: State) -> list[str]:
        """See `Demand`."""
        query, variant = self._asked(state)
        return [self.answers.string(*each) for each in zip(query.tolist(), variant.tolist(), strict=True)]

    def titles(self, locale: int, items: npt.NDArray[np.integer]) -> list[str]:
        """See `Demand`: real titles have one language."""
        return [self.product_titles[item] for item in items]

    def words(self, locale: int, terms: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
        """See `Demand`."""
        return tuple(
            (kind, names[term]) for kind, names, term in zip(KINDS, self.names, terms, strict=True) if term >= 0
        )

    def _frequent(self, u: npt.NDArray[np.float64]) -> I32:
        """Queries that uniforms stand for, by frequency."""
        query = np.searchsorted(self.frequency_edges, u * self.frequency_edges[-1], side="right")
        found: I32 = query.clip(max=len(self.frequency_edges) - 1).astype(np.int32)
        return found

    def _asked(self, state: State) -> tuple[I64, I64]:
        """Place in the list and variant of its spelling, 0 as it stands there, of what is asked now."""
        own, misspelt = state.intent[:, -1].astype(np.int64), self._misspelt(state)
        again = np.where(misspelt > 0, state.search - 1, state.search).astype(np.int64)  # 0: the query itself
        others = self.related[own]
        n_others = (others >= 0).sum(axis=1)
        turn = np.where(n_others > 0, (again - 1) % np.maximum(n_others, 1), 0)
        other = np.take_along_axis(others, turn[:, None], axis=1)[:, 0]
        query = np.where((again <= 0) | (other < 0), own, other)
        return query.astype(np.int64), np.where(state.search == 0, misspelt, 0).astype(np.int64)

    def _misspelt(self, state: State) -> I64:
        """Which misspelling of the intent's query the first search has, 0 for none."""
        if self.misspelling_rate == 0.0:
            return np.zeros(len(state), dtype=np.int64)
        key = visit_key(state.key, state.visit, Draw.QUERY)
        correct = (1.0 - self.misspelling_rate) ** self.answers.n_words[state.intent[:, -1]]
        which = 1 + hashing.integers(hashing.absorb(key, 1), VARIANTS)
        return np.where(hashing.uniform(hashing.absorb(key, 0)) < correct, 0, which)


def misspelt(query: str, locale: str, key: int) -> str:
    """A query with one of its words misspelt; as it is where no word has three letters that are all letters."""
    words = query.split()
    can = [place for place, word in enumerate(words) if len(word) >= 3 and word.isalpha()]
    if not can:
        return query
    place = can[key % len(can)]
    words[place] = misspell(words[place].lower(), locale, key)
    return " ".join(words)

"""What the queries of a real market find and how well products match them: computed once a query, then looked up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.catalogue import F32, I32
from simenv.errors import UserError
from simenv.real.index import Scores, TextIndex, best
from simenv.real.matching import TextModel, pair_features
from simenv.real.reading import Judgements
from simenv.real.words import Dictionary, terms_of

VARIANTS = 4  # misspellings that a query has: as many as are kept, so that each is looked up once
MOST_CELLS = 2**30  # queries x products; memory is only taken for queries that are asked

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Engine:
    """Everything that answering needs, fixed when the market is built.

    model: None where no model was fitted and letters decide. category, brand: (I,) of the products.
    """

    index: TextIndex
    known: Dictionary
    retrieval: str
    n_candidates: int
    model: TextModel | None
    judged: Judgements | None
    category: I32
    brand: I32

    def features(self, query: str) -> npt.NDArray[np.float64]:
        """(I, F) what text says of every product and a query."""
        return self._features(query, self.index.scores(query))

    def expected(self, query: str) -> F32:
        """(I,) the grade that text lets expect of every product; without a model, its share of the best BM25 score."""
        scores = self.index.scores(query)
        if self.model is not None:
            return self.model.predict(self._features(query, scores))
        return (scores.bm25 / max(float(scores.bm25.max()), 1e-9)).astype(np.float32)

    def found(self, query: str) -> I32:
        """(C,) candidates in the engine's order."""
        return best(self.index.scores(query), self.retrieval, self.n_candidates)

    def _features(self, query: str, scores: Scores) -> npt.NDArray[np.float64]:
        return pair_features(scores, terms_of(self.known, [query])[0], self.category, self.brand)


class Answers:
    """A cache: the answers for Q queries and their misspellings, filled as they are asked for.

    What is in it is a pure function of the market, so it does not matter who asks first.
    """

    def __init__(self, engine: Engine, queries: tuple[str, ...], spelt: Callable[[int, int], str]) -> None:
        """Nothing is computed yet but the terms of the queries as they stand in the list.

        Args:
            engine: What answers.
            queries: The list.
            spelt: A query's string by place and variant; variant 0 is never asked for.

        Raises:
            UserError: for more pairs of query and product than can be kept.
        """
        n_items = len(engine.category)
        if len(queries) * n_items > MOST_CELLS:
            raise UserError(
                f"{len(queries):,} queries and {n_items:,} products make more pairs than fit ({MOST_CELLS:,}); keep "
                f"the {MOST_CELLS // n_items:,} most frequent queries."
            )
        self.engine, self.queries, self._spelt = engine, queries, spelt
        self.query_terms = terms_of(engine.known, queries)
        self.n_words = np.array([len(query.split()) for query in queries])
        shape = len(queries), 1 + VARIANTS
        self._strings: dict[tuple[int, int], str] = {}
        self._is_found = np.zeros(shape, dtype=bool)
        self._terms = np.zeros((*shape, self.query_terms.shape[1]), dtype=np.int32)
        self._candidates = np.zeros((*shape, engine.n_candidates), dtype=np.int32)
        self._is_graded = np.zeros(len(queries), dtype=bool)
        self._grades = np.zeros((len(queries), n_items), dtype=np.float32)

    def string(self, query: int, variant: int) -> str:
        """A query as it is typed."""
        if variant == 0:
            return self.queries[query]
        if (query, variant) not in self._strings:
            self._strings[query, variant] = self._spelt(query, variant)
        return self._strings[query, variant]

    def look_up(self, query: I64, variant: I64) -> tuple[I32, I32]:
        """Terms (N, T) and candidates (N, C) of what is asked; the caller's own arrays."""
        missing = ~self._is_found[query, variant]
        for place, how in sorted(set(zip(query[missing].tolist(), variant[missing].tolist(), strict=True))):
            text = self.string(place, how)
            self._terms[place, how] = terms_of(self.engine.known, [text])[0]
            self._candidates[place, how] = self.engine.found(text)
            self._is_found[place, how] = True
        return self._terms[query, variant], self._candidates[query, variant]

    def grades(self, query: npt.NDArray[np.integer]) -> F32:
        """(Q, I) graded relevance in [0, 1]; the rows of `query` are filled, others may not be."""
        for place in np.unique(query[~self._is_graded[query]]).tolist():
            row = self.engine.expected(self.queries[place])
            judged = self.engine.judged
            if judged is not None:
                pairs = judged.query == place
                row[judged.item[pairs]] = judged.grade[pairs]
            self._grades[place] = row
            self._is_graded[place] = True
        return self._grades

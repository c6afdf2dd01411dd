"""Judging rankings of real products by human grades: NDCG over the judged queries, with intervals.

NDCG at k with the graded relevance as the gain (Järvelin and Kekäläinen, 2002; see `simenv.metrics`), in two readings
of what nobody judged:

- "unjudged = 0": the whole catalogue is ranked, and what nobody judged counts as worthless. Low, and unfair to
  rankings unlike the one whose results were judged.
- "condensed": what nobody judged is taken out of the ranking first (Sakai, "Alternatives to Bpref", 2007). Only the
  judged products compete, which are the good ones more often than the rest.

Intervals are over queries, the unit that a next set of judgements would draw anew: Student's t of the mean, and of the
paired difference to BM25.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.errors import UserError
from simenv.real.answers import Engine
from simenv.real.index import F64, fused
from simenv.real.reading import Judgements, MarketData
from simenv.real.shelves import names_of
from simenv.real.words import terms_of

I64 = npt.NDArray[np.int64]

REFERENCE = "bm25"
READINGS = ("unjudged = 0", "condensed")
LEAST_QUERIES = 2


@dataclass(frozen=True)
class Ranked:
    """One query's judged products and how rankers order them.

    rank: ranker -> (J,) place in its order of the whole catalogue, from 0. grade: (J,). raters: (J, R).
    """

    rank: Mapping[str, I64]
    grade: F64
    raters: F64


@dataclass(frozen=True)
class Score:
    """A ranking's mean NDCG over queries, and its paired difference to BM25; low and high are a 95% interval."""

    ranker: str
    reading: str
    k: int
    queries: int
    ndcg: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float


def rank_judged(data: MarketData, engine: Engine) -> list[Ranked]:
    """Every judged query's products in the order of each ranker.

    random; lexical: number of the query's recognised terms that match (category 2, brand 1, colour 0.5); popularity:
    sales, where a column gives them; text-model: the fitted relevance, which has seen these grades and is only to be
    read beside its error on unseen queries; oracle: the grades. Equals are ordered by a hash of the product, the same
    for all rankers.

    Raises:
        UserError: where nothing is judged with a grade above the lowest.
    """
    judged = data.judgements
    if judged is None:
        raise UserError(f"{data.mapped.path}: there is no [judgements]; nothing can be judged.")
    n_items = len(data.products.ids)
    luck = hashing.uniform(hashing.absorb(hashing.stream(0, "ties"), np.arange(n_items)))
    colour = _colour(data)
    found = []
    for query in np.unique(judged.query):
        rows = judged.query == query
        if judged.grade[rows].max() <= 0:
            continue
        text = data.queries.text[query]
        scores, terms = engine.index.scores(text), terms_of(engine.known, [text])[0]
        truth = np.full(n_items, -1.0)
        truth[judged.item[rows]] = judged.grade[rows]
        by = {
            "random": np.zeros(n_items),
            "lexical": 2.0 * _matches(engine.category, terms[0]) + _matches(engine.brand, terms[1])
            + 0.5 * _matches(colour, terms[2]),
            "bm25": scores.bm25,
            "char-ngrams": scores.letters,
            "both": fused(scores),
            "oracle": truth,
        }  # fmt: skip
        if data.products.sales is not None:
            by["popularity"] = np.nan_to_num(data.products.sales, nan=-1.0)
        if engine.model is not None:
            by["text-model"] = engine.expected(text).astype(np.float64)
        place = {name: _places(score, luck)[judged.item[rows]] for name, score in by.items()}
        found.append(Ranked(place, judged.grade[rows], judged.raters[rows]))
    if len(found) < LEAST_QUERIES:
        raise UserError(f"{data.mapped.path}: {len(found)} queries have a grade above the lowest; expected 2 at least.")
    return found


def ndcg_at(ranked: Ranked, ranker: str, grade: F64, k: int, reading: str) -> float:
    """NDCG at k of one query under given grades (J,); NaN where no grade is above 0."""
    place = ranked.rank[ranker]
    if reading == "condensed":
        place = np.argsort(np.argsort(place))
    gain = np.where(place < k, grade / np.log2(place + 2.0), 0.0).sum()
    best = -np.sort(-grade)[:k]
    ideal = (best / np.log2(np.arange(len(best)) + 2.0)).sum()
    return float(gain / ideal) if ideal > 0 else float("nan")


def per_query(ranked: Sequence[Ranked], ranker: str, k: int, reading: str) -> F64:
    """(Q,) NDCG of each judged query."""
    return np.array([ndcg_at(each, ranker, each.grade, k, reading) for each in ranked])


def judge(ranked: Sequence[Ranked], k: int = 10) -> list[Score]:
    """The scores of every ranker, in both readings."""
    from scipy import stats

    made = []
    reach = float(stats.t.ppf(0.975, len(ranked) - 1)) / len(ranked) ** 0.5
    for reading in READINGS:
        reference = per_query(ranked, REFERENCE, k, reading)
        for ranker in ranked[0].rank:
            own = per_query(ranked, ranker, k, reading)
            gap = own - reference
            mean, half = float(own.mean()), reach * float(own.std(ddof=1))
            less, half_less = float(gap.mean()), reach * float(gap.std(ddof=1))
            made.append(
                Score(ranker, reading, k, len(ranked), mean, mean - half, mean + half, less, less - half_less,
                      less + half_less)
            )  # fmt: skip
    return made


def _places(score: F64, luck: F64) -> I64:
    places = np.empty(len(score), dtype=np.int64)
    places[np.lexsort((luck, -score))] = np.arange(len(score))
    return places


def _matches(own: npt.NDArray[np.integer], wanted: np.integer) -> F64:
    matches: F64 = ((own == wanted) & (wanted >= 0)).astype(np.float64)
    return matches


def _colour(data: MarketData) -> I64:
    given = data.products.terms.get("colour")
    if given is None:
        return np.full(len(data.products.ids), -1)
    place = {name: at for at, name in enumerate(names_of([name for name in given if name]))}
    return np.array([place.get(name, -1) for name in given])


def grades_of(judged: Judgements) -> dict[float, int]:
    """How many pairs have each grade, scaled to [0, 1]."""
    values, counts = np.unique(np.round(judged.grade, 6), return_counts=True)
    return {float(value): int(count) for value, count in zip(values, counts, strict=True)}

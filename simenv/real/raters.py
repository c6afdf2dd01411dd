"""What raters' disagreement does to NDCG: agreement, the noise of a score, and the ceiling of a human ranking.

Only pairs that all raters graded count. Resampling draws as many raters as there are, with replacement, anew for every
pair, and takes their mean as the grade: the spread of NDCG over such draws is what another choice of raters of the same
kind would have moved, for a ranking and for the difference between two. It leaves out what all raters have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.real.index import F64
from simenv.real.judging import READINGS, REFERENCE, Ranked, ndcg_at

DRAWS = 200
TIES = 20  # orders of equals that a human ranking is averaged over


@dataclass(frozen=True)
class Agreement:
    """How far raters agree. pairs: graded by all. unanimous: share of those. alpha: Krippendorff's, ordinal."""

    pairs: int
    raters: int
    unanimous: float
    alpha: float


@dataclass(frozen=True)
class RaterNoise:
    """How much one ranking's NDCG moves with the raters.

    mean, spread: of the mean NDCG over resampled raters. difference, difference_spread: of its difference to BM25.
    sign_kept: share of draws where that difference has the sign it has with all raters.
    """

    ranker: str
    k: int
    mean: float
    spread: float
    difference: float
    difference_spread: float
    sign_kept: float


def agreement(raters: F64) -> Agreement:
    """Agreement over pairs (J, R), NaN where a rater said nothing.

    Raises:
        ValueError: where no pair was graded by all.
    """
    whole = raters[~np.isnan(raters).any(axis=1)]
    if not len(whole) or whole.shape[1] < 2:
        raise ValueError("no pair was graded by two raters")
    unanimous = float((whole == whole[:, :1]).all(axis=1).mean())
    return Agreement(len(whole), whole.shape[1], unanimous, krippendorff(whole))


def krippendorff(grades: F64) -> float:
    """Krippendorff's alpha of ordinal grades (J, R), NaN where a rater said nothing: 1 perfect, 0 as by chance.

    alpha = 1 - observed / expected disagreement, where two grades disagree by the square of the number of grades
    given between them, counting half of their own (Krippendorff, "Computing Krippendorff's alpha-reliability", 2011).
    Pairs with fewer than two grades say nothing. 1 where all grades are the same.
    """
    paired = grades[(~np.isnan(grades)).sum(axis=1) >= 2]
    values = np.unique(paired[~np.isnan(paired)])
    counts = (paired[:, :, None] == values).sum(axis=1).astype(np.float64)
    weight = counts / (counts.sum(axis=1, keepdims=True) - 1)
    together = weight.T @ counts - np.diag(weight.sum(axis=0))
    total = together.sum(axis=1)
    middle = np.cumsum(total) - total / 2
    distance = (middle[:, None] - middle[None, :]) ** 2
    chance = (np.outer(total, total) - np.diag(total)) / (total.sum() - 1)
    expected = float((chance * distance).sum())
    return 1.0 - float((together * distance).sum()) / expected if expected > 0 else 1.0


def rater_noise(ranked: Sequence[Ranked], rankers: Sequence[str], k: int = 10, seed: int = 0) -> list[RaterNoise]:
    """How much the condensed NDCG of rankings moves when the raters of each pair are drawn anew."""
    whole = fully_rated(ranked)
    rng = np.random.default_rng(seed)
    everyone = {name: _mean(whole, name, [each.raters.mean(axis=1) for each in whole], k) for name in rankers}
    drawn: dict[str, list[float]] = {name: [] for name in rankers}
    for _ in range(DRAWS):
        grades = []
        for each in whole:
            chosen = rng.integers(0, each.raters.shape[1], each.raters.shape)
            grades.append(np.take_along_axis(each.raters, chosen, axis=1).mean(axis=1))
        for name in rankers:
            drawn[name].append(_mean(whole, name, grades, k))
    made = []
    for name in rankers:
        own, gap = np.array(drawn[name]), np.array(drawn[name]) - np.array(drawn[REFERENCE])
        full = everyone[name] - everyone[REFERENCE]
        made.append(
            RaterNoise(name, k, float(own.mean()), float(own.std(ddof=1)), float(gap.mean()), float(gap.std(ddof=1)),
                       float((np.sign(gap) == np.sign(full)).mean()))
        )  # fmt: skip
    return made


def ceiling(ranked: Sequence[Ranked], k: int = 10, seed: int = 0) -> list[float]:
    """Per rater: condensed NDCG of ranking by their grades, judged by the mean of the others; equals in random order.

    What a ranker that thought like one more rater would reach: more than this is agreement with the noise.
    """
    whole, rng = fully_rated(ranked), np.random.default_rng(seed)
    made = []
    for rater in range(whole[0].raters.shape[1]):
        scores = []
        for each in whole:
            others = np.delete(each.raters, rater, axis=1).mean(axis=1)
            orders = [_order(each.raters[:, rater], rng) for _ in range(TIES)]
            ranked_by = [Ranked({"rater": order}, others, each.raters) for order in orders]
            scores.append(float(np.mean([ndcg_at(one, "rater", others, k, READINGS[1]) for one in ranked_by])))
        made.append(float(np.nanmean(scores)))
    return made


def fully_rated(ranked: Sequence[Ranked]) -> list[Ranked]:
    """The pairs that all raters graded, of queries that have a grade above 0 among them."""
    kept = []
    for each in ranked:
        rows = ~np.isnan(each.raters).any(axis=1)
        if rows.any() and each.raters[rows].max() > 0:
            places = {name: place[rows] for name, place in each.rank.items()}
            kept.append(Ranked(places, each.grade[rows], each.raters[rows]))
    return kept


def _mean(whole: Sequence[Ranked], ranker: str, grades: Sequence[F64], k: int) -> float:
    pairs = zip(whole, grades, strict=True)
    return float(np.nanmean([ndcg_at(each, ranker, grade, k, READINGS[1]) for each, grade in pairs]))


def _order(score: F64, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    places = np.empty(len(score), dtype=np.int64)
    places[np.lexsort((rng.random(len(score)), -score))] = np.arange(len(score))
    return places

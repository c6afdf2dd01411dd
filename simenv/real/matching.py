"""How well products match queries: the grades of human raters, and a text model where nobody judged.

The model regresses the grade of a judged pair on what text says of it: BM25 and the cosine of letters, each as it is
and relative to the query's best, the cosine in the latent space, whether category and brand are those that the query
names. Its errors are measured on queries that it has not seen (five folds of whole queries), and there its predictions
are drawn together toward the mean grade as far as they were too far apart: a prediction of 0.8 then means 0.8 in the
mean over unseen queries. Judged pairs were chosen by an engine, so a product that nobody judged is, if anything, worse
than predicted; no data here can say by how much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv.catalogue import F32, I32
from simenv.real.index import F64, Scores
from simenv.real.reading import Judgements

FEATURES = ("bm25", "bm25_share", "letters", "letters_share", "latent", "category", "brand")
FOLDS = 5
LEAST_PAIRS = 50  # judged pairs that a model is fitted to
LEAST_QUERIES = 10
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FitReport:
    """How well the text model does on queries that it has not seen; grades in [0, 1].

    error: root mean squared error. naive: that of the mean grade of the other queries. slope: by which predictions were
    drawn toward the mean; 1 where they were not too far apart. correlation: of prediction and grade.
    """

    pairs: int
    queries: int
    error: float
    naive: float
    slope: float
    correlation: float


@dataclass(frozen=True, eq=False)
class TextModel:
    """A fitted text model: mean + slope * (regression - mean), in [0, 1]."""

    regression: Any
    mean: float
    slope: float
    report: FitReport

    def predict(self, features: F64) -> F32:
        """Expected grade of pairs with these features (M, F): (M,) in [0, 1]."""
        return _drawn(self.regression.predict(features), self.mean, self.slope).astype(np.float32)


def pair_features(scores: Scores, query_terms: I32, category: I32, brand: I32) -> F64:
    """(I, F) features of every product for one query; `query_terms` are the terms that it names."""
    wanted, maker = query_terms[0], query_terms[1]
    return np.stack(
        [
            scores.bm25,
            scores.bm25 / max(float(scores.bm25.max()), 1e-9),
            scores.letters,
            scores.letters / max(float(scores.letters.max()), 1e-9),
            scores.latent,
            _agreement(category, int(wanted)),
            _agreement(brand, int(maker)),
        ],
        axis=1,
    )


def fit_text_model(judged: Judgements, features_of: Callable[[int], F64]) -> TextModel | None:
    """Fit the model to the judged pairs; None where there are too few.

    Args:
        judged: The grades.
        features_of: (I, F) features of every product for a query.
    """
    queries = np.unique(judged.query)
    if len(judged.grade) < LEAST_PAIRS or len(queries) < LEAST_QUERIES:
        return None
    x = np.empty((len(judged.grade), len(FEATURES)))
    for query in queries:
        rows = judged.query == query
        x[rows] = features_of(int(query))[judged.item[rows]]
    y = judged.grade
    fold = np.searchsorted(queries, judged.query) % FOLDS
    unseen, naive = np.empty(len(y)), np.empty(len(y))
    for k in range(FOLDS):
        rest = fold != k
        unseen[~rest] = _regression().fit(x[rest], y[rest]).predict(x[~rest])
        naive[~rest] = y[rest].mean()
    mean = float(y.mean())
    spread = unseen - mean
    slope = float(np.clip((spread * (y - mean)).sum() / max((spread**2).sum(), 1e-12), 0.0, 1.0))
    drawn = _drawn(unseen, mean, slope)
    report = FitReport(
        pairs=len(y),
        queries=len(queries),
        error=float(np.sqrt(((drawn - y) ** 2).mean())),
        naive=float(np.sqrt(((naive - y) ** 2).mean())),
        slope=slope,
        correlation=float(np.corrcoef(unseen, y)[0, 1]) if unseen.std() > 0 and y.std() > 0 else 0.0,
    )
    return TextModel(_regression().fit(x, y), mean, slope, report)


def _regression() -> Any:
    """Trees that cannot fall where a text score rises: more words in common never make a worse match."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=60, learning_rate=0.08, max_leaf_nodes=8, min_samples_leaf=20, l2_regularization=5.0,
        early_stopping=False, monotonic_cst=[0, 1, 0, 1, 1, 1, 1], random_state=0,
    )  # fmt: skip


def _drawn(prediction: F64, mean: float, slope: float) -> F64:
    return np.clip(mean + slope * (prediction - mean), 0.0, 1.0)


def _agreement(own: I32, wanted: int) -> F64:
    """1 where a product is of the kind that the query names, -1 where of another, 0 where it names none."""
    return np.where(own == wanted, 1.0, -1.0) if wanted >= 0 else np.zeros(len(own))

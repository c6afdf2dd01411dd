"""What stands around a logged search: when, where and to whom it happened, and whether its slate was drawn as logged.

Nothing here moves an estimate. It lets the log be audited (balance, drift, score residual), values be told by segment,
and searches be joined to sessions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy import Evidence
from policies import plackett_luce
from simenv.language import load_lexicon
from simenv.log import LogBatch
from simenv.shoppers import DEVICES

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

FEATURES = ("hour", "searches before", "clicks remembered", "candidates")
HEAD = 0.5  # share of searches that the head of categories holds
SEGMENTS = ("locale", "device", "visitor", "page", "category")


@dataclass(frozen=True)
class Around:
    """Columns around some rows, (N,) unless said.

    Attributes:
        residual: Log-propensity of what was shown minus its expectation, summed over slots; NaN for a greedy logger.
        features: (N, 4), as FEATURES names them.
        session, step, day: As logged.
        locale, device: Codes.
        visit, page: Visits and pages before.
        category: That a dictionary recognised in the query; -1 for none.
    """

    residual: F64
    features: F64  # (N, 4)
    session: I64
    step: I64
    day: I64
    locale: I64
    device: I64
    visit: I64
    page: I64
    category: I64


def around(batch: LogBatch) -> Around:
    """What stands around the searches of a batch."""
    page = batch.page
    seen = (page.time / 3600.0, page.search, page.history_weight, (page.candidates >= 0).sum(axis=1))
    return Around(
        residual=score_residual(batch),
        features=np.column_stack(seen).astype(np.float64),
        session=batch.session,
        step=batch.step.astype(np.int64),
        day=page.day.astype(np.int64),
        locale=page.locale.astype(np.int64),
        device=page.device.astype(np.int64),
        visit=page.visit.astype(np.int64),
        page=page.page.astype(np.int64),
        category=page.query_terms[:, 0].astype(np.int64),
    )


def with_context(evidence: Evidence, whole: Around) -> Evidence:
    """Evidence with what stands around its rows."""
    return replace(
        evidence,
        score_residual=None if np.isnan(whole.residual).any() else whole.residual,
        features=whole.features,
        feature_names=FEATURES,
        segments=segments(whole),
        time=whole.day,
        session=whole.session,
        step=whole.step,
    )


def segments(whole: Around) -> dict[str, npt.NDArray[np.str_]]:
    """Each row's segment by each of SEGMENTS.

    "category" tells searches for the categories that together make up half of all searches (head) from those for others
    (tail) and from those in which no category was recognised.
    """
    return {
        "locale": np.array(load_lexicon().locales)[whole.locale],
        "device": np.array(DEVICES)[whole.device],
        "visitor": np.where(whole.visit > 0, "returning", "new"),
        "page": np.where(whole.page > 0, "later", "first"),
        "category": category_kind(whole.category, head_of(*np.unique(whole.category, return_counts=True))),
    }


def head_of(category: I64, count: I64) -> I64:
    """Of categories, each once, and their searches, those that make up half of all; -1 stands for none."""
    count = np.where(category < 0, 0, count)
    order = np.argsort(-count, kind="stable")
    before = np.cumsum(count[order]) - count[order]
    made: I64 = category[order][before < HEAD * count.sum()]
    return made


def category_kind(category: I64, head: I64) -> npt.NDArray[np.str_]:
    """Of each search's category whether it is of the head, of the tail, or was not recognised, (N,)."""
    return np.where(category < 0, "not recognised", np.where(np.isin(category, head), "head", "tail"))


def score_residual(batch: LogBatch) -> F64:
    """Log-propensity of what was shown minus its expectation under the logger, summed over slots, (N,).

    Given the slots above, the expectation of log p over what is left is its negative entropy; so the mean over rows is
    0 where slates were drawn as logged, above where the logger was sharper. NaN for greedy rows.
    """
    made = np.full(len(batch), np.nan)
    kinds = sorted(set(zip(batch.temperature.tolist(), batch.floor.tolist(), strict=True)))
    for temperature, floor in kinds:
        rows = np.flatnonzero((batch.temperature == temperature) & (batch.floor == floor))
        if temperature > 0.0:
            logw = plackett_luce.log_weights(batch.scores[rows], temperature, floor)
            made[rows] = _residual(np.exp(logw), logw, batch.slate[rows])
    return made


def _residual(weight: F64, logw: F64, slate: npt.NDArray[np.int32]) -> F64:
    """Of Plackett-Luce slates (n, K) with these weights (n, C)."""
    rows = np.arange(len(slate))
    left = weight.copy()
    finite = np.where(weight > 0.0, logw, 0.0)
    made = np.zeros(len(slate))
    for k in range(slate.shape[1]):
        place = np.maximum(slate[:, k], 0)
        total = np.maximum(left.sum(axis=1), 1e-300)
        mean = (left * finite).sum(axis=1) / total
        made += np.where(slate[:, k] >= 0, finite[rows, place] - mean, 0.0)
        left[rows, place] = np.where(slate[:, k] >= 0, 0.0, left[rows, place])
    return made

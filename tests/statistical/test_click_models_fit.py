"""Fits of click models recover planted parameters: coverage over many logs, and in time.

A sound 95% interval covers in 95% of logs. Over 400 logs the coverage has a standard error of
sqrt(.95 * .05 / 400) = .011, so 90% to 98% leaves room for chance below (4.6 of them) and above (2.8). Logs have 12
documents and 4 slots, ranked at random; the number of pages stands beside each model.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from simenv.clicks import (
    CLICK_FITS,
    CLICK_MODELS,
    Appeal,
    Cascade,
    ClickModel,
    DependentClick,
    DynamicBayesian,
    MultinomialLogit,
    PositionBased,
    ProportionalChoice,
    SimplifiedDynamicBayesian,
    TrustBias,
    UserBrowsing,
    fit_click_model,
)

pytestmark = pytest.mark.slow

LOGS, DOCUMENTS, SLOTS = 400, 12, 4
ATTRACTION = np.linspace(0.1, 0.7, DOCUMENTS)
SATISFACTION = np.random.default_rng(7).permutation(np.linspace(0.2, 0.8, DOCUMENTS))
LOOK, BELIEVE, DOUBT = np.array([[1.0, 0.8, 0.65, 0.5], [0.95, 0.93, 0.9, 0.9], [0.2, 0.15, 0.1, 0.05]])
SLOPE = LOOK * (BELIEVE - DOUBT) / (LOOK[0] * (BELIEVE[0] - DOUBT[0]))
OFFSET = LOOK * DOUBT - SLOPE * LOOK[0] * DOUBT[0]
TABLE = ((1.0,), (0.8, 0.6), (0.7, 0.5, 0.4), (0.75, 0.55, 0.45, 0.3))
PLANTED: list[tuple[ClickModel, int, list[float]]] = [
    (PositionBased((1.0, 0.7, 0.5, 0.35)), 3_000, [0.7, 0.5, 0.35]),
    (TrustBias(tuple(LOOK), tuple(BELIEVE), tuple(DOUBT)), 20_000, [*OFFSET[1:], *SLOPE[1:]]),
    (Cascade(0.8), 3_000, [0.8]),
    (DependentClick((0.7, 0.6, 0.5, 0.9)), 4_000, [0.7, 0.6, 0.5]),
    (DynamicBayesian(0.8), 4_000, [0.8]),
    (UserBrowsing(TABLE), 8_000, [p for row in TABLE[1:] for p in row]),
    (MultinomialLogit(1.0, (1.0, 0.8, 0.6, 0.45)), 4_000, [0.8, 0.6, 0.45]),
    (ProportionalChoice(0.5, (1.0, 0.8, 0.6, 0.45)), 4_000, [0.8, 0.6, 0.45]),
]

Log = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]


def make_log(model: ClickModel, n: int, seed: int) -> Log:
    rng = np.random.default_rng(seed)
    documents = np.argsort(rng.random((n, DOCUMENTS)), axis=1)[:, :SLOTS]
    appeal = Appeal(ATTRACTION[documents], SATISFACTION[documents])
    return documents, model.sample(appeal, rng.random((n, SLOTS)), rng.random((n, SLOTS)))[1]


@pytest.mark.parametrize(("model", "n", "planted"), PLANTED, ids=[model.name for model, _, _ in PLANTED])
def test_intervals_of_global_parameters_cover_what_was_planted(model: ClickModel, n: int, planted: list[float]) -> None:
    covered = np.zeros(len(planted))
    for seed in range(LOGS):
        fitted = fit_click_model(model.name, *make_log(model, n, seed))
        assert fitted.converged
        intervals = np.array([fitted.interval(name) for name in fitted.parameters])
        covered += (intervals[:, 0] <= planted) & (planted <= intervals[:, 1])
    coverage = dict(zip(fitted.parameters, (covered / LOGS).tolist(), strict=True))
    assert all(0.90 <= each <= 0.98 for each in coverage.values()), coverage


def test_intervals_of_documents_cover_where_a_model_has_no_global_parameters() -> None:
    """The simplified network: attraction and satisfaction of each document, 4,000 pages a log."""
    covered = np.zeros((2, DOCUMENTS))
    for seed in range(LOGS):
        documents, clicks = make_log(SimplifiedDynamicBayesian(), 4_000, seed)
        fitted = fit_click_model("simplified-dbn", documents, clicks, document_errors=True)
        assert fitted.converged
        assert fitted.satisfaction is not None
        assert fitted.satisfaction_stderr is not None
        assert fitted.attraction_stderr is not None
        covered[0] += abs(fitted.attraction - ATTRACTION) <= 1.959964 * fitted.attraction_stderr
        covered[1] += abs(fitted.satisfaction - SATISFACTION) <= 1.959964 * fitted.satisfaction_stderr
    assert (covered / LOGS >= 0.90).all(), covered / LOGS
    assert (covered / LOGS <= 0.98).all(), covered / LOGS


@pytest.mark.parametrize("name", CLICK_FITS)
def test_a_log_of_a_million_slots_is_fitted_in_twenty_seconds(name: str) -> None:
    """100,000 pages of 10 slots, 1,000 documents, CPU time of one core."""
    rng = np.random.default_rng(0)
    attraction, satisfaction = rng.uniform(0.05, 0.6, 1_000), rng.uniform(0.2, 0.8, 1_000)
    documents = rng.integers(0, 1_000, (100_000, 10))
    appeal = Appeal(attraction[documents], satisfaction[documents])
    _, clicks = CLICK_MODELS[name](10).sample(appeal, rng.random(documents.shape), rng.random(documents.shape))
    start = time.process_time()
    fitted = fit_click_model(name, documents, clicks)
    seconds = time.process_time() - start
    assert fitted.converged
    assert seconds < 20.0

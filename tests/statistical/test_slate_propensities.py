"""Sampled slates against the probabilities that are reported of them, sharp enough to see a temperature off by 5%."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from policies import plackett_luce
from simenv import hashing

pytestmark = pytest.mark.slow

ALPHA = 1e-6
OFF = 1.05  # the planted error of the temperature

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]


def drawn(scores: npt.NDArray[np.float32], temperature: float, floor: float, n_slots: int, stream: int) -> I32:
    """A slate for each row of scores."""
    logw = plackett_luce.log_weights(scores, temperature, floor)
    keys = hashing.absorb(hashing.stream(stream, "test"), np.arange(len(scores)))
    return plackett_luce.draw(logw, n_slots, keys, np.tile(np.arange(scores.shape[1]), (len(scores), 1)))


def chi_square_p(count: F64, expected: F64) -> float:
    """P value with cells under 10 expected pooled."""
    rare = expected < 10.0
    cells = [np.append(each[~rare], each[rare].sum()) if rare.any() else each for each in (count, expected)]
    return float(stats.chi2.sf(((cells[0] - cells[1]) ** 2 / cells[1]).sum(), len(cells[1]) - 1))


@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("row", range(4))
def test_slates_have_their_reported_probabilities(row: int, floor: float) -> None:
    """6 candidates, 3 slots, N(0, 1) logits, 120 slates, 200,000 draws: right passes, 5% off is caught."""
    n = 200_000
    logit = np.random.default_rng(row).normal(size=6).astype(np.float32)
    slates = np.array(list(permutations(range(6), 3)), dtype=np.int32)
    logw = plackett_luce.log_weights(np.tile(logit, (len(slates), 1)), 1.0, floor)
    reported = plackett_luce.conditional(logw, slates)
    expected = n * np.exp(reported.prefix().joint)
    code = np.array([36, 6, 1])
    for temperature, is_right in ((1.0, True), (OFF, False)):
        sample = drawn(np.tile(logit, (n, 1)), temperature, floor, 3, row)
        count = np.bincount(sample @ code, minlength=216)[slates @ code].astype(np.float64)
        p = chi_square_p(count, expected)
        print(f"row {row}, floor {floor}, temperature {temperature}: p = {p:.3g}")
        assert (p > ALPHA) == is_right, p


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_items_at_slots_have_their_marginal_probabilities(floor: float) -> None:
    """50 candidates, 5 slots, 200,000 draws of one page: a chi-square for each slot over the candidates."""
    n = 200_000
    logit = np.random.default_rng(9).normal(size=50).astype(np.float32)
    logw = plackett_luce.log_weights(logit[None], 1.0, floor)
    table, error = plackett_luce.marginal_table(logw, 5)
    assert error < 1e-9
    sample = drawn(np.tile(logit, (n, 1)), 1.0, floor, 5, 9)
    for k in range(5):
        count = np.bincount(sample[:, k], minlength=50).astype(np.float64)
        assert chi_square_p(count, n * table[0, :, k]) > ALPHA


def test_the_score_of_the_temperature_has_mean_zero_at_100_candidates_and_10_slots() -> None:
    """20,000 contexts of N(0, 1) logits: mean of d log p / dT over its standard error, |z| > 5 only where 5% off.

    At the temperature that slates were drawn from, the derivative of their log-probability has mean zero (the score
    identity); it is taken by a central difference of what is reported, whose error, of order 1e-6, is nothing beside
    its standard error.
    """
    n, step = 20_000, 1e-3
    scores = np.random.default_rng(0).normal(size=(n, 100)).astype(np.float32)
    for temperature, is_right in ((1.0, True), (OFF, False), (1 / OFF, False)):
        slate = drawn(scores, temperature, 0.0, 10, 1)
        up, down = (
            plackett_luce.conditional(plackett_luce.log_weights(scores, at, 0.0), slate).prefix().joint
            for at in (1.0 + step, 1.0 - step)
        )
        score = (up - down) / (2 * step)
        z = float(score.mean() / (score.std(ddof=1) / np.sqrt(n)))
        print(f"temperature {temperature:.4f}: z = {z:.2f}")
        assert (abs(z) < 5.0) == is_right, z

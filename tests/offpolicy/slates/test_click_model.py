"""The click model of the direct method: what it was made from comes out again."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy.reward_model import folds
from offpolicy.slates.click_model import fit_click_model, fit_click_models
from simenv.errors import UserError

N, K, F = 6_000, 3, 3
WEIGHTS, LEVEL, EXAMINATION = np.array([1.0, -0.5, 0.0]), -0.7, np.array([1.0, 0.6, 0.3])


def clicks(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features, the true chance of a click, clicks, shopper."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N, K, F)) * [1.0, 1.0, 20.0] + [0.0, 0.0, 300.0]
    chance = EXAMINATION / (1.0 + np.exp(-(features @ WEIGHTS + LEVEL)))
    return features, chance, (rng.random((N, K)) < chance).astype(np.float64), np.arange(N) // 6


def test_examination_and_attraction_are_told_apart() -> None:
    features, chance, clicked, _ = clicks()
    model = fit_click_model(features, clicked)
    # 6,000 pages: about 2,000 clicks at the first slot; ratios of rates err by some 4%, coefficients by about .05.
    assert model.examination == pytest.approx(EXAMINATION, abs=0.08)
    assert model.weights[:2] == pytest.approx(WEIGHTS[:2], abs=0.2)
    assert np.sqrt(((model.expect(features) - chance) ** 2).mean()) < 0.02


def test_a_shopper_is_predicted_by_a_model_that_never_saw_it() -> None:
    features, _, clicked, shopper = clicks()
    mine, fold = shopper == 17, folds(shopper, 3, 0)
    flipped = np.where(mine[:, None], 1.0 - clicked, clicked)
    before, after = (
        fit_click_models(features, each, shopper, 3).expect(shopper, features) for each in (clicked, flipped)
    )
    assert np.array_equal(before[mine], after[mine])
    assert not np.array_equal(before[fold != fold[mine][0]], after[fold != fold[mine][0]])


def test_what_is_no_click_or_has_none_is_refused() -> None:
    features, _, clicked, shopper = clicks()
    amounts = clicked.copy()
    amounts[7, 1] = 12.5
    with pytest.raises(UserError, match="log row 7: a reward is neither 0 nor 1"):
        fit_click_models(features, amounts, shopper)
    with pytest.raises(UserError, match="no clicks are left"):
        fit_click_models(features, np.zeros_like(clicked), shopper)

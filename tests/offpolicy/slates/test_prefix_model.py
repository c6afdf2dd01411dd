"""The reward model that knows what stands above: it learns a cascade, and never from the row's own shopper."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy.reward_model import FoldModels, fit_folds, folds
from offpolicy.slates.prefix_model import above, fit_prefix

N, K, F = 4_000, 4, 3


def cascade(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features, the true chance of a click given what stands above, clicks, shopper."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N, K, F))
    liked = 1.0 / (1.0 + np.exp(0.5 - features @ [1.2, -0.8, 0.0]))
    would = rng.random((N, K)) < liked
    clicks = (would & (np.cumsum(would, axis=1) == 1)).astype(np.float64)
    return features, liked * np.cumprod(1.0 - liked, axis=1) / (1.0 - liked), clicks, np.arange(N) // 4


def fitted(clicks: np.ndarray) -> tuple[FoldModels, np.ndarray, np.ndarray]:
    features, _, _, shopper = cascade()
    models = fit_folds(features, clicks, shopper)
    slot = models.expect(shopper, features)
    return models, slot, fit_prefix(models, features, clicks, shopper).expect(shopper, slot)


def test_what_stands_above_is_learned() -> None:
    """Given the slate the error of the chances falls to less than half; what is left is the model's form and noise."""
    _, chance, clicks, _ = cascade()
    _, slot, prefix = fitted(clicks)
    errors = [float(np.sqrt(((each - chance) ** 2).mean())) for each in (slot, prefix)]
    print(errors)
    assert errors[1] < 0.5 * errors[0]
    assert ((prefix > 0.0) & (prefix < 1.0)).all()
    # The mean residual is noise: its standard error is below sqrt(.25 / 16,000) = .004.
    assert abs(float((prefix - clicks).mean())) < 4 * 0.004


def test_a_shopper_is_predicted_by_models_that_never_saw_it() -> None:
    _, _, clicks, shopper = cascade()
    mine, fold = shopper == 17, folds(shopper, 5, 0)
    before, after = fitted(clicks)[2], fitted(np.where(mine[:, None], 1.0 - clicks, clicks))[2]
    assert np.array_equal(before[mine], after[mine])
    assert not np.array_equal(before[fold != fold[mine][0]], after[fold != fold[mine][0]])


def test_nothing_below_a_slot_reaches_its_expectation() -> None:
    """Else the prefix weights would not be right for it."""
    features, _, clicks, shopper = cascade()
    models, slot, whole = fitted(clicks)
    prefix = fit_prefix(models, features, clicks, shopper)
    for k in range(1, K):
        changed = slot.copy()
        changed[:, k:] = 0.0  # also what an empty slot is
        assert np.array_equal(prefix.expect(shopper, changed)[:, :k], whole[:, :k])
        assert np.isfinite(prefix.expect(shopper, changed)).all()


def test_many_slates_a_row_are_predicted_as_one_by_one() -> None:
    features, _, clicks, shopper = cascade()
    models, slot, whole = fitted(clicks)
    both = fit_prefix(models, features, clicks, shopper).expect(shopper, np.stack([slot, slot[:, ::-1]], axis=1))
    assert np.allclose(both[:, 0], whole, rtol=0.0, atol=1e-14)


def test_amounts_are_summed_up_and_chances_multiplied() -> None:
    summary = above(np.array([[2.0, 3.0, 4.0]]), is_chance=False)
    assert summary.tolist() == [[[2.0, 0.0, 0.0, 0.0], [3.0, 2.0, 2.0, 6.0], [4.0, 5.0, 3.0, 20.0]]]
    logits = above(np.array([[0.5, 0.2, 0.0]]), is_chance=True)
    assert logits[0, :, 1] == pytest.approx([0.0, np.log(0.5), np.log(0.4)])
    assert np.isfinite(logits).all()


def test_a_log_without_clicks_is_noted_and_finite() -> None:
    features, _, clicks, shopper = cascade()
    models = fit_folds(features, np.zeros_like(clicks), shopper)
    prefix = fit_prefix(models, features, np.zeros_like(clicks), shopper)
    assert len(prefix.notes) == 5
    assert "fold 1 of 5, given what stands above: all" in prefix.notes[0]
    assert np.isfinite(prefix.expect(shopper, models.expect(shopper, features))).all()

"""The reward model never predicts a shopper it has learned from, and survives logs with next to nothing in them."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy.reward_model import RewardModel, cross_fit, folds
from simenv.errors import UserError

N, K, F = 3_000, 3, 4


def clicks(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features, true click probability, clicks, shopper."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N, K, F)) * [1.0, 5.0, 0.1, 1.0] + [0.0, 100.0, 0.0, 0.0]
    p = 1.0 / (1.0 + np.exp(1.0 - features @ [1.0, 0.0, 5.0, -0.5] + 0.5 * np.arange(K)))
    return features, p, (rng.random((N, K)) < p).astype(np.float64), np.arange(N) // 6


def test_clicks_are_learned_on_the_scale_of_probabilities_slot_by_slot() -> None:
    features, p, reward, shopper = clicks()
    fit = cross_fit(features, reward, features[:, None], shopper)
    # 9,000 clicks fix 7 coefficients: the error of a fitted probability is about sqrt(7 * p(1-p) / 9000) = .013
    assert np.sqrt(((fit.q_logged - p) ** 2).mean()) < 0.03
    assert fit.notes == ()
    # out of fold the mean residual is noise: se = sqrt(p(1-p) / 9000) < .0053
    assert abs((reward - fit.q_logged).mean()) < 4 * 0.0053


def test_the_target_column_averages_the_drawn_slates_and_sums_their_slots() -> None:
    features, _, reward, shopper = clicks()
    drawn = np.random.default_rng(1).permutation(features.reshape(-1, F))[: 2 * N * K].reshape(-1, K, F)
    drawn = np.stack([drawn, features], axis=1)  # (N, 2, K, F)
    both = cross_fit(features, reward, drawn, shopper)
    first = cross_fit(features, reward, lambda rows: drawn[rows, :1], shopper)
    assert np.allclose(both.q_target, (first.q_target + both.q_logged.sum(axis=1)) / 2.0, rtol=0.0, atol=1e-12)


def test_a_shopper_is_predicted_by_a_model_that_never_saw_it() -> None:
    features, _, reward, shopper = clicks()
    before = cross_fit(features, reward, features[:, None], shopper)
    flipped = np.where((shopper == 17)[:, None], 1.0 - reward, reward)
    after = cross_fit(features, flipped, features[:, None], shopper)
    mine, fold = shopper == 17, folds(shopper, 5, 0)
    assert np.array_equal(before.q_logged[mine], after.q_logged[mine])
    assert not np.array_equal(before.q_logged[fold != fold[mine][0]], after.q_logged[fold != fold[mine][0]])


def test_folds_keep_shoppers_together_and_depend_on_nothing_but_the_shopper() -> None:
    shopper = np.repeat(np.random.default_rng(0).permutation(1003), 7)
    fold = folds(shopper, 5, 0)
    assert all(len(np.unique(fold[shopper == one])) == 1 for one in range(1003))
    # 1,003 shoppers fall into five folds at random: within four standard errors of a fifth
    assert np.abs(np.bincount(fold) / 7 - 1003 / 5).max() < 4 * np.sqrt(1003 * 0.2 * 0.8)
    assert np.array_equal(folds(shopper[:50], 5, 0), fold[:50])
    order = np.random.default_rng(1).permutation(len(shopper))
    assert np.array_equal(folds(shopper[order], 5, 0), fold[order])
    assert not np.array_equal(folds(shopper, 5, 1), fold)


def test_folds_with_one_class_fall_back_on_a_smoothed_mean_and_say_so() -> None:
    features, _, _, shopper = clicks()
    nobody = cross_fit(features, np.zeros((N, K)), features[:, None], shopper)
    assert len(nobody.notes) == 5
    fold = folds(shopper, 5, 0)
    seen = np.array([K * (fold != held).sum() for held in range(5)])  # rewards that each fold's model was fitted on
    assert f"all {seen[0]} rewards are 0" in nobody.notes[0]
    assert np.allclose(nobody.q_logged, (0.5 / (seen + 1.0))[fold][:, None])
    assert np.allclose(nobody.q_target, 3 * (0.5 / (seen + 1.0))[fold])
    lonely = np.zeros((N, K))
    lonely[0, 0] = 1.0
    one = cross_fit(features, lonely, features[:, None], shopper)
    assert len(one.notes) == 1  # the fold that holds the only click out has none to learn from
    assert np.isfinite(one.q_logged).all()


def test_other_rewards_are_regressed_and_constants_are_themselves() -> None:
    features, _, _, shopper = clicks()
    revenue = 3.0 * features[:, :, 0] - np.arange(K)
    fit = cross_fit(features, revenue, features[:, None], shopper)
    assert np.abs(fit.q_logged - revenue).max() < 0.05  # a ridge penalty of one on 7,200 rows shrinks by about 1e-4
    constant = cross_fit(features, np.full((N, K), 2.5), features[:, None], shopper)
    assert np.array_equal(constant.q_logged, np.full((N, K), 2.5))


def test_constant_features_and_float32_are_no_trouble() -> None:
    features, _, reward, shopper = clicks()
    features[:, :, 3] = 7.0
    fit = cross_fit(features.astype(np.float32), reward, features[:, None].astype(np.float32), shopper)
    assert np.isfinite(fit.q_logged).all()
    assert fit.q_logged.dtype == np.float64


def test_extreme_scores_neither_overflow_nor_warn() -> None:
    model = RewardModel(np.array([1.0]), np.zeros(2), is_logistic=True)
    assert model.expect(np.array([[[1e4], [-1e4]]])).tolist() == [[1.0, 0.0]]


def test_what_cannot_be_fitted_raises() -> None:
    features, _, reward, shopper = clicks()
    with pytest.raises(UserError, match="n_folds is 5 for 3 shoppers"):
        cross_fit(features, reward, features[:, None], shopper % 3)
    with pytest.raises(UserError, match="disagree"):
        cross_fit(features, reward[:, :2], features[:, None], shopper)
    with pytest.raises(UserError, match=r"expected \(rows, M, K, F\)"):
        cross_fit(features, reward, features, shopper)
    holed = features.copy()
    holed[12, 1, 2] = np.nan
    with pytest.raises(UserError, match="log row 12: a feature is not finite"):
        cross_fit(holed, reward, features[:, None], shopper)


def test_the_same_seed_gives_the_same_bytes() -> None:
    features, _, reward, shopper = clicks()
    one, other = (cross_fit(features, reward, features[:, None], shopper, seed=3) for _ in range(2))
    assert one.q_logged.tobytes() == other.q_logged.tobytes()
    assert one.q_logged.tobytes() != cross_fit(features, reward, features[:, None], shopper, seed=4).q_logged.tobytes()

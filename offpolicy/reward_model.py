"""A cross-fitted reward model: what each slot would earn, as a model expects that never saw the row's shopper.

Doubly robust estimates need two columns from it: the expected reward of each logged slot, and the expected total under
the target policy, averaged over slates drawn from that policy (which is unbiased for the model's own expectation). A
model that was fitted on the rows it predicts would hide the residuals that the correction lives on, so shoppers are
split into folds and each fold is predicted by a model of the others.

The model is linear in the features with one level a slot: logistic where rewards are 0 or 1, ridge otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError
from simenv.hashing import absorb, integers, stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TargetFeatures = Callable[[Ints], Floats]

_CHUNK = 4096  # rows whose target features are held at once
_PRIOR = 0.5  # of each outcome, added where only one was seen (Jeffreys), so that no probability is 0 or 1


@dataclass(frozen=True)
class RewardModel:
    """A fitted linear model: link(features . weights + level of the slot).

    Attributes:
        weights: (F,).
        levels: (K,), one a slot.
        is_logistic: Whether the link is the logistic function (else the identity).
    """

    weights: Floats  # (F,)
    levels: Floats  # (K,)
    is_logistic: bool

    def expect(self, features: npt.NDArray[np.floating], slot: int | None = None) -> Floats:
        """Expected reward: features (..., K, F) to (..., K) slot by slot, or (..., F) to (...) all at one slot."""
        return self.link(features @ self.weights + (self.levels if slot is None else self.levels[slot]))

    def link(self, linear: Floats) -> Floats:
        """Expected reward from the linear part, any shape."""
        if not self.is_logistic:
            return linear
        shrunk = np.exp(-np.abs(linear))  # never overflows
        return np.where(linear >= 0.0, 1.0, shrunk) / (1.0 + shrunk)


@dataclass(frozen=True)
class CrossFit:
    """The two columns of `Evidence` that a reward model gives.

    Attributes:
        q_logged: Expected reward of each logged slot, (N, K).
        q_target: Expected total reward under the target policy, (N,).
        notes: What a reader should know: folds that had too little to learn from.
    """

    q_logged: Floats  # (N, K)
    q_target: Floats  # (N,)
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FoldModels:
    """One model a fold of shoppers, each fitted on all the others.

    Attributes:
        models: One per fold.
        seed: Names the split; with it the fold of any shopper is known, also of one that no model was fitted on.
        notes: What a reader should know: folds that had too little to learn from.
    """

    models: tuple[RewardModel, ...]
    seed: int
    notes: tuple[str, ...]

    def expect(self, cluster: Ints, features: npt.NDArray[np.floating], slot: int | None = None) -> Floats:
        """Expected reward of slots by the models that never saw their shoppers.

        Args:
            cluster: Shopper of each row, (n,).
            features: (n, ..., K, F), or (n, ..., F) where `slot` is given.
            slot: The one slot, from 0, at which all stand.

        Returns:
            (n, ..., K), or (n, ...) where `slot` is given.
        """
        made = np.empty(features.shape[:-1])
        fold = folds(cluster, len(self.models), self.seed)
        for held, model in enumerate(self.models):
            made[fold == held] = model.expect(features[fold == held], slot)
        return made


def fit_folds(
    features: npt.NDArray[np.floating], reward: Floats, cluster: Ints, n_folds: int = 5, seed: int = 0
) -> FoldModels:
    """Fit a reward model on each complement of a fold of shoppers.

    Args:
        features: Public features of the items in the logged slots, (N, K, F), finite.
        reward: Reward of each slot, (N, K). Only zeros and ones make it a classifier.
        cluster: Shopper of each row, (N,). No shopper is in two folds.
        n_folds: At least 2 and at most the number of shoppers.
        seed: Names the split.

    Raises:
        UserError: If shapes disagree, a feature is not finite, or there are fewer shoppers than folds.
    """
    _check(features, reward, cluster)
    n_clusters = len(np.unique(cluster))
    if not 2 <= n_folds <= n_clusters:
        raise UserError(
            f"n_folds is {n_folds} for {n_clusters} shoppers; expected at least 2 and at most one a shopper."
        )
    fold = folds(cluster, n_folds, seed)
    if (fold == fold[0]).all():
        raise UserError(f"all {n_clusters} shoppers fell into one of {n_folds} folds; log more shoppers.")
    is_binary = bool(np.isin(reward, (0.0, 1.0)).all())
    fitted = [fit_linear(features[fold != held], reward[fold != held], is_binary) for held in range(n_folds)]
    notes = tuple(f"fold {held + 1} of {n_folds}: {note}" for held, (_, note) in enumerate(fitted) if note)
    return FoldModels(tuple(model for model, _ in fitted), seed, notes)


def fit(features: npt.NDArray[np.floating], reward: Floats, times: Floats | None = None) -> RewardModel:
    """One reward model of these rows, for callers that split rows themselves.

    Args:
        features: (N, K, F), finite.
        reward: (N, K). Only zeros and ones make it a classifier.
        times: How often each row counts, (N,), above 0; once where None.

    Raises:
        UserError: If shapes disagree or a feature is not finite.
    """
    _check(features, reward, np.zeros(len(reward), dtype=np.int64))
    return fit_linear(features, reward, bool(np.isin(reward, (0.0, 1.0)).all()), times)[0]


def cross_fit(
    features: Floats,
    reward: Floats,
    target_features: TargetFeatures | Floats,
    cluster: Ints,
    n_folds: int = 5,
    seed: int = 0,
) -> CrossFit:
    """The reward model's two columns of evidence: `fit_folds`, then the expectations of each row.

    Args:
        features: As for `fit_folds`.
        reward: As for `fit_folds`.
        target_features: Features of M slates a row drawn from the target policy, (N, M, K, F); or a function from row
            numbers (n,) to (n, M, K, F), called with at most 4,096 rows, so that the whole need not be in memory.
        cluster: As for `fit_folds`.
        n_folds: As for `fit_folds`.
        seed: As for `fit_folds`.

    Raises:
        UserError: As `fit_folds`, or if the target's features do not fit the logged ones.
    """
    fitted = fit_folds(features, reward, cluster, n_folds, seed)
    q_logged, q_target = np.empty(reward.shape), np.empty(len(reward))
    for first in range(0, len(reward), _CHUNK):
        part = np.arange(first, min(first + _CHUNK, len(reward)))
        q_logged[part] = fitted.expect(cluster[part], features[part])
        drawn = target_features(part) if callable(target_features) else target_features[part]
        if drawn.ndim != 4 or drawn.shape[:1] + drawn.shape[2:] != (len(part), *features.shape[1:]):
            raise UserError(
                f"target features of {len(part)} rows have shape {drawn.shape}; expected (rows, M, K, F) with K, F "
                f"= {features.shape[1:]} as in the logged features."
            )
        q_target[part] = fitted.expect(cluster[part], drawn).sum(axis=2).mean(axis=1)
    return CrossFit(q_logged, q_target, fitted.notes)


def folds(cluster: Ints, n_folds: int, seed: int) -> Ints:
    """Fold of each row, (N,): a hash of its shopper, so that it depends on nothing else in the log."""
    return integers(absorb(stream(seed, "reward model fold"), cluster), n_folds)


def fit_linear(
    features: npt.NDArray[np.floating], reward: Floats, is_binary: bool, times: Floats | None = None
) -> tuple[RewardModel, str]:
    """Fit one model on features (n, K, F) and rewards (n, K); says in words where it had to fall back on the mean."""
    n_rows, n_slots, n_features = features.shape
    mean = float(reward.mean())
    if reward.min() == reward.max():
        smoothed = (float(reward.sum()) + _PRIOR) / (reward.size + 2.0 * _PRIOR) if is_binary else mean
        level = math.log(smoothed / (1.0 - smoothed)) if is_binary else smoothed
        note = f"all {reward.size} rewards are {mean:g}, so the model is their smoothed mean {smoothed:.3g}"
        return RewardModel(np.zeros(n_features), np.full(n_slots, level), is_binary), note

    from sklearn.linear_model import LogisticRegression, Ridge  # deferred: heavy, and needed by this function only

    flat = features.reshape(-1, n_features)
    centre, scale = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 1e-12 * np.maximum(1.0, np.abs(centre)), scale, 1.0)
    design = np.zeros((n_rows, n_slots, n_features + n_slots))
    design[:, :, :n_features] = (features - centre) / scale
    design[:, np.arange(n_slots), n_features + np.arange(n_slots)] = 1.0
    rows = design.reshape(n_rows * n_slots, -1)
    count = None if times is None else np.repeat(times, n_slots)
    # A quadratic penalty of one unit on standardised features: it settles separable data and is lost in large logs.
    if is_binary:
        fitted = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=50).fit(rows, reward.ravel() > 0.5, count)
        coefficients, intercept = fitted.coef_[0], float(fitted.intercept_[0])
    else:
        ridge = Ridge(alpha=1.0).fit(rows, reward.ravel(), count)
        coefficients, intercept = ridge.coef_, float(ridge.intercept_)
    weights = coefficients[:n_features] / scale
    return RewardModel(weights, coefficients[n_features:] + intercept - float(centre @ weights), is_binary), ""


def _check(features: npt.NDArray[np.floating], reward: Floats, cluster: Ints) -> None:
    if features.ndim != 3 or features.shape[:2] != reward.shape or cluster.shape != reward.shape[:1]:
        raise UserError(
            f"features {features.shape}, reward {reward.shape} and cluster {cluster.shape} disagree; expected "
            "(N, K, F), (N, K) and (N,)."
        )
    for name, column in (("feature", features), ("reward", reward)):
        if not np.isfinite(column).all():
            row = int(np.argmin(np.isfinite(column).reshape(len(column), -1).all(axis=1)))
            raise UserError(f"log row {row}: a {name} is not finite; expected numbers. Fill in what is missing first.")

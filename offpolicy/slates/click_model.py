"""The direct method with a click model: examination by slot times attraction by features, fitted to the log.

P(click at k | x) = e_k sigmoid(f . beta + b), e_1 = 1. It needs no propensities, so it is what a log without them is
left with; and it is only as right as the model: wrong where clicks above stop the shopper, where features do not tell
attraction, and where the logger never moved items between slots. Never trusted.

Richardson, Dominowska and Ragno, "Predicting clicks: estimating the click-through rate for new ads" (2007); as an
estimator: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen, "Offline evaluation of ranking policies with click
models" (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.reward_model import folds
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_STEPS = 200  # of the climb, at most


@dataclass(frozen=True)
class PositionModel:
    """Examination times attraction.

    Attributes:
        weights: (F,).
        level: Of the logit of attraction.
        examination: (K,), 1 at the first slot.
    """

    weights: Floats  # (F,)
    level: float
    examination: Floats  # (K,)

    def expect(self, features: npt.NDArray[np.floating]) -> Floats:
        """Chance of a click at each slot: features (..., K, F) to (..., K)."""
        return self.examination * _sigmoid(features @ self.weights + self.level)


@dataclass(frozen=True)
class PositionModels:
    """One model a fold of shoppers, each fitted on all the others; `seed` names the split."""

    models: tuple[PositionModel, ...]
    seed: int

    def expect(self, cluster: Ints, features: npt.NDArray[np.floating]) -> Floats:
        """Chance of a click at each slot, (n, ..., K, F) to (n, ..., K), by models that never saw the row's shopper."""
        made = np.empty(features.shape[:-1])
        fold = folds(cluster, len(self.models), self.seed)
        for held, model in enumerate(self.models):
            made[fold == held] = model.expect(features[fold == held])
        return made


def fit_click_models(
    features: npt.NDArray[np.floating], clicks: Floats, cluster: Ints, n_folds: int = 5, seed: int = 0
) -> PositionModels:
    """Fit a click model on each complement of a fold of shoppers.

    Args:
        features: Public features of the items in the logged slots, (N, K, F), finite.
        clicks: (N, K), zeros and ones.
        cluster: Shopper of each row, (N,).
        n_folds: At least 2.
        seed: Names the split.

    Raises:
        UserError: If a reward is no click, or nothing was clicked in all but one fold.
    """
    if not np.isin(clicks, (0.0, 1.0)).all():
        row = int((~np.isin(clicks, (0.0, 1.0))).any(axis=1).argmax())
        raise UserError(
            f"log row {row}: a reward is neither 0 nor 1; a click model explains clicks. Choose another estimator for "
            "amounts."
        )
    fold = folds(cluster, n_folds, seed)
    return PositionModels(
        tuple(fit_click_model(features[fold != held], clicks[fold != held]) for held in range(n_folds)), seed
    )


def fit_click_model(features: npt.NDArray[np.floating], clicks: Floats) -> PositionModel:
    """Fit one model by maximum likelihood with a quadratic penalty of one unit on standardised features.

    Raises:
        UserError: If there is no row, or no click.
    """
    from scipy.optimize import minimize  # deferred: heavy, and needed by this function only

    if not clicks.any():
        raise UserError("no clicks are left to fit a click model to; log more, or use fewer folds.")
    n_slots, n_features = features.shape[1:]
    flat = features.reshape(-1, n_features)
    centre, scale = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 1e-12 * np.maximum(1.0, np.abs(centre)), scale, 1.0)
    x = ((features - centre) / scale).reshape(-1, n_features)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, level, examined = parameters[:n_features], parameters[n_features], parameters[n_features + 1 :]
        attraction = _sigmoid(x @ weights + level).reshape(clicks.shape)
        examination = np.append(1.0, _sigmoid(examined))
        chance = np.clip(attraction * examination, 1e-12, 1.0 - 1e-12)
        value = -float(np.where(clicks > 0, np.log(chance), np.log1p(-chance)).sum()) + 0.5 * float(weights @ weights)
        slope = np.where(clicks > 0, -1.0 / chance, 1.0 / (1.0 - chance))  # d loss / d chance
        by_logit = slope * examination * attraction * (1.0 - attraction)
        by_examined = (slope * attraction).sum(axis=0)[1:] * examination[1:] * (1.0 - examination[1:])
        return value, np.concatenate([by_logit.ravel() @ x + weights, [by_logit.sum()], by_examined])

    rate = np.maximum(clicks.mean(axis=0), 1e-6)
    start = np.zeros(n_features + n_slots)
    start[n_features] = np.log(rate[0] / max(1.0 - rate[0], 1e-6))
    share = np.clip(rate[1:] / rate[0], 0.05, 0.95)
    start[n_features + 1 :] = np.log(share / (1.0 - share))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    weights = found[:n_features] / scale
    level = float(found[n_features] - centre @ weights)
    return PositionModel(weights, level, np.append(1.0, _sigmoid(found[n_features + 1 :])))


def _sigmoid(logit: Floats) -> Floats:
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0.0, 1.0, small) / (1.0 + small)

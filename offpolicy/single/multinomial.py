"""A multinomial model of actions: which action, given features. Learned propensities and embeddings are made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.reward_model import folds
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ITERATIONS = 2_000


@dataclass(frozen=True)
class MultinomialModel:
    """P(a | z) = softmax over actions of (z . weights_a + level_a).

    Attributes:
        weights: (F, A).
        levels: (A,); -inf for an action that was never seen.
    """

    weights: Floats  # (F, A)
    levels: Floats  # (A,)

    def probabilities(self, features: Floats) -> Floats:
        """P(a | z), (n, F) to (n, A); rows sum to 1."""
        linear = features @ self.weights + self.levels
        linear -= linear.max(axis=1, keepdims=True)
        made: Floats = np.exp(linear)
        made /= made.sum(axis=1, keepdims=True)
        return made


def fit_multinomial(features: Floats, action: Ints, n_actions: int) -> MultinomialModel:
    """Fit by maximum likelihood with a quadratic penalty of one unit on standardised features.

    Args:
        features: (n, F), finite.
        action: (n,), 0 to A - 1.
        n_actions: A; those that do not occur get probability 0.
    """
    n_features = features.shape[1]
    weights, levels = np.zeros((n_features, n_actions)), np.full(n_actions, -np.inf)
    seen = np.unique(action)
    if len(seen) == 1 or n_features == 0:
        counts = np.bincount(action, minlength=n_actions)
        levels[seen] = np.log(counts[seen] / len(action))
        return MultinomialModel(weights, levels)

    from sklearn.linear_model import LogisticRegression  # deferred: heavy, and needed by this function only

    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-12 * np.maximum(1.0, np.abs(centre)), scale, 1.0)
    fitted = LogisticRegression(C=1.0, max_iter=_ITERATIONS).fit((features - centre) / scale, action)
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(seen) == 2:  # one row of log-odds of the second
        coefficients, intercepts = np.concatenate([0 * coefficients, coefficients]), np.append(0.0, intercepts)
    weights[:, seen] = (coefficients / scale).T
    levels[seen] = intercepts - centre @ weights[:, seen]
    return MultinomialModel(weights, levels)


def check_folds(cluster: Ints, n_folds: int, least: int) -> None:
    """Check that there are folds enough, and clusters enough to fill them.

    Raises:
        UserError: Saying how many there are and how many are needed.
    """
    count = len(np.unique(cluster))
    if not least <= n_folds <= count:
        raise UserError(
            f"n_folds is {n_folds} for {count} clusters; expected {least} to {count}. A model is never asked of rows "
            "that it was fitted on."
        )


def cross_fitted(features: Floats, action: Ints, n_actions: int, cluster: Ints, n_folds: int, seed: int) -> Floats:
    """P(a | z) of each row by a model of the other folds of clusters, (N, A).

    Raises:
        UserError: If there are fewer clusters than folds.
    """
    check_folds(cluster, n_folds, 2)
    fold, made = folds(cluster, n_folds, seed), np.empty((len(action), n_actions))
    for held in range(n_folds):
        mine = fold == held
        if mine.any():
            made[mine] = fit_multinomial(features[~mine], action[~mine], n_actions).probabilities(features[mine])
    return made

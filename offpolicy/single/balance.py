"""The column `balanced`: a classifier tells the target's pairs of context and action from the logger's.

Its odds are the ratio of the two densities, which is what a weight is; no propensity is needed. Sondhi, Arbour and
Dimmery, "Balanced off-policy evaluation in general action spaces" (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from offpolicy.actions import check_actions, check_probabilities
from offpolicy.reward_model import folds
from offpolicy.single.arrays import SingleActionLog
from offpolicy.single.multinomial import check_folds
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]

_LEAST = 1e-9  # keeps odds finite


class Classifier(Protocol):
    """What scikit-learn calls a classifier."""

    def fit(self, X: Floats, y: npt.NDArray[np.bool_], sample_weight: Floats) -> Any:
        """Learn from rows (n, F), their classes (n,) and their weights (n,)."""

    def predict_proba(self, X: Floats) -> Floats:
        """Probabilities of both classes, (n, 2)."""


@dataclass(frozen=True)
class Balance:
    """A fitted ratio.

    Attributes:
        ratio: Of each logged pair of context and action, (N,), by a classifier that never saw the row's cluster.
        notes: What a reader should know: actions that a fold never saw logged.
    """

    ratio: Floats  # (N,)
    notes: tuple[str, ...]


def balanced_ratio(
    log: SingleActionLog,
    target: Floats,
    new_classifier: Callable[[], Classifier] | None = None,
    n_folds: int = 5,
    seed: int = 0,
) -> Balance:
    """Fit, action by action, which pairs are the target's, and take the odds of the logged ones.

    For an action a, the logger's class holds the rows where a was played, the target's all rows, each by the target's
    probability of a there; so nothing is drawn and nothing is left to chance.

    Args:
        log: The log, with a context.
        target: The target's probabilities of all actions, (N, A).
        new_classifier: Makes an unfitted classifier that takes sample weights; logistic regression where None, whose
            log-odds are linear in the context: right between policies that are softmaxes of linear scores but for what
            the context alone moves.
        n_folds: At least 2.
        seed: Names the split.

    Raises:
        UserError: If there is no context, too few clusters, or the table is no table of probabilities.
    """
    context, cluster = log.needed_context(), log.clusters
    check_probabilities("target", target)
    check_actions(log.action, target.shape[1])
    if len(target) != log.n_rows:
        raise UserError(f"target has {len(target)} rows for a log of {log.n_rows}; expected one each.")
    check_folds(cluster, n_folds, 2)
    centre, scale = context.mean(axis=0), context.std(axis=0)
    features = (context - centre) / np.where(scale > 1e-12 * np.maximum(1.0, np.abs(centre)), scale, 1.0)
    make = _logistic if new_classifier is None else new_classifier
    fold, ratio, notes = folds(cluster, n_folds, seed), np.zeros(log.n_rows), list[str]()
    for held in range(n_folds):
        for one in np.unique(log.action[fold == held]):
            mine, others = (fold == held) & (log.action == one), fold != held
            logged, wanted = others & (log.action == one), others & (target[:, one] > 0.0)
            if logged.any() and wanted.any():
                sides = features[logged], features[wanted], target[wanted, one]
                ratio[mine] = _odds(make(), sides, features[mine])
            elif wanted.any():
                ratio[mine] = (target[wanted, one].sum() + 0.5) / 0.5
                notes.append(f"fold {held + 1} of {n_folds}: no other fold logged action {one}; its ratio is a guess")
    return Balance(ratio, tuple(notes))


def _odds(classifier: Classifier, sides: tuple[Floats, Floats, Floats], features: Floats) -> Floats:
    logged, wanted, weight = sides
    x = np.concatenate([logged, wanted])
    is_target = np.arange(len(x)) >= len(logged)
    classifier.fit(x, is_target, sample_weight=np.concatenate([np.ones(len(logged)), weight]))
    p = np.clip(classifier.predict_proba(features)[:, 1], _LEAST, 1.0 - _LEAST)
    return p / (1.0 - p)


def _logistic() -> Classifier:
    from sklearn.linear_model import LogisticRegression  # deferred: heavy, and needed by this function only

    made: Classifier = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=50)
    return made

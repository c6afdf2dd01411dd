"""What every action would earn, as a cross-fitted reward model expects it: the table q (N, A).

The model is `offpolicy.reward_model`'s: linear in the context with one level an action, logistic where rewards are 0 or
1. It knows no interaction of context and action: the point of doubly robust estimates is that they bear that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.reward_model import fit_folds, folds
from offpolicy.single.arrays import SingleActionLog

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedRewards:
    """What a model that never saw a row's cluster expects of every action there.

    Attributes:
        q: Expected reward, (N, A).
        notes: What a reader should know: folds that had too little to learn from.
    """

    q: Floats  # (N, A)
    notes: tuple[str, ...]


def expected_rewards(log: SingleActionLog, n_actions: int, n_folds: int = 5, seed: int = 0) -> ExpectedRewards:
    """Fit a reward model on each complement of a fold of clusters and ask it of the fold's rows.

    Args:
        log: The log; without a context the model is a level an action.
        n_actions: A.
        n_folds: At least 2: a model is never asked of what it has seen.
        seed: Names the split.

    Raises:
        UserError: If there are fewer clusters than folds, or a number is not finite.
    """
    n_rows, cluster = log.n_rows, log.clusters
    context = np.zeros((n_rows, 0)) if log.context is None else log.context
    design = np.zeros((n_rows, 1, context.shape[1] + n_actions))
    design[:, 0, : context.shape[1]] = context
    design[np.arange(n_rows), 0, context.shape[1] + log.action] = 1.0
    fitted = fit_folds(design, log.reward[:, None], cluster, n_folds, seed)
    fold, q = folds(cluster, n_folds, seed), np.empty((n_rows, n_actions))
    for held, model in enumerate(fitted.models):
        mine = fold == held
        by_context, by_action = np.split(model.weights, [context.shape[1]])
        q[mine] = model.link((context[mine] @ by_context)[:, None] + by_action + model.levels[0])
    return ExpectedRewards(q, fitted.notes)

"""A reward model fitted for doubly robust estimates: it leaves them little variance, instead of predicting well.

A doubly robust estimate is right whatever its model says; the model decides its variance, and rows with large weights
decide that. The model is linear, q(x, a) = f(x, a) . theta with f = (1, context, which action), so that the estimate's
score of a row is linear in theta, too:

    score = w r - theta . z,    z = w f(x, a) - sum_b pi(b | x) f(x, b),    E[z | x] = 0

and the least variance is a regression of w r on z, not of r on f. Farajtabar, Chow and Ghavamzadeh, "More robust doubly
robust off-policy evaluation" (2018). The regression stays near the ordinary one where large weights leave it few
rows: how near is chosen by the variance on rows that it left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.reward_model import folds
from offpolicy.single.multinomial import check_folds
from offpolicy.terms import joint
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PENALTIES = (1.0, 10.0, 100.0, 1000.0, np.inf)  # rows that say "the ordinary regression"; inf is that itself
_RIDGE = 1.0


@dataclass(frozen=True)
class ScoreRows:
    """What the regressions read: f of the logged action and under the target, (N, P), weights and rewards, (N,)."""

    logged: Floats
    target: Floats
    weight: Floats
    reward: Floats

    @property
    def z(self) -> Floats:
        """What a score moves by with theta, (N, P)."""
        return self.weight[:, None] * self.logged - self.target

    def scores(self, theta: Floats) -> Floats:
        """Doubly robust scores of the rows with this model, (N,)."""
        made: Floats = self.weight * self.reward - self.z @ theta
        return made

    def take(self, rows: Bools) -> ScoreRows:
        """Some of the rows."""
        return ScoreRows(self.logged[rows], self.target[rows], self.weight[rows], self.reward[rows])


def with_robust_model(evidence: Evidence, n_folds: int = 5, seed: int = 0) -> Evidence:
    """Evidence with the columns of `mrdr`: a model of the other folds of clusters for each fold.

    Args:
        evidence: Of single actions, with the table of all actions; `features` are its context.
        n_folds: At least 3.
        seed: Names the split.

    Raises:
        UserError: If the table is absent or there are too few clusters.
    """
    table = evidence.actions
    if table is None:
        raise UserError(
            "the table of all actions is absent; the robust model needs what the target would do with each. Make the "
            "evidence with offpolicy.single.arrays.evidence_of(log, target) from tables of both policies."
        )
    check_folds(evidence.cluster, n_folds, 3)
    context = np.zeros((evidence.n_rows, 0)) if evidence.features is None else evidence.features
    centre, spread = context.mean(axis=0), context.std(axis=0)
    x = (context - centre) / np.where(spread > 1e-12 * np.maximum(1.0, np.abs(centre)), spread, 1.0)
    beside = np.column_stack([np.ones(evidence.n_rows), x])
    rows = ScoreRows(
        np.column_stack([beside, np.eye(table.n_actions)[table.action]]),
        np.column_stack([beside, table.target]),
        joint(evidence).weight[:, 0],
        evidence.reward[:, 0],
    )
    fold = folds(evidence.cluster, n_folds, seed)
    q_logged, q_target = np.empty(evidence.n_rows), np.empty(evidence.n_rows)
    for held in range(n_folds):
        mine = fold == held
        if mine.any():
            theta = _chosen(rows, ~mine, fold == (held + 1) % n_folds)
            q_logged[mine], q_target[mine] = rows.logged[mine] @ theta, rows.target[mine] @ theta
    return replace(evidence, q_robust=q_logged[:, None], q_robust_target=q_target)


def _chosen(rows: ScoreRows, learn: Bools, beside: Bools) -> Floats:
    """The model of the rows to learn from, as near to the ordinary one as is best for those beside."""
    inner, outer = rows.take(learn & ~beside), rows.take(beside)
    if not len(inner.weight) or len(outer.weight) < 2:
        return fit_scores(rows.take(learn), np.inf)
    spread = [float(outer.scores(fit_scores(inner, penalty)).var()) for penalty in PENALTIES]
    return fit_scores(rows.take(learn), PENALTIES[int(np.argmin(spread))])


def fit_scores(rows: ScoreRows, penalty: float) -> Floats:
    """The ordinary regression and, on top, the correction that leaves the scores the least variance.

    Args:
        rows: To learn from.
        penalty: How many rows say that the ordinary regression is right; inf returns that.
    """
    size = rows.logged.shape[1]
    moments = rows.logged.T @ rows.logged + _RIDGE * np.eye(size)
    theta = np.linalg.solve(moments, rows.logged.T @ rows.reward).astype(np.float64)
    if penalty == np.inf:
        return theta
    z, scores = rows.z - rows.z.mean(axis=0), rows.scores(theta)
    moments = z.T @ z
    ridge = penalty * max(float(np.trace(moments)) / (len(z) * size), 1e-12)
    made: Floats = theta + np.linalg.solve(moments + ridge * np.eye(size), z.T @ (scores - scores.mean()))
    return made

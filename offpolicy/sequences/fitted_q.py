"""Fitted Q evaluation: the value of a session by a model of what comes after each slate.

Q(s, a) is what a session still brings once slate a has been shown in state s, if the target policy ranks from then on.
The model is linear in features of (s, a), and its fixed point

    Q = features . theta,   theta: E[f (r + f_next . theta - f . theta)] = 0

is solved at once (f_next: features of the next state averaged over the target's slates, 0 after the last step). With
one indicator a state and action it is the exact value of the empirical process. No weights: its variance stays small
over any horizon, and it is right only where the features can express Q. Le, Voloshin and Yue, "Batch policy learning
under constraints" (2019); the influence is that of Duan, Jia and Wang, "Minimax-optimal off-policy evaluation with
linear function approximation" (2020).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.sequences.sessions import Layout
from simenv.errors import UserError
from simenv.hashing import absorb, integers, stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StepFeatures:
    """Features of each logged step, one row a search.

    Attributes:
        logged: Of the state and the slate that was shown, (N, F).
        target: Of the state, averaged over the slates that the target policy would show, (N, F).
    """

    logged: Floats  # (N, F)
    target: Floats  # (N, F)


@dataclass(frozen=True)
class QModel:
    """A solved fixed point.

    Attributes:
        theta: (F,).
        inverse: Inverse of the (ridged) moment matrix, (F, F), in units of a mean over sequences.
    """

    theta: Floats
    inverse: Floats


def fitted_q(
    evidence: Evidence, layout: Layout, features: StepFeatures, discount: float = 1.0, ridge: float = 1e-8
) -> Evidence:
    """Evidence on sequences with the fitted value of each: what the estimator `fqe` averages.

    Args:
        evidence: Of sequences, from `side_by_side`.
        layout: What it was laid out by.
        features: Of the rows before they were laid out.
        discount: Of one step, in [0, 1].
        ridge: Added to the diagonal of the moments, relative to their mean.

    Returns:
        The same evidence with `fitted` (T,): the value of the model plus the influence of the sequence on it, whose
        mean is the model's value and whose spread is its sampling error (not its bias).

    Raises:
        UserError: If features have a wrong shape or are not finite.
    """
    steps = _steps(evidence, layout, features)
    model = _solve(steps, evidence.reward, discount, ridge)
    start = steps.target[:, 0]  # (T, F)
    value = float((start @ model.theta).mean())
    moment = np.einsum("thf,th->tf", steps.logged, _residual(steps, evidence.reward, model, discount))
    influence = start @ model.theta - value + moment @ (model.inverse.T @ start.mean(axis=0))
    return replace(evidence, fitted=value + influence - influence.mean())


def cross_fitted_q(
    evidence: Evidence, layout: Layout, features: StepFeatures, seed: int = 0, n_folds: int = 5
) -> Evidence:
    """Evidence with `q_prefix` and `q_next`: Q of the logged step and of the target's, for doubly robust estimates.

    Each fold of clusters is predicted by a model of the others, so that the correction sees honest residuals.

    Raises:
        UserError: As `fitted_q`, or if the clusters are fewer than the folds.
    """
    if len(np.unique(evidence.cluster)) < n_folds:
        raise UserError(f"{n_folds} folds need as many clusters; the log has fewer. Log more shoppers.")
    steps = _steps(evidence, layout, features)
    fold = integers(absorb(stream(seed, "fitted q fold"), evidence.cluster), n_folds)
    q_prefix, q_next = np.zeros(evidence.reward.shape), np.zeros(evidence.reward.shape)
    for held in range(n_folds):
        mine, others = fold == held, fold != held
        if mine.any() and others.any():
            model = _solve(steps.take(others), evidence.reward[others], 1.0, 1e-6)
            q_prefix[mine], q_next[mine] = steps.logged[mine] @ model.theta, steps.target[mine] @ model.theta
    return replace(evidence, q_prefix=q_prefix, q_next=q_next)


@dataclass(frozen=True)
class ModelNoise:
    """What a fitted Q adds to the sampling error of whatever is made with it.

    Attributes:
        own: Influence of each sequence on theta, (T, F).
        start: What of theta the value of a beginning has, (T, F).
        step: What of theta V_{t+1} - Q_t has, (T, H, F).
    """

    own: Floats
    start: Floats
    step: Floats


def model_noise(evidence: Evidence, layout: Layout, features: StepFeatures) -> ModelNoise:
    """The sampling error of the model of what comes later, sequence by sequence.

    Raises:
        UserError: As `fitted_q`.
    """
    steps = _steps(evidence, layout, features)
    model = _solve(steps, evidence.reward, 1.0, 1e-6)
    moment = np.einsum("thf,th->tf", steps.logged, _residual(steps, evidence.reward, model, 1.0))
    return ModelNoise(moment @ model.inverse.T, steps.target[:, 0], steps.next - steps.logged)


@dataclass(frozen=True)
class _Steps:
    """Features laid out, 0 behind the last step: (T, H, F)."""

    logged: Floats
    target: Floats

    @property
    def next(self) -> Floats:
        """Features of the step after, under the target; 0 after the last."""
        made = np.zeros_like(self.target)
        made[:, :-1] = self.target[:, 1:]
        return made

    def take(self, rows: npt.NDArray[np.bool_]) -> _Steps:
        return _Steps(self.logged[rows], self.target[rows])


def _steps(evidence: Evidence, layout: Layout, features: StepFeatures) -> _Steps:
    n_rows = int(layout.row.max()) + 1
    for name, column in (("logged", features.logged), ("target", features.target)):
        if column.ndim != 2 or len(column) < n_rows or not np.isfinite(column).all():
            raise UserError(f"{name} features are {column.shape}; expected finite numbers of shape ({n_rows}, F).")
    if features.logged.shape != features.target.shape or evidence.reward.shape != layout.row.shape:
        raise UserError("features of logged and target slates must have one shape, evidence that of its layout.")
    return _Steps(layout.lay(features.logged), layout.lay(features.target))


def _solve(steps: _Steps, reward: Floats, discount: float, ridge: float) -> QModel:
    n = len(reward)
    flat = steps.logged.reshape(-1, steps.logged.shape[2])
    ahead = steps.next.reshape(flat.shape)
    moments = flat.T @ (flat - discount * ahead) / n
    scale = ridge * max(float(np.trace(flat.T @ flat)) / n / flat.shape[1], 1e-300)
    inverse = np.linalg.pinv(moments + scale * np.eye(len(moments))).astype(np.float64)
    return QModel(inverse @ (flat.T @ reward.reshape(-1) / n), inverse)


def _residual(steps: _Steps, reward: Floats, model: QModel, discount: float) -> Floats:
    """Reward + discount * Q_next - Q of each step, (T, H); 0 behind the last, where features and reward are."""
    return reward + discount * (steps.next @ model.theta) - steps.logged @ model.theta

"""Terms: the evidence cut into the pieces that one family of weights needs.

A slate can be weighed as a whole (joint weights: one piece a row, the total reward) or slot by slot (item-position
weights: K pieces a row). Once it is cut, the formula of an estimator is the same for both, and so are its diagnostics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.evidence import Evidence
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]

_LARGEST_EXPONENT = 300.0  # of more, the squares and their sums leave float64


@dataclass(frozen=True)
class Terms:
    """A row in J pieces: J = 1 for whole slates, J = K for slots.

    Attributes:
        weight: Importance weight of each piece, (N, J); its mean is 1 where the propensities are right. At least 0,
            but for the pseudoinverse's.
        reward: Reward of each piece, (N, J).
        q_logged: The reward model's reward of each logged piece, (N, J); None without a model.
        q_target: The reward model's total under the target policy, (N,); None without a model.
        error: Mean relative error of the weights from the stated error of their marginals; 0 where exact.
        there: 1 where a piece exists, 0 behind the last step of a sequence, (N, J); None where all exist.
        share: How much a row counts, (N, 1), mean 1, in `weight` already; None where all count alike.
        age: How long ago a row was logged, (N,), in lengths of the log: 0 for the last; None where nobody asks.
        actions: The table of all actions, for estimators that ask of them what was not played.
        at_any_time: A weight of each row, (N,), whose mean is 1 at any time; None where that of `weight` is. Weights of
            several loggers have mean 1 over all of them together, those of states over all of the log.
        anywhere: The same whatever stands around the row.
    """

    weight: Floats  # (N, J)
    reward: Floats  # (N, J)
    q_logged: Floats | None = None  # (N, J)
    q_target: Floats | None = None  # (N,)
    error: float = 0.0
    there: Floats | None = None  # (N, J)
    share: Floats | None = None  # (N, 1)
    age: Floats | None = None  # (N,)
    actions: ActionTable | None = None
    at_any_time: Floats | None = None  # (N,)
    anywhere: Floats | None = None  # (N,)

    @property
    def of_row(self) -> Floats:
        """The mean weight of each row's pieces, (N,)."""
        return self.weight[:, 0] if self.weight.shape[1] == 1 else self.weight.mean(axis=1)

    def expected(self) -> Floats:
        """The model's total under the target policy, (N,).

        Raises:
            UserError: If the evidence has none.
        """
        if self.q_target is None:
            raise UserError("q_target is absent; fit it with offpolicy.reward_model.cross_fit.")
        return self.q_target

    def model(self) -> tuple[Floats, Floats]:
        """The reward model's two columns (q_logged, q_target).

        Raises:
            UserError: If the evidence has none.
        """
        if self.q_logged is None or self.q_target is None:
            raise UserError("q_logged and q_target are absent; fit them with offpolicy.reward_model.cross_fit.")
        return self.q_logged, self.q_target


def joint(evidence: Evidence) -> Terms:
    """Whole slates: w = prod_k p_target(slot k | above) / p_logger(slot k | above). Right for any reward."""
    weight = weights_of(total_of(evidence.target.logp - evidence.logger.logp))
    q_logged = None if evidence.q_logged is None else total_of(evidence.q_logged)
    return Terms(weight, total_of(evidence.reward), q_logged, evidence.q_target)


def item_position(evidence: Evidence) -> Terms:
    """Slots: w_k = marginal_target(item at k) / marginal_logger(item at k).

    Right where the reward of a slot depends on its item and its position only, not on the items around it.

    Raises:
        UserError: If a marginal is absent.
    """
    if evidence.logger_marginal is None or evidence.target_marginal is None:
        raise UserError(
            "logger_marginal and target_marginal are absent; item-position weights need the marginal propensity of "
            "each item at its slot. Conditionals do not stand in for them: compute marginals from the scores."
        )
    weight = weights_of(evidence.target_marginal.logp - evidence.logger_marginal.logp)
    error = 0.0
    if evidence.logger_marginal.error > 0.0 or evidence.target_marginal.error > 0.0:
        p_logger = np.exp(evidence.logger_marginal.logp, dtype=np.float64)
        error = float(((weight * evidence.logger_marginal.error + evidence.target_marginal.error) / p_logger).mean())
    return Terms(weight, evidence.reward, evidence.q_logged, evidence.q_target, error)


def direct(evidence: Evidence) -> Terms:
    """No weights: every row counts once, whatever the logger did."""
    q_logged = None if evidence.q_logged is None else total_of(evidence.q_logged)
    return Terms(np.ones((evidence.n_rows, 1)), total_of(evidence.reward), q_logged, evidence.q_target)


def total_of(column: Floats) -> Floats:
    """A column (N, K) in one piece, (N, 1): its sum over slots."""
    return column if column.shape[1] == 1 else column.sum(axis=1, keepdims=True, dtype=np.float64)


def weights_of(logw: Floats) -> Floats:
    """Weights (N, J) from their logarithms.

    Raises:
        UserError: If one is beyond what can be squared and summed; the message names the row.
    """
    if logw.max() > _LARGEST_EXPONENT:
        row = int(logw.max(axis=1).argmax())
        raise UserError(
            f"log row {row}: the target policy is exp({logw[row].max():.0f}) times as likely as the logger to show "
            "what was logged, a weight beyond all use. Is the logged propensity right? Did the logger explore?"
        )
    return np.exp(logw, dtype=np.float64)

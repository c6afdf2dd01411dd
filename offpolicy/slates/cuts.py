"""How evidence on slates is cut: prefixes, the pseudoinverse, the click model. Beside `offpolicy.terms`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.terms import Terms, total_of, weights_of
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]


def prefix(evidence: Evidence) -> Terms:
    """Slots: w_k = prod_{l<=k} p_target(slot l | above) / p_logger(slot l | above), for what stands at k and above.

    Right where the reward of a slot does not depend on what stands below it, as where people read from the top. Of all
    weights these are the smallest that are right there: what happens below the slot is not weighed.

    McInerney, Brost, Chandar, Mehrotra and Carterette, "Counterfactual evaluation of slate recommendations with
    sequential reward interactions" (2020). With a reward model, V = 1/N sum_i [q_i + sum_k w_ik (r_ik - q_ik)] is the
    cascade doubly robust estimator of Kiyohara, Saito, Matsuhiro, Narita, Shimizu and Yamamoto, "Doubly robust
    off-policy evaluation for ranking policies under the cascade behavior model" (2022). They write it with the reward
    still to come, Q_k of the top k and V_k its mean over the target's choice at k:
    sum_k [w_k (r_k - Q_k) + w_{k-1} V_k]; the sum telescopes to the one above with q_ik = Q_k - V_{k+1} and q_i = V_1.
    """
    weight = weights_of(np.cumsum(evidence.target.logp - evidence.logger.logp, axis=1))
    return Terms(weight, evidence.reward, evidence.q_prefix, evidence.q_prefix_target)


def pseudoinverse(evidence: Evidence) -> Terms:
    """Whole slates: w = E_target[1]^T pinv(E_logger[1 1^T]) 1, with 1 the indicators of every item at every slot.

    Right where the expected total reward is a sum over slots of something of the item and the slot, which need not be
    the reward of that slot. Weights may be negative. See `offpolicy.slates.pseudoinverse`, which computes them.

    Raises:
        UserError: If the weights are absent.
    """
    if evidence.pseudoinverse is None:
        raise UserError(
            "pseudoinverse is absent; compute it with offpolicy.slates.pseudoinverse, which knows uniform and small "
            "Plackett-Luce loggers."
        )
    return Terms(evidence.pseudoinverse[:, None], total_of(evidence.reward))


def abstracted(evidence: Evidence) -> Terms:
    """Whole slates by what they are about: w = P_target(phi) / P_logger(phi) of an abstraction phi of the slate.

    Raises:
        UserError: If the ratios are absent, or one is below 0.
    """
    if evidence.abstraction is None:
        raise UserError("abstraction is absent; compute it with offpolicy.slates.abstraction.")
    if evidence.abstraction.min() < 0.0:
        row = int(evidence.abstraction.argmin())
        raise UserError(
            f"log row {row}: abstraction is {evidence.abstraction[row]:g}; expected a ratio of chances, at least 0."
        )
    return Terms(evidence.abstraction[:, None], total_of(evidence.reward))


def click_model(evidence: Evidence) -> Terms:
    """No weights: what a click model that was fitted to the log expects under the target policy."""
    return Terms(np.ones((evidence.n_rows, 1)), total_of(evidence.reward), None, evidence.q_click)

"""The formulas: `Terms` in, `Statistics` out, one equation each.

Which weights a formula is fed (whole slates, slots, prefixes, embeddings) is chosen in `offpolicy.estimators`; they do
not know. Influences, intervals and sums over parts of a log are made from the statistics by shared pieces.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.statistics import Statistics, mean_of, ratios_of
from offpolicy.terms import Terms
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]


def ips(terms: Terms) -> Statistics:
    """Inverse propensity scoring: V = 1/N sum_i sum_j w_ij r_ij.

    Unbiased where the logged propensities are right and the logger could show whatever the target shows. Its variance
    grows with the square of the weights: useless where few rows carry them. Horvitz and Thompson, "A generalization of
    sampling without replacement from a finite universe" (1952); slot by slot: Li, Abbasi-Yadkori, Kveton,
    Muthukrishnan, Vinay and Wen, "Offline evaluation of ranking policies with click models" (2018).
    """
    return mean_of(_total(terms.weight * terms.reward))


def snips(terms: Terms) -> Statistics:
    """Self-normalised IPS: V = sum_j (sum_i w_ij r_ij) / (sum_i w_ij).

    Consistent where IPS is, with a bias of order 1/N, and never outside the range of the rewards; less variance where
    rewards have a large mean. Undefined (NaN) where the logger showed nothing that the target could show. Swaminathan
    and Joachims, "The self-normalized estimator for counterfactual learning" (2015).
    """
    return ratios_of(terms.weight * terms.reward, terms.weight)


def dm(terms: Terms) -> Statistics:
    """Direct method: V = 1/N sum_i q_target_i.

    Right where the reward model is, and nowhere else; its interval knows nothing of the model's error, so it is never
    trusted. Its strength is a small variance. Dudik, Langford and Li, "Doubly robust policy evaluation and learning"
    (2011), section 2.
    """
    return mean_of(terms.expected())


def dr(terms: Terms) -> Statistics:
    """Doubly robust: V = 1/N sum_i [q_target_i + sum_j w_ij (r_ij - q_logged_ij)].

    Unbiased where IPS is, whatever the cross-fitted reward model says; the better the model, the less variance. It does
    not respect the range of the rewards: a click rate can come out negative. Dudik, Langford and Li, "Doubly robust
    policy evaluation and learning" (2011).
    """
    q_logged, q_target = terms.model()
    return mean_of(q_target + _total(terms.weight * (terms.reward - q_logged)))


def sndr(terms: Terms) -> Statistics:
    """Self-normalised doubly robust: V = 1/N sum_i q_target_i + sum_j (sum_i w_ij (r_ij - q_logged_ij)) / (sum_i w_ij).

    Consistent where DR is, with a bias of order 1/N; less variance where the weights' mean moves the correction. Thomas
    and Brunskill, "Data-efficient off-policy policy evaluation for reinforcement learning" (2016).
    """
    q_logged, q_target = terms.model()
    return ratios_of(terms.weight * (terms.reward - q_logged), terms.weight, q_target)


def own_searches(terms: Terms) -> Statistics:
    """Value per search after deployment: V = (sum_i sum_t w_it r_it) / (sum_i sum_t w_it), over steps t that exist.

    Expected reward of a sequence over its expected number of searches, both under the target policy. Where what is
    shown moves who searches on, a policy that sends shoppers away early is judged on few, early searches; weights over
    single searches would judge it on the logger's. Needs whole sequences and `per_step` weights.

    Raises:
        UserError: If the terms are not of sequences.
    """
    if terms.there is None:
        raise UserError("value per search after deployment needs sequences; lay searches side by side first.")
    earned = (terms.weight * terms.reward).sum(axis=1, keepdims=True)
    return ratios_of(earned, (terms.weight * terms.there).sum(axis=1, keepdims=True))


def switch(terms: Terms) -> Statistics:
    """Switch: V = 1/N sum_i [w_i r_i where w_i <= t, and sum_a pi(a|x_i) q(x_i, a) over the actions where w > t].

    Each action of a row is either weighed or left to the reward model, never both: the model takes over where the
    logger hardly goes. Biased by the model's error there; with t = inf it is IPS, with t = 0 the direct method. Wang,
    Agarwal and Dudik, "Optimal and adaptive off-policy evaluation in contextual bandits" (2017). The
    second part arrives as `q_target`, the weights beyond t as 0.
    """
    if terms.q_target is None:
        raise UserError("q_target is absent; the switch estimator's part of the reward model was not made.")
    return mean_of(terms.q_target + _total(terms.weight * terms.reward))


def cab(terms: Terms) -> Statistics:
    """Continuous adaptive blending: V = 1/N sum_i [min(w_i, M) r_i + sum_a max(pi(a|x_i) - M mu(a|x_i), 0) q(x_i, a)].

    What clipping at M takes from an action goes to the reward model instead of nowhere: between inverse propensities
    (M = inf) and the direct method (M = 0), action by action and without a jump, where the switch estimator jumps.
    Biased by sum_a max(pi - M mu, 0) (q - E r). DR with clipped weights (the paper's CAB-DR, here `clipped-dr`) is
    another estimator: its bias is the same where propensities are right, and its model also takes variance away. The
    static blend, (1 - t) DM + t IPS, has the same form with w_i t and (1 - t) q_target; the model's part arrives as
    `q_target`. Su, Wang, Santacatterina and Joachims, "CAB: continuous adaptive blending for policy evaluation and
    learning" (2019).
    """
    return mean_of(terms.expected() + _total(terms.weight * terms.reward))


def _total(pieces: Floats) -> Floats:
    return pieces[:, 0] if pieces.shape[1] == 1 else pieces.sum(axis=1)

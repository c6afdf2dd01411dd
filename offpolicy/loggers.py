"""Several loggers in one log: each row weighed by its own logger, by the mixture of all, or by how much it can tell.

Weighing each row by the logger that wrote it is right, also where loggers came one after another (a new release every
week, a bandit that learns): plain `ips` on the logged propensities, the *naive* estimator of Agarwal, Basu, Schnabel
and Joachims, "Effective evaluation using logged bandit feedback from multiple loggers" (2017). It wastes what one
logger knows of another's rare actions. Their two remedies are here:

* *mixture* (their balanced estimator): a row is weighed as if drawn from the mixture of all loggers, each by its share
  of the rows. It needs every logger's probability of every row, and is unbiased for loggers that were chosen
  beforehand; not for loggers that learned from the same rows.
* *weighted*: a weighted mean of one estimate a logger, each by the inverse of what its variance is about.

*stable* is for loggers that adapt (Zhan, Hadad, Hirshberg and Athey, "Off-policy evaluation via adaptive weighting with
data from contextual bandits", 2021): the root of those weights, so that no batch whose logger hardly explored rules the
variance, and the sum is near normal. A batch is a stratum: within it the logger stays the same.

What a stratum counts is made of both policies' probabilities of all actions, never of the actions that were drawn: with
the mean squared weight of the drawn ones in its place, batches that happened to draw a rare action count less just when
it paid, and the estimate was seen to be 5% too low.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.evidence import Evidence
from offpolicy.statistics import Statistics, ratios_of
from offpolicy.terms import Terms, joint, weights_of
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]


def mixture(evidence: Evidence) -> Terms:
    """Whole slates weighed by the mixture of all loggers: w = p_target(slate) / sum_j share_j p_j(slate).

    Raises:
        UserError: If the mixture is absent.
    """
    if evidence.mixture is None:
        raise UserError("mixture is absent; it is made of every logger's probability of every row ([loggers]).")
    weight = weights_of((evidence.target.logp - evidence.mixture.logp).sum(axis=1, keepdims=True))
    whole = joint(evidence)
    # Each logger by itself has another mean weight than all together, and one may have come after the other.
    return Terms(weight, whole.reward, whole.q_logged, whole.q_target, at_any_time=whole.of_row)


def weighted(evidence: Evidence) -> Terms:
    """Whole slates; a row of stratum j counts by 1 / E[w^2 | j], the inverse of what its variance is about."""
    return _by_stratum(evidence, -1.0)


def stable(evidence: Evidence) -> Terms:
    """Whole slates; a row of stratum j counts by E[w^2 | j]^(-1/2)."""
    return _by_stratum(evidence, -0.5)


def shared(terms: Terms) -> Statistics:
    """V = sum_i h_i w_i r_i / sum_i h_i, where a row counts by its stratum's h.

    Unbiased where h is known before the row is drawn. The spread that h alone makes between strata is not counted as
    noise, since strata are what they are.
    """
    assert terms.share is not None
    return ratios_of(terms.weight * terms.reward, terms.share)


def log_mixture(logp: Floats, stratum: npt.NDArray[np.int64]) -> Floats:
    """Log-probability of each row under the mixture of all loggers, each by its share of the rows.

    Args:
        logp: Of each row's slate under each of J loggers, (N, J); -inf where a logger never shows it.
        stratum: Which logger wrote the row, (N,), 0 to J - 1.

    Returns:
        (N,).
    """
    share = np.bincount(stratum, minlength=logp.shape[1]) / len(stratum)
    top = logp.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        made: Floats = (top + np.log((np.exp(logp - top) * share).sum(axis=1, keepdims=True)))[:, 0]
    return made


def second_moments(table: ActionTable, stratum: npt.NDArray[np.int64]) -> Floats:
    """E[w^2] of each row's stratum from the probabilities of all actions, (N,): the mean of sum_a target^2 / logger."""
    own = np.where(table.logger > 0.0, table.target * table.weights(), 0.0).sum(axis=1)
    _, inverse = np.unique(stratum, return_inverse=True)
    made: Floats = (np.bincount(inverse, weights=own) / np.bincount(inverse))[inverse]
    return made


def _by_stratum(evidence: Evidence, power: float) -> Terms:
    """Whole slates, each row weighed by its own logger and counted by E[w^2 | stratum]^power, relative to the mean."""
    if evidence.second_moment is None:
        raise UserError(
            "second_moment is absent; it needs the column that says which logger wrote a row (columns.logger) and both "
            "policies' probabilities of all actions ([actions])."
        )
    whole = joint(evidence)
    count = np.maximum(evidence.second_moment, 1e-12) ** power  # 0 where the target never meets that logger's actions
    share = (count / count.mean())[:, None]
    alone = whole.of_row
    return Terms(whole.weight * share, whole.reward, share=share, at_any_time=alone, anywhere=alone)

"""Cuts of evidence on sequences: by steps, and by steps with a model of what comes later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.slates.cuts import prefix
from offpolicy.terms import Terms
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]


def per_step(evidence: Evidence) -> Terms:
    """Steps: w_t = prod_{u<=t} p_target(step u) / p_logger(step u), the probability of all that led to a reward.

    Behind the last step of a sequence its weight stays, so that every column of weights has mean 1.

    Raises:
        UserError: If the evidence is not of sequences.
    """
    if evidence.length is None:
        raise UserError("length is absent; lay searches side by side with offpolicy.sequences.sessions first.")
    there = np.arange(evidence.n_slots) < evidence.length[:, None]
    return replace(prefix(evidence), there=there.astype(np.float64))


def per_step_with_model(evidence: Evidence) -> Terms:
    """As `per_step`, with Q of what was done (`q_prefix`) and of what the target would do next (`q_next`).

    Raises:
        UserError: If the model's columns are absent.
    """
    if evidence.q_prefix is None or evidence.q_next is None:
        raise UserError("q_prefix and q_next are absent; fit them with offpolicy.sequences.fitted_q.cross_fitted_q.")
    terms = per_step(evidence)
    before = np.concatenate([np.ones((evidence.n_rows, 1)), terms.weight[:, :-1]], axis=1)
    return replace(terms, q_logged=evidence.q_prefix, q_target=(before * evidence.q_next).sum(axis=1))


def fitted(evidence: Evidence) -> Terms:
    """No weights: each sequence counts once, by the value that fitted Q evaluation gives it.

    Raises:
        UserError: If `fitted` is absent.
    """
    if evidence.fitted is None:
        raise UserError("fitted is absent; make it with offpolicy.sequences.fitted_q.fitted_q.")
    total = evidence.reward.sum(axis=1, keepdims=True)
    return Terms(np.ones((evidence.n_rows, 1)), total, total, evidence.fitted)


def by_state(evidence: Evidence) -> Terms:
    """Steps: the weight of a step's state and slate, whatever led there, with values of states as the model.

    Raises:
        UserError: If the columns of states are absent.
    """
    if evidence.state_ratio is None or evidence.q_state is None or evidence.q_state_target is None:
        raise UserError("state_ratio, q_state and q_state_target are absent; see offpolicy.sequences.states.")
    first = evidence.state_ratio[:, 0]  # what stood around the first step is forgotten by later states
    return Terms(
        evidence.state_ratio,
        evidence.reward,
        evidence.q_state,
        evidence.q_state_target,
        there=per_step(evidence).there,
        at_any_time=first,
        anywhere=first,
    )


def by_state_before(evidence: Evidence) -> Terms:
    """Steps: the weight of the state before, of its slate, and of this step's slate.

    Right where the state tells all of the past but the last step. It assumes less than `by_state` and so can
    contradict it.

    Raises:
        UserError: If the columns of states are absent.
    """
    terms = by_state(evidence)
    step = np.exp(evidence.target.logp - evidence.logger.logp, dtype=np.float64)
    before = np.concatenate([np.ones((evidence.n_rows, 1)), terms.weight[:, :-1]], axis=1)
    return replace(terms, weight=before * step)

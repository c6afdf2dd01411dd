"""Cuts of single-action evidence: the families of weights that need more than the logged action's two propensities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.terms import Terms, joint
from offpolicy.weights import TIE
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]


def tabled(evidence: Evidence) -> Terms:
    """Joint weights with the table of all actions beside; its q says what the actions not played would have earned.

    Raises:
        UserError: If the table is absent, or has no q.
    """
    if evidence.actions is None or evidence.actions.q is None:
        raise UserError(
            "the table of actions is absent or has no q; expected what a reward model expects of every action. "
            "Make the evidence with offpolicy.single.arrays.evidence_of(log, target, q)."
        )
    return replace(joint(evidence), q_logged=None, q_target=np.zeros(evidence.n_rows), actions=evidence.actions)


def beyond(terms: Terms, most: float) -> Floats:
    """What the reward model expects of those actions whose weight is larger than `most`: sum_a pi(a) q(a), (N,)."""
    table = terms.actions
    if table is None or table.q is None:
        raise UserError("the table of actions is absent or has no q; cut the evidence with `tabled`.")
    if most == np.inf:
        return np.zeros(len(table.action))
    # Without a division; an action that only the target plays is always beyond.
    is_left = table.target > most * TIE * table.logger
    left: Floats = np.einsum("na,na->n", np.where(is_left, table.target, 0.0), table.q)
    return left


def embedded(evidence: Evidence) -> Terms:
    """Weights of the logged action's embedding in place of those of the action."""
    return _given(evidence, "embedding", evidence.embedding)


def balanced(evidence: Evidence) -> Terms:
    """A classifier's ratio of the two policies' pairs of context and action, in place of the ratio of propensities."""
    return _given(evidence, "balanced", evidence.balanced)


def _given(evidence: Evidence, name: str, weight: Floats | None) -> Terms:
    if weight is None:
        raise UserError(f"{name} is absent; fill it from arrays with offpolicy.single.")
    if weight.min() < 0.0:
        row = int(weight.argmin())
        raise UserError(f"log row {row}: {name} is {weight[row]:g}; expected a ratio of probabilities, at least 0.")
    return Terms(weight[:, None], evidence.reward.sum(axis=1, keepdims=True))

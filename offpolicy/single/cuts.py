"""Cuts of single-action evidence: the families of weights that need more than the logged action's two propensities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.evidence import Evidence
from offpolicy.terms import Terms, joint, total_of
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
    table, q = _table(terms)
    if most == np.inf:
        return np.zeros(len(table.action))
    # Without a division; an action that only the target plays is always beyond.
    is_left = table.target > most * TIE * table.logger
    left: Floats = np.einsum("na,na->n", np.where(is_left, table.target, 0.0), q)
    return left


def above(terms: Terms, most: float) -> Floats:
    """What clipping at `most` takes, as the reward model sees it: sum_a max(pi(a) - most * mu(a), 0) q(a), (N,)."""
    table, q = _table(terms)
    if most == np.inf:
        return np.zeros(len(table.action))
    taken: Floats = np.einsum("na,na->n", np.maximum(table.target - most * table.logger, 0.0), q)
    return taken


def rest(terms: Terms, share: float) -> Floats:
    """What a static blend leaves to the reward model: (1 - share) * q_target, (N,)."""
    return (1.0 - share) * terms.expected()


def embedded(evidence: Evidence) -> Terms:
    """Weights of the logged action's embedding in place of those of the action."""
    return _given(evidence, "embedding", evidence.embedding)


def within(evidence: Evidence) -> Terms:
    """Weights of the logged action's kind, with a reward model of differences between actions of one kind."""
    made = embedded(evidence)
    if evidence.q_within is None or evidence.q_within_target is None:
        raise UserError("q_within and q_within_target are absent; fit them with offpolicy.single.kinds.with_kinds.")
    return replace(made, q_logged=total_of(evidence.q_within), q_target=evidence.q_within_target)


def robust(evidence: Evidence) -> Terms:
    """Joint weights with a reward model that was fitted for them."""
    if evidence.q_robust is None or evidence.q_robust_target is None:
        raise UserError("q_robust and q_robust_target are absent; fit them with offpolicy.single.robust.")
    return replace(joint(evidence), q_logged=total_of(evidence.q_robust), q_target=evidence.q_robust_target)


def balanced(evidence: Evidence) -> Terms:
    """A classifier's ratio of the two policies' pairs of context and action, in place of the ratio of propensities."""
    return _given(evidence, "balanced", evidence.balanced)


def _table(terms: Terms) -> tuple[ActionTable, Floats]:
    """The table of all actions and its q, (N, A)."""
    if terms.actions is None or terms.actions.q is None:
        raise UserError("the table of actions is absent or has no q; cut the evidence with `tabled`.")
    return terms.actions, terms.actions.q


def _given(evidence: Evidence, name: str, weight: Floats | None) -> Terms:
    if weight is None:
        raise UserError(f"{name} is absent; fill it from arrays with offpolicy.single.")
    if weight.min() < 0.0:
        row = int(weight.argmin())
        raise UserError(f"log row {row}: {name} is {weight[row]:g}; expected a ratio of probabilities, at least 0.")
    return Terms(weight[:, None], evidence.reward.sum(axis=1, keepdims=True))

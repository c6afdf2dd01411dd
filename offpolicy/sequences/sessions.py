"""Searches laid side by side: a session (or a shopper's whole stay) becomes one row, its searches the steps of it.

A slate is chosen slot after slot, a session slate after slate; the probability of both is a running product. So a
session is evidence of the same shape as a slate: steps stand where slots stood, and the estimators of slates whose
weights are running products are the estimators of sessions. What is new is the estimand. Weights over searches ask what
the target policy would have earned on the searches that the logger met; weights over sessions ask what it would earn
where its own slates decide whether there is a next search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.audit.checks import of_the_log
from offpolicy.evidence import Evidence
from offpolicy.inference import clusters
from offpolicy.terms import joint
from simenv.errors import UserError
from simenv.propensity import Conditional

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LONGEST = 10_000  # steps of one sequence; more is a sign that ids are not what they seem


@dataclass(frozen=True)
class Layout:
    """Where each step of each sequence stands among the rows it came from.

    Attributes:
        row: (T, H) row numbers; -1 behind the last step of a sequence.
    """

    row: Ints  # (T, H)

    @property
    def length(self) -> Ints:
        """Steps of each sequence, (T,), at least 1."""
        return np.asarray((self.row >= 0).sum(axis=1), dtype=np.int64)

    def lay(self, column: Floats) -> Floats:
        """A column (N, ...) side by side, (T, H, ...); 0 behind the last step."""
        made = column[np.maximum(self.row, 0)]
        made[self.row < 0] = 0.0
        return np.asarray(made, dtype=np.float64)


def lay_out(sequence: Ints, step: Ints) -> Layout:
    """Find the steps of each sequence.

    Args:
        sequence: Which sequence each row belongs to, (N,); any integers.
        step: Its place in the sequence, (N,); any integers that grow. Rows may stand in any order.

    Returns:
        Sequences in the order of their ids, their rows in the order of `step`.

    Raises:
        UserError: If shapes disagree, there is no row, a step occurs twice, or a sequence is longer than LONGEST.
    """
    if sequence.ndim != 1 or sequence.shape != step.shape or not len(sequence):
        raise UserError(f"sequence {sequence.shape} and step {step.shape} must be two columns of the same rows.")
    order = np.lexsort((step, sequence))
    ids, place = sequence[order], step[order]
    twice = (np.diff(ids) == 0) & (np.diff(place) == 0)
    if twice.any():
        first, second = order[int(twice.argmax())], order[int(twice.argmax()) + 1]
        raise UserError(
            f"log rows {min(first, second)} and {max(first, second)} are both step {step[first]} of sequence "
            f"{sequence[first]}; expected each step once. Remove duplicate rows."
        )
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ids) != 0]))
    length = np.diff(np.concatenate([starts, [len(ids)]]))
    if length.max() > LONGEST:
        longest = ids[starts[int(length.argmax())]]
        raise UserError(
            f"sequence {longest} has {length.max():,} steps; at most {LONGEST:,} are read. Is it one shopper's, or is "
            "it an id that stands for everybody without one?"
        )
    row = np.full((len(starts), int(length.max())), -1, dtype=np.int64)
    within = np.arange(len(ids)) - np.repeat(starts, length)
    row[np.repeat(np.arange(len(starts)), length), within] = order
    return Layout(row)


def side_by_side(evidence: Evidence, layout: Layout, unit: str) -> Evidence:
    """Evidence on searches as evidence on sequences of them.

    Args:
        evidence: One row a search.
        layout: Of the same rows.
        unit: What a sequence is, in the singular: "session" or "shopper".

    Returns:
        One row a sequence, one column a step: total reward of a step, probability of its whole slate given what went
        before. Columns of reward models are left out: what is needed here are models of what comes later. What stands
        around a sequence is what stood around its first search, which nothing in the sequence has moved yet.

    Raises:
        UserError: If the rows of one sequence belong to several clusters.
    """
    first = layout.row[:, 0]
    cluster = evidence.cluster[first]
    apart = (evidence.cluster[np.maximum(layout.row, 0)] != cluster[:, None]) & (layout.row >= 0)
    if apart.any():
        row = int(layout.row[apart][0])
        raise UserError(
            f"log row {row} belongs to {evidence.cluster_name} {evidence.cluster[row]}, other rows of its {unit} to "
            "another; expected each sequence within one cluster."
        )
    return Evidence(
        reward=layout.lay(evidence.reward.sum(axis=1)),
        logger=Conditional(layout.lay(evidence.logger.logp.sum(axis=1))),
        target=Conditional(layout.lay(evidence.target.logp.sum(axis=1))),
        cluster=cluster,
        cluster_name="session" if evidence.cluster_name == "row" else evidence.cluster_name,
        propensity_kind=evidence.propensity_kind,
        unit=unit,
        length=layout.length,
        features=None if evidence.features is None else evidence.features[first],
        feature_names=evidence.feature_names,
        segments={name: column[first] for name, column in evidence.segments.items()},
        time=None if evidence.time is None else evidence.time[first],
        log_findings=of_the_log(evidence, joint(evidence), clusters(evidence)),
    )

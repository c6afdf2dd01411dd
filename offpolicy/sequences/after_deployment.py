"""Value per search after deployment: the target policy's sessions divided by their own number of searches.

Where what is shown moves who searches on, a policy that sends shoppers away early is judged on few, early searches, and
the value per search over the logger's contexts is not what its owner would see. This one is: expected reward of a
session over expected searches of a session, both under the target policy, both by per-decision weights.
"""

from __future__ import annotations

import numpy as np

from offpolicy.evidence import Evidence
from offpolicy.sequences.terms import per_step
from offpolicy.statistics import Statistics, ratios_of
from simenv.errors import UserError

ESTIMAND = "value per search after deployment (over the target's own searches)"


def per_search(evidence: Evidence) -> Statistics:
    """Statistics of E[reward of a session] / E[searches of a session] under the target policy.

    Args:
        evidence: Of sequences, from `side_by_side`.

    Raises:
        UserError: If the evidence is not of sequences.
    """
    if evidence.length is None:
        raise UserError("length is absent; lay searches side by side with offpolicy.sequences.sessions first.")
    terms = per_step(evidence)
    there = np.arange(evidence.n_slots) < evidence.length[:, None]  # (T, H)
    earned = (terms.weight * terms.reward).sum(axis=1, keepdims=True)
    return ratios_of(earned, (terms.weight * there).sum(axis=1, keepdims=True))

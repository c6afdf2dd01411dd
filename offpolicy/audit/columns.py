"""What an audit needs beside weights, made from what a single-action log has; slates get it where their scores are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable

Floats = npt.NDArray[np.float64]


def score_residual(table: ActionTable) -> Floats:
    """Log p(logged action) minus its expectation under the logger, (N,).

    It is the slope of the log-likelihood in the logger's inverse temperature: its mean is 0 where actions were drawn
    with the logged propensities, above where the logger was sharper than it says, below where it was flatter.
    """
    logp = np.log(np.where(table.logger > 0.0, table.logger, 1.0))  # what is never played adds nothing
    entropy = -(table.logger * logp).sum(axis=1)
    return np.asarray(logp[np.arange(len(logp)), table.action] + entropy, dtype=np.float64)

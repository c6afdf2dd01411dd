"""What the weights of the target's own slates would be, whether the log holds such slates or not.

Weights in a log are those of slates that the logger showed. Slates that the target loves and the logger hardly ever
shows are missing there, and nothing that was seen says so. Slates drawn from the target are weighed here instead:
E_logger[w^2] = E_target[w], so their mean weight foretells how many effective rows such a log has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policies.exploration.slotwise import AnyPolicy
from policies.ranking import Answered, slate_propensities
from simenv.log import LogBatch

F64 = npt.NDArray[np.float64]


def foreseen_weights(batch: LogBatch, target: AnyPolicy, said: Answered) -> tuple[F64, F64]:
    """Mean over the slates that the target drew of whole-slate weights, and of prefix weights by slot; (N,) both.

    NaN where the target does not rank by scores; infinite where the logger never shows what the target does.
    """
    joint, prefix = np.full(len(batch), np.nan), np.full(len(batch), np.nan)
    if said.scores is None:
        return joint, prefix
    kinds = sorted(set(zip(batch.temperature.tolist(), batch.floor.tolist(), strict=True)))
    for temperature, floor in kinds:
        rows = np.flatnonzero((batch.temperature == temperature) & (batch.floor == floor))
        each = []
        for slates in said.slates:
            theirs, _ = slate_propensities(said.scores[rows], target.temperature, target.floor, slates[rows], False)
            logged, _ = slate_propensities(batch.scores[rows], temperature, floor, slates[rows], False)
            with np.errstate(over="ignore"):
                each.append(np.exp(np.cumsum(theirs.logp - logged.logp, axis=1)))
        weight = np.mean(each, axis=0)  # (n, K)
        joint[rows], prefix[rows] = weight[:, -1], weight.mean(axis=1)
    return joint, prefix

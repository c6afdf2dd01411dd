"""Abstraction weights of a batch of a log: pages by how many items of each category they show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.slates.abstraction import plackett_luce_abstractions
from policies.exploration.slotwise import AnyPolicy
from policies.features import FeatureMap
from policies.ranking import Answered
from scenarios.pseudoinverse import logger_weights, target_weights
from simenv.errors import UserError
from simenv.log import LogBatch

F64 = npt.NDArray[np.float64]


def category_weights(batch: LogBatch, target: AnyPolicy, said: Answered, feature_map: FeatureMap) -> F64:
    """P_target / P_logger of how many items of each category the logged page shows, (N,).

    Args:
        batch: Logged searches.
        target: The policy to judge.
        said: What it says of them.
        feature_map: Of the log's catalogue.

    Raises:
        UserError: where the logger was greedy, a page has too many slates, or the policy has no scores.
    """
    if said.scores is None:
        raise UserError(
            f"policy '{target.name}' chooses slot by slot, without one score a candidate; what its pages are about "
            "needs scores. Leave out 'lips' and 'snlips'."
        )
    if (batch.temperature == 0.0).any():
        row = int((batch.temperature == 0.0).argmax())
        raise UserError(
            f"log row {batch.row[row]}: the logger was greedy, so its pages say nothing of others; 'lips' needs a "
            "logger that explored."
        )
    label = np.asarray(feature_map.category)[np.maximum(batch.page.candidates, 0)]
    logger, own = np.exp(logger_weights(batch)), np.exp(target_weights(target, said.scores))
    return plackett_luce_abstractions(logger, own, batch.slate, label.astype(np.int64))

"""What a logged search can be judged by: its world's own reward, or what else the log recorded of the same slots.

Propensities do not know what a search earned. So one pass over a log serves every reward; only the reward models are
fitted anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError, unknown_name
from simenv.log import LogBatch

F64 = npt.NDArray[np.float64]

OWN = "reward"  # the world's own


@dataclass(frozen=True)
class Recorded:
    """Something that a log records of each slot: its column, (N, K), and the least and largest it can be."""

    column: Callable[[LogBatch], npt.NDArray[np.bool_] | F64]
    slot_range: tuple[float, float]


REWARDS = {
    "clicks": Recorded(lambda batch: batch.clicked, (0.0, 1.0)),
    "carts": Recorded(lambda batch: batch.carted, (0.0, 1.0)),
    "purchases": Recorded(lambda batch: batch.purchased, (0.0, 1.0)),
    "returns": Recorded(lambda batch: batch.returned, (0.0, 1.0)),
    "revenue": Recorded(lambda batch: batch.revenue, (0.0, np.inf)),
}


def rewarded(batch: LogBatch, reward: str) -> LogBatch:
    """The rows with another reward in the place of the world's own."""
    if reward == OWN:
        return batch
    return replace(batch, reward=REWARDS[reward].column(batch).astype(np.float64))


def slot_range(reward: str, counts: str) -> tuple[float, float] | None:
    """What one slot can earn, of a log whose own reward counts that; None where no bound is known.

    Net revenue can be below 0 by any amount.
    """
    known = REWARDS.get(counts if reward == OWN else reward)
    return None if known is None else known.slot_range


def check_rewards(rewards: Sequence[str]) -> None:
    """Raise a `UserError` where a name is none of REWARDS or stands there twice."""
    for reward in rewards:
        if reward not in REWARDS:
            raise unknown_name("reward", reward, REWARDS)
    if len(set(rewards)) < len(rewards):
        raise UserError(f"--rewards names a reward twice: {', '.join(rewards)}. Name each once.")

"""What a batched env runner writes down: vector steps in their order, and the same as arrays to cut episodes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tree
from ray.rllib.core.columns import Columns

Outputs = dict[str, npt.NDArray[Any]]


@dataclass
class Recording:
    """Vector steps in their order: `observations` has one more than the others.

    `played` is False where a row only started its next episode. The first `past` steps belong to the last call; they
    are kept for looking back.
    """

    observations: list[Any]
    outputs: list[Outputs] = field(default_factory=list)
    rewards: list[npt.NDArray[Any]] = field(default_factory=list)
    terminated: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    truncated: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    played: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    past: int = 0

    def rest(self, horizon: int) -> Recording:
        """What the next call starts from: the last observation, and `horizon` steps before it."""
        past = min(horizon, len(self.rewards))
        first = len(self.rewards) - past
        return Recording(
            self.observations[first:],
            self.outputs[first:],
            self.rewards[first:],
            self.terminated[first:],
            self.truncated[first:],
            self.played[first:],
            past,
        )


@dataclass(frozen=True)
class Stacked:
    """A recording as arrays (N, T, ...), rows first, so that an episode is a contiguous slice."""

    observations: Any  # (N, T + 1, ...)
    actions: Any
    extra: Outputs
    rewards: npt.NDArray[Any]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    played: npt.NDArray[np.bool_]
    past: int

    @staticmethod
    def of(record: Recording) -> Stacked:
        """Stack what both this call and the last one have."""
        names = record.outputs[-1]
        return Stacked(
            _stacked(record.observations),
            _stacked([outputs[Columns.ACTIONS] for outputs in record.outputs]),
            {name: _stacked([outputs[name] for outputs in record.outputs])
             for name in names if name != Columns.ACTIONS},
            _stacked(record.rewards),
            _stacked(record.terminated),
            _stacked(record.truncated),
            _stacked(record.played),
            record.past,
        )  # fmt: skip

    def spans(self) -> tuple[list[int], list[int], list[int]]:
        """Row, first and last step of each chunk of this call: rows in order, and in a row the steps."""
        past = self.past
        starts, ends = self.played.copy(), self.terminated | self.truncated
        starts[:, past + 1 :] &= ~self.played[:, past:-1]
        starts[:, :past] = ends[:, :past] = False
        ends[:, -1] = self.played[:, -1]
        rows, firsts = np.nonzero(starts)
        lasts = np.nonzero(ends)[1]  # as many and in the same order: in a row, starts and ends alternate
        return rows.tolist(), firsts.tolist(), lasts.tolist()


def _stacked(steps: list[Any]) -> Any:
    return tree.map_structure(lambda *values: np.stack(values, axis=1), *steps)

"""The state of a recurrent RLlib module while it plays: what RLlib's connectors do row by row, for all rows at once.

RLlib's contract: observations come with a time axis, of one step here; STATE_IN is what the module gave out as
STATE_OUT at the row's step before, or its `get_initial_state()` where an episode starts. States are trees of arrays
(N, ...).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.utils.numpy import convert_to_numpy

from policies.rllib.recording import Outputs


def first_state(module: Any, n: int) -> Any:
    """What n rows start from; None of a module without a state, or of none."""
    if module is None or not module.is_stateful():
        return None
    start = convert_to_numpy(module.get_initial_state())
    return tree.map_structure(lambda value: np.repeat(value[np.newaxis], n, axis=0), start)


def next_state(given: Any, first: Any, went_on: npt.NDArray[np.bool_]) -> Any:
    """What rows are handed next.

    Args:
        given: STATE_OUT of the step; None where nobody asked the module, and then every row starts anew.
        first: As `first_state` gives it.
        went_on: (N,) rows that played; the others only started an episode.
    """
    if given is None:
        return first

    def chosen(mine: npt.NDArray[Any], start: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.where(went_on.reshape(-1, *[1] * (mine.ndim - 1)), mine, start)

    return tree.map_structure(chosen, given, first)


def with_state(batch: dict[str, Any], state: Any, device: Any) -> dict[str, Any]:
    """A batch of one step as a module with that state takes it."""
    seen = tree.map_structure(lambda value: value.unsqueeze(1), batch[Columns.OBS])
    held = tree.map_structure(lambda value: torch.from_numpy(value).to(device), state)
    return {**batch, Columns.OBS: seen, Columns.STATE_IN: held}


def without_time(outputs: Outputs) -> Outputs:
    """What such a module said of the step, without the time axis, which STATE_OUT does not have."""
    return {
        name: value if name == Columns.STATE_OUT else tree.map_structure(lambda each: each.squeeze(1), value)
        for name, value in outputs.items()
    }

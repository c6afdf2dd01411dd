"""A candidate policy for somebody's log: a function that is given the log's columns and says how likely they are.

A function returns a mapping with one or more of the keys below. The key says what the numbers are; nothing is guessed.

    p_conditional, p_prefix, p_marginal      one number a slot: (n, K) in layout "wide", (n,) otherwise
    logp_conditional, logp_prefix, logp_marginal     the same as natural logarithms
    p_whole, logp_whole                      of the whole page, (n,)
    action_probabilities                     (n, A), in the order of [actions] values
    ranking                                  what it would show, item names by slot, (n, K); for click models

Code is run only where the user names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError, unknown_name

Floats = npt.NDArray[np.float64]
Answer = Mapping[str, Any]
TargetFunction = Callable[[Mapping[str, npt.NDArray[Any]]], Answer]

KEYS = (
    *(f"{scale}_{kind}" for kind in ("conditional", "prefix", "marginal", "whole") for scale in ("p", "logp")),
    "action_probabilities",
    "ranking",
)


def ask(function: TargetFunction, name: str, columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Call the function and check that it answered what can be understood.

    Args:
        function: The policy.
        name: What the user calls it.
        columns: The log's columns, one entry a row.

    Raises:
        UserError: If it fails, or answers something else, or not for every row.
    """
    n_rows = len(next(iter(columns.values())))
    try:
        answer = function(columns)
    except UserError:  # of a saved model, which says what the mapping lacks
        raise
    except Exception as problem:  # whatever a user's code may raise
        failed = f"policy '{name}' failed with {type(problem).__name__}: {problem}"
        if isinstance(problem, KeyError):
            failed += f". It gets these columns: {', '.join(sorted(columns))}."
        raise UserError(failed) from problem
    if not isinstance(answer, Mapping) or not answer:
        raise UserError(
            f"policy '{name}' returned a {type(answer).__name__}; expected a dictionary whose keys say what the "
            f"numbers are: {', '.join(KEYS)}."
        )
    made = {}
    for key, value in answer.items():
        if key not in KEYS:
            raise unknown_name(f"answer of policy '{name}'", str(key), KEYS)
        try:
            array = np.asarray(value) if key == "ranking" else np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as problem:
            raise UserError(f"policy '{name}': {key} is not an array of numbers ({problem}).") from None
        if array.ndim not in (1, 2) or len(array) != n_rows:
            raise UserError(
                f"policy '{name}': {key} has shape {array.shape} for {n_rows} rows; expected ({n_rows},) or one row "
                "each."
            )
        made[key] = array
    return made

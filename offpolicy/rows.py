"""Some rows of the evidence, and rows of several: for segments, for splits, for logs that are judged together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.evidence import Evidence
from simenv.propensity import Conditional, Marginal

Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_]


def take(evidence: Evidence, rows: Rows) -> Evidence:
    """Some rows of the evidence, in the order asked; `rows` are row numbers or a mask."""
    columns = {field.name: getattr(evidence, field.name) for field in dataclasses.fields(evidence)}
    return replace(evidence, **{name: _taken(column, rows) for name, column in columns.items()})


def stack(parts: Sequence[Evidence]) -> Evidence:
    """The rows of several logs, one after another. What one of them lacks, the whole lacks.

    Args:
        parts: At least one, of equally many slots; clusters with one id are one.
    """
    names = [field.name for field in dataclasses.fields(parts[0])]
    return replace(parts[0], **{name: _stacked(name, [getattr(part, name) for part in parts]) for name in names})


def _stacked(name: str, columns: list[Any]) -> Any:
    """One column of several pieces of evidence; of numbers that hold for all rows, what holds for all of theirs."""
    if name == "propensity_kind":
        return "estimated" if "estimated" in columns else "exact"
    if name == "propensity_error":
        return max((error for error in columns if error is not None), default=None)
    if any(column is None for column in columns):
        return None
    match columns[0]:
        case np.ndarray():
            return np.concatenate(columns)
        case Conditional():
            return Conditional(np.concatenate([column.logp for column in columns]))
        case Marginal():
            return Marginal(np.concatenate([column.logp for column in columns]), max(one.error for one in columns))
        case dict():
            shared = [key for key in columns[0] if all(key in column for column in columns)]
            return {key: np.concatenate([column[key] for column in columns]) for key in shared}
    match name:
        case "reward_range" | "slot_range":
            return min(low for low, _ in columns), max(high for _, high in columns)
        case "max_weight":
            return max(columns)
        case "q_is_past_only":
            return all(columns)
        case "actions":
            return None  # tables of logs have actions of their own
    return columns[0]


def _taken(column: Any, rows: Rows) -> Any:
    """Rows of one column; what is not a column is left as it is."""
    match column:
        case np.ndarray():
            return column[rows]
        case Conditional():
            return Conditional(column.logp[rows])
        case Marginal():
            return Marginal(column.logp[rows], column.error)
        case ActionTable():
            q = None if column.q is None else column.q[rows]
            return ActionTable(column.action[rows], column.logger[rows], column.target[rows], q, column.kind)
        case dict():
            return {name: part[rows] for name, part in column.items()}
        case _:
            return column

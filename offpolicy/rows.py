"""Some rows of the evidence: for segments, for splits, for leaving rows out."""

from __future__ import annotations

import dataclasses
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

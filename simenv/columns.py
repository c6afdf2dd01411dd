"""Frozen dataclasses of arrays, handled by row.

Physics, pages, decisions and logs are all columns of equal length. These three functions are the only code that looks
at their fields generically.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Columns = TypeVar("Columns", bound="DataclassInstance")
Rows = npt.NDArray[np.bool_] | npt.NDArray[np.integer] | slice


def take(columns: Columns, rows: Rows) -> Columns:
    """The chosen rows of every array, nested dataclasses of arrays included. Other fields are kept as they are."""
    return _map(columns, lambda value: value[rows])


def join(parts: Sequence[Columns]) -> Columns:
    """The rows of several column sets of one type, one after another."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    values: dict[str, Any] = {}
    for field in dataclasses.fields(first):
        pieces = [getattr(part, field.name) for part in parts]
        if dataclasses.is_dataclass(pieces[0]):
            values[field.name] = join(pieces)
        else:
            values[field.name] = np.concatenate(pieces) if isinstance(pieces[0], np.ndarray) else pieces[0]
    return dataclasses.replace(first, **values)


def overwrite(columns: Columns, rows: Rows, source: Columns) -> Columns:
    """A copy of `columns` whose chosen rows are those of `source` (as many rows as are chosen)."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(columns):
        old, new = getattr(columns, field.name), getattr(source, field.name)
        if dataclasses.is_dataclass(old):
            values[field.name] = overwrite(old, rows, new)
        elif isinstance(old, np.ndarray):
            values[field.name] = old.copy()
            values[field.name][rows] = new
    return dataclasses.replace(columns, **values)


def _map(columns: Columns, change: Any) -> Columns:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(columns):
        value = getattr(columns, field.name)
        if dataclasses.is_dataclass(value):
            values[field.name] = _map(value, change)  # type: ignore[type-var]
        elif isinstance(value, np.ndarray):
            values[field.name] = change(value)
    return dataclasses.replace(columns, **values)

"""Frozen dataclasses of arrays, handled by row.

Physics, pages, decisions and logs are all columns of equal length. These three functions are the only code that looks
at their fields generically.
"""

from __future__ import annotations

import dataclasses
import functools
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
    for name in _names(type(columns)):
        old, new = getattr(columns, name), getattr(source, name)
        if isinstance(old, np.ndarray):
            values[name] = old.copy()
            values[name][rows] = new
        else:
            values[name] = overwrite(old, rows, new) if dataclasses.is_dataclass(old) else old
    return type(columns)(**values)


def settle(columns: Columns, rows: Rows, source: Columns, before: Columns | None) -> Columns:
    """As `overwrite`, of columns that nobody else holds but `before`: only what is also there is copied."""
    values: dict[str, Any] = {}
    for name in _names(type(columns)):
        old, new, past = getattr(columns, name), getattr(source, name), getattr(before, name, None)
        if isinstance(old, np.ndarray):
            values[name] = old.copy() if old is past or not (old.flags.owndata and old.flags.writeable) else old
            values[name][rows] = new
        else:
            values[name] = settle(old, rows, new, past) if dataclasses.is_dataclass(old) else old
    return type(columns)(**values)


def _map(columns: Columns, change: Any) -> Columns:
    values: dict[str, Any] = {}
    for name in _names(type(columns)):
        value = getattr(columns, name)
        if isinstance(value, np.ndarray):
            values[name] = change(value)
        else:
            values[name] = _map(value, change) if dataclasses.is_dataclass(value) else value  # type: ignore[type-var]
    return type(columns)(**values)


@functools.cache
def _names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))

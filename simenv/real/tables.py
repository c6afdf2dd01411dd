"""Tables of text: any data file as columns of strings, so that what is wrong in a cell can be said with its row.

Rows are counted from 1 below the heading.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from simenv.errors import UserError, unknown_name

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Columns of text by name; "" where a cell is empty."""

    path: Path
    columns: dict[str, list[str]]

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), []))

    def text(self, column: str, is_required: bool = False) -> list[str]:
        """A column's cells, without space around them.

        Raises:
            UserError: for a column that is not there, or an empty cell where none may be.
        """
        if column not in self.columns:
            raise UserError(f"{self.path}: {unknown_name('column', column, self.columns)}")
        cells = [cell.strip() for cell in self.columns[column]]
        if is_required:
            self.refuse([not cell for cell in cells], lambda _: f"{column} is empty; expected a text")
        return cells

    def numbers(self, column: str, low: float, high: float, may_be_empty: bool = False) -> F64:
        """A column's cells as numbers in [low, high]; NaN where empty and that is allowed.

        Raises:
            UserError: with the row of the first cell that is no such number.
        """
        cells = self.text(column)
        numbers = np.array([_number(cell) for cell in cells])
        empty = np.array([not cell for cell in cells], dtype=bool) & may_be_empty
        bad = ~empty & ~((numbers >= low) & (numbers <= high))
        span = f"a number from {low:g} to {high:g}" if high < 1e12 else f"a plain number of at least {low:g}"
        if 0 < low < 1e-6:
            span = "a plain number above 0"
        self.refuse(bad.tolist(), lambda row: f"{column} is '{cells[row]}'; expected {span}")
        return numbers

    def refuse(self, bad: Sequence[bool], what: Callable[[int], str]) -> None:
        """Raise for the first bad row, saying how many more there are.

        Raises:
            UserError: where a row is bad.
        """
        rows = [row for row, is_bad in enumerate(bad) if is_bad]
        if rows:
            more = f" ({len(rows) - 1:,} more rows like it)" if len(rows) > 1 else ""
            raise UserError(f"{self.path} row {rows[0] + 1}: {what(rows[0])}.{more}")


def read_table(path: Path) -> Table:
    """Read a csv, parquet or jsonl file.

    Raises:
        UserError: for another kind of file, or one that cannot be read; for jsonl with the row.
    """
    readers = {".csv": _csv, ".parquet": _parquet, ".jsonl": _jsonl}
    if path.suffix not in readers:
        raise UserError(f"'{path}' is no file that can be read; expected {', '.join(readers)}.")
    try:
        columns = readers[path.suffix](path)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' cannot be read: {' '.join(str(error).split())}") from error
    table = Table(path, columns)
    if not len(table):
        raise UserError(f"'{path}' has no rows.")
    return table


def _csv(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = next(csv.reader(file), [])
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"'{path}' has two columns '{twice[0]}'; expected each once.")
    table = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=False
        ),
    )
    return {name: table[name].to_pylist() for name in table.column_names}


def _parquet(path: Path) -> dict[str, list[str]]:
    table = pq.read_table(path)
    return {name: [_cell(value) for value in table[name].to_pylist()] for name in table.column_names}


def _jsonl(path: Path) -> dict[str, list[str]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path} line {number}: {error}; expected one JSON object a line.") from error
        if not isinstance(row, dict):
            raise UserError(f"{path} line {number}: a {type(row).__name__}; expected one JSON object a line.")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_cell(row.get(name)) for row in rows] for name in names}


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")

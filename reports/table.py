"""A table as it is shown: named columns of cells, at most as long as a page can bear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.numbers import decimals_for, fixed
from reports.verdicts import Verdict

MOST_ROWS = 120


@dataclass(frozen=True)
class Cell:
    """One cell: its text, and the verdict it shows, if it is one."""

    text: str
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Table:
    """A table as it is shown.

    Attributes:
        caption: What it holds.
        columns: Headings.
        is_number: Which columns stand to the right.
        rows: The cells.
        note: What was left out, or an empty string.
    """

    caption: str
    columns: tuple[str, ...]
    is_number: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def table_of(caption: str, columns: Sequence[tuple[str, Sequence[str | Cell], bool]], file: str) -> Table:
    """Columns as rows of cells, cut to what a page can bear; columns without any value are left out."""
    kept = [column for column in columns if any(_text(value) not in ("", "–") for value in column[1])]
    as_cell: Callable[[str | Cell], Cell] = lambda value: Cell(value) if isinstance(value, str) else value  # noqa: E731
    rows = tuple(tuple(as_cell(value) for value in row) for row in zip(*(values for _, values, _ in kept), strict=True))
    return Table(
        caption,
        tuple(name for name, _, _ in kept),
        tuple(is_number for _, _, is_number in kept),
        rows[:MOST_ROWS],
        cut_note(len(rows), file),
    )


def column_of(values: pd.Series[float], digits: int = 4) -> list[str]:
    """A column of numbers with the same number of decimals."""
    decimals = decimals_for(values, digits)
    return [fixed(value, decimals) for value in values]


def cut_note(n_rows: int, file: str) -> str:
    """What a reader must know when a table was cut."""
    return "" if n_rows <= MOST_ROWS else f"The first {MOST_ROWS} of {n_rows:,} rows; all are in tables/{file}.csv."


def _text(value: str | Cell) -> str:
    """What a cell shows."""
    return value if isinstance(value, str) else value.text

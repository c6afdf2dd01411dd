"""What the verbs print: results on stdout as a table for people or JSON for machines, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer

VERDICT_STYLES = {"trust": "green", "caution": "yellow", "do not use": "red"}
PIPED_WIDTH = 160  # columns of a table that goes to a file or another program


def print_error(message: str) -> None:
    """Print one red line on stderr, whatever line breaks the message has."""
    _one_line("error: " + message, typer.colors.RED)


def print_interrupted(message: str) -> None:
    """Print one yellow line on stderr."""
    _one_line("interrupted: " + message, typer.colors.YELLOW)


def print_note(message: str) -> None:
    """Print one line on stderr that is no result: where something was written, what to do next."""
    _one_line(message, None)


def print_result(line: str) -> None:
    """Print one line of the result on stdout."""
    typer.echo(line)


@contextlib.contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Send what libraries print while they work to stderr, so that stdout holds one JSON object and nothing else."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def print_json(result: Mapping[str, object]) -> None:
    """Print one JSON object on stdout; numbers that JSON does not know (NaN, infinities) become null."""
    typer.echo(json.dumps(_jsonable(result), indent=2, allow_nan=False, ensure_ascii=False))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = (), wrap: Sequence[str] = ()
) -> None:
    """Print a table on stdout.

    Args:
        columns: The headings.
        rows: The cells, already text.
        right: The columns to align on the right: numbers.
        wrap: The columns that a narrow terminal may break into several lines; all others stay whole.
    """
    import rich.console
    import rich.table
    import rich.text

    table = rich.table.Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column not in wrap)
    for row in rows:
        table.add_row(*(rich.text.Text(cell, style=VERDICT_STYLES.get(cell, "")) for cell in row))
    console = rich.console.Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    console.print(table)


def number(value: float | None, digits: int = 4) -> str:
    """Return a number as people read it: `digits` significant ones, thousands separated, a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:,.{digits}g}"


def interval(low: float | None, high: float | None) -> str:
    """Return both ends of an interval as text; one that has a single end says so."""
    has_low, has_high = (end is not None and math.isfinite(end) for end in (low, high))
    if has_low and not has_high:
        return f"{number(low)} or more"
    if has_high and not has_low:
        return f"{number(high)} or less"
    return f"{number(low)} to {number(high)}" if has_low else "-"


def _one_line(message: str, colour: str | None) -> None:
    """Print the message on stderr as one line."""
    typer.secho(" ".join(message.split()), fg=colour, err=True)


def _jsonable(value: Any) -> Any:
    """Return the value with plain numbers in place of numpy's, and None in place of those that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(inner) for inner in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return _jsonable(value.item())

"""Files of a log as columns: CSV, Parquet and JSON lines, one file or a folder of them, with the way back to each row.

Whatever can be wrong with a file is said here, by its name and row: that it is cut off, that it is no Parquet, that two
files of a folder disagree about their columns, that a cell is no number. What leaves this module is clean columns.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError, unknown_name

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".ndjson": "json", ".jsonl": "json"}


@dataclass(frozen=True)
class Columns:
    """The columns of a log, all of one length.

    Attributes:
        data: The whole as a `pyarrow.Table`.
        parts: Each file with the number of its rows, in order.
        source: What the user named.
        first: Row of the first file at which they start, where they are a part of it.
    """

    data: Any
    parts: tuple[tuple[Path, int], ...]
    source: Path
    first: int = 0

    @property
    def n_rows(self) -> int:
        """N."""
        return int(self.data.num_rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.data.column_names)

    def place(self, row: int) -> str:
        """A row in words: its file, its number there (from 0) and, for text files, its line."""
        row += self.first
        for path, n_rows in self.parts:
            if row < n_rows:
                line = {"csv": f" (line {row + 2})", "json": f" (line {row + 1})"}.get(
                    SUFFIXES[path.suffix.lower()], ""
                )
                return f"{path.name}, row {row}{line}"
            row -= n_rows
        raise AssertionError("a row outside the log")

    def require(self, name: str, role: str) -> Any:
        """The column of that name.

        Raises:
            UserError: Where there is none, with the nearest name.
        """
        if name not in self.names:
            raise UserError(f"role '{role}' asks for it: {unknown_name('column', name, _names_in(self.parts[0][0]))}")
        return self.data.column(name)

    def numbers(self, name: str, role: str) -> Floats:
        """A column of numbers, (N,); a missing cell is NaN.

        Raises:
            UserError: Naming the first row that holds something else.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.require(name, role)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            self._check_text(name, role, column.to_pylist())
        try:
            made = pc.cast(column, pa.float64(), safe=False).to_numpy()
        except (pa.ArrowException, ValueError) as problem:
            raise UserError(f"column '{name}' (role '{role}') is {column.type}; expected numbers.") from problem
        return np.array(made, dtype=np.float64)

    def codes(self, name: str, role: str) -> tuple[Ints, list[Any]]:
        """A column of names or ids as codes (N,) from 0, and what each code stands for; -1 where a cell is missing."""
        import pyarrow as pa

        column = self.require(name, role)
        if pa.types.is_nested(column.type):
            raise UserError(f"column '{name}' (role '{role}') is {column.type}; expected names or numbers.")
        encoded = column.combine_chunks()
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        encoded = encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        values = encoded.dictionary.to_pylist()
        if not (encoded.dictionary.null_count or pa.types.is_floating(encoded.dictionary.type)):
            return codes, values
        unknown = np.array([value is None or value != value for value in [*values, None]], dtype=np.bool_)
        return np.where(unknown[codes], -1, codes), values  # not-a-number is nobody's name

    def _check_text(self, name: str, role: str, cells: list[str | None]) -> None:
        for row, cell in enumerate(cells):
            try:
                float(cell if cell else "nan")
            except ValueError:
                raise UserError(f"{self.place(row)}: {name} (role '{role}') is {cell!r}; expected a number.") from None


def read_columns(path: Path, numeric: Collection[str] = (), wanted: Collection[str] | None = None) -> Columns:
    """Read a file, or all files of one kind in a folder.

    Args:
        path: A .csv, .parquet, .ndjson or .jsonl file, or a folder that holds files of one of these kinds.
        numeric: Columns of a CSV to read as numbers; all else that is `wanted` stays text, as written.
        wanted: Only these, where a file has them; all where None.

    Raises:
        UserError: Naming the file, and the row where there is one.
    """
    import pyarrow as pa

    files = files_of(path)
    tables = [_read(file, numeric, wanted) for file in files]
    first = tables[0]
    for file, table in zip(files[1:], tables[1:], strict=True):
        check_same(files[0], first.schema, file, table.schema)
    try:
        whole = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as problem:
        raise UserError(f"the files in {path} do not fit together: {brief(problem)}") from problem
    if whole.num_rows == 0:
        raise UserError(f"{path} has columns and no row; expected at least one row.")
    return Columns(whole, tuple((file, table.num_rows) for file, table in zip(files, tables, strict=True)), path)


def files_of(path: Path) -> list[Path]:
    """The files of a log: itself, or those of one kind in a folder, by name.

    Raises:
        UserError: If there is none, or if they are of several kinds.
    """
    kinds = ", ".join(SUFFIXES)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path} ends in '{path.suffix}'; expected one of {kinds}. Rename it to what it is.")
        return [path]
    if not path.is_dir():
        raise UserError(f"{path} does not exist; expected a log: a file ({kinds}) or a folder of such files.")
    found = sorted(
        file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and not file.name.startswith((".", "_"))
    )
    by_kind = {SUFFIXES[file.suffix.lower()] for file in found}
    if not found:
        raise UserError(f"{path} holds no file of a log; expected files that end in one of {kinds}.")
    if len(by_kind) > 1:
        raise UserError(
            f"{path} holds files of several kinds ({', '.join(sorted(by_kind))}); name one file, or sort them."
        )
    return found


def _read(file: Path, numeric: Collection[str], wanted: Collection[str] | None) -> Any:
    import pyarrow as pa

    reader = {"csv": _read_csv, "parquet": _read_parquet, "json": _read_json}[SUFFIXES[file.suffix.lower()]]
    try:
        return reader(file, numeric, wanted)
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError) as problem:
        if not_a_number := re.search(
            r"column #(\d+): (?:Row #(\d+): )?CSV conversion error to double: (.*)", str(problem)
        ):
            column, line, found = not_a_number.groups()
            name = _names_in(file)[int(column)]
            raise UserError(
                f"{file.name}, {f'line {line}, ' if line else ''}column {name}: {found}; expected a number, or an "
                "empty field where there is none."
            ) from problem
        raise UserError(
            f"{file} cannot be read ({brief(problem)}). Is it whole, and what its name says? Write it again, or leave "
            "it out."
        ) from problem


def _read_csv(file: Path, numeric: Collection[str], wanted: Collection[str] | None) -> Any:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    with file.open(encoding="utf-8-sig", newline="") as text:
        header = next(_csv_lines(text), [])
    doubled = sorted({name for name in header if header.count(name) > 1})
    if not header or doubled:
        raise UserError(
            f"{file.name} has {f'two columns {doubled[0]!r}' if doubled else 'no header'}; expected each name once."
        )
    chosen = [name for name in header if wanted is None or name in wanted]
    if not chosen:
        return pa.table({header[0]: pa_csv.read_csv(file).column(0)})
    kinds = {
        name: pa.float64() if name in numeric else pa.string()
        for name in chosen
        if wanted is not None or name in numeric
    }
    convert = pa_csv.ConvertOptions(
        column_types=kinds, include_columns=chosen, null_values=[""], strings_can_be_null=True
    )
    return pa_csv.read_csv(file, pa_csv.ReadOptions(use_threads=False), convert_options=convert)


def _csv_lines(text: Any) -> Iterator[list[str]]:
    import csv

    return csv.reader(text)


def _read_parquet(file: Path, numeric: Collection[str], wanted: Collection[str] | None) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file, page_checksum_verification=True) as opened:
        names = [name for name in opened.schema_arrow.names if wanted is None or name in wanted]
        return opened.read(columns=names)


def _names_in(file: Path) -> list[str]:
    """All columns of a file, also those that were not read."""
    import pyarrow.parquet as pq

    match SUFFIXES[file.suffix.lower()]:
        case "csv":
            with file.open(encoding="utf-8-sig", newline="") as text:
                return next(_csv_lines(text), [])
        case "parquet":
            names: list[str] = pq.read_schema(file).names
            return names
        case _:
            return list(dict.fromkeys(name for _, row in json_lines(file) for name in row))


def _read_json(file: Path, numeric: Collection[str], wanted: Collection[str] | None) -> Any:
    import pyarrow as pa

    rows = [row for _, row in json_lines(file)]
    names = list(dict.fromkeys(name for row in rows for name in row if wanted is None or name in wanted))
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def json_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number (from 1) and object; blank lines are passed over.

    Raises:
        UserError: Naming the line that is no JSON object, or that is no UTF-8.
    """
    import json

    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                made = json.loads(line)
            except (ValueError, RecursionError) as problem:
                raise UserError(
                    f"{file.name}, line {number}: {brief(problem)}; expected one whole JSON object a line. Was the "
                    "file cut off, or written over several lines?"
                ) from None
            if type(made) is not dict:
                raise UserError(f"{file.name}, line {number}: a {type(made).__name__}; expected a JSON object.")
            yield number, made


def check_same(first: Path, one: Any, file: Path, other: Any) -> None:
    """Two files of a folder must have the same columns, of types that can stand in one column."""
    import pyarrow as pa

    lacking, extra = sorted(set(one.names) - set(other.names)), sorted(set(other.names) - set(one.names))
    if lacking or extra:
        raise UserError(
            f"{file.name} and {first.name} have different columns (only in {first.name}: "
            f"{', '.join(lacking) or 'none'}; only in {file.name}: {', '.join(extra) or 'none'}); expected one schema "
            "in a folder."
        )
    for name in one.names:
        kinds = one.field(name).type, other.field(name).type
        known = any(all(map(alike, kinds)) for alike in (_is_number, _is_text, pa.types.is_timestamp))
        if kinds[0] != kinds[1] and not known and not any(map(pa.types.is_null, kinds)):
            raise UserError(
                f"column '{name}' is {kinds[0]} in {first.name} and {kinds[1]} in {file.name}; expected one type. "
                "Write the files again with one schema."
            )


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def brief(problem: BaseException) -> str:
    """The first line of somebody else's error."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0].rstrip(".")[:200]

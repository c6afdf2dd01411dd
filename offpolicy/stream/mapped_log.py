"""Parquet logs of any make, by their mapping, in chunks: the reader of `offpolicy.readers.mapped`, some rows at a time.

Only Parquet has parts that can be read alone. Rows are single actions or whole pages ("single", "wide"). Where shoppers
stand in ascending order, that is all that one pass takes; where they do not, the survey says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.readers.context import read_time, segment_counts
from offpolicy.readers.files import SUFFIXES, Columns, brief, check_same, files_of
from offpolicy.readers.mapped import reading_of
from offpolicy.readers.mapping import LogMapping
from offpolicy.readers.pages import Pages
from offpolicy.readers.reading import NO_WEIGHT, Caveat, Reading
from offpolicy.readers.target import TargetFunction
from offpolicy.stream.gather import Chunk
from offpolicy.stream.parts import Part
from offpolicy.stream.survey import Glance, Survey, survey
from simenv.errors import UserError

Ints = npt.NDArray[np.int64]

CHUNK = 1 << 16  # rows in memory at once
_LONGEST = 64  # bytes of an id that is text

NOT_SEEN = (
    "Read in one pass: a page or row that was delivered twice is not noticed unless its copies stand near each other."
)


@dataclass(frozen=True)
class MappedLog:
    """A Parquet log, its mapping, and the target policy. Make it with `open_mapped`.

    Attributes:
        path: File or folder.
        mapping: Roles, those left out that one pass does not use.
        reward: Which of the mapping's rewards.
        policy, policy_name: The target as a function of the columns; None where the mapping names its columns.
        parts: Row groups.
        digest: Of the files' footers, sizes and times, and of the mapping.
    """

    path: Path
    mapping: LogMapping
    reward: str
    policy: TargetFunction | None
    policy_name: str
    parts: tuple[Part, ...]
    digest: str

    def chunks(self, part: Part) -> Iterator[Chunk]:
        """The rows of a row group as evidence.

        Raises:
            UserError: Naming file and row of what is wrong.
        """
        done = 0
        for columns in _columns(self, part):
            yield _chunk(self, columns, part.first + done, is_first=part.first + done == 0)
            done += columns.n_rows

    def survey(self) -> Survey:
        """What is known of the whole log, from the columns of shoppers, times and segments alone.

        Raises:
            UserError: Naming file and row of what is wrong.
        """
        is_by_slot = bool(self.first().only)  # a row is a slot then, and what is counted here are pages
        asked = self if not is_by_slot else replace(self, mapping=replace(self.mapping, time=None, segments=()))
        made = survey(lambda: _glances(asked))
        return replace(made, is_made=not is_by_slot)

    def first(self) -> Reading:
        """The first rows, as a reader understands them.

        Raises:
            UserError: If there is none, or for what is wrong with it.
        """
        for part in self.parts:
            for columns in _columns(self, part):
                return _read(self, columns, is_part=False)
        raise UserError(f"{self.path} has columns and no row; expected at least one row.")


def open_mapped(
    path: Path, mapping: LogMapping, reward: str, policy: TargetFunction | None = None, policy_name: str = ""
) -> MappedLog:
    """Find the row groups of a log.

    Args:
        path: A .parquet file, or a folder of them.
        mapping: Columns to roles.
        reward: Which of the mapping's rewards.
        policy: The target policy as a function of the log's columns; None where the mapping names its columns.
        policy_name: What the user calls it.

    Raises:
        UserError: If it is no Parquet, cannot be read alone row by row, or files disagree about their columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if mapping.layout == "long":
        raise UserError(
            'layout "long" spreads a page over rows, which may be far apart; one pass needs whole pages. Write one row '
            'a page (layout "wide"), or evaluate without streaming.'
        )
    files = files_of(path)
    if SUFFIXES[files[0].suffix.lower()] != "parquet":
        raise UserError(f"{files[0].name} is no Parquet; only Parquet can be read in parts. Convert the log first.")
    parts, state = [], hashlib.sha256(repr((mapping, reward, policy_name)).encode())
    row, schema = 0, None
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                groups = [opened.metadata.row_group(at).num_rows for at in range(opened.num_row_groups)]
                kind = opened.schema_arrow
        except (pa.ArrowException, OSError) as problem:
            raise UserError(f"{file} cannot be read ({brief(problem)}). Is it whole? Write it again.") from problem
        schema = schema or kind
        check_same(files[0], schema, file, kind)
        first = 0
        for at, n_rows in enumerate(groups):
            parts.append(Part(file, at, n_rows, row, first))
            row, first = row + n_rows, first + n_rows
        state.update(_footer(file))
    used = replace(mapping, query=None, logger=None, loggers=None, rewards={reward: mapping.rewards[reward]})
    if mapping.time is None:
        used = replace(used, page=None)
    if mapping.layout == "single" and mapping.actions is None and (mapping.time is None or mapping.page):
        used = replace(used, action=())  # else they tell what was delivered twice
    return MappedLog(path, used, reward, policy, policy_name, tuple(parts), state.hexdigest())


def _footer(file: Path) -> bytes:
    """What changes where a file does: its length, its time, and its end, where Parquet keeps statistics."""
    about = file.stat()
    with file.open("rb") as opened:
        opened.seek(max(about.st_size - (1 << 16), 0))
        return f"{file.name} {about.st_size} {about.st_mtime_ns}".encode() + opened.read()


def _columns(log: MappedLog, part: Part, only: Collection[str] | None = None) -> Iterator[Columns]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(part.file, page_checksum_verification=True, buffer_size=1 << 20) as opened:
            names = opened.schema_arrow.names
            own = log.mapping.wanted if only is None else only
            wanted = names if log.policy and only is None else [name for name in names if name in own]
            row = part.first_in_file
            whole = opened.metadata.num_rows
            for batch in opened.iter_batches(CHUNK, [part.group], wanted, use_threads=False):
                if batch.num_rows:
                    yield Columns(_plain_ids(log, pa.Table.from_batches([batch])), ((part.file, whole),), log.path, row)
                row += batch.num_rows
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"{part.file} cannot be read ({brief(problem)}). Is it whole? Write it again.") from problem


def _plain_ids(log: MappedLog, table: Any) -> Any:
    """The table with ids as they are, not as places in a dictionary, whose order means nothing."""
    import pyarrow as pa

    name = log.mapping.shopper or log.mapping.session
    place = -1 if name is None else table.schema.get_field_index(name)
    if place < 0 or not pa.types.is_dictionary(table.schema.field(place).type):
        return table
    return table.set_column(place, name, table.column(place).cast(table.schema.field(place).type.value_type))


def _read(log: MappedLog, columns: Columns, *, is_part: bool) -> Reading:
    reading = reading_of(columns, log.mapping, log.policy, log.policy_name, is_part=is_part)
    if reading.no_weight:
        raise UserError(
            f"{NO_WEIGHT.format(why=reading.no_weight)}. A click model needs several passes over all rows: evaluate "
            "without streaming."
        )
    if reading.target_missing:
        raise UserError(
            "no target policy is given: name its columns as [target] in the mapping, or give --policy module:function."
        )
    return reading


def _chunk(log: MappedLog, columns: Columns, first: int, *, is_first: bool) -> Chunk:
    reading = _read(log, columns, is_part=not is_first)
    evidence = reading.evidence[log.reward]
    ids = _ids(log.mapping, columns, first)
    caveats = tuple(Caveat(one.text, one.rank) for one in reading.caveats if one.rank)
    return Chunk(evidence, ids.ends, ids.keys[evidence.cluster], caveats, ids.falls)


def _glances(log: MappedLog) -> Iterator[tuple[int, Glance]]:
    """What a survey sees of each chunk."""
    mapping = log.mapping
    named = (mapping.shopper or mapping.session, mapping.time, *mapping.segments)
    only = {name for name in named if name}
    for part in log.parts if only else ():
        first = part.first
        for columns in _columns(log, part, only):
            pages = Pages(columns, mapping, np.arange(columns.n_rows)[:, None])
            ids = _ids(mapping, columns, first, want_keys=False)
            yield columns.n_rows, Glance(not ids.falls, ids.ends, read_time(pages), segment_counts(pages))
            first += columns.n_rows


@dataclass(frozen=True)
class _Ids:
    """Who the rows of a chunk belong to.

    Attributes:
        ends: Ids of the first and the last cluster, as integers in the order of the ids.
        keys: What each cluster is known by, in the order in which the evidence counts them.
        falls: Where ids fall, in words.
    """

    ends: tuple[int, int]
    keys: Ints
    falls: str = ""


def _ids(mapping: LogMapping, columns: Columns, first: int, *, want_keys: bool = True) -> _Ids:
    """Who the rows belong to; the evidence counts clusters in the order in which they come up."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = mapping.shopper or mapping.session
    if name is None:
        return _Ids((first, first + columns.n_rows - 1), np.arange(first, first + columns.n_rows))
    column = columns.require(name, "shopper").combine_chunks()
    is_number = pa.types.is_integer(column.type)
    if not (is_number or pa.types.is_string(column.type)):
        raise UserError(f"column '{name}' is {column.type}; one pass needs ids that are whole numbers or text.")
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        raise UserError(
            f"{columns.place(row)}: {name} (role 'shopper') is missing; expected an id in every row. Leave out the "
            "rows without one, or give each its own."
        )
    ends = (_order(column[0].as_py(), name), _order(column[-1].as_py(), name))
    before, after = column[:-1], column[1:]
    below = pc.less(after, before)
    falls = _falls(name, columns, column, pc.index(below, True).as_py() + 1) if pc.any(below).as_py() else ""
    if not want_keys:
        return _Ids(ends, np.empty(0, dtype=np.int64), falls)
    own = column.unique() if falls else column.filter(
        pa.concat_arrays([pa.array([True]), pc.not_equal(after, before)])
    )  # fmt: skip
    if is_number:
        return _Ids(ends, own.to_numpy(zero_copy_only=False).astype(np.int64), falls)
    return _Ids(ends, np.array([_key(text) for text in own.to_pylist()], dtype=np.int64), falls)


def _falls(name: str, columns: Columns, column: Any, row: int) -> str:
    return (
        f"{columns.place(row)}: {name} is {column[row].as_py()!r} after {column[row - 1].as_py()!r}, and this pass was "
        "planned for shoppers in ascending order. Plan it with the log's own survey."
    )


def _order(one: int | str, name: str) -> int:
    """A number that ranks ids: numbers as they are, texts as their bytes do."""
    if type(one) is not str:
        return int(one)
    told = one.encode()
    if len(told) > _LONGEST:
        raise UserError(f"{name} holds an id of {len(told)} bytes; one pass takes ids of at most {_LONGEST}.")
    return int.from_bytes(told.ljust(_LONGEST, b"\0"), "big")


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def describe_parts(parts: tuple[Part, ...]) -> str:
    """How a log is cut, for people."""
    files = len({part.file for part in parts})
    return f"{sum(part.rows for part in parts):,} rows in {len(parts):,} row groups of {files:,} files"

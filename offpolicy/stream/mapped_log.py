"""Parquet logs of any make, by their mapping, in chunks: the reader of `offpolicy.readers.mapped`, some rows at a time.

Only Parquet has parts that can be read alone. Rows are single actions or whole pages ("single", "wide"), the rows of a
shopper stand together, and shoppers in ascending order: that is what one pass in constant memory takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offpolicy.readers.files import SUFFIXES, Columns, brief, check_same, files_of
from offpolicy.readers.mapped import reading_of
from offpolicy.readers.mapping import LogMapping
from offpolicy.readers.reading import NO_WEIGHT, Caveat, Reading
from offpolicy.readers.target import TargetFunction
from offpolicy.stream.gather import Chunk
from offpolicy.stream.parts import Part
from simenv.errors import UserError

Ints = npt.NDArray[np.int64]

CHUNK = 1 << 16  # rows in memory at once
_LONGEST = 64  # bytes of an id that is text

NOT_SEEN = (
    "Read in one pass: a page or row that was delivered twice is not noticed unless its copies stand near each other, "
    "and segments and the checks that cut a log at its quantiles (calibration, drift) are left out."
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
    used = replace(mapping, segments=(), time=None, query=None, logger=None, loggers=None, page=None)
    used = replace(used, rewards={reward: mapping.rewards[reward]})
    if mapping.layout == "single" and mapping.actions is None:
        used = replace(used, action=())
    return MappedLog(path, used, reward, policy, policy_name, tuple(parts), state.hexdigest())


def _footer(file: Path) -> bytes:
    """What changes where a file does: its length, its time, and its end, where Parquet keeps statistics."""
    about = file.stat()
    with file.open("rb") as opened:
        opened.seek(max(about.st_size - (1 << 16), 0))
        return f"{file.name} {about.st_size} {about.st_mtime_ns}".encode() + opened.read()


def _columns(log: MappedLog, part: Part) -> Iterator[Columns]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(part.file, page_checksum_verification=True, buffer_size=1 << 20) as opened:
            names = opened.schema_arrow.names
            wanted = names if log.policy else [name for name in names if name in log.mapping.wanted]
            row = part.first_in_file
            whole = opened.metadata.num_rows
            for batch in opened.iter_batches(CHUNK, [part.group], wanted, use_threads=False):
                if batch.num_rows:
                    yield Columns(pa.Table.from_batches([batch]), ((part.file, whole),), log.path, row)
                row += batch.num_rows
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"{part.file} cannot be read ({brief(problem)}). Is it whole? Write it again.") from problem


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
    ends, keys = _ids(log.mapping, columns, first)
    caveats = tuple(Caveat(one.text, one.rank) for one in reading.caveats if one.rank)
    return Chunk(evidence, ends, keys[evidence.cluster], caveats)


def _ids(mapping: LogMapping, columns: Columns, first: int) -> tuple[tuple[int, int], Ints]:
    """Ids of the first and the last cluster, and what the bootstrap knows each by, in their order.

    The evidence counts clusters in the order in which they come up, which is that of their ids where those ascend.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    name = mapping.shopper or mapping.session
    if name is None:
        return (first, first + columns.n_rows - 1), np.arange(first, first + columns.n_rows)
    column = columns.require(name, "shopper").combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
        raise UserError(f"column '{name}' is {column.type}; one pass needs ids that are whole numbers or text.")
    before, after = column[:-1], column[1:]
    falls = pc.less(after, before)
    if pc.any(falls).as_py():
        row = pc.index(falls, True).as_py() + 1
        raise UserError(
            f"{columns.place(row)}: {name} is {column[row].as_py()!r} after {column[row - 1].as_py()!r}; one pass in "
            "constant memory needs the rows of a shopper together and shoppers in ascending order. Sort the log by "
            f"{name}, evaluate without streaming, or declare independent_rows = true and leave {name} out (no verdict "
            "then trusts the interval)."
        )
    is_first = pa.concat_arrays([pa.array([True]), pc.not_equal(after, before)])
    own = column.filter(is_first)
    if pa.types.is_integer(column.type):
        keys = own.to_numpy(zero_copy_only=False).astype(np.int64)
        return (int(keys[0]), int(keys[-1])), keys
    texts = own.to_pylist()
    return (_order(texts[0], name), _order(texts[-1], name)), np.array([_key(text) for text in texts], dtype=np.int64)


def _order(text: str, name: str) -> int:
    """A number that ranks texts as their bytes do."""
    told = text.encode()
    if len(told) > _LONGEST:
        raise UserError(f"{name} holds an id of {len(told)} bytes; one pass takes ids of at most {_LONGEST}.")
    return int.from_bytes(told.ljust(_LONGEST, b"\0"), "big")


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def describe_parts(parts: tuple[Part, ...]) -> str:
    """How a log is cut, for people."""
    files = len({part.file for part in parts})
    return f"{sum(part.rows for part in parts):,} rows in {len(parts):,} row groups of {files:,} files"

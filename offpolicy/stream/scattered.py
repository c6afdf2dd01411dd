"""Shoppers whose rows stand anywhere in a log: their sums in each chunk go to disk, and meet once all parts are read.

A cluster's sums add up, whatever stands between its rows; only its square, for the standard error, must wait for the
last of them. So a chunk leaves one line of sums a cluster, in the order of a hash of the cluster. When all is read,
the lines are gone through hash by hash, as many at a time as memory should hold. Disk: 8 bytes a column, a chunk and a
cluster of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.stream.moments import End, Moments
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

AT_ONCE = 1 << 26  # bytes of sums in memory
_SHORT = 32  # rows of a cluster that are added one after another


@dataclass(frozen=True)
class Lines:
    """Sums of some clusters.

    Attributes:
        cluster: Hash of each, ascending, each once, (g,).
        sums: Of all columns and of rows, (g, P + 1).
        first: A row of each, (g,).
    """

    cluster: Hashes
    sums: Floats
    first: npt.NDArray[np.intp]


def lines_of(columns: Floats, keys: Ints) -> Lines:
    """Sums of the columns (P, n) within each cluster, whose rows may stand anywhere.

    Args:
        columns: (P, n).
        keys: What each row's cluster is known by over the whole log, (n,).
    """
    rows = np.ones((len(keys), len(columns) + 1))
    rows[:, :-1] = columns.T
    hashed = mixed(keys)
    order, starts = _runs(hashed)
    return Lines(hashed[order[starts]], _summed(rows, order, starts), order[starts])


def _runs(hashed: Hashes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The order that puts equal hashes together, as they stood, and where in it each begins."""
    order = np.argsort(hashed, kind="stable")
    ordered = hashed[order]
    return order, np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])


def _summed(rows: Floats, order: npt.NDArray[np.intp], starts: npt.NDArray[np.intp]) -> Floats:
    """Sums of rows (n, P + 1) by runs of their order, (g, P + 1): most runs are short, and are added side by side."""
    ends = np.append(starts[1:], len(order))
    made = rows[order[starts]]
    for k in range(1, min(int((ends - starts).max()), _SHORT)):
        longer = np.flatnonzero(ends - starts > k)
        made[longer] += rows[order[starts[longer] + k]]
    for run in np.flatnonzero(ends - starts > _SHORT).tolist():
        made[run] += rows[order[starts[run] + _SHORT : ends[run]]].sum(axis=0)
    return made


def mixed(keys: Ints) -> Hashes:
    """Each key as another of 64 bits, spread evenly; no two keys become one (the finaliser of SplitMix64)."""
    made = keys.astype(np.int64).view(np.uint64).copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        made ^= made >> np.uint64(shift)
        made *= np.uint64(factor)
    made ^= made >> np.uint64(31)
    return made


class Writer:
    """Writes the lines of one part of a log, under a temporary name until all are there."""

    def __init__(self, path: Path) -> None:
        """Begin the file that will have this path."""
        self._path, self._draft = path, path.with_suffix(f".{os.getpid()}.tmp")
        self._file: Any = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, lines: Lines) -> None:
        """Write a chunk's lines."""
        import pyarrow as pa

        sums = pa.FixedSizeListArray.from_arrays(pa.array(lines.sums.ravel()), lines.sums.shape[1])
        batch = pa.record_batch([pa.array(lines.cluster), sums], ["cluster", "sums"])
        if self._file is None:
            self._file = pa.ipc.new_file(str(self._draft), batch.schema)
        self._file.write_batch(batch)

    def __enter__(self) -> Writer:
        """The writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        """Close the file; it gets its name where nothing went wrong."""
        if self._file is not None:
            self._file.close()
            if kind is None:
                self._draft.replace(self._path)
            else:
                self._draft.unlink()


def is_whole(path: Path) -> bool:
    """Whether a file of lines is there to its end."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            pa.ipc.open_file(file)
    except (pa.ArrowException, OSError):
        return False
    return True


def gone_through(paths: list[Path], loose: Moments) -> Iterator[Floats]:
    """Sums of all columns and of rows of whole clusters, (g, P + 1), some clusters at a time.

    Args:
        paths: Files of lines.
        loose: Moments of the same rows, without clusters.

    Raises:
        UserError: If the files hold other rows than were summed.
    """
    width = len(loose.sums) + 1
    n_lines = sum(len(cluster) for path in paths for cluster, _ in _lines_in(path))
    n_buckets, rows = max(n_lines * width * 8 // AT_ONCE, 1), 0.0
    for bucket in range(n_buckets):
        sums = _whole(paths, *(_edge(at, n_buckets) for at in (bucket, bucket + 1)))
        if len(sums):
            rows += float(sums[:, -1].sum())
            yield sums
    if rows != loose.rows:
        raise UserError(
            f"the sums on disk are of {rows:,.0f} rows, and {loose.rows:,} were read; was the state folder changed? "
            "Remove it and read the log again."
        )


def moments_of_clusters(sums: Floats, first: int) -> Moments:
    """Moments of whole clusters by their sums (g, P + 1), to be merged as if their ids were `first`, `first` + 1..."""
    inner = sums[1:-1]
    last = End(first + len(sums) - 1, sums[-1].copy()) if len(sums) > 1 else None
    total = sums.sum(axis=0)
    return Moments(int(total[-1]), total[:-1], len(inner), inner.T @ inner, End(first, sums[0].copy()), last)


def _edge(bucket: int, n_buckets: int) -> int:
    return (bucket << 64) // n_buckets


def _whole(paths: list[Path], low: int, high: int) -> Floats:
    """Of the clusters with hashes from `low` to `high`, the sums of each, (g, P + 1)."""
    found, lines = [], []
    for path in paths:
        for cluster, sums in _lines_in(path):
            begin = np.searchsorted(cluster, np.uint64(low))
            end = len(cluster) if high > 2**64 - 1 else np.searchsorted(cluster, np.uint64(high))
            found.append(cluster[begin:end].copy())
            lines.append(sums[begin:end].copy())
    hashed, every = np.concatenate(found), np.concatenate(lines)
    if not len(hashed):
        return every
    order, starts = _runs(hashed)  # lines of one cluster in the log's order
    return _summed(every, order, starts)


def _lines_in(path: Path) -> Iterator[tuple[Hashes, Floats]]:
    """Hashes and sums of each chunk in a file, mapped to memory until the next file is asked for."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as mapped:
        file = pa.ipc.open_file(mapped)
        for at in range(file.num_record_batches):
            batch = file.get_batch(at)
            sums = batch.column(1)
            flat = sums.flatten().to_numpy()
            yield batch.column(0).to_numpy(), flat.reshape(len(sums), sums.type.list_size)

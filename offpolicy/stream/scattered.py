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


@dataclass(frozen=True)
class Lines:
    """Sums of some clusters.

    Attributes:
        cluster: Hash of each, ascending, each once, (g,).
        sums: Of all columns and of rows, (P + 1, g).
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
    hashed = mixed(keys)
    order = np.argsort(hashed, kind="stable")
    ordered = hashed[order]
    starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
    sums = np.empty((len(columns) + 1, len(starts)))
    sums[-1] = np.diff(np.concatenate([starts, [len(keys)]]))
    np.add.reduceat(columns[:, order], starts, axis=1, out=sums[:-1])
    return Lines(ordered[starts], sums, order[starts])


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

        flat = pa.array(np.ascontiguousarray(lines.sums.T).ravel())
        sums = pa.FixedSizeListArray.from_arrays(flat, len(lines.sums))
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
    import pyarrow as pa

    rows = 0.0
    maps = [pa.memory_map(str(path)) for path in paths]
    try:
        batches = [_batch(each) for one in maps for each in _batches(pa.ipc.open_file(one))]
        width = len(loose.sums) + 1
        n_buckets = max(sum(len(cluster) for cluster, _ in batches) * width * 8 // AT_ONCE, 1)
        for bucket in range(n_buckets):
            sums = _whole(batches, *(_edge(at, n_buckets) for at in (bucket, bucket + 1)))
            if len(sums):
                rows += float(sums[:, -1].sum())
                yield sums
    finally:
        for one in maps:
            one.close()
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


def _whole(batches: list[tuple[Hashes, Floats]], low: int, high: int) -> Floats:
    """Of the clusters with hashes from `low` to `high`, the sums of each, (g, P + 1)."""
    found, lines = [], []
    for cluster, sums in batches:
        begin = np.searchsorted(cluster, np.uint64(low))
        end = len(cluster) if high > 2**64 - 1 else np.searchsorted(cluster, np.uint64(high))
        found.append(cluster[begin:end])
        lines.append(sums[begin:end])
    hashed, every = np.concatenate(found), np.concatenate(lines)
    if not len(hashed):
        return every
    order = np.argsort(hashed, kind="stable")  # lines of one cluster in the log's order
    ordered = hashed[order]
    starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
    made: Floats = np.add.reduceat(every[order], starts, axis=0)
    return made


def _batches(file: Any) -> Iterator[Any]:
    return (file.get_batch(at) for at in range(file.num_record_batches))


def _batch(batch: Any) -> tuple[Hashes, Floats]:
    sums = batch.column(1)
    flat = sums.flatten().to_numpy()
    return batch.column(0).to_numpy(), flat.reshape(len(sums), sums.type.list_size)

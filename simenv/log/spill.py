"""Rows of a log that come day by day, kept on disk until each block of shoppers is whole.

Where shoppers share stock, everybody plays a day before anybody plays the next, but the rows of a log stand in the
order of shoppers. Memory holds one block of shoppers, whichever way the rows come.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Spill:
    """Record batches in one temporary file, each of one block of shoppers. Add them all, then read block by block."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Open the file for writing."""
        self._path = path
        self._writer = pa.ipc.new_file(path, schema)
        self._places: dict[int, list[int]] = defaultdict(list)  # of each block's batches in the file
        self._count = 0

    def add(self, batch: pa.RecordBatch, block: npt.NDArray[np.int64]) -> None:
        """Keep rows of which each belongs to a block; `block` (N,) ascends."""
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(block)], strict=True):
            self._writer.write_batch(batch.slice(start, end - start))
            self._places[int(block[start])].append(self._count)
            self._count += 1

    def rows(self, block: int, by: tuple[str, ...]) -> pa.RecordBatch:
        """The rows of a block, sorted by the given columns. The first call ends the writing."""
        self._writer.close()  # again and again does nothing
        with pa.memory_map(str(self._path)) as source:
            file = pa.ipc.open_file(source)
            table = pa.Table.from_batches([file.get_batch(place) for place in self._places[block]], file.schema)
            return table.sort_by([(name, "ascending") for name in by]).combine_chunks().to_batches()[0]

    def remove(self) -> None:
        """Close and delete the file."""
        self._writer.close()
        self._path.unlink(missing_ok=True)

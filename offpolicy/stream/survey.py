"""The survey: what must be known of a whole log before its one pass, from a few columns that are quickly read.

Whether shoppers stand in order; where an eighth of the rows lies in time, and the next; how many rows each segment has.
Only then do sums know what they are sums of. Memory stays bounded: where times are too many to be counted one by one,
they are counted by cells, and the cells that matter are read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from offpolicy.audit.checks import BLOCKS, large_segments

Ints = npt.NDArray[np.int64]

CELLS = 1 << 16  # of times that are counted at once


@dataclass(frozen=True)
class Glance:
    """A few columns of some rows.

    Attributes:
        rises: Whether clusters never fall.
        ends: The first and the last cluster.
        time: When, (n,); None where the log does not say.
        segments: Rows by value, by name of the segments' column.
    """

    rises: bool
    ends: tuple[int, int]
    time: Ints | None = None
    segments: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """What is known of a log before its pass.

    Attributes:
        is_made: Whether anybody looked.
        is_sorted: Whether clusters never fall over the whole log.
        has_time: Whether rows have a time.
        edges: The last time of each part of the log's time but the last.
        shares: Of the rows, that each part has; none where all rows have one time.
        segments: Name, value and rows of the segments to look at.
    """

    is_made: bool = False
    is_sorted: bool = True
    has_time: bool = False
    edges: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()
    segments: tuple[tuple[str, str, int], ...] = ()


NOTHING = Survey()


def glance_at(cluster: Ints, time: Ints | None, segments: Mapping[str, npt.NDArray[np.str_]]) -> Glance:
    """A glance at columns (n,), at least one row."""
    rises = bool((cluster[1:] >= cluster[:-1]).all())
    return Glance(
        rises, (int(cluster[0]), int(cluster[-1])), time, {name: counted(own) for name, own in segments.items()}
    )


def counted(column: npt.NDArray[np.str_]) -> dict[str, int]:
    """Rows by value."""
    values, counts = np.unique(column, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def survey(read: Callable[[], Iterator[tuple[int, Glance]]]) -> Survey:
    """What is known of a log from glances at its rows, all of them in their order.

    Args:
        read: Begins anew whenever it is called: the number of rows, and a glance at them.
    """
    is_sorted, last, n_rows = True, None, 0
    times: _Times | None = _Times()
    segments: dict[str, dict[str, int]] = {}
    for rows, glance in read():
        is_sorted = is_sorted and glance.rises and (last is None or last <= glance.ends[0])
        last, n_rows = glance.ends[1], n_rows + rows
        times = None if times is None or glance.time is None else times.with_rows(glance.time)
        for name, counts in glance.segments.items():
            own = segments.setdefault(name, {})
            for value, count in counts.items():
                own[value] = own.get(value, 0) + count
    looked = tuple(large_segments(segments, n_rows))
    if times is None or not n_rows:
        return Survey(True, is_sorted, segments=looked)
    ends = _ends(times, n_rows, lambda: (glance.time for _, glance in read() if glance.time is not None))
    return Survey(True, is_sorted, True, *_blocks(ends, n_rows), looked)


@dataclass(frozen=True)
class _Times:
    """Times seen so far: each with its rows, or, where they are too many, the first and the last."""

    values: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    counts: Ints | None = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def with_rows(self, time: Ints) -> _Times:
        if self.counts is None:
            return _Times(np.array([min(self.values[0], time.min()), max(self.values[1], time.max())]), None)
        own, count = np.unique(time, return_counts=True)
        values, places = np.unique(np.concatenate([self.values, own]), return_inverse=True)
        if len(values) > CELLS:
            return _Times(values[[0, -1]], None)
        counts = np.zeros(len(values), dtype=np.int64)
        np.add.at(counts, places, np.concatenate([self.counts, count]))
        return _Times(values, counts)


def _ends(times: _Times, n_rows: int, read: Callable[[], Iterator[Ints]]) -> dict[int, int]:
    """The times of rank (N - 1) j / BLOCKS, each with the number of rows up to it."""
    ranks = [(n_rows - 1) * j // BLOCKS for j in range(1, BLOCKS)]
    if times.counts is not None:
        upto = np.cumsum(times.counts)
        places = np.searchsorted(upto, ranks, side="right")
        return {int(times.values[place]): int(upto[place]) for place in places}
    low, high = (int(end) for end in times.values)
    open_, found = {(low, high, 0): ranks}, {}
    while open_:
        counts = {cell: np.zeros(CELLS, dtype=np.int64) for cell in open_}
        for time in read():
            for cell, count in counts.items():
                count += np.bincount(_cell_of(time, cell), minlength=CELLS)
        narrower: dict[tuple[int, int, int], list[int]] = {}
        for (low, high, below), wanted in open_.items():
            width, upto = (high - low) // CELLS + 1, below + np.cumsum(counts[low, high, below])
            for rank in wanted:
                place = int(np.searchsorted(upto, rank, side="right"))
                start = low + place * width
                if width == 1:
                    found[start] = int(upto[place])
                else:
                    before = int(upto[place - 1]) if place else below
                    narrower.setdefault((start, min(start + width - 1, high), before), []).append(rank)
        open_ = narrower
    return found


def _cell_of(time: Ints, cell: tuple[int, int, int]) -> Ints:
    """Of the times inside, which of the CELLS they are in."""
    low, high, _ = cell
    inside = time[(time >= low) & (time <= high)]
    from_low = (inside - np.int64(low)).view(np.uint64)  # exact also where the difference is beyond int64
    return (from_low // np.uint64((high - low) // CELLS + 1)).astype(np.int64)


def _blocks(ends: dict[int, int], n_rows: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The last time of each part but the last, and the parts' shares of rows."""
    edges = [time for time in sorted(ends) if ends[time] < n_rows]
    rows = np.diff([0, *(ends[time] for time in edges), n_rows])
    return (tuple(edges), tuple((rows / n_rows).tolist())) if edges else ((), ())

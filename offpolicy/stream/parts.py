"""Parts of a log that is too large for memory, read one after another: what a source of chunks is, and the pass.

A part is what one worker reads: a row group of a Parquet file. Parts are merged in the log's order, whoever read them,
so that a pass on many workers gives the very numbers of a pass on one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from offpolicy.stream import moments
from offpolicy.stream.gather import Chunk, Gathered, gather, merge
from offpolicy.stream.largest import largest
from offpolicy.stream.moments import Moments
from offpolicy.stream.plan import Plan
from offpolicy.stream.saved import lines_path, load_state, save_state
from offpolicy.stream.scattered import Lines, Writer, gone_through, is_whole, moments_of_clusters
from offpolicy.stream.survey import Survey
from simenv.errors import UserError


@dataclass(frozen=True)
class Part:
    """Some neighbouring rows of a log.

    Attributes:
        file: Where they are.
        group: Number of the row group.
        rows: How many.
        first: Row of the whole log at which they start.
        first_in_file: Row of the file at which they start.
    """

    file: Path
    group: int
    rows: int
    first: int
    first_in_file: int


class Source(Protocol):
    """A log in parts."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """In the order of the log."""
        ...

    @property
    def digest(self) -> str:
        """What the log holds and what is asked of it, as a hash: whatever else would give other chunks changes it."""
        ...

    def survey(self) -> Survey:
        """What is known of the whole log before it is read."""
        ...

    def chunks(self, part: Part) -> Iterator[Chunk]:
        """The rows of a part as evidence, some at a time."""
        ...


@dataclass(frozen=True)
class Read:
    """A part that was read, or found in a saved state.

    Attributes:
        gathered: What is kept of it; None where it has no row to evaluate on.
        was_saved: Whether it was found.
        note: What a reader should know.
        lines: File of the sums of clusters that may stand in other parts too; None where they are in order.
    """

    gathered: Gathered | None
    was_saved: bool = False
    note: str = ""
    lines: Path | None = None


@dataclass(frozen=True)
class Kept:
    """Where a pass keeps what it read.

    Attributes:
        state: Folder of states; None for none.
        lines: Folder of the sums of clusters; None where clusters are in order.
    """

    state: Path | None
    lines: Path | None


@contextmanager
def kept(plan: Plan, state: Path | None) -> Iterator[Kept]:
    """Where a pass may keep what it reads; a temporary folder is removed in the end.

    Args:
        plan: What to sum up.
        state: Folder that keeps what was read, so that a pass that was stopped can go on; None for none.
    """
    if plan.survey.is_sorted or state is not None:
        yield Kept(state, None if plan.survey.is_sorted else state)
        return
    with tempfile.TemporaryDirectory(prefix="slatelab-") as folder:
        yield Kept(None, Path(folder))


def read_part(source: Source, part: Part, plan: Plan, keep: Kept) -> Read:
    """Read one part, or find what an earlier pass kept of it.

    Args:
        source: The log.
        part: One of its parts.
        plan: What to sum up.
        keep: Where it is kept.
    """
    note = ""
    key = f"{source.digest} {part.file.name} {part.group} {part.first} {plan!r}"
    lines = None if keep.lines is None else lines_path(keep.lines, key)
    if keep.state is not None:
        found = load_state(keep.state, key)
        if found.gathered is not None and (lines is None or is_whole(lines)):
            return Read(found.gathered, was_saved=True, lines=lines)
        note = found.note
    if lines is None:
        made = _gathered(source, part, plan, None)
    else:
        with Writer(lines) as writer:
            made = _gathered(source, part, plan, writer.add)
    if keep.state is not None and made is not None:
        save_state(keep.state, key, made)
    return Read(made, note=note, lines=None if made is None else lines)


def _gathered(source: Source, part: Part, plan: Plan, write: Callable[[Lines], None] | None) -> Gathered | None:
    made: Gathered | None = None
    for chunk in source.chunks(part):
        made = gather(chunk, plan, made, write)
    return made


def read_all(
    source: Source, plan: Plan, state: Path | None = None, advance: Callable[[int], None] = lambda rows: None
) -> tuple[Gathered, tuple[str, ...]]:
    """One pass over a log in this process.

    Args:
        source: The log.
        plan: What to sum up.
        state: Folder that keeps what was read, so that a pass that was stopped can go on; None for none.
        advance: Told rows read.

    Returns:
        What was kept, and notes.

    Raises:
        UserError: If there is no row, or for what is wrong with one.
    """
    with kept(plan, state) as keep:
        return merged((read_part(source, part, plan, keep) for part in told(source.parts, advance)), plan)


def told(parts: tuple[Part, ...], advance: Callable[[int], None]) -> Iterator[Part]:
    """Each part; how many rows it has is told once it was worked on."""
    for part in parts:
        yield part
        advance(part.rows)


def merged(read: Iterable[Read], plan: Plan) -> tuple[Gathered, tuple[str, ...]]:
    """What was kept of all parts, in their order, and notes.

    Raises:
        UserError: If there is no row to evaluate on.
    """
    whole: Gathered | None = None
    notes, n_saved, n_parts = [], 0, 0
    lines: list[Path] = []
    for one in read:
        n_parts, n_saved = n_parts + 1, n_saved + one.was_saved
        notes += [one.note] if one.note else []
        lines += [] if one.lines is None else [one.lines]
        if one.gathered is not None:
            whole = one.gathered if whole is None else merge(whole, one.gathered, plan)
    if whole is None:
        raise UserError("no row is left to evaluate on; the log is empty, or all of it was learned from.")
    if not plan.survey.is_sorted:
        whole = closed(whole, lines, plan)
        size = sum(path.stat().st_size for path in lines)
        notes.append(f"Shoppers stand in no order in this log; their sums met on disk ({size / 1e6:,.1f} MB).")
    if n_saved:
        notes.append(f"{n_saved} of {n_parts} parts of the log were found in the state folder and not read again.")
    return whole, tuple(notes)


def closed(gathered: Gathered, paths: list[Path], plan: Plan) -> Gathered:
    """What was gathered of a log whose clusters stand anywhere, with its clusters put together.

    Args:
        gathered: Of all parts, its moments loose.
        paths: Files of the clusters' sums.
        plan: What was summed up.

    Raises:
        UserError: If the files hold other rows than were summed.
    """
    whole: Moments | None = None
    most = np.empty((0, len(gathered.moments.sums) + 1))
    for sums in gone_through(paths, gathered.moments):
        own = moments_of_clusters(sums, 0 if whole is None else whole.clusters)
        whole = own if whole is None else moments.merge(whole, own)
        most = largest(np.concatenate([most, sums]), gathered.layout, gathered.moments.means, plan)
    assert whole is not None
    return replace(gathered, moments=replace(whole, sums=gathered.moments.sums), largest=most)

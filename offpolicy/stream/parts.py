"""Parts of a log that is too large for memory, read one after another: what a source of chunks is, and the pass.

A part is what one worker reads: a row group of a Parquet file. Parts are merged in the log's order, whoever read them,
so that a pass on many workers gives the very numbers of a pass on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from offpolicy.stream.gather import Chunk, Gathered, gather, merge
from offpolicy.stream.plan import Plan
from offpolicy.stream.saved import load_state, save_state
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
    """

    gathered: Gathered | None
    was_saved: bool = False
    note: str = ""


def read_part(source: Source, part: Part, plan: Plan, state: Path | None) -> Read:
    """Read one part, or find what an earlier pass kept of it.

    Args:
        source: The log.
        part: One of its parts.
        plan: What to sum up.
        state: Folder of saved states; None for none.
    """
    note = ""
    key = f"{source.digest} {part.file.name} {part.group} {part.first} {plan!r}"
    if state is not None:
        found = load_state(state, key)
        if found.gathered is not None:
            return Read(found.gathered, was_saved=True)
        note = found.note
    made: Gathered | None = None
    for chunk in source.chunks(part):
        made = gather(chunk, plan, made)
    if state is not None and made is not None:
        save_state(state, key, made)
    return Read(made, note=note)


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
    return merged(((part, read_part(source, part, plan, state)) for part in told(source.parts, advance)), plan)


def told(parts: tuple[Part, ...], advance: Callable[[int], None]) -> Iterator[Part]:
    """Each part; how many rows it has is told once it was worked on."""
    for part in parts:
        yield part
        advance(part.rows)


def merged(read: Iterable[tuple[Part, Read]], plan: Plan) -> tuple[Gathered, tuple[str, ...]]:
    """What was kept of all parts, in their order, and notes.

    Raises:
        UserError: If there is no row to evaluate on.
    """
    whole: Gathered | None = None
    notes, n_saved, n_parts = [], 0, 0
    for _, one in read:
        n_parts, n_saved = n_parts + 1, n_saved + one.was_saved
        notes += [one.note] if one.note else []
        if one.gathered is not None:
            whole = one.gathered if whole is None else merge(whole, one.gathered, plan)
    if whole is None:
        raise UserError("no row is left to evaluate on; the log is empty, or all of it was learned from.")
    if n_saved:
        notes.append(f"{n_saved} of {n_parts} parts of the log were found in the state folder and not read again.")
    return whole, tuple(notes)

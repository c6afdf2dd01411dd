"""Progress: how long work tells a person how far it is.

Work that takes more than a second is handed a `Progress` and reports steps to it; whoever started the work decides what
that looks like. Three forms: bars for a person at a terminal, plain lines for a file or a CI log, and nothing at all.
All of it goes to stderr, so that stdout stays for results.

    with progress_on_stderr() as progress:
        advance = progress.task("log the market", total=n_days)
        for day in range(n_days):
            ...
            advance()
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    import rich.progress

SECONDS_BETWEEN_LINES = 10.0


class Advance(Protocol):
    """Tells a task that `n` more of its steps are done."""

    def __call__(self, n: int = 1) -> None:
        """Count `n` more steps as done."""


class Progress(Protocol):
    """What long work reports to; a context manager, open for as long as the work lasts."""

    def task(self, description: str, total: int | None = None) -> Advance:
        """Start a task of `total` steps (None: the number is not known) and return the function that advances it."""

    def note(self, message: str) -> None:
        """Tell one thing, on a line of its own."""

    def __enter__(self) -> Progress:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing, whether the work ended well or not."""


def progress_on_stderr(quiet: bool = False) -> Progress:
    """Return bars where stderr is a terminal, plain lines where it is not, and silence where `quiet` asks for it."""
    if quiet:
        return SilentProgress()
    if sys.stderr.isatty():
        return BarProgress()
    return LineProgress(sys.stderr)


class SilentProgress:
    """Shows nothing."""

    def task(self, description: str, total: int | None = None) -> Advance:
        """Return a function that does nothing."""
        return _ignore

    def note(self, message: str) -> None:
        """Say nothing."""

    def __enter__(self) -> SilentProgress:
        """Begin; there is nothing to open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; there is nothing to close."""


class LineProgress:
    """Writes a line when a task starts, at most one every ten seconds while it runs, and one when it is done.

    Args:
        stream: Where the lines go.
        seconds_between: The shortest time between two lines of one task, in seconds.
    """

    def __init__(self, stream: TextIO, seconds_between: float = SECONDS_BETWEEN_LINES) -> None:
        self._stream = stream
        self._seconds_between = seconds_between

    def task(self, description: str, total: int | None = None) -> Advance:
        """Write that the task starts, and return the function that counts its steps."""
        self.note(description)
        started = last = time.monotonic()
        done = 0

        def advance(n: int = 1) -> None:
            nonlocal done, last
            was_complete = total is not None and done >= total
            done += n
            is_complete = total is not None and done >= total
            now = time.monotonic()
            if is_complete and not was_complete:
                self.note(f"{description}: done in {now - started:.1f} s")
            elif not is_complete and now - last >= self._seconds_between:
                last = now
                self.note(f"{description}: {done:,}" + (f" of {total:,}" if total is not None else ""))

        return advance

    def note(self, message: str) -> None:
        """Write the message as one line."""
        print(message, file=self._stream, flush=True)

    def __enter__(self) -> LineProgress:
        """Begin; there is nothing to open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; there is nothing to close."""


class BarProgress:
    """Draws one bar a task on the terminal that stderr is."""

    def __init__(self) -> None:
        import rich.console
        import rich.progress as bars

        self._bars: rich.progress.Progress = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            console=rich.console.Console(stderr=True),
        )

    def task(self, description: str, total: int | None = None) -> Advance:
        """Add a bar (one that only moves to and fro if `total` is not known) and return the function that fills it."""
        handle = self._bars.add_task(description, total=total)

        def advance(n: int = 1) -> None:
            self._bars.advance(handle, n)

        return advance

    def note(self, message: str) -> None:
        """Print the message above the bars."""
        self._bars.console.print(message, markup=False, highlight=False)

    def __enter__(self) -> BarProgress:
        """Show the bars."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; the bars stay as they were last."""
        self._bars.stop()


def _ignore(n: int = 1) -> None:
    """Advance nothing."""

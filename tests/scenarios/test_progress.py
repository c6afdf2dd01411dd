"""Progress in its three forms, as the work and the person see them."""

from __future__ import annotations

import io

import pytest

from scenarios.progress import LineProgress, SilentProgress, progress_on_stderr


def test_lines_tell_the_start_and_the_end_of_a_task() -> None:
    """A CI log shows what is running and what is done, not every step of it."""
    stream = io.StringIO()
    with LineProgress(stream) as progress:
        advance = progress.task("log the market", total=3)
        for _ in range(3):
            advance()
        progress.note("written")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "log the market"
    assert lines[1].startswith("log the market: done in ")
    assert lines[2:] == ["written"]


def test_lines_between_come_at_most_once_in_a_while() -> None:
    """With no pause asked for, every step but the last has its line; with a long one, none has."""
    eager, patient = io.StringIO(), io.StringIO()
    for stream, pause in ((eager, 0.0), (patient, 3600.0)):
        advance = LineProgress(stream, seconds_between=pause).task("learn", total=2000)
        advance(1000)
        advance(1000)
    assert eager.getvalue().splitlines()[1] == "learn: 1,000 of 2,000"
    assert len(eager.getvalue().splitlines()) == 3
    assert len(patient.getvalue().splitlines()) == 2


def test_a_task_of_unknown_length_is_never_done() -> None:
    """It only counts."""
    stream = io.StringIO()
    advance = LineProgress(stream, seconds_between=0.0).task("read rows")
    advance(5)
    assert stream.getvalue().splitlines() == ["read rows", "read rows: 5"]


def test_silence_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Not on either stream."""
    with progress_on_stderr(quiet=True) as progress:
        progress.task("learn", total=1)(1)
        progress.note("done")
    assert capsys.readouterr() == ("", "")
    assert isinstance(progress, SilentProgress)


def test_what_is_no_terminal_gets_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout belongs to results."""
    with progress_on_stderr() as progress:
        progress.note("hello")
    assert capsys.readouterr() == ("", "hello\n")

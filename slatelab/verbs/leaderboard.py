"""`slatelab leaderboard [FILE.toml]`: estimators, intervals and verdicts, judged where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_note, print_result


def leaderboard(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The run's folder; one that is begun goes on where it stopped.")],
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE.toml]", help="Which beds, estimators and seeds; the default set without it."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=10, help="Logs of each bed.", show_default="50")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many at a time.", show_default="all cores")] = None,
) -> None:
    """Judge estimators over thousands of logs whose truth is known."""
    from scenarios.leaderboard import run_leaderboard
    from scenarios.progress import progress_on_stderr

    with progress_on_stderr(context.obj) as progress:
        run_dir = run_leaderboard(path, out, seeds=seeds, workers=workers, progress=progress)
    print_note(f"Draw it with: slatelab report {run_dir}")
    print_result(str(run_dir))

"""`slatelab contest CONTEST.toml`: learners trained over many seeds, against rivals and yardsticks, by world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_note, print_result


def contest(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="CONTEST.toml", help="Which worlds, learners, rivals and seeds.")],
    out: Annotated[Path, typer.Option(help="The contest's folder; one that is begun goes on where it stopped.")],
    workers: Annotated[int | None, typer.Option(min=1, help="How many at a time.", show_default="all cores")] = None,
) -> None:
    """Train learners on many logs, and tell who beats whom, in which worlds."""
    from scenarios.contest import run_contest
    from scenarios.progress import progress_on_stderr

    with progress_on_stderr(context.obj) as progress:
        run_dir = run_contest(path, out, workers=workers, progress=progress)
    print_note(f"Draw it with: slatelab report {run_dir}")
    print_result(str(run_dir))

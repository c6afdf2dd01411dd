"""`slatelab sweep SWEEP.toml`: the same experiment over scenarios, policies and seeds, on every core there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_note, print_result


def sweep(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="Which scenarios, policies and seeds.")],
    out: Annotated[Path, typer.Option(help="The sweep's folder; one that is begun goes on where it stopped.")],
    workers: Annotated[int | None, typer.Option(min=1, help="How many at a time.", show_default="all cores")] = None,
) -> None:
    """Run every combination of a sweep with Ray, and keep what is finished."""
    from scenarios.progress import progress_on_stderr
    from scenarios.sweep import run_sweep

    with progress_on_stderr(context.obj) as progress:
        run_dir = run_sweep(path, out, workers=workers, progress=progress)
    print_note(f"Draw it with: slatelab report {run_dir}")
    print_result(str(run_dir))

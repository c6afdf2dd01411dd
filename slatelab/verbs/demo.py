"""`slatelab demo`: the whole path once, from an empty market to a page that says what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_note, print_result


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/demo"),
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
) -> None:
    """Simulate a market, learn in it, evaluate offline, compare with the truth, and write a page about it."""
    from reports import report
    from scenarios.progress import progress_on_stderr
    from scenarios.run import run_scenario

    with progress_on_stderr(context.obj) as progress:
        run_dir = run_scenario("demo", out, seed=seed, overrides=[], progress=progress)
    page = report(run_dir)
    print_note("Open this page in a browser:")
    print_result(str(page))

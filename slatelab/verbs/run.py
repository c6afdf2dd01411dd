"""`slatelab run SCENARIO`: one experiment, from its name or its TOML file to a complete run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_note, print_result


def run(
    context: typer.Context,
    scenario: Annotated[str, typer.Argument(help="A name from `slatelab list scenarios`, or a TOML file.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="runs/SCENARIO")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated.")
    ] = None,
) -> None:
    """Run an experiment and leave a complete run folder."""
    from scenarios.progress import progress_on_stderr
    from scenarios.run import run_scenario

    folder = out or Path("runs") / Path(scenario).stem
    with progress_on_stderr(context.obj) as progress:
        run_dir = run_scenario(scenario, folder, seed=seed, overrides=overrides or [], progress=progress)
    print_note(f"Draw it with: slatelab report {run_dir}")
    print_result(str(run_dir))

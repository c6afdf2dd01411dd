"""`slatelab watch WORLD`: look at sessions: what is asked, what is shown, what is clicked and bought."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_result


def watch(
    context: typer.Context,
    world: Annotated[str, typer.Argument(help="A name from `slatelab list worlds`, or the TOML file of a world.")],
    policy: Annotated[
        str, typer.Option(help="Who ranks: a registry name, a saved model, or module:function.")
    ] = "production",
    sessions: Annotated[int, typer.Option(min=1, help="How many: the first of as many shoppers.")] = 3,
    seed: Annotated[int, typer.Option(help="The seed of market and policy.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="FILE.gif", help="Write a moving picture here.")] = None,
    ansi: Annotated[bool, typer.Option("--ansi", help="Print the pages; so it is without --out, too.")] = False,
    truth: Annotated[bool, typer.Option("--truth", help="Show how good each result truly was.")] = False,
) -> None:
    """Watch shoppers search under a policy, in the terminal or as a GIF."""
    from scenarios.progress import progress_on_stderr
    from scenarios.watch import watch as watch_sessions

    with progress_on_stderr(context.obj) as progress:
        watch_sessions(
            world,
            policy,
            sessions=sessions,
            seed=seed,
            out=out,
            tell=print_result if ansi or out is None else None,
            show_truth=truth,
            progress=progress,
        )
    if out is not None:
        print_result(str(out))

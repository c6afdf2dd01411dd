"""`slatelab simulate WORLD`: a log of a market under one policy, with exact propensities, as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_result


def simulate(
    context: typer.Context,
    world: Annotated[str, typer.Argument(help="A name from `slatelab list worlds`, or the TOML file of a world.")],
    out: Annotated[Path, typer.Option(help="The log's folder.")],
    policy: Annotated[str, typer.Option(help="Who ranks: a registry name, a saved model, or module:function.")],
    shoppers: Annotated[int, typer.Option(min=1, help="How many shoppers.")] = 1000,
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 7,
    seed: Annotated[int, typer.Option(help="The seed of market and policy.")] = 0,
) -> None:
    """Let shoppers search in a world under one policy and log every search."""
    from scenarios.progress import progress_on_stderr
    from scenarios.simulate import simulate_log

    with progress_on_stderr(context.obj) as progress:
        log = simulate_log(world, policy, shoppers, days, out, seed=seed, progress=progress)
    print_result(str(log))

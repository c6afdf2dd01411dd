"""`slatelab train SCENARIO`: one policy, learned online in the scenario's world or from a log, saved as a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slatelab.output import print_result


def train(
    context: typer.Context,
    scenario: Annotated[str, typer.Argument(help="A name from `slatelab list scenarios`, or a TOML file.")],
    policy: Annotated[str, typer.Option(help="What learns: a name from `slatelab list policies`.")],
    out: Annotated[Path, typer.Option(help="The model's folder.")],
    log: Annotated[Path | None, typer.Option(help="Learn from this log instead of online.")] = None,
    seed: Annotated[int, typer.Option(help="The seed of training.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where networks are trained.")] = "auto",
    checkpoint_every: Annotated[
        int,
        typer.Option(min=0, metavar="SEARCHES", help="How often to keep what was learned, to go on from; 0: never."),
    ] = 10_000,
    runners: Annotated[
        int,
        typer.Option(min=0, help="Processes that play, started through Ray, where RLlib trains; 0: play in this one."),
    ] = 0,
    tensorboard: Annotated[Path | None, typer.Option(help="Write scalars for TensorBoard into this folder.")] = None,
) -> None:
    """Train one policy and save it. Stopped half-way, the same command goes on from the last checkpoint."""
    from scenarios.progress import progress_on_stderr
    from scenarios.train import train_policy
    from scenarios.training_job import Keeping

    keeping = Keeping(checkpoint_every, tensorboard)
    with progress_on_stderr(context.obj) as progress:
        model = train_policy(
            scenario, policy, out, seed=seed, log=log, device=device, progress=progress, keeping=keeping,
            runners=runners,
        )  # fmt: skip
    print_result(str(model))

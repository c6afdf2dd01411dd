"""`slatelab export MODEL`: a saved model as one ONNX file, which shows what the model shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_note, print_result


def export(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="A folder by `slatelab train`.")],
    out: Annotated[Path, typer.Option(help="The file, for example model.onnx.")],
    world: Annotated[
        str | None, typer.Option(help="Whose catalogue it ranks; by default the named world it learned in.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="Or the log whose catalogue it ranks.")] = None,
) -> None:
    """Write a saved model for onnxruntime: features and mask in; scores, probabilities and the best slate out.

    The file is compared with the model over real pages, and written only where they agree.
    """
    from scenarios.export import export_model
    from scenarios.progress import progress_on_stderr
    from simenv.errors import UserError

    if world is not None and log is not None:
        raise UserError("--world and --log both say whose catalogue it ranks; leave one out.")
    with progress_on_stderr(context.obj) as progress:
        checked = export_model(model, out, world=world, log=log, progress=progress)
    inputs = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in checked.inputs.items())
    print_note(
        f"compared over {checked.pages:,} pages: probabilities within {checked.probability_error:.1g}, "
        f"{checked.other_slates} slates in another order of ties. Inputs: {inputs}."
    )
    print_result(str(out))

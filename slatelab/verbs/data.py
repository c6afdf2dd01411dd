"""`slatelab data NAME`: obtains a public data set, checks it, and keeps it in a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slatelab.output import print_result


def data(
    name: Annotated[Literal["obd"], typer.Argument(help="obd: the small sample of the Open Bandit data set.")],
    cache: Annotated[Path, typer.Option(help="The folder to keep it in.")] = Path("data/obd"),
) -> None:
    """Obtain a data set once; prints the folder it lies in."""
    from offpolicy.obd_fetch import fetch

    print_result(str(fetch(cache)))

"""`slatelab report RUN_DIR`: figures and one self-contained page from what a run left on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import print_result


def report(run_dir: Annotated[Path, typer.Argument(help="A run's folder.")]) -> None:
    """Draw a run: report.html and the figures beside it."""
    from reports import report as write_page

    print_result(str(write_page(run_dir)))

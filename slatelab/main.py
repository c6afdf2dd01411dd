"""The command `slatelab`: finds the verb, and turns what goes wrong into something a person can act on.

Exit codes: 0 done; 2 the user can put it right (one line on stderr says how); 130 interrupted; 1 with a traceback is a
defect of ours.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from slatelab.output import print_error, print_interrupted, print_result
from slatelab.verbs.bench import bench
from slatelab.verbs.contest import contest
from slatelab.verbs.data import data
from slatelab.verbs.demo import demo
from slatelab.verbs.evaluate import evaluate
from slatelab.verbs.export import export
from slatelab.verbs.fit import fit
from slatelab.verbs.leaderboard import leaderboard
from slatelab.verbs.list import list_names
from slatelab.verbs.report import report
from slatelab.verbs.run import run
from slatelab.verbs.simulate import simulate
from slatelab.verbs.sweep import sweep
from slatelab.verbs.train import train
from slatelab.verbs.watch import watch

VERBS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "run": run,
    "simulate": simulate,
    "watch": watch,
    "train": train,
    "evaluate": evaluate,
    "export": export,
    "fit": fit,
    "sweep": sweep,
    "contest": contest,
    "leaderboard": leaderboard,
    "report": report,
    "list": list_names,
    "data": data,
    "bench": bench,
}
INTERRUPTED = 130
WRONG_USE = 2

app = typer.Typer(
    name="slatelab",
    help="Would this personalised ranking be better, how sure are we, and when should nobody believe the number?",
    epilog="Progress goes to stderr, results to stdout. Start with: slatelab demo --out runs/demo",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name, verb in VERBS.items():
    app.command(name)(verb)


def main() -> None:
    """Run the command line with the arguments of this process and exit with its code.

    One thread a process: the small matrices here are slower with more, many times slower on a busy machine. Work is
    spread over processes instead. Whoever sets OMP_NUM_THREADS is obeyed.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str], command: typer.Typer = app) -> int:
    """Run one command line.

    Args:
        arguments: What stands after `slatelab`; nothing means `--help`. `--quiet` may stand anywhere.
        command: The verbs to choose from.

    Returns:
        The exit code.
    """
    ordered = sorted(arguments, key=lambda argument: argument != "--quiet") or ["--help"]
    try:
        code = command(ordered, prog_name="slatelab", standalone_mode=False)
    except TyperException as error:
        told = error.format_message().rstrip(".").replace("Value error, ", "")  # the parser's, of no use to a reader
        print_error(f"{told}{'' if told.endswith('?') else '.'} Try: {_help_for(ordered)}")
        return WRONG_USE
    except OSError as error:
        if error.filename is None:
            raise
        print_error(f"{error.strerror}: {error.filename}")
        return WRONG_USE
    except ValueError as error:
        return _mistake(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code by itself
        print_interrupted(_how_to_resume(ordered))
    return code or 0


def _print_version(wanted: bool) -> None:
    """Print the installed version and stop, if that is wanted."""
    if wanted:
        print_result(importlib.metadata.version("slatelab"))
        raise typer.Exit()


@app.callback()
def options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress; may stand after the verb, too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Keep what holds for every verb where the verbs find it."""
    context.obj = quiet


def _mistake(error: ValueError) -> int:
    """Print the user's mistake as one line; any other `ValueError` is ours and goes on as it was."""
    from simenv.errors import UserError

    try:
        raise error
    except UserError as mistake:
        print_error(str(mistake))
        return WRONG_USE


def _help_for(arguments: Sequence[str]) -> str:
    """Return the command that shows the help nearest to what was typed."""
    verb = next((argument for argument in arguments if argument in VERBS), None)
    return f"slatelab {verb} --help" if verb else "slatelab --help"


def _how_to_resume(arguments: Sequence[str]) -> str:
    """Return what to do after Ctrl-C."""
    if {"sweep", "contest", "leaderboard"} & set(arguments):
        return "what is finished is kept; the same command goes on from there."
    if "train" in arguments:
        return "the same command goes on from the last checkpoint, where there is one."
    if "--state" in arguments:
        return "the parts of the log that were read are kept; the same command goes on from there."
    return "the same command starts again, and the same seed gives the same result."

"""`slatelab fit LOG`: a world that imitates a log, and a check of where it does not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slatelab.output import interval, number, print_json, print_note, print_result, print_table, stdout_kept_clean

if TYPE_CHECKING:
    from scenarios.fitting.folder import Found


def fit(
    context: typer.Context,
    log: Annotated[Path, typer.Argument(help="The log: a folder of Parquet files; see docs/log-schema.md.")],
    out: Annotated[Path | None, typer.Option(help="The folder to make; by default the log's name and '-fit'.")] = None,
    click_model: Annotated[
        str, typer.Option(help="position-based, cascade, dbn, user-browsing, ...; auto compares them all.")
    ] = "auto",
    shoppers: Annotated[int, typer.Option(min=100, help="How many of the log's shoppers at most.")] = 10_000,
    draws: Annotated[int, typer.Option(min=20, help="How many worlds are drawn for the check.")] = 60,
    seed: Annotated[int, typer.Option(help="The seed of the simulations.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no table.")] = False,
) -> None:
    """Fit a world to a log, write it as world.toml, and check whether it makes logs like this one."""
    from scenarios.fit import FitSettings, fit_log
    from scenarios.progress import progress_on_stderr

    folder = out or Path(f"{log.resolve().name}-fit")
    with stdout_kept_clean(), progress_on_stderr(context.obj) as progress:
        found = fit_log(log, folder, FitSettings(click_model, shoppers, draws, seed), progress)
    if as_json:
        print_json(
            {
                "world": str(folder / "world.toml"),
                "finding": found.finding,
                "click_models": found.click_models,
                "parameters": found.parameters,
                "statistics": found.statistics,
                "notes": found.notes,
            }
        )
    else:
        print_fit(found)
    print_note(f"Written to {folder}. Draw the check with: slatelab report {folder}")
    print_note(f"Use the world wherever a name is taken: slatelab simulate {folder / 'world.toml'} ...")


def print_fit(found: Found) -> None:
    """Print the parameters, what did not fit, and the finding."""
    columns = ["parameter", "estimate", "95% interval", "told by"]
    rows = [
        [
            str(row["parameter"]),
            number(_float(row["estimate"])),
            "read off" if math.isnan(_float(row["low"])) else _interval(row["low"], row["high"]),
            str(row["told_by"]),
        ]
        for row in found.parameters
    ]  # fmt: skip
    print_table(columns, rows, right=columns[1:3], wrap=["told by"])
    print_result("")
    columns = ["statistic", "log", "fitted world", "90% interval", "flag"]
    rows = [
        [str(row["statistic"]), number(_float(row["observed"])), number(_float(row["mean"])),
         _interval(row["low"], row["high"]), str(row["flag"])]
        for row in found.statistics
    ]  # fmt: skip
    print_table(columns, rows, right=columns[1:4])
    print_result("")
    for line in (found.finding, *found.notes):
        print_result(line)


def _float(value: object) -> float:
    return float(str(value))


def _interval(low: object, high: object) -> str:
    return interval(_float(low), _float(high))

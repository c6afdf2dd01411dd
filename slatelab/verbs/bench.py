"""`slatelab bench`: how fast the parts are on this machine, next to what is known of their peers."""

from __future__ import annotations

from typing import Annotated

import typer

from slatelab.output import number, print_json, print_table, stdout_kept_clean


def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these; all by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no table.")] = False,
) -> None:
    """Measure speed, in CPU time on one core."""
    from scenarios.bench import benchmarks

    with stdout_kept_clean():
        results = benchmarks(names or None)
    if as_json:
        print_json({"benchmarks": results})
        return
    columns = ["benchmark", "value", "unit", "peer", "peer's value", "ratio"]
    rows = [
        [
            result["name"],
            number(result["value"]),
            result["unit"],
            result["peer"] or "-",
            number(result["peer_value"]),
            number(result["ratio"], digits=3),
        ]
        for result in results
    ]
    print_table(columns, rows, right=["value", "peer's value", "ratio"], wrap=["benchmark", "peer"])

"""`slatelab bench`: how fast the parts are on this machine, next to what is known of their peers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slatelab.output import number, print_json, print_note, print_result, print_table, stdout_kept_clean


def bench(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Only those with this in their name (SARDINE, latency); all by default but 'bandits', 'query' and "
            "'slateq'.",
        ),
    ] = None,
    sizes: Annotated[bool, typer.Option("--sizes", help="Also how cost grows with size, and a large market.")] = False,
    out: Annotated[Path | None, typer.Option(help="Leave a run's folder with a report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no table.")] = False,
) -> None:
    """Measure speed, in CPU time on one core."""
    from reports import report
    from scenarios.folder import machine, require_new
    from scenarios.measure import begin_measuring, measure, write_measured
    from scenarios.progress import progress_on_stderr

    if out is not None:
        require_new(out)
        begin_measuring(out)
    with stdout_kept_clean(), progress_on_stderr(context.obj) as progress:
        measured = measure(names or None, sizes, progress, None if out is None else out / "readers")
    for each in measured.skipped:
        print_note(f"left out: {each}")
    if out is not None:
        write_measured(out, measured)
        print_note(f"report: {report(out)}")
    if as_json:
        print_json(
            {
                "machine": machine(),
                "benchmarks": measured.rates,
                "scaling": measured.scaling,
                "mechanisms": measured.mechanisms,
                "bandits": measured.bandits,
                "slateq": measured.slateq,
                "latency": measured.latency,
                "reading": measured.reading,
                "gains": measured.gains,
                "skipped": measured.skipped,
            }
        )
        return
    print_result(f"machine: {machine()}")
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
        for result in measured.rates
    ]
    if rows:
        print_table(columns, rows, right=["value", "peer's value", "ratio"], wrap=["benchmark", "peer"])
    if measured.mechanisms:
        columns = ["mechanism", "backend", "CPU us a search", "added", "share"]
        costs = [
            [each["mechanism"], each["backend"], number(each["microseconds"]), number(each["added"]),
             f"{100 * each['share']:+.0f}%"]
            for each in measured.mechanisms
        ]  # fmt: skip
        print_table(columns, costs, right=columns[2:])
    if measured.bandits:
        columns = ["bed", "policy", "rounds", "runs", "regret", "error", "published", "by"]
        beds = [
            [each["bed"], each["policy"], str(each["rounds"]), str(each["runs"]), number(each["regret"]),
             number(each["error"]), number(each["published"]), each["by"] or "-"]
            for each in measured.bandits
        ]  # fmt: skip
        print_table(columns, beds, right=columns[2:7], wrap=["by"])
    if measured.slateq:
        columns = ["ranked by", "seeds", "minutes", "over myopic", "published", "CPU s of training"]
        slates = [
            [each["row"], str(each["seeds"]), number(each["value"]), number(each["gain"]), number(each["published"]),
             number(each["seconds"])]
            for each in measured.slateq
        ]  # fmt: skip
        print_table(columns, slates, right=columns[1:])
    if measured.latency:
        columns = ["one query, ms", "runtime", "p50", "p99", "CPU p50", "CPU p99"]
        waits = [
            [each["model"], each["runtime"], *(number(each[name], 3) for name in ("p50", "p99", "cpu_p50", "cpu_p99"))]
            for each in measured.latency
        ]
        print_table(columns, waits, right=columns[2:])
    if measured.scaling:
        columns = ["what grows", "size", "CPU ms a step", "of the line", "R squared"]
        grown = [
            [each["meaning"], number(each["size"], 7), number(each["milliseconds"]), number(each["fitted"]),
             f"{each['r_squared']:.4f}"]
            for each in measured.scaling
        ]  # fmt: skip
        print_table(columns, grown, right=columns[1:])
    if measured.reading:
        whole = [each for each in measured.reading if each["by"] == "all"]
        columns = ["misspelling rate", "reader", "term", "right", "standard error"]
        read = [
            [number(each["misspelling_rate"]), each["reader"], each["term"], f"{each['value']:.3f}",
             f"{each['stderr']:.3f}"]
            for each in whole
        ]  # fmt: skip
        print_table(columns, read, right=["misspelling rate", *columns[3:]])
        columns = ["misspelling rate", "learner", "reader", "value", "gain", "95% interval"]
        gained = [
            [number(each["misspelling_rate"]), each["learner"], each["reader"], f"{each['value']:.4f}",
             f"{each['gain']:+.4f}", f"{each['gain_low']:+.4f} to {each['gain_high']:+.4f}"]
            for each in measured.gains
        ]  # fmt: skip
        print_table(columns, gained, right=["misspelling rate", *columns[3:]])

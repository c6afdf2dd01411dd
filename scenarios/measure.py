"""A benchmark as a run: speeds beside the peers', latencies, how cost grows with size, what a large market needs.

And, where it is asked for, how well queries are read and what ranking gains from it (`scenarios.reading`).
"""

from __future__ import annotations

import datetime
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scenarios.bandit_beds import bandit_beds, n_policies
from scenarios.bench import benchmarks, skipped
from scenarios.bench_slateq import SLATEQ, measured_slateq
from scenarios.bench_slateq import Plan as SlateQPlan
from scenarios.folder import RunSummary, begin_run, end_run, write_run, write_table
from scenarios.latency import latencies, latency_kinds
from scenarios.mechanisms import mechanism_costs, n_rounds
from scenarios.progress import Progress, SilentProgress
from scenarios.reading import READING, Plan, measured_reading
from scenarios.scaling import GROWTH, log_writing, peak_memory, scaling

MECHANISMS, BANDITS, LATENCY = "mechanisms", "bandits", "latency"
LARGE = 1_000_000  # shoppers, and items, of the memory measurement
LOGGED = (25_000, 100_000)  # shoppers of the logs that are written: four times as many, and no more memory
GIGABYTES = "GB of resident memory"


@dataclass(frozen=True)
class Measured:
    """What was measured; records are rows of tables.

    rates: of `scenarios.bench`. scaling: of `scenarios.scaling`. mechanisms: of `scenarios.mechanisms`. bandits: of
    `scenarios.bandit_beds`. slateq: of `scenarios.bench_slateq`. latency: of `scenarios.latency`. reading, gains: of
    `scenarios.reading`. Each is empty where it was not asked for. began: seconds since the epoch; wall_seconds: what it
    took. skipped: the benchmarks that were left out, each with the package that is missing.
    """

    rates: list[dict[str, Any]]
    scaling: list[dict[str, Any]]
    mechanisms: list[dict[str, Any]]
    began: float
    wall_seconds: float
    bandits: list[dict[str, Any]] = field(default_factory=list)
    latency: list[dict[str, Any]] = field(default_factory=list)
    reading: list[dict[str, Any]] = field(default_factory=list)
    gains: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    slateq: list[dict[str, Any]] = field(default_factory=list)


def measure(
    names: list[str] | None, with_sizes: bool, progress: Progress | None = None, readers: Path | None = None
) -> Measured:
    """Run benchmarks.

    Args:
        names: Which of BENCHMARKS, "mechanisms" for what each mechanism costs, and "latency" for what one query costs
            each kind of model; all of these where None. "bandits", which takes minutes and data of its own, "query",
            how well queries are read, and "slateq", the table of its paper, only where they are named.
        with_sizes: Whether to measure how cost grows with N, C and K, and the memory of a market of a million.
        progress: Where to tell how far it is.
        readers: Where to leave the encoders of "query", if anywhere.
    """
    began, shown = time.time(), progress or SilentProgress()
    apart = (MECHANISMS, BANDITS, LATENCY, READING, SLATEQ)
    plain = None if names is None else [name for name in names if name not in apart]
    rates, left_out = ([], []) if plain == [] else (benchmarks(plain), skipped(plain))
    costs: list[dict[str, Any]] = []
    if names is None or MECHANISMS in names:
        costs = mechanism_costs(shown.task(MECHANISMS, n_rounds()))
    beds: list[dict[str, Any]] = []
    if names is not None and BANDITS in names:
        beds = bandit_beds(advance=shown.task(BANDITS, n_policies()))
    learned: list[dict[str, Any]] = []
    if names is not None and SLATEQ in names:
        slateq = SlateQPlan()
        learned = measured_slateq(slateq, shown.task(SLATEQ, len(slateq.trainings())))
    waits: list[dict[str, Any]] = []
    if names is None or LATENCY in names:
        waits = latencies(shown.task(LATENCY, len(latency_kinds())))
    growth: list[dict[str, Any]] = []
    if with_sizes:
        advance = shown.task("sizes", sum(map(len, GROWTH.values())) + len(LOGGED) + 1)
        growth = scaling(advance)
        name = f"a page for each of {LARGE:,} shoppers among {LARGE:,} items"
        rates.append(_record(name, peak_memory(LARGE, LARGE), GIGABYTES))
        advance(1)
        for n_shoppers in LOGGED:
            searches, peak, rate = log_writing(n_shoppers)
            name = f"a log of {searches:,.0f} searches streamed to Parquet"
            rates += [_record(name, rate, "searches/CPU-s"), _record(name, peak, GIGABYTES)]
            advance(1)
    read: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    if names is not None and READING in names:
        plan = Plan()
        with tempfile.TemporaryDirectory() as folder:
            read = measured_reading(plan, Path(folder), shown.task(READING, plan.n_steps))
            if readers is not None:
                for each in Path(folder).iterdir():  # one by one: a temporary folder is nobody else's to read
                    shutil.copytree(each, readers / each.name)
    return Measured(rates, growth, costs, began, time.time() - began, beds, waits, *read, left_out, learned)


def begin_measuring(out: Path) -> None:
    """Begin a run's folder for `write_measured`, so that readers can be left in it meanwhile.

    Raises:
        UserError: where the folder exists and is not empty.
    """
    begin_run(out, "benchmark")


def write_measured(out: Path, measured: Measured) -> None:
    """Leave what was measured as a run's folder that `slatelab report` draws.

    Raises:
        UserError: where the folder exists and is not empty.
    """
    begin_run(out, "benchmark")
    write_table(out, "speed", measured.rates)
    write_table(out, "scaling", measured.scaling)
    write_table(out, "mechanisms", measured.mechanisms)
    write_table(out, "bandits", measured.bandits)
    write_table(out, "slateq", measured.slateq)
    write_table(out, "latency", measured.latency)
    write_table(out, "reading", measured.reading)
    write_table(out, "gains", measured.gains)
    beside = [each for each in measured.rates if each["ratio"] is not None]
    title, question = "Speed on this machine", "How fast is it, and how does its cost grow?"
    if measured.reading and not measured.rates:
        title, question = "Reading queries", "How well are queries read, and what does ranking gain from it?"
    write_run(
        out,
        RunSummary(
            kind="benchmark",
            backend="auto",
            name="benchmark",
            title=title,
            question=question,
            finding=_finding(beside),
            assumptions=[
                "Peers' figures not of this run are of another machine and their own code; a ratio to those is a scale."
            ],
            notes=[
                "Rates are per CPU-second on one core, the median of a few rounds in one process.",
                *(f"Left out: {each}." for each in measured.skipped),
            ],
            config={"benchmarks": [each["name"] for each in measured.rates]},
            seeds={},
            hashes={},
            started=datetime.datetime.fromtimestamp(measured.began, datetime.UTC).isoformat(timespec="seconds"),
            wall_seconds=measured.wall_seconds,
        ),
    )
    end_run(out)


def _record(name: str, value: float, unit: str) -> dict[str, Any]:
    """A measurement that no peer stands beside, as a row of the table of speeds."""
    return {"name": name, "value": value, "unit": unit, "peer": "", "peer_value": None, "ratio": None}


def _finding(beside: list[dict[str, Any]]) -> str:
    if not beside:
        return ""
    ahead = [each for each in beside if each["ratio"] > 1]
    least = min(beside, key=lambda each: each["ratio"])
    return (
        f"{len(ahead)} of {len(beside)} measurements are faster than the peer beside them; the least ratio is "
        f"{least['ratio']:.3g} ({least['name']})."
    )

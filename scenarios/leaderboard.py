"""The off-policy leaderboard: estimators, their intervals and their verdicts, judged where the truth is known.

A cell is a bed (a market, a logger, targets, a size of log) over many logs. Cells are kept and resumed as those of a
sweep are; the tables say who errs by how much, whose interval holds the truth, which verdicts were right, and what
choosing a policy or an estimator by the log costs.
"""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from offpolicy.estimators import estimator
from scenarios.config import read_toml, validated
from scenarios.enumerated_bed import Bed
from scenarios.folder import Row, RunSummary, begin_run, end_run, write_run, write_table
from scenarios.leaderboard_beds import BEDS
from scenarios.leaderboard_cell import ESTIMATORS, AnyBed, LeaderboardCell, MarketBed, run_leaderboard_cell
from scenarios.leaderboard_tables import FAILS_BELOW, bar_rows, chosen_rows, estimator_rows
from scenarios.progress import Progress
from scenarios.sweep import CellsFailedError, cell_tables, run_cells
from simenv.errors import UserError, unknown_name

TABLES = ("scores", "rankings", "choices")


class Leaderboard(BaseModel):
    """What the leaderboard runs over.

    Attributes:
        title, question: For the report.
        beds: Names of `scenarios.leaderboard_beds.BEDS`; all where left out and no own bed is told.
        own: Beds of one's own, `[[own]]` in TOML; `kind = "simulated"` for one in the market itself.
        estimators: Names, maybe with strengths; each runs where the columns for it are there.
        seeds: Logs of each bed; a simulated bed has its own, smaller number.
        seed: The first of them.
        splits: Pseudo-logs of each single-action log by which importance fitting chooses an estimator; 0 leaves it out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = "Off-policy leaderboard"
    question: str = "Which estimator errs least where, whose interval holds the truth, and are the verdicts right?"
    beds: list[str] | None = None
    own: list[AnyBed] = []
    estimators: list[str] = Field(default=list(ESTIMATORS), min_length=1)
    seeds: int = Field(default=50, ge=10)
    seed: int = Field(default=0, ge=0)
    splits: int = Field(default=0, ge=0)

    @field_validator("estimators")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            estimator(name)
        return names


def run_leaderboard(
    path: Path | None, out: Path, *, seeds: int | None, workers: int | None, progress: Progress
) -> Path:
    """Run every cell that has no result yet, then write the tables.

    Args:
        path: A TOML file; the default set where None.
        out: The run's folder; one begun with the same settings goes on where it stopped.
        seeds: In place of the file's.
        workers: Cells at a time; all cores where None.
        progress: Told cells.

    Raises:
        UserError: for bad settings, before anything runs.
        CellsFailedError: where cells failed for a reason of ours; the others are kept.
    """
    started, clock = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
    settings = {} if path is None else read_toml(path)
    if seeds is not None:
        settings["seeds"] = seeds
    board = validated(Leaderboard, settings, "leaderboard" if path is None else str(path))
    cells = plan_leaderboard(board)
    digest = hashlib.sha256("\n".join(cell.key for cell in cells).encode()).hexdigest()
    begin_run(out, digest)
    failed = run_cells(cells, run_leaderboard_cell, out, workers, progress)
    if failed:
        raise CellsFailedError(f"{len(failed)} of {len(cells)} cells failed. Run again to retry. First: {failed[0]}")
    tables = [cell_tables(out, cell.key) for cell in cells]
    scores, rankings, choices = ([row for table in tables for row in table.get(name, [])] for name in TABLES)
    bars = bar_rows(scores)
    write_table(out, "leaderboard_bars", bars)
    write_table(out, "leaderboard_estimators", estimator_rows(scores, rankings))
    write_table(out, "leaderboard_chosen", chosen_rows(choices))
    write_table(out, "leaderboard_beds", [_bed_row(cell.bed, cell.seeds) for cell in cells])
    for name, rows in zip(TABLES, (scores, rankings, choices), strict=True):
        write_table(out, f"leaderboard_{name}", rows)
    write_run(
        out,
        RunSummary(
            kind="leaderboard",
            backend="auto",
            name="leaderboard" if path is None else path.stem,
            title=board.title,
            question=board.question,
            finding=finding(bars),
            assumptions=_ASSUMPTIONS,
            notes=[f"{board.seeds} logs of each enumerated bed; {len(scores)} triples of bed, target and estimator."],
            config=board.model_dump(),
            seeds={"first log": board.seed},
            hashes={"cells": digest},
            started=started,
            wall_seconds=time.monotonic() - clock,
        ),
    )
    end_run(out)
    return out


def plan_leaderboard(board: Leaderboard) -> list[LeaderboardCell]:
    """The cells in order.

    Raises:
        UserError: for a bed that nobody knows, or a name that is used twice.
    """
    for name in board.beds or []:
        if name not in BEDS:
            raise unknown_name("bed", name, BEDS)
    names = board.beds if board.beds is not None else [] if board.own else list(BEDS)
    beds: list[Bed | MarketBed] = [*(BEDS[name] for name in names), *board.own]
    told = [bed.name for bed in beds]
    if not told:
        raise UserError("no bed is named; expected names under beds, or [[own]] ones.")
    twice = next((name for name in told if told.count(name) > 1), "")
    if twice:
        raise UserError(f"bed '{twice}' is named twice; give each a name of its own.")
    return [
        LeaderboardCell(
            bed=bed, seeds=board.seeds, seed=board.seed, estimators=tuple(board.estimators), splits=board.splits
        )
        for bed in beds
    ]


def finding(bars: Sequence[Row]) -> str:
    """One sentence: the two bars, each against what was asked."""
    told = [
        f"{row['bar']} in {row['share']:.1%} of {row['of']:,} (asked: {row['goal']:.0%})"
        for row in bars
        if row["goal"] == row["goal"] and row["of"]
    ]
    return f"{'; '.join(told)}." if told else "Nothing was trusted and nothing failed."


_ASSUMPTIONS = [
    "Truth is enumerated where every slate of a bed is listed, and played over many other shoppers in simulated ones.",
    f"An estimator fails in a cell where its 95% interval holds the truth in fewer than {FAILS_BELOW:.0%} of the logs.",
    "All estimates of one log share its luck: shares over estimates are surer than their binomial error says, or less, "
    "and only the logs are independent.",
    "Beds are ours: how often each kind of failure happens in the world is not known, and shares hang on the mix.",
]


def _bed_row(bed: Bed | MarketBed, seeds: int) -> Row:
    about, rows, logs = bed.about, 0, seeds
    if bed.kind == "enumerated":
        rows = bed.rows
    else:
        about = f"{bed.about} ({bed.world}, {bed.shoppers} shoppers by {bed.logger})"
        logs = min(seeds, bed.seeds)
    return {
        "cell": bed.name,
        "kind": bed.kind,
        "sound": bed.is_sound,
        "rows": rows,
        "logs": logs,
        "targets": len(bed.targets),
        "about": about,
    }

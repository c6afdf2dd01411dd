"""A contest: learners trained again and again on fresh logs, in several worlds, against rivals and yardsticks.

A cell is one (world, training seed): its logger plays shoppers of that seed, every learner learns from the same half of
them, and each is judged by the exact value per search over the logger's contexts, on evaluation shoppers that all seeds
share. What does not hang on the training seed (fixed rankers, the best ranking on public information, the oracle) is
computed once a world, in a cell of its own. Cells are kept and resumed as those of a sweep are.
"""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from scenarios.candidates import seed_of
from scenarios.config import Learning, Logging, Scenario, TruthBudget, read_toml, validated
from scenarios.contest_cell import ContestCell, run_contest_cell
from scenarios.contest_tables import finding, gap_rows, pair_rows
from scenarios.folder import Row, RunSummary, begin_run, end_run, write_run, write_table
from scenarios.progress import Progress
from scenarios.sweep import CellsFailedError, cell_tables, run_cells
from simenv.errors import UserError


class Comparison(BaseModel):
    """Who is compared with whom: `policy` minus each of its rivals, by the names that tables use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str
    rivals: list[str] = Field(min_length=1)


class Contest(BaseModel):
    """What a contest crosses.

    Attributes:
        title, question: For the report.
        worlds: Names or TOML files; the first is the one that the finding tells of.
        seeds: Training seeds: each gives its own log, initial weights and order of training.
        seed: Of the evaluation shoppers, which all training seeds share.
        logging: Who writes the log, over how many shoppers; learners learn from the first half of them.
        baselines: Fixed rankers beside the logger.
        learners: As in a scenario.
        comparisons: Who is compared with whom.
        truth: How many shoppers judge, and how many oracles are fitted on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = "Contest"
    question: str
    worlds: list[str] = Field(min_length=1)
    seeds: list[int] = Field(min_length=2)
    seed: int = 0
    logging: Logging = Logging()
    baselines: list[str] = []
    learners: list[Learning] = Field(min_length=1)
    comparisons: list[Comparison] = Field(min_length=1)
    truth: TruthBudget = TruthBudget()


def run_contest(path: Path, out: Path, *, workers: int | None, progress: Progress) -> Path:
    """Run every cell of a contest that has no result yet, then write the tables.

    Args:
        path: The contest's TOML file.
        out: The contest's folder; one begun with the same file goes on where it stopped.
        workers: Cells at a time; all cores where None.
        progress: Told cells.

    Raises:
        UserError: for bad settings, before anything runs.
        CellsFailedError: where cells failed for a reason of ours; the others are kept.
    """
    started, clock = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
    contest = validated(Contest, read_toml(path), str(path))
    cells = plan_contest(contest)
    digest = hashlib.sha256("\n".join(cell.key for cell in cells).encode()).hexdigest()
    begin_run(out, digest)
    failed = run_cells(cells, run_contest_cell, out, workers, progress)
    if failed:
        raise CellsFailedError(f"{len(failed)} of {len(cells)} cells failed. Run again to retry. First: {failed[0]}")
    tables = [cell_tables(out, cell.key) for cell in cells]
    values, worlds = ([row for table in tables for row in table.get(name, [])] for name in ("values", "worlds"))
    gaps = gap_rows(values, worlds)
    pairs = pair_rows([(each.policy, each.rivals) for each in contest.comparisons], values, worlds, contest.learners)
    write_table(out, "contest_values", values)
    write_table(out, "contest_worlds", worlds)
    write_table(out, "contest_gaps", gaps)
    write_table(out, "contest_pairs", pairs)
    write_run(
        out,
        RunSummary(
            kind="contest",
            backend="auto",
            name=path.stem,
            title=contest.title,
            question=contest.question,
            finding=finding(pairs, gaps, worlds),
            assumptions=_assumptions(contest),
            notes=_notes(contest, values),
            config=contest.model_dump(),
            seeds={"evaluation": contest.seed, **{f"seed {seed}": seed for seed in contest.seeds}},
            hashes={"cells": digest},
            started=started,
            wall_seconds=time.monotonic() - clock,
        ),
    )
    end_run(out)
    return out


def plan_contest(contest: Contest) -> list[ContestCell]:
    """The cells in order, the yardsticks of a world before its seeds, every name and setting checked.

    Raises:
        UserError: for a name that nothing has, or one that is used twice.
    """
    cells = []
    for world in contest.worlds:
        settings = {
            "name": Path(world).stem, "title": contest.title, "question": contest.question, "world": world,
            "seed": contest.seed, "logging": contest.logging, "baselines": contest.baselines,
            "learners": contest.learners, "truth": contest.truth,
        }  # fmt: skip
        judged = validated(Scenario, settings, f"world '{world}'")
        evaluation = seed_of(judged, "truth")
        alone = judged.model_copy(update={"learners": []})
        cells.append(ContestCell(scenario=alone, evaluation=evaluation))
        for seed in contest.seeds:
            own = judged.model_copy(update={"seed": seed, "baselines": []})
            cells.append(ContestCell(scenario=own, evaluation=evaluation))
    _check_names(contest)
    keys = [cell.key for cell in cells]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"the contest holds cell '{twice}' twice; name each world and seed once.")
    return cells


def _check_names(contest: Contest) -> None:
    known = [contest.logging.policy, *contest.baselines, *(learner.title for learner in contest.learners)]
    for comparison in contest.comparisons:
        for name in (comparison.policy, *comparison.rivals):
            if name not in known:
                raise UserError(f"comparison of '{name}': nobody of that name takes part; expected {', '.join(known)}.")
        if comparison.policy in comparison.rivals:
            raise UserError(f"comparison of '{comparison.policy}': it is its own rival; name others.")


def _assumptions(contest: Contest) -> list[str]:
    return [
        "Intervals are over training seeds, each with a log of fresh shoppers; the shoppers who judge are the same for "
        "all seeds, and that they are no others is an error that intervals over seeds do not hold; its size is a note.",
        "Greedy plays are what would be deployed once nothing is to be learned any more; gap closed counts them from "
        f"the logger as it runs, which explores, so the table has {contest.logging.policy} played greedily too.",
        "The best ranking on public information is fitted to the hidden truth over the features that learners have. "
        "Where clicks are not position-based, sorting by it need not be the best page.",
        "Intervals are not corrected for their number: of forty comparisons without any difference, two would seem to "
        "have one.",
    ]


def _notes(contest: Contest, values: Sequence[Row]) -> list[str]:
    error = max(row["lift_stderr"] / row["value"] for row in values if row["role"] == "learned")
    return [
        f"{len(contest.seeds)} training seeds in each of {len(contest.worlds)} worlds. Each log has "
        f"{contest.logging.shoppers:,} shoppers, half of them learned from; {contest.truth.shoppers:,} others judge.",
        "With other shoppers to judge, a lift over the logger would differ by a standard error of at most "
        f"{error:.1%} of the policy's value; policies that show much the same differ by less.",
    ]

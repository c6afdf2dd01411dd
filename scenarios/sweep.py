"""Sweeps: the same question over scenarios, policies and seeds, as Ray tasks.

A cell is one (scenario, policy, seed): the policy, trained if it learns, judged by the truth beside its logger and,
from a log, by the estimators. Each cell leaves one file named by its key, whole or not at all; a sweep that is started
again runs the cells that have none.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

from scenarios.config import Learning, Scenario, load_scenario, read_toml, validated
from scenarios.folder import Row, RunSummary, begin_run, end_run, write_json, write_run, write_table
from scenarios.paired import BETTER, over_seeds
from scenarios.progress import Progress
from simenv.errors import UserError

Tables = dict[str, list[Row]]


class Keyed(Protocol):
    """A piece of work that a worker can be told as JSON, and whose result is found again by its key."""

    @property
    def key(self) -> str:
        """Readable, unique, the same for the same settings; a file's name."""

    def model_dump_json(self) -> str:
        """As pydantic writes it."""

    @classmethod
    def model_validate_json(cls, json_data: str) -> Self:
        """As pydantic reads it."""


class CellsFailedError(RuntimeError):
    """Some cells of a sweep failed for a reason of ours; what is finished is kept."""


class Sweep(BaseModel):
    """What a sweep crosses.

    Attributes:
        title, question: For the report.
        scenarios: Names or TOML files; every path is taken from where the command runs.
        policies: Registry names, or names that the scenarios give to learners; learners are trained in each cell.
        seeds: Each gives its own log, training and truth.
        overrides: "key=value" settings for every scenario.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = "Sweep"
    question: str
    scenarios: list[str] = Field(min_length=1)
    policies: list[str] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    overrides: list[str] = []


class Cell(BaseModel):
    """One point of a sweep, with everything that a worker needs."""

    model_config = ConfigDict(frozen=True)

    scenario: Scenario
    policy: str
    seed: int

    @property
    def key(self) -> str:
        """Readable and unique: names, seed, and a digest of the resolved scenario."""
        return f"{self.scenario.name}--{self.policy}--{self.seed}--{self.scenario.digest()[:12]}"


def run_sweep(path: Path, out: Path, *, workers: int | None, progress: Progress) -> Path:
    """Run every cell of a sweep that has no result yet, then write the tables.

    Args:
        path: The sweep's TOML file.
        out: The sweep's folder; one begun with the same file goes on where it stopped.
        workers: Cells at a time; all cores where None.
        progress: Told cells.

    Raises:
        UserError: for bad settings, before anything runs.
    """
    started, clock = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
    sweep = validated(Sweep, read_toml(path), str(path))
    cells = plan(sweep)
    digest = hashlib.sha256("\n".join(cell.key for cell in cells).encode()).hexdigest()
    begin_run(out, digest)
    failed = run_cells(cells, run_cell, out, workers, progress)
    tables = [cell_tables(out, cell.key) for cell in cells]
    for name in ("cells", "cell_estimates"):
        write_table(out, name, [row for table in tables for row in table.get(name, [])])
    if failed:
        raise CellsFailedError(f"{len(failed)} of {len(cells)} cells failed. Run again to retry. First: {failed[0]}")
    write_run(
        out,
        RunSummary(
            kind="sweep",
            backend="auto",
            name=path.stem,
            title=sweep.title,
            question=sweep.question,
            finding=finding(tables),
            assumptions=["Every seed has its own log, training and truth; intervals are over seeds."],
            notes=[],
            config=sweep.model_dump(),
            seeds={f"seed {seed}": seed for seed in sweep.seeds},
            hashes={"cells": digest},
            started=started,
            wall_seconds=time.monotonic() - clock,
        ),
    )
    end_run(out)
    return out


def plan(sweep: Sweep) -> list[Cell]:
    """The cells in order, every name and setting checked."""
    cells = []
    for spec in sweep.scenarios:
        for seed in sweep.seeds:
            base = load_scenario(spec, seed, sweep.overrides)
            for policy in sweep.policies:
                alone = base.model_copy(update={"baselines": [], "learners": _learner(base, policy), "open_bandit": ""})
                cells.append(Cell(scenario=alone, policy=policy, seed=seed))
    keys = [cell.key for cell in cells]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"the sweep holds cell '{twice}' twice; name each scenario, policy and seed once.")
    return cells


def run_cell(cell: Cell, work: Path) -> Tables:
    """One cell's rows for the tables `cells` (metrics in long form) and `cell_estimates` (an estimate a row).

    Args:
        cell: What to run.
        work: A folder of its own for the log and the model.
    """
    from policies.ranking import RankingPolicy
    from policies.registry import named_policy
    from scenarios.candidates import logging_policy, population, seed_of
    from scenarios.evaluation import estimate_rows, flat
    from scenarios.evidence import join_log
    from scenarios.headline import holds
    from scenarios.held_out import unseen_half
    from scenarios.progress import SilentProgress
    from scenarios.train import train_on_half
    from simenv.log import Log, write_log
    from simenv.play import shopper_range
    from simenv.truth import LOGGER_CONTEXTS, on_logger_contexts, values
    from simenv.worlds import load_world

    scenario, silent = cell.scenario, SilentProgress()
    world = load_world(scenario.world)
    catalogue = world.catalogue.public()
    logger = logging_policy(scenario, catalogue)
    shoppers = shopper_range(scenario.logging.shoppers)
    log = Log.open(write_log(world, scenario.world, logger, seed_of(scenario, "log"), shoppers, work / "log"))
    policy: RankingPolicy
    if scenario.learners:
        policy = train_on_half(scenario, scenario.learners[0], world, log, 0, work / "model", silent)
        unseen_half(str(work / "model"), log)  # a reader or session model inside it may have seen those who judge
    else:
        policy = named_policy(cell.policy, catalogue)
    played = population(scenario, world, scenario.truth.shoppers)
    truth = on_logger_contexts(world, logger, {"target": policy}, seed_of(scenario, "truth"), played)
    target = next(each for each in values(truth, logger.name, LOGGER_CONTEXTS) if each.policy == "target")
    metrics = {"value_search": target.value, "lift": target.lift}
    estimates: list[Row] = []
    if not policy.sees_truth:
        evidence = join_log(
            log, {"target": policy}, 1, scenario.estimation, seed_of(scenario, "folds"), lambda n=1: None
        ).evidence["target"]
        rows = estimate_rows("simulated", cell.policy, evidence, scenario.estimation)
        for estimate in reversed(rows):  # the item-position ones, which carry most, come first in the report
            name, lift = estimate["estimator"], estimate["lift"]
            covers = lift is not None and holds(estimate, target.lift)
            metrics[f"{name} error of lift"] = float("nan") if lift is None else lift - target.lift
            metrics[f"{name} covers"] = float(covers)
            estimates.append({**_place(cell), **flat(estimate), "true_lift": target.lift, "covers": covers})
    return {
        "cells": [{**_place(cell), "metric": metric, "value": value} for metric, value in metrics.items()],
        "cell_estimates": estimates,
    }


def finding(tables: Sequence[Mapping[str, Sequence[Row]]]) -> str:
    """One sentence: where each policy beats its logger for sure, and how often the estimates held the truth."""
    lifts: dict[str, dict[str, list[float]]] = {}
    held = {word: [0, 0] for word in ("trust", "caution", "do not use")}
    for table in tables:
        for row in table.get("cells", []):
            if row["metric"] == "lift":
                lifts.setdefault(row["policy"], {}).setdefault(row["scenario"], []).append(row["value"])
        for row in table.get("cell_estimates", []):
            held[row["verdict"]][0] += bool(row["covers"])
            held[row["verdict"]][1] += 1
    better = [
        f"{policy} beats its logger in {sum(over_seeds(each).verdict == BETTER for each in by_scenario.values())} of "
        f"{len(by_scenario)} scenarios"
        for policy, by_scenario in lifts.items()
    ]
    kept = [f"{hits} of {n} marked {word}" for word, (hits, n) in held.items() if n]
    told = f"{'; '.join(better)} (95% intervals over seeds above 0)."
    return f"{told} Intervals of the lift that held the truth: {', '.join(kept)}." if kept else told


def _learner(base: Scenario, policy: str) -> list[Learning]:
    """The scenario's learner of that title, else the registered one with its defaults; none for a fixed ranker."""
    from policies.registry import entry_of

    listed = [each for each in base.learners if each.title == policy]
    return listed or ([Learning(policy=policy)] if entry_of(policy).learns else [])


def run_cells(
    cells: Sequence[Keyed], perform: Callable[[Any, Path], Tables], out: Path, workers: int | None, progress: Progress
) -> list[str]:
    """Run the cells that have no result yet as Ray tasks, each by one worker; their results lie below `out`.

    Args:
        cells: What to run; any pydantic model that has a key.
        perform: Makes a cell's tables, given a work folder of its own; a function of a module, for workers import it.
        out: The run's folder.
        workers: Cells at a time; all cores where None.
        progress: Told cells.

    Returns:
        What failed, in words.
    """
    waiting = [cell for cell in cells if not _result(out, cell.key).is_file()]
    advance = progress.task("run the cells", len(cells))
    advance(len(cells) - len(waiting))
    if not waiting:
        return []
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    (out / "cells").mkdir(parents=True, exist_ok=True)
    ray.init(
        address="local", num_cpus=workers or os.cpu_count(), include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR,
    )  # fmt: skip
    try:
        task = ray.remote(num_cpus=1, max_retries=2)(_task)
        running = {
            task.remote(perform, type(cell), cell.model_dump_json(), _result(out.resolve(), cell.key)): cell
            for cell in waiting
        }
        failed = []
        while running:
            finished, _ = ray.wait(list(running), num_returns=1)
            cell = running.pop(finished[0])
            try:
                ray.get(finished[0])
            except ray.exceptions.RayError as error:
                failed.append(f"{cell.key}: {str(error).strip().splitlines()[-1]}")
            advance(1)
        return failed
    finally:
        ray.shutdown()


def cell_tables(out: Path, key: str) -> Tables:
    """What a finished cell left; empty tables for one that did not finish."""
    path = _result(out, key)
    return dict(json.loads(path.read_text(encoding="utf-8"))["tables"]) if path.is_file() else {}


def _task(perform: Callable[[Any, Path], Tables], kind: type[Keyed], cell_json: str, result: Path) -> None:
    """What a worker does: one cell, its work folder removed, its result left whole."""
    import tempfile

    os.environ["OMP_NUM_THREADS"] = "1"
    cell = kind.model_validate_json(cell_json)
    with tempfile.TemporaryDirectory() as work:
        tables = perform(cell, Path(work))
    if cell.key != result.stem:
        raise UserError("a reader or session model that the cell names was changed while it ran. Run again.")
    write_json(result, {"cell": cell.key, "tables": tables})


def _result(out: Path, key: str) -> Path:
    return out / "cells" / f"{key}.json"


def _place(cell: Cell) -> Row:
    return {"scenario": cell.scenario.name, "policy": cell.policy, "seed": cell.seed}

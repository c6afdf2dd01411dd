"""Running a scenario: log, learn, estimate, compare with the truth, and leave a complete run folder.

The stages run in this order. The log and each model are left whole on disk as soon as they are made, so a run that was
interrupted makes neither again; estimates and truth are computed anew, and the tables are written at the end.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from policies.index_search import long_horizon_oracles, tune_pleasing
from policies.public_oracle import fit_public_oracle
from policies.ranking import RankingPolicy
from policies.registry import entry_of, named_policy
from scenarios import compare, curves, real
from scenarios.candidates import logging_policy, population, seed_of
from scenarios.config import Scenario, load_scenario
from scenarios.evaluate import HIDDEN_CONFOUNDER, INDEPENDENT, MODEL, POSITIONS, PREFIXES, SAME_CONTEXTS, SHARED_STOCK
from scenarios.evaluation import estimate_rows, flat, weight_rows
from scenarios.evidence import join_log
from scenarios.folder import Row, RunSummary, begin_run, end_run, write_run, write_table
from scenarios.held_out import unseen_half
from scenarios.progress import Progress
from scenarios.train import train_on_half
from simenv.errors import UserError
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.world import World
from simenv.worlds import load_world

LEARNING, EVALUATION = 0, 1  # halves of the log's shoppers


@dataclass(frozen=True)
class Cast:
    """Who takes part. `targets` are judged from the log; `yardsticks` see what no policy may."""

    logger: RankingPolicy
    baselines: Mapping[str, RankingPolicy]
    learned: Mapping[str, RankingPolicy]
    yardsticks: Mapping[str, RankingPolicy]

    @property
    def targets(self) -> dict[str, RankingPolicy]:
        """What the log is asked about."""
        return {**self.baselines, **self.learned}

    @property
    def everybody(self) -> dict[str, RankingPolicy]:
        """The logger first."""
        return {self.logger.name: self.logger, **self.baselines, **self.learned, **self.yardsticks}

    def role(self, name: str) -> str:
        """logger, baseline, learned or oracle."""
        if name == self.logger.name:
            return "logger"
        return "baseline" if name in self.baselines else "learned" if name in self.learned else "oracle"


def run_scenario(spec: str, out: Path, *, seed: int | None, overrides: list[str], progress: Progress) -> Path:
    """Run a scenario into a folder.

    Args:
        spec: Name in the library, or a TOML file.
        out: The run's folder; one that was begun with the same settings goes on.
        seed: In place of the scenario's.
        overrides: "key=value" settings.
        progress: Told what goes on.

    Returns:
        `out`.

    Raises:
        UserError: for unknown names, settings that do not fit, or a folder that holds something else.
    """
    started, clock = _now(), time.monotonic()
    scenario = load_scenario(spec, seed, overrides)
    _refuse_elsewhere(scenario)
    world = load_world(scenario.world)
    logger = logging_policy(scenario, world.catalogue.public())
    begin_run(out, scenario.digest())
    log = _log(scenario, world, logger, out, progress)
    cast = _cast(scenario, world, logger, log, out, progress)

    estimates, weights, notes = _estimates(scenario, cast, log, progress)
    truth, policies = compare.truths(scenario, world, cast, progress)
    learning = curves.learning_curves(scenario, world, logger, log, progress)
    real_estimates, real_weights, real_notes = real.open_bandit(scenario.open_bandit, scenario.estimation)

    write_table(out, "estimates", [flat(row) for row in (*estimates, *real_estimates)])
    write_table(out, "weights", [*weights, *real_weights])
    write_table(out, "truth", truth)
    write_table(out, "policies", policies)
    write_table(out, "learning", learning)
    write_table(out, "sessions", compare.example_searches(world, log))
    write_run(
        out,
        RunSummary(
            kind="experiment",
            backend=world.backend,
            name=scenario.name,
            title=scenario.title,
            question=scenario.question,
            finding=compare.finding(cast, truth, policies, estimates),
            assumptions=_assumptions(world),
            notes=[_halves(log), *notes, *real_notes],
            config=scenario.model_dump(),
            seeds={purpose: seed_of(scenario, purpose) for purpose in ("log", "training", "truth", "yardstick")},
            hashes={
                "log": log.digest,
                "world": world.params.digest(),
                "catalogue": world.catalogue.digest(),
                "scenario": scenario.digest(),
            },
            started=started,
            wall_seconds=time.monotonic() - clock,
        ),
    )
    end_run(out)
    return out


def _refuse_elsewhere(scenario: Scenario) -> None:
    """A run trains in one process, or in one of many of a sweep."""
    for learner in scenario.learners:
        if entry_of(learner.policy).needs_runners:
            raise UserError(
                f"learner '{learner.title}' plays in other processes, which a run starts none of; leave it out and "
                "train it by slatelab train ... --runners N, or take ppo-slate in its place."
            )


def _log(scenario: Scenario, world: World, logger: RankingPolicy, out: Path, progress: Progress) -> Log:
    folder, n = out / "log", scenario.logging.shoppers
    advance = progress.task("log the market", n)
    if folder.is_dir():
        advance(n)
    else:
        write_log(world, scenario.world, logger, seed_of(scenario, "log"), shopper_range(n), folder, advance)
    return Log.open(folder)


def _cast(scenario: Scenario, world: World, logger: RankingPolicy, log: Log, out: Path, progress: Progress) -> Cast:
    catalogue = world.catalogue.public()
    learned = {}
    for learner in scenario.learners:
        folder = out / "models" / learner.title
        made = train_on_half(scenario, learner, world, log, LEARNING, folder, progress)
        unseen_half(str(folder), log)  # a reader or session model inside it may have seen those who judge
        learned[learner.title] = dataclasses.replace(made, name=learner.title)
    progress.note("fit the best ranking on public information (a yardstick that sees hidden truth)")
    shoppers = population(scenario, world, scenario.truth.oracle_shoppers)
    best = fit_public_oracle(world, logger, seed_of(scenario, "yardstick"), shoppers)
    further = {}
    if scenario.truth.long_horizon:
        progress.note("search for the weight of satisfaction (yardsticks that look further than the page)")
        further = long_horizon_oracles(world, tune_pleasing(world, seed_of(scenario, "yardstick"), shoppers))
    return Cast(
        logger=logger,
        baselines={name: named_policy(name, catalogue) for name in scenario.baselines},
        learned=learned,
        yardsticks={
            compare.BEST_PUBLIC: RankingPolicy(compare.BEST_PUBLIC, best, 0.0),
            compare.ORACLE: named_policy(compare.ORACLE, catalogue),
            **further,
        },
    )


def _estimates(
    scenario: Scenario, cast: Cast, log: Log, progress: Progress
) -> tuple[list[Row], list[Row], tuple[str, ...]]:
    advance = progress.task("judge the policies from the log", None)
    seed = seed_of(scenario, "folds")
    joined = join_log(log, cast.targets, EVALUATION, scenario.estimation, seed, advance)
    estimates: list[Row] = []
    weights: list[Row] = []
    for name, evidence in joined.evidence.items():
        estimates += estimate_rows("simulated", name, evidence, scenario.estimation)
        weights += weight_rows("simulated", name, evidence)
    return estimates, weights, joined.notes


def _assumptions(world: World) -> list[str]:
    return [
        SAME_CONTEXTS,
        "Logged propensities are those the slates were drawn from; here they are checked against the logged scores.",
        HIDDEN_CONFOUNDER + " In this simulated log it holds by construction.",
        POSITIONS,
        PREFIXES,
        MODEL,
        INDEPENDENT if world.params.market.stock is None else SHARED_STOCK,
    ]


def _halves(log: Log) -> str:
    return (
        f"The log holds {log.n_rows:,} searches of {log.manifest['shoppers']:,} shoppers. Bandits learned from one "
        "half of the shoppers; every estimate is from the other half. Truth comes from shoppers that are in neither."
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

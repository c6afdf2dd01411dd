"""One cell of a contest: a log of fresh shoppers, everybody trained on it, and what each is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from scenarios.compare import BEST_PUBLIC, ORACLE
from scenarios.config import Scenario
from scenarios.folder import Row
from scenarios.sweep import Tables
from simenv.decision import Policy
from simenv.twins import Ratio, difference
from simenv.world import World

BEST_IMPERSONAL = "best public, impersonal"
REGISTERED, GREEDY = "registered", "greedy"  # under its temperature and floor, and always its best page


class ContestCell(BaseModel):
    """One (world, training seed), or a world's yardsticks, with everything that a worker needs.

    Attributes:
        scenario: Of the world; its seed is the training seed. Without learners it is the cell of the yardsticks.
        evaluation: The seed of the shoppers who judge.
    """

    model_config = ConfigDict(frozen=True)

    scenario: Scenario
    evaluation: int

    @property
    def key(self) -> str:
        """Readable and unique: world, seed, and a digest of all settings."""
        which = str(self.scenario.seed) if self.scenario.learners else "yardsticks"
        digest = hashlib.sha256(f"{self.scenario.digest()} {self.evaluation}".encode()).hexdigest()
        return f"{self.scenario.name}--{which}--{digest[:12]}"


def run_contest_cell(cell: ContestCell, work: Path) -> Tables:
    """One cell's rows: `values` (policy, how it plays, value) and, of the yardsticks, one of `worlds`.

    Args:
        cell: What to run.
        work: A folder of its own for the log and the models.
    """
    return _learned(cell, work) if cell.scenario.learners else _yardsticks(cell)


def _learned(cell: ContestCell, work: Path) -> Tables:
    from policies.ranking import RankingPolicy
    from scenarios.candidates import logging_policy, seed_of
    from scenarios.progress import SilentProgress
    from scenarios.train import train_on_half
    from simenv.log import Log, write_log
    from simenv.play import shopper_range
    from simenv.worlds import load_world

    scenario = cell.scenario
    world = load_world(scenario.world)
    logger, shoppers = logging_policy(scenario, world.catalogue.public()), shopper_range(scenario.logging.shoppers)
    log = Log.open(write_log(world, scenario.world, logger, seed_of(scenario, "log"), shoppers, work / "log"))
    played: dict[tuple[str, str], RankingPolicy] = {}
    for learner in scenario.learners:
        made = train_on_half(scenario, learner, world, log, 0, work / learner.title, SilentProgress())
        played[learner.title, REGISTERED] = made
        played[learner.title, GREEDY] = made.with_exploration(0.0, 0.0)
    return {"values": _value_rows(cell, _judged(cell, world, logger, played), logger.name, "learned")}


def _yardsticks(cell: ContestCell) -> Tables:
    from policies.public_oracle import fit_public_oracle
    from policies.ranking import RankingPolicy
    from policies.registry import named_policy
    from scenarios.candidates import logging_policy, population, seed_of
    from simenv.worlds import load_world

    scenario = cell.scenario
    world = load_world(scenario.world)
    catalogue = world.catalogue.public()
    logger, seed = logging_policy(scenario, catalogue), seed_of(scenario, "yardstick")
    shoppers = population(scenario, world, scenario.truth.oracle_shoppers)
    fixed: dict[tuple[str, str], RankingPolicy] = {(logger.name, GREEDY): logger.with_exploration(0.0, 0.0)}
    for name in scenario.baselines:
        made = named_policy(name, catalogue)
        fixed |= {(name, REGISTERED): made, (name, GREEDY): made.with_exploration(0.0, 0.0)}
    best = {
        BEST_PUBLIC: RankingPolicy(BEST_PUBLIC, fit_public_oracle(world, logger, seed, shoppers), 0.0),
        BEST_IMPERSONAL: RankingPolicy(
            BEST_IMPERSONAL, fit_public_oracle(world, logger, seed, shoppers, personal=False), 0.0
        ),
        ORACLE: named_policy(ORACLE, catalogue),
    }
    found = _judged(cell, world, logger, fixed | {(name, GREEDY): policy for name, policy in best.items()})
    value = {name: found[name, GREEDY].value for name in best}
    row = {
        "world": scenario.name,
        "reward": world.params.reward,
        "click_model": world.params.click_model.name,
        "logger": logger.name,
        "logger_value": found[logger.name, REGISTERED].value,
        "best_public": value[BEST_PUBLIC],
        "best_impersonal": value[BEST_IMPERSONAL],
        "oracle": value[ORACLE],
        "searches": float(found[logger.name, REGISTERED].count.sum()),
    }
    return {"values": _value_rows(cell, found, logger.name, "baseline"), "worlds": [row]}


def _judged(
    cell: ContestCell, world: World, logger: Policy, played: Mapping[tuple[str, str], Policy]
) -> dict[tuple[str, str], Ratio]:
    """What everybody is worth on the logger's searches, the logger as registered among them."""
    from scenarios.candidates import population
    from simenv.truth import on_logger_contexts

    shoppers = population(cell.scenario, world, cell.scenario.truth.shoppers)
    targets = {f"{name} {play}": policy for (name, play), policy in played.items()}
    found = on_logger_contexts(world, logger, targets, cell.evaluation, shoppers)
    judged = {(name, play): found[f"{name} {play}"] for name, play in played}
    return {(logger.name, REGISTERED): found[logger.name], **judged}


def _value_rows(cell: ContestCell, found: Mapping[tuple[str, str], Ratio], logger: str, role: str) -> list[Row]:
    """A row a policy and play. The logger is told once, by the yardsticks; lifts are paired by shopper."""
    base = found[logger, REGISTERED]
    rows: list[Row] = []
    for (name, play), ratio in found.items():
        if name == logger and role == "learned":
            continue
        own = difference(ratio, base)
        is_oracle = name in (BEST_PUBLIC, BEST_IMPERSONAL, ORACLE)
        rows.append(
            {
                "world": cell.scenario.name,
                "policy": name,
                "role": "logger" if name == logger else "oracle" if is_oracle else role,
                "play": play,
                "seed": str(cell.scenario.seed) if role == "learned" else "",
                "value": ratio.value,
                "lift": own.value,
                "lift_stderr": own.stderr,
            }
        )
    return rows

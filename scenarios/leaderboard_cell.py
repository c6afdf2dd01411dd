"""One cell of the leaderboard: many logs of one bed, every estimator on each, and the truth beside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from offpolicy import Evidence, estimator, evaluate
from offpolicy.estimators import BY_SLOT
from offpolicy.single.choosing import choose
from offpolicy.single.columns import makeable
from scenarios.enumerated_bed import Bed, market_of
from scenarios.enumerated_log import logs
from scenarios.leaderboard_tables import Judged, choice_rows, ranking_rows, score_rows
from scenarios.sweep import Tables

ESTIMATORS = (
    "ips", "snips", "dm", "dr", "sndr", "clipped-dr", "dros", "dros:slope", "rips", "cascade-dr", "ips-item",
    "snips-item", "dr-item", "pi",
)  # fmt: skip
TRUTH_SEED = 1_000_003  # added to the seeds of truth, which are never those of a log


class MarketBed(BaseModel):
    """A bed in the simulator itself: its truth is played, closely, and its logs are few.

    Attributes:
        name, about, is_sound: As of an enumerated bed.
        world: A named world.
        logger: Who writes the log.
        targets: Policies of the registry.
        shoppers: Of a log.
        truth_shoppers: Who are played for the truth.
        seeds: Logs, at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["simulated"] = "simulated"
    name: str = Field(pattern=r"^[a-z0-9-]+$")
    about: str = ""
    is_sound: bool = False
    world: str = "default"
    logger: str = "production"
    targets: list[str] = Field(default=["popularity", "lexical"], min_length=1)
    shoppers: int = Field(default=400, ge=20)
    truth_shoppers: int = Field(default=6_000, ge=20)
    seeds: int = Field(default=12, ge=2)


AnyBed = Annotated[Bed | MarketBed, Field(discriminator="kind")]


class LeaderboardCell(BaseModel):
    """A bed, how many logs of it, the estimators, and how many pseudo-logs choose among them (0: none)."""

    model_config = ConfigDict(frozen=True)

    bed: AnyBed
    seeds: int
    seed: int
    estimators: tuple[str, ...]
    splits: int = 0

    @property
    def key(self) -> str:
        """Readable and unique: the bed's name and a digest of all settings."""
        return f"{self.bed.name}--{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]}"


def run_leaderboard_cell(cell: LeaderboardCell, work: Path) -> Tables:
    """One cell's rows: `scores`, `rankings` and `choices` (see `scenarios.leaderboard_tables`).

    Args:
        cell: What to run.
        work: A folder of its own, for logs of the simulator.
    """
    judged = list(judge_cell(cell, work))
    name = cell.bed.name
    return {
        "scores": score_rows(name, judged, is_sound=cell.bed.is_sound),
        "rankings": ranking_rows(name, judged),
        "choices": choice_rows(name, judged),
    }


def judge_cell(cell: LeaderboardCell, work: Path) -> Iterator[Judged]:
    """Every estimate of every log of a cell."""
    bed = cell.bed
    if bed.kind == "enumerated":
        truth = market_of(bed.model_dump_json()).truth
        each: Iterator[Mapping[str, Evidence]] = logs(bed, cell.seeds, cell.seed)
    else:
        truth, each = _played_truth(bed, cell.seed), _played(bed, cell, work)
    for seed, targets in enumerate(each):
        for target, evidence in targets.items():
            chosen = _chosen(evidence, cell, seed)
            for one in judge_log(seed, target, truth[target], evidence, cell.estimators):
                yield replace(one, is_chosen=one.estimator == chosen)


def judge_log(seed: int, target: str, truth: float, evidence: Evidence, estimators: Sequence[str]) -> Iterator[Judged]:
    """Every estimate of one log that its columns can feed; one that weighs slots only where there are several."""
    able = [name for name in estimators if _can(name, evidence)]
    for found in evaluate(evidence, able):
        ends = found.interval
        yield Judged(seed, target, truth, found.estimator, ends.value, ends.low, ends.high, found.verdict.word)


def _chosen(evidence: Evidence, cell: LeaderboardCell, seed: int) -> str:
    """The estimator that importance fitting chooses; "" where nobody asked, or pseudo-logs cannot be made."""
    able = makeable(evidence)
    names = [name for name in cell.estimators if _can(name, evidence) and set(estimator(name).needs) <= able]
    return choose(evidence, names, cell.splits, seed).estimator if cell.splits and able and names else ""


def _can(name: str, evidence: Evidence) -> bool:
    one = estimator(name)
    return not one.missing(evidence) and not (one.terms in BY_SLOT and evidence.n_slots == 1)


def _played(bed: MarketBed, cell: LeaderboardCell, work: Path) -> Iterator[Mapping[str, Evidence]]:
    from policies.registry import named_policy
    from scenarios.config import Estimation
    from scenarios.evidence import join_log
    from simenv.log import Log, write_log
    from simenv.play import shopper_range
    from simenv.worlds import load_world

    world = load_world(bed.world)
    catalogue = world.catalogue.public()
    logger = named_policy(bed.logger, catalogue)
    targets = {name: named_policy(name, catalogue) for name in bed.targets}
    settings = Estimation(estimators=[name for name in cell.estimators if name != "pi"])
    for seed in range(cell.seed, cell.seed + min(cell.seeds, bed.seeds)):
        folder = write_log(world, bed.world, logger, seed, shopper_range(bed.shoppers), work / str(seed))
        yield join_log(Log.open(folder), targets, None, settings, seed, lambda n=1: None).evidence


def _played_truth(bed: MarketBed, seed: int) -> dict[str, float]:
    """The value of each target per search over the logger's contexts, exact clicks over shoppers of their own."""
    from policies.registry import named_policy
    from simenv.play import shopper_range
    from simenv.truth import on_logger_contexts
    from simenv.worlds import load_world

    world = load_world(bed.world)
    catalogue = world.catalogue.public()
    targets = {name: named_policy(name, catalogue) for name in bed.targets}
    shoppers = shopper_range(bed.truth_shoppers)
    found = on_logger_contexts(world, named_policy(bed.logger, catalogue), targets, seed + TRUTH_SEED, shoppers)
    return {name: found[name].value for name in targets}

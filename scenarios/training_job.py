"""One training: who learns, under which scenario, into which folder, how, and what is kept of it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.learning import Learner, metrics_of
from policies.persistence import VERSIONS_OF, LearnedFrom, save_model
from policies.training import Plan
from scenarios.candidates import default_exploration, seed_of
from scenarios.config import Learning, Scenario
from scenarios.progress import Progress


@dataclass(frozen=True)
class Keeping:
    """What a training leaves beside its model.

    Attributes:
        checkpoint_every: Searches between checkpoints, which stand beside the model's folder until it is saved; 0 for
            none.
        tensorboard: A folder for event files; None for none.
    """

    checkpoint_every: int = 0
    tensorboard: Path | None = None


EVERY_TEN_THOUSAND = Keeping(10_000)


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        scenario: Its world and seed.
        learner: Who learns.
        out: The model's folder, to be made.
        device: "cpu" or "cuda".
        keeping: What is left beside the model.
        progress: Told searches.
        runners: Processes that play through Ray, for policies that RLlib trains; 0 for this one.
    """

    scenario: Scenario
    learner: Learning
    out: Path
    device: str
    keeping: Keeping
    progress: Progress
    runners: int = 0

    @property
    def seed(self) -> int:
        """Of training."""
        return seed_of(self.scenario, "training")


def plan_of(job: Job, searches: int | None, finish_every: int | None, which: Mapping[str, Any]) -> Plan:
    """The plan, with all that a checkpoint must agree in to be gone on from.

    Args:
        job: The training.
        searches: Pages to learn from; None for all that the source has.
        finish_every: See `Plan`.
        which: What else says which training it is: its source and settings; short things first.
    """
    if not job.keeping.checkpoint_every:
        return Plan(searches, finish_every)
    training = {
        "policy": job.learner.policy,
        "seed": job.scenario.seed,  # as it was said; that of training comes of it
        "exploration": list(default_exploration(job.learner)),
        "device": job.device,
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS_OF},
        **which,
    }
    path = job.out.with_name(f"{job.out.name}.checkpoint")
    return Plan(searches, finish_every, path, job.keeping.checkpoint_every, training)


def tell_checkpoint(job: Job, path: Path | None, searches: int, resumed: bool, stopped: bool) -> None:
    """Tell a person of a checkpoint that was gone on from, or that holds what Ctrl-C stopped."""
    if resumed:
        job.progress.note(f"goes on from {path}, after {searches:,} searches")
    elif stopped:
        job.progress.note(f"stopped after {searches:,} searches; {path} holds them")


def save_trained(job: Job, made: Learner, n_slots: int, seen: LearnedFrom, metrics: dict[str, float]) -> None:
    """Save what was learned, as it explores by the scenario."""
    save_model(made, job.out, n_slots, seen, metrics | metrics_of(made), exploration=default_exploration(job.learner))

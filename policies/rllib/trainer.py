"""Training by RLlib, seen from outside: a trainer learns step by step, and one loop watches, keeps and stops it.

    a step samples and learns -> who watches is told -> now and then a checkpoint

Whoever adds an algorithm writes a `Trainer` and a function that makes one from an `Assignment`, and names that
function in the policy's entry of `policies.registry` (`trained_by`); bars, event files, checkpoints and Ctrl-C come by
themselves. Nothing here loads Ray.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from policies.checkpoint import damaged, read_checkpoint, write_checkpoint
from policies.learning import Learner
from policies.registry import entry_of
from policies.training import Plan
from simenv.catalogue import I64
from simenv.errors import UserError
from simenv.log import Log


@dataclass(frozen=True)
class Assignment:
    """What is to be learned.

    Attributes:
        policy: A name in POLICIES.
        world: A name of `simenv.worlds.WORLDS`.
        seed: Of everything that is drawn, in [0, 2**31).
        searches: Pages that may be shown; a trainer that learns from a log may read it as pages to learn from.
        exploration: Temperature and floor that the policy will be saved with.
        settings: In place of the algorithm's defaults.
        device: "cpu" or "cuda", of the learner.
        runners: Processes that play, started through Ray; 0 to play in this one, without Ray.
        log: To learn from in place of the market.
        half: Which shoppers of the log (`policies.learning.in_half`); None for all.
    """

    policy: str
    world: str
    seed: int
    searches: int
    exploration: tuple[float, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    runners: int = 0
    log: Log | None = None
    half: int | None = None


class Trainer(Protocol):
    """A training that has been set up and goes on by steps."""

    @property
    def searches(self) -> int:
        """Pages learned from so far; what checkpoints, bars and event files count."""

    @property
    def budget(self) -> int:
        """The training is over once `searches` reaches this."""

    def step(self) -> Mapping[str, float]:
        """Sample and learn once.

        Returns:
            Figures of this step by name, for event files; `reward_per_search` among them where something was shown.
            Those of the last step stand on the model's card, where they are finite.
        """

    def state(self) -> dict[str, Any]:
        """All that going on needs, as `policies.training_state.packed` takes it.

        Modules, optimisers and generators are given as they are: a checkpoint is put back into those of a fresh
        trainer's state, in place.
        """

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the rest of a state, whose modules, optimisers and generators have been put back already."""

    def scorer(self) -> Learner:
        """A copy of the policy as it stands, on the CPU, from the learner's own module."""

    def shoppers(self) -> I64 | None:
        """Ids of those it has learned from, or None where nobody took note."""

    def close(self) -> None:
        """Let go of processes and environments."""


@dataclass(frozen=True)
class TrainerWatch:
    """Who is told of a training by steps, and who may stop it.

    Attributes:
        on_step: Told the searches so far and the figures of the step.
        on_checkpoint: Told how many searches a checkpoint holds, and whether it is one that was gone on from.
        stop: Asked after every step; where it says yes, a checkpoint is written and `KeyboardInterrupt` raised.
    """

    on_step: Callable[[int, Mapping[str, float]], object] = lambda searches, figures: None
    on_checkpoint: Callable[[int, bool], object] = lambda searches, resumed: None
    stop: Callable[[], bool] = lambda: False


def new_trainer(assignment: Assignment) -> Trainer:
    """The trainer of a policy, from its entry in POLICIES.

    Raises:
        UserError: for a policy that is not trained step by step, or a wrong setting.
    """
    entry = entry_of(assignment.policy)
    if not entry.trained_by:
        raise UserError(
            f"policy '{assignment.policy}' is not trained by RLlib; expected one whose entry names a trainer."
        )
    module, _, name = entry.trained_by.partition(":")
    made: Trainer = getattr(importlib.import_module(module), name)(assignment)
    return made


def train_by_steps(trainer: Trainer, plan: Plan, watch: TrainerWatch) -> dict[str, float]:
    """Train to the end of the budget, from the plan's checkpoint where there is one.

    Args:
        trainer: Fresh.
        plan: Its checkpoint, how often it is written, and which training it is of.
        watch: Who is told.

    Returns:
        What its card tells of the training: searches, and the figures of the last step.

    Raises:
        UserError: for a checkpoint of another training, or a damaged one.
        KeyboardInterrupt: where it was asked to stop; a checkpoint has been written if the plan has one.
    """
    figures: Mapping[str, float] = {}
    if plan.checkpoint is not None and plan.checkpoint.exists():
        figures = _gone_on(trainer, plan.training, plan.checkpoint)
        watch.on_checkpoint(trainer.searches, True)
    kept = trainer.searches
    while trainer.searches < trainer.budget:
        figures = trainer.step()
        watch.on_step(trainer.searches, figures)
        stop = watch.stop()
        if plan.checkpoint is not None and (stop or trainer.searches - kept >= plan.checkpoint_every):
            kept = trainer.searches
            write_checkpoint(plan.checkpoint, plan.training, {"trainer": trainer.state(), "figures": dict(figures)})
            watch.on_checkpoint(kept, False)
        if stop:
            raise KeyboardInterrupt
    finite = {name: value for name, value in figures.items() if math.isfinite(value)}
    return {"searches": float(trainer.searches), **finite}


def _gone_on(trainer: Trainer, training: dict[str, Any], path: Path) -> Mapping[str, float]:
    """Put a checkpoint back into a trainer; the figures of its last step."""
    found = read_checkpoint(path, training)
    try:
        trainer.load_state(found.part("trainer", trainer.state()))
        figures: Mapping[str, float] = found.part("figures")
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, IndexError) as error:
        raise damaged(path, error) from error
    return figures

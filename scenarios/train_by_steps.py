"""Training what RLlib trains, under the eyes of a person: a bar, event files, checkpoints, Ctrl-C that loses nothing.

The algorithm is behind `policies.rllib.trainer.Trainer`; which one, the policy's entry says.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

from policies.persistence import LearnedFrom, shoppers_digest
from policies.rllib.trainer import Assignment, Trainer, TrainerWatch, new_trainer, train_by_steps
from policies.training import Plan, end_training
from scenarios.candidates import default_exploration
from scenarios.interruption import asked_to_stop
from scenarios.scalars import with_figures
from scenarios.training_job import Job, plan_of, save_trained, tell_checkpoint
from simenv.log import Log
from simenv.world import World


def train_with_rllib(job: Job, world: World, log: Log | None, half: int | None) -> None:
    """Train and save.

    Args:
        job: The training; its policy's entry names a trainer.
        world: Of the scenario.
        log: To learn from; None for the market. The trainer refuses the one that it cannot learn from.
        half: Which shoppers of the log.
    """
    learner = job.learner
    source = {"world": world.params.digest()} if log is None else {"log": log.verified_digest(), "half": half}
    assignment = Assignment(
        policy=learner.policy, world=job.scenario.world, seed=job.seed % 2**31, searches=learner.searches,
        exploration=default_exploration(learner), settings=learner.settings, device=job.device, runners=job.runners,
        log=log, half=half,
    )  # fmt: skip
    trainer = new_trainer(assignment)
    try:
        which = {"ray": importlib.metadata.version("ray"), **source, "searches": learner.searches,
                 "runners": job.runners, "settings": learner.settings}  # fmt: skip
        plan = plan_of(job, trainer.budget, None, which)
        metrics = _watched(job, trainer, plan, "in the market" if log is None else "from the log")
        shoppers = trainer.shoppers()
        made = trainer.scorer()
    finally:
        trainer.close()
    met = "" if shoppers is None else shoppers_digest(shoppers)
    seen = (
        LearnedFrom("", world.params.digest(), assignment.seed, None, made.n_searches, met)
        if log is None
        else LearnedFrom(log.digest, log.world_hash, log.seed, half, made.n_searches, met)
    )
    save_trained(job, made, world.params.n_slots if log is None else log.manifest["n_slots"], seen, metrics)
    end_training(plan)


def _watched(job: Job, trainer: Trainer, plan: Plan, where: str) -> dict[str, float]:
    advance = job.progress.task(f"train {job.learner.title} {where}", trainer.budget)
    told = 0

    def tell(searches: int) -> None:
        nonlocal told
        done = min(searches, trainer.budget)
        advance(done - told)
        told = done

    def on_step(searches: int, figures: Mapping[str, float]) -> None:
        tell(searches)

    with asked_to_stop() as asked:

        def on_checkpoint(searches: int, resumed: bool) -> None:
            tell(searches)
            tell_checkpoint(job, plan.checkpoint, searches, resumed, asked())

        watch = TrainerWatch(on_step, on_checkpoint, asked)
        with with_figures(watch, job.keeping.tensorboard) as seen:
            return train_by_steps(trainer, plan, seen)

"""Training: learners from one half of a log or in the market itself, saved; what was stopped is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policies.checkpoint import weights_digest
from policies.device import resolve_device
from policies.learning import Learner
from policies.persistence import LearnedFrom, load_model, shoppers_digest
from policies.ranking import RankingPolicy
from policies.registry import entry_of, new_learner
from policies.training import LogHalf, Market, Plan, Progressed, Source, Watch, end_training, train
from scenarios.candidates import default_exploration
from scenarios.config import Learning, Scenario, load_scenario
from scenarios.interruption import asked_to_stop
from scenarios.progress import Advance, Progress
from scenarios.scalars import with_scalars
from scenarios.train_by_steps import train_with_rllib
from scenarios.training_job import EVERY_TEN_THOUSAND, Job, Keeping, plan_of, save_trained, tell_checkpoint
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.log import Log
from simenv.vector_env import SearchVectorEnv
from simenv.world import World
from simenv.worlds import load_world

ROUNDS = 5  # of training while a bandit learns online
ROWS = 256  # shoppers side by side while a bandit learns online


def train_policy(
    scenario: str,
    policy: str,
    out: Path,
    *,
    seed: int,
    log: Path | None,
    device: str,
    progress: Progress,
    keeping: Keeping = EVERY_TEN_THOUSAND,
    runners: int = 0,
) -> Path:
    """Train one policy and save it; what was stopped goes on from its checkpoint.

    Args:
        scenario: Name or TOML file; its world and, where it lists the policy, its budget.
        policy: A learner in POLICIES, or the name that the scenario gives to one.
        out: The model's folder, to be made.
        seed: Of training.
        log: Learn from this log (the learning half of its shoppers) instead of in the market.
        device: "auto", "cpu" or "cuda".
        progress: Told searches.
        keeping: What is left beside the model.
        runners: Processes that play through Ray, for policies that RLlib trains in the market; 0 for this one.

    Returns:
        `out`.
    """
    settings = load_scenario(scenario, seed)
    listed = [learner for learner in settings.learners if learner.title == policy]
    learner = listed[0] if listed else Learning(policy=policy)
    if not entry_of(learner.policy).learns:
        new_learner(policy, load_world(settings.world).catalogue.public(), 1, seed)  # says what is wrong
    if out.exists():
        raise UserError(f"'{out}' exists already; a model is never overwritten. Choose another --out or remove it.")
    world, entry = load_world(settings.world), entry_of(learner.policy)
    if log is not None and entry.acts:
        raise UserError(f"'{learner.policy}' learns by acting in the market; leave out --log.")
    if runners and not (entry.trained_by and entry.acts):
        raise UserError(f"'{learner.policy}' does not play through Ray; leave out --runners.")
    job = Job(settings, learner, out, resolve_device(device), keeping, progress, runners)
    if entry.trained_by:
        train_with_rllib(job, world, None if log is None else Log.open(log), None if log is None else 0)
    elif log is not None:
        _train_from_log(job, Log.open(log), 0)
    else:
        _train_online(job, world)
    return out


def train_on_half(
    scenario: Scenario, learner: Learning, world: World, log: Log, half: int, folder: Path, progress: Progress
) -> RankingPolicy:
    """The scenario's learner, trained from a half of the log (or in the market), saved; loaded where it was saved."""
    if not folder.is_dir():
        job = Job(scenario, learner, folder, resolve_device("auto"), Keeping(), progress)
        entry = entry_of(learner.policy)
        if entry.acts:
            train_with_rllib(job, world, None, None)
        elif entry.trained_by:
            train_with_rllib(job, world, log, half)
        else:
            _train_from_log(job, log, half)
    return load_model(folder, world.catalogue.public(), world.params.n_slots)


def _train_from_log(job: Job, log: Log, half: int) -> None:
    n_slots = log.manifest["n_slots"]
    made = _untrained(job, log.catalogue(), n_slots)
    log_hash = log.verified_digest()
    source = LogHalf(made, log, half)
    plan = plan_of(job, None, None, _which(made, {"log": log_hash, "half": half}))
    metrics = _watched(job, made, source, plan, source.n_rows())
    seen = LearnedFrom(log_hash, log.world_hash, log.seed, half, made.n_searches, shoppers_digest(source.shoppers()))
    save_trained(job, made, n_slots, seen, metrics)
    end_training(plan)


def _train_online(job: Job, world: World) -> None:
    n_slots, searches = world.params.n_slots, job.learner.searches
    made = _untrained(job, world.catalogue.public(), n_slots)
    env = SearchVectorEnv(ROWS, job.scenario.world, episode="shopper")
    source = Market(made, env, job.seed, default_exploration(job.learner))
    which = {"world": world.params.digest(), "searches": searches}
    plan = plan_of(job, searches, max(1, searches // ROUNDS), _which(made, which))
    metrics = _watched(job, made, source, plan, None)
    seen = LearnedFrom("", world.params.digest(), job.seed, None, made.n_searches, shoppers_digest(source.shoppers()))
    save_trained(job, made, n_slots, seen, metrics)
    end_training(plan)


def _untrained(job: Job, catalogue: PublicCatalogue, n_slots: int) -> Learner:
    return new_learner(job.learner.policy, catalogue, n_slots, job.seed % 2**31, job.device, job.learner.settings)


def _which(made: Learner, source: Mapping[str, Any]) -> dict[str, Any]:
    """What says which training it is, beside its job."""
    weights = weights_digest(made.feature_map.tensors())
    return {**source, "reader and session weights": weights, "settings": made.settings}  # long descriptions last


def _watched(job: Job, learner: Learner, source: Source, plan: Plan, n_rows: int | None) -> dict[str, float]:
    """Train under the eyes of a person: a bar, event files where they are asked for, and Ctrl-C that loses nothing.

    `n_rows` is how many searches the log has for it, of which most are learned from in the round at the end; None in
    the market.
    """
    title, total = job.learner.title, plan.searches or n_rows
    advance = job.progress.task(
        f"train {title} in the market" if n_rows is None else f"read the log for {title}", total
    )
    told = 0
    finished: Advance = _nothing_more

    def on_batch(now: Progressed, clicks: float) -> None:
        nonlocal told, finished
        done = now.searches if total is None else min(now.searches, total)
        advance(done - told)
        told = done
        if n_rows is not None and done == n_rows:
            finished = job.progress.task(f"train {title} on {done:,} searches of the log", 1)

    with asked_to_stop() as asked:

        def on_checkpoint(searches: int, resumed: bool) -> None:
            tell_checkpoint(job, plan.checkpoint, searches, resumed, asked())

        watch = Watch(on_batch, lambda now: finished(), on_checkpoint, asked)
        with with_scalars(watch, job.keeping.tensorboard) as seen:
            return train(learner, source, plan, seen)


def _nothing_more(n: int = 1) -> None:
    """In the market every round is told of by its searches."""

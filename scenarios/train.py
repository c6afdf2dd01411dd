"""Training: learners from one half of a log or in the market itself, saved; what was stopped is gone on with."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from policies.checkpoint import weights_digest
from policies.device import resolve_device
from policies.learning import Learner, metrics_of
from policies.persistence import VERSIONS_OF, LearnedFrom, load_model, save_model, shoppers_digest
from policies.ranking import RankingPolicy
from policies.registry import entry_of, new_learner
from policies.training import LogHalf, Market, Plan, Progressed, Source, Watch, end_training, train
from scenarios.candidates import default_exploration, seed_of
from scenarios.config import Learning, Scenario, load_scenario
from scenarios.interruption import asked_to_stop
from scenarios.progress import Advance, Progress
from scenarios.scalars import with_scalars
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.log import Log
from simenv.vector_env import SearchVectorEnv
from simenv.world import World
from simenv.worlds import load_world

IN_THE_MARKET = "ppo-slate"  # learns by reinforcement, so it needs to act
ROUNDS = 5  # of training while a bandit learns online
ROWS = 256  # shoppers side by side while a bandit learns online
CHECKPOINT_EVERY = 10_000  # searches


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


@dataclass(frozen=True)
class _Job:
    """One training of a bandit: who learns, under which scenario, into which folder, and how."""

    scenario: Scenario
    learner: Learning
    out: Path
    device: str
    keeping: Keeping
    progress: Progress

    @property
    def seed(self) -> int:
        """Of training."""
        return seed_of(self.scenario, "training")


def train_policy(
    scenario: str,
    policy: str,
    out: Path,
    *,
    seed: int,
    log: Path | None,
    device: str,
    progress: Progress,
    keeping: Keeping = Keeping(CHECKPOINT_EVERY),
) -> Path:
    """Train one policy and save it; a bandit that was stopped goes on from its checkpoint.

    Args:
        scenario: Name or TOML file; its world and, where it lists the policy, its budget.
        policy: A learner in POLICIES, or the name that the scenario gives to one.
        out: The model's folder, to be made.
        seed: Of training.
        log: Learn from this log (the learning half of its shoppers) instead of in the market.
        device: "auto", "cpu" or "cuda".
        progress: Told searches.
        keeping: What is left beside the model; `ppo-slate` leaves nothing and starts again.

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
    world = load_world(settings.world)
    if learner.policy == IN_THE_MARKET:
        if log is not None:
            raise UserError(f"'{learner.policy}' learns by acting in the market; leave out --log.")
        _train_in_market(settings, learner, world, out, device, progress)
        return out
    job = _Job(settings, learner, out, resolve_device(device), keeping, progress)
    if log is not None:
        _train_from_log(job, Log.open(log), 0)
    else:
        _train_online(job, world)
    return out


def train_on_half(
    scenario: Scenario, learner: Learning, world: World, log: Log, half: int, folder: Path, progress: Progress
) -> RankingPolicy:
    """The scenario's learner, trained from a half of the log (or in the market), saved; loaded where it was saved."""
    if not folder.is_dir():
        if learner.policy == IN_THE_MARKET:
            _train_in_market(scenario, learner, world, folder, "auto", progress)
        else:
            _train_from_log(_Job(scenario, learner, folder, resolve_device("auto"), Keeping(), progress), log, half)
    return load_model(folder, world.catalogue.public(), world.params.n_slots)


def _train_from_log(job: _Job, log: Log, half: int) -> None:
    n_slots = log.manifest["n_slots"]
    made = _untrained(job, log.catalogue(), n_slots)
    log_hash = log.verified_digest()
    source = LogHalf(made, log, half)
    plan = _plan(job, made, None, None, {"log": log_hash, "half": half})
    metrics = _watched(job, made, source, plan, source.n_rows())
    seen = LearnedFrom(log_hash, log.world_hash, log.seed, half, made.n_searches, shoppers_digest(source.shoppers()))
    _save(made, job.learner, job.out, n_slots, seen, metrics)
    end_training(plan)


def _train_online(job: _Job, world: World) -> None:
    n_slots, searches = world.params.n_slots, job.learner.searches
    made = _untrained(job, world.catalogue.public(), n_slots)
    env = SearchVectorEnv(ROWS, job.scenario.world, episode="shopper")
    source = Market(made, env, job.seed, default_exploration(job.learner))
    which = {"world": world.params.digest(), "searches": searches}
    plan = _plan(job, made, searches, max(1, searches // ROUNDS), which)
    metrics = _watched(job, made, source, plan, None)
    seen = LearnedFrom("", world.params.digest(), job.seed, None, made.n_searches, shoppers_digest(source.shoppers()))
    _save(made, job.learner, job.out, n_slots, seen, metrics)
    end_training(plan)


def _untrained(job: _Job, catalogue: PublicCatalogue, n_slots: int) -> Learner:
    return new_learner(job.learner.policy, catalogue, n_slots, job.seed % 2**31, job.device, job.learner.settings)


def _plan(job: _Job, made: Learner, searches: int | None, finish_every: int | None, which: dict[str, object]) -> Plan:
    """The plan, with all that a checkpoint must agree in to be gone on from."""
    if not job.keeping.checkpoint_every:
        return Plan(searches, finish_every)
    training = {
        "policy": job.learner.policy,
        "seed": job.seed,
        "exploration": list(default_exploration(job.learner)),
        "device": job.device,
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS_OF},
        **which,
        "reader and session weights": weights_digest(made.feature_map.tensors()),  # before their long descriptions
        "settings": made.settings,
    }
    path = job.out.with_name(f"{job.out.name}.checkpoint")
    return Plan(searches, finish_every, path, job.keeping.checkpoint_every, training)


def _watched(job: _Job, learner: Learner, source: Source, plan: Plan, n_rows: int | None) -> dict[str, float]:
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
            if resumed:
                job.progress.note(f"goes on from {plan.checkpoint}, after {searches:,} searches")
            elif asked():
                job.progress.note(f"stopped after {searches:,} searches; {plan.checkpoint} holds them")

        watch = Watch(on_batch, lambda now: finished(), on_checkpoint, asked)
        with with_scalars(watch, job.keeping.tensorboard) as seen:
            return train(learner, source, plan, seen)


def _nothing_more(n: int = 1) -> None:
    """In the market every round is told of by its searches."""


def _train_in_market(
    scenario: Scenario, learner: Learning, world: World, out: Path, device: str, progress: Progress
) -> None:
    from policies.rllib.train import PPOSettings, train_ppo

    seed = seed_of(scenario, "training")
    advance = progress.task(f"train {learner.title} in the market", learner.searches)
    made: Learner = train_ppo(
        scenario.world,
        seed=seed % 2**31,
        searches=learner.searches,
        device=resolve_device(device),
        settings=PPOSettings(floor=default_exploration(learner)[1]),
        advance=advance,
    )
    seen = LearnedFrom("", world.params.digest(), seed % 2**31, None, made.n_searches)
    _save(made, learner, out, world.params.n_slots, seen, {"searches": float(made.n_searches)})


def _save(
    made: Learner, learner: Learning, out: Path, n_slots: int, seen: LearnedFrom, metrics: dict[str, float]
) -> None:
    save_model(made, out, n_slots, seen, metrics | metrics_of(made), exploration=default_exploration(learner))

"""Training: learners from one half of a log, or in the market itself."""

from __future__ import annotations

from pathlib import Path

from policies.device import resolve_device
from policies.learning import Learner, learn_online, log_examples, metrics_of
from policies.persistence import LearnedFrom, load_model, save_model
from policies.ranking import RankingPolicy, reads_query
from policies.registry import entry_of, new_learner
from scenarios.candidates import default_exploration, seed_of
from scenarios.config import Learning, Scenario, load_scenario
from scenarios.progress import Progress
from simenv.errors import UserError
from simenv.log import Log
from simenv.vector_env import SearchVectorEnv
from simenv.world import World
from simenv.worlds import load_world

IN_THE_MARKET = "ppo-slate"  # learns by reinforcement, so it needs to act
ROUNDS = 5  # of training while a bandit learns online
ROWS = 256  # shoppers side by side while a bandit learns online


def train_policy(
    scenario: str, policy: str, out: Path, *, seed: int, log: Path | None, device: str, progress: Progress
) -> Path:
    """Train one policy and save it.

    Args:
        scenario: Name or TOML file; its world and, where it lists the policy, its budget.
        policy: A learner in POLICIES, or the name that the scenario gives to one.
        out: The model's folder, to be made.
        seed: Of training.
        log: Learn from this log (the learning half of its shoppers) instead of in the market.
        device: "auto", "cpu" or "cuda".
        progress: Told searches.

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
    elif log is not None:
        _train_from_log(settings, learner, world, Log.open(log), 0, out, device, progress)
    else:
        _train_online(settings, learner, world, out, device, progress)
    return out


def train_on_half(
    scenario: Scenario, learner: Learning, world: World, log: Log, half: int, folder: Path, progress: Progress
) -> RankingPolicy:
    """The scenario's learner, trained from a half of the log (or in the market), saved; loaded where it was saved."""
    if not folder.is_dir():
        if learner.policy == IN_THE_MARKET:
            _train_in_market(scenario, learner, world, folder, "auto", progress)
        else:
            _train_from_log(scenario, learner, world, log, half, folder, "auto", progress)
    return load_model(folder, world.catalogue.public(), world.params.n_slots)


def _train_from_log(
    scenario: Scenario, learner: Learning, world: World, log: Log, half: int, out: Path, device: str, progress: Progress
) -> None:
    made = new_learner(
        learner.policy,
        log.catalogue(),
        log.manifest["n_slots"],
        seed_of(scenario, "training") % 2**31,
        resolve_device(device),
        learner.settings,
    )
    advance = progress.task(f"train {learner.title} from the log", None)
    for batch in log_examples(made.feature_map, log, half, reads_query(made)):
        made.update(batch)
        advance(len(batch))
    made.finish()
    seen = LearnedFrom(log.digest, log.world_hash, log.seed, half, made.n_searches)
    _save(made, learner, out, log.manifest["n_slots"], seen)


def _train_online(
    scenario: Scenario, learner: Learning, world: World, out: Path, device: str, progress: Progress
) -> None:
    seed = seed_of(scenario, "training")
    made = new_learner(
        learner.policy,
        world.catalogue.public(),
        world.params.n_slots,
        seed % 2**31,
        resolve_device(device),
        learner.settings,
    )
    advance = progress.task(f"train {learner.title} in the market", learner.searches)
    told = 0

    def on_round(done: int) -> None:
        nonlocal told
        advance(min(done, learner.searches) - told)
        told = min(done, learner.searches)

    env = SearchVectorEnv(ROWS, scenario.world, episode="shopper")
    every = max(1, learner.searches // ROUNDS)
    learn_online(made, env, seed, learner.searches, default_exploration(learner), every, on_round)
    _save(made, learner, out, world.params.n_slots, LearnedFrom("", world.params.digest(), seed, None, made.n_searches))


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
    _save(made, learner, out, world.params.n_slots, seen)


def _save(made: Learner, learner: Learning, out: Path, n_slots: int, seen: LearnedFrom) -> None:
    save_model(made, out, n_slots, seen, metrics=metrics_of(made), exploration=default_exploration(learner))

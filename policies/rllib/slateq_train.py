"""Training SlateQ in this process, without starting Ray: a batched market, a flat memory, and RLlib's learner.

All rows of the market step together, so a page costs microseconds. The same seed gives the same weights on one
machine's CPU; no global generator is seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import Learner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.slateq import ENVIRONMENT, SlateQConfig, scale_of, training_batch
from policies.rllib.slateq_loss import slate_scores
from policies.rllib.slateq_module import SlateQModule
from policies.rllib.slateq_replay import FlatReplay, Rows
from policies.rllib.slateq_worlds import ToldEnv, slateq_world
from policies.rllib.train import _quiet
from policies.slateq import SlateQScorer
from simenv import hashing
from simenv.errors import UserError
from simenv.peers.peer_world import F64, Observation
from simenv.peers.rankers import Ranker
from simenv.worlds import load_world

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SlateQSettings:
    """How SlateQ learns. The defaults were tuned on interest evolution.

    Attributes:
        gamma: Discount from a page to the shopper's next one; 0 is the myopic learner. Lives end by themselves, so 1
            is fine.
        method: "q-learning" or "sarsa".
        optimiser: Of the slate in the target.
        serve: Of the slates shown.
        learning_rate: Of Adam; it falls to a tenth over the training.
        batch: Transitions in an update.
        copy_every: Updates between copies of the target network.
        hidden: Width of the networks.
        capacity: Transitions that are remembered.
        temperature: Of the policy that explores, in standard deviations of a page's scores.
        floor: Of the policy that explores.
    """

    gamma: float = 1.0
    method: str = "q-learning"
    optimiser: str = "optimal"
    serve: str = "optimal"
    learning_rate: float = 1e-3
    batch: int = 1024
    copy_every: int = 25
    hidden: int = 64
    capacity: int = 100_000
    temperature: float = 0.3
    floor: float = 0.1


TUNED = SlateQSettings()


@dataclass(frozen=True)
class SlateQRun:
    """How much is played.

    Attributes:
        world: A name that `policies.rllib.slateq_worlds.slateq_world` knows.
        seed: Of the shoppers' luck, the weights, the slates that are tried and what is remembered.
        pages: How many are shown.
        num_envs: Shoppers side by side; an update follows each page of theirs.
        episode: "session" or "shopper"; of the search market.
    """

    world: str
    seed: int
    pages: int
    num_envs: int = 256
    episode: str = "shopper"
    warm_up: int = 10_000


def slateq_config(run: SlateQRun, settings: SlateQSettings = TUNED) -> SlateQConfig:
    """RLlib's configuration of that training; `slateq_config(...).build_algo()` runs it on Ray."""
    config = SlateQConfig()
    config.environment(ENVIRONMENT, env_config={"world": run.world, "episode": run.episode, "seed": run.seed})
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=run.num_envs)
    config.learners(num_learners=0)
    config.rl_module(model_config={"hidden": settings.hidden, "seed": run.seed})
    config.training(
        gamma=settings.gamma,
        lr=[[0, settings.learning_rate], [max(1, run.pages), 0.1 * settings.learning_rate]],
        train_batch_size=settings.batch,
        grad_clip=10.0,
        grad_clip_by="global_norm",
        method=settings.method,
        slate_optimiser=settings.optimiser,
        serve=settings.serve,
        temperature=settings.temperature,
        floor=settings.floor,
        replay_capacity=settings.capacity,
        target_network_update_freq=settings.copy_every * run.num_envs,
        num_steps_sampled_before_learning_starts=run.warm_up,
    )
    return config


def train_slateq(
    run: SlateQRun,
    settings: SlateQSettings = TUNED,
    *,
    advance: Callable[[int], None] = lambda _: None,
    on_update: Callable[[int, SlateQModule], None] | None = None,
) -> SlateQModule:
    """Train in a world.

    Args:
        run: Where and how long.
        settings: How it learns.
        advance: Told how many pages have been shown since last time.
        on_update: Told the pages so far and the module, after each update.

    Returns:
        The learner's module, with its target network.
    """
    if run.pages < 1:
        raise UserError(f"pages is {run.pages}; expected at least 1.")
    world = slateq_world(run.world, run.episode)
    env = world.make(run.num_envs, run.seed)
    config = slateq_config(run, settings)
    with _quiet():
        space = (env.single_observation_space, env.single_action_space)
        learner: Learner = config.build_learner(spaces={DEFAULT_MODULE_ID: space})
    module: SlateQModule = learner.module[DEFAULT_MODULE_ID].unwrapped()
    replay = FlatReplay(settings.capacity, env.single_observation_space.shape[0], world.n_slots, run.seed)
    shown, is_scaled = 0, False
    with _one_thread():
        for rows in played(env, module):
            replay.add(rows)
            shown += len(rows.reward)
            advance(len(rows.reward))
            if shown >= run.warm_up:
                if not is_scaled:
                    learner.set_scale(scale_of(replay, settings.gamma))
                    is_scaled = True
                learner.update(
                    batch=training_batch(replay.sample(settings.batch)),
                    timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: shown},
                )
                if on_update is not None:
                    on_update(shown, module)
            if shown >= run.pages:
                break
    return module


def search_scorer(module: SlateQModule, run: SlateQRun, settings: SlateQSettings = TUNED) -> SlateQScorer:
    """What a training in the search market leaves: a scorer with copies of the networks."""
    world = load_world(run.world)
    made = SlateQScorer(world.catalogue.public(), world.params.n_slots, settings.hidden, run.seed, settings.serve)
    made.net.load_state_dict(module.net.state_dict())
    made.n_searches = run.pages
    return made


def peer_ranker(module: SlateQModule, serve: str) -> Ranker:
    """What a training in a peer's market leaves: a ranker of its pages, with an optimiser of choice."""
    flat = module.world.flat

    def scores(page: Observation, luck: hashing.Keys, truth: F64 | None) -> F32:
        with torch.no_grad():
            features = module.pages(torch.from_numpy(flat(page)))
            made: F32 = slate_scores(module.net.worth(features), serve).numpy()
        return made

    return Ranker(f"SlateQ, slates by the {serve} optimiser", scores)


def played(env: ToldEnv, module: SlateQModule) -> Iterator[Rows]:
    """Play without end: the pages of all rows that were shown a slate, a step later, when the next slate is known."""
    obs, _ = env.reset()
    over = np.zeros(env.num_envs, dtype=bool)
    slate = _explored(module, obs)
    while True:
        was_over = over
        following, reward, terminated, truncated, _ = env.step(slate)
        over = terminated | truncated
        next_slate = _explored(module, following)
        rows = Rows(obs, slate, reward.astype(np.float32), terminated, following, next_slate)
        yield rows if not was_over.any() else Rows(**{name: each[~was_over] for name, each in vars(rows).items()})
        obs, slate = following, next_slate


def _explored(module: SlateQModule, obs: F32) -> npt.NDArray[np.int64]:
    made: npt.NDArray[np.int64] = module.forward_exploration({Columns.OBS: torch.from_numpy(obs)})[Columns.ACTIONS].numpy()
    return made


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch: batches are small, and threads would cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

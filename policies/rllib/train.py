"""Training a slate policy by PPO: RLlib's env runner and learner in this process, without starting Ray.

The loop is RLlib's own, written out: sample, update, hand the new weights to the runner. It starts in a second, leaves no
processes behind, and seeds no global generator.

Schulman, Wolski, Dhariwal, Radford and Klimov, "Proximal policy optimization algorithms", 2017. The ratio is that of
whole slates.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from policies.slate_net import SlateScorer
from simenv.errors import UserError
from simenv.worlds import load_world, world_params

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import COMPONENT_RL_MODULE, DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.environment import with_market
from policies.rllib.module import SlateModule


@dataclass(frozen=True)
class PPOSettings:
    """How PPO learns here.

    Attributes:
        gamma: 0: the return of a page is its own reward. What is judged is the value per search, and what later pages
            bring is to the gradient of one page mostly noise. Raise it to learn for sessions.
        batch: Searches between two updates.
    """

    gamma: float = 0.0
    lambda_: float = 1.0
    learning_rate: float = 3e-3
    batch: int = 4096
    minibatch: int = 1024
    epochs: int = 4
    clip: float = 0.2
    entropy: float = 0.0
    value_weight: float = 0.5
    hidden: int = 32
    floor: float = 0.0


def train_ppo(
    world_name: str,
    *,
    seed: int,
    searches: int = 150_000,
    num_envs: int = 256,
    device: str = "auto",
    settings: PPOSettings = PPOSettings(),
    advance: Callable[[int], None] = lambda searches: None,
    on_iteration: Callable[[int, SlateScorer], None] | None = None,
) -> SlateScorer:
    config = ppo_config(world_name, seed, searches, num_envs, settings)
    runner = SingleAgentEnvRunner(config=config)
    learner = config.build_learner(spaces=runner.get_spaces())
    runner.set_state({COMPONENT_RL_MODULE: learner.module.get_state()})
    order = np.random.default_rng(seed)
    played = 0
    import time
    tt=[0,0]
    while played < searches:
        a=time.process_time()
        episodes = runner.sample(num_timesteps=settings.batch)
        steps = sum(map(len, episodes))
        b=time.process_time()
        learner.update(
            episodes=[episodes[i] for i in order.permutation(len(episodes))],
            timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: played},
            num_epochs=settings.epochs,
            minibatch_size=settings.minibatch,
        )
        runner.set_state({COMPONENT_RL_MODULE: learner.module.get_state()})
        played += steps
        c=time.process_time()
        tt[0]+=b-a; tt[1]+=c-b
        advance(steps)
        if on_iteration is not None:
            on_iteration(played, scorer_of(world_name, learner, settings, seed, played))
    print("sample, learn", tt)
    return scorer_of(world_name, learner, settings, seed, played)


def scorer_of(world_name, learner, settings, seed, played):
    world = load_world(world_name)
    scorer = SlateScorer(world.catalogue.public(), world.params.n_slots, settings.hidden, seed)
    net = learner.module[DEFAULT_MODULE_ID].unwrapped().net
    scorer.net.load_state_dict({k: v.cpu() for k, v in net.state_dict().items()})
    scorer.n_searches = played
    return scorer


def ppo_config(world_name, seed, searches, num_envs, s):
    config = with_market(PPOConfig(), world_name, num_envs, seed=seed)
    config.training(
        gamma=s.gamma, lambda_=s.lambda_, lr=[[0, s.learning_rate], [searches, 0.1 * s.learning_rate]],
        use_kl_loss=False, entropy_coeff=s.entropy, clip_param=s.clip, vf_loss_coeff=s.value_weight, vf_clip_param=1e6,
        grad_clip=1.0, grad_clip_by="global_norm",
    )
    config.learners(num_learners=0)
    config.rl_module(rl_module_spec=RLModuleSpec(
        module_class=SlateModule, model_config={"world": world_name, "hidden": s.hidden, "floor": s.floor, "seed": seed}))
    return config

"""Training a slate policy by PPO: RLlib's env runner and learner in this process, without starting Ray.

The loop is RLlib's own, written out: sample, update, hand the new weights to the runner. It starts in a second, leaves
no processes behind and seeds no global generator. On one machine's CPU the same seed gives the same weights.

Schulman, Wolski, Dhariwal, Radford and Klimov, "Proximal policy optimization algorithms", 2017; the ratio is that of
whole slates. Right where the market may be played; a log cannot be learned from in this way.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import COMPONENT_RL_MODULE, DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.environment import with_market
from policies.rllib.module import SlateModule
from policies.slate_net import SlateScorer
from simenv.errors import UserError
from simenv.worlds import load_world


@dataclass(frozen=True)
class PPOSettings:
    """How PPO learns. The defaults were tuned on the world "default".

    Attributes:
        gamma: Discount from a page to the shopper's next one. 0, since what is judged is the value per search: a page
            is paid its own reward, and what later pages bring would be noise to its gradient. Raise it, and lambda_
            below 1, to learn for what comes after.
        lambda_: Of generalised advantage estimation; idle at gamma 0.
        learning_rate: Of Adam; it falls to a tenth over the training.
        batch: Searches between two updates. Small and fresh beats large: an update leaves the clipping range soon.
        minibatch: Searches per gradient.
        epochs: Passes over a batch.
        clip: Range of the ratio of slates.
        hidden: Width of the network.
        floor: Of the policy that plays and learns; to be wrapped with the same or less. A policy that learned without
            one becomes so sharp that a floor put on later takes over its lower slots.
    """

    gamma: float = 0.0
    lambda_: float = 1.0
    learning_rate: float = 0.015
    batch: int = 1024
    minibatch: int = 512
    epochs: int = 2
    clip: float = 0.2
    hidden: int = 64
    floor: float = 0.01


TUNED = PPOSettings()


def train_ppo(
    world_name: str,
    *,
    seed: int,
    searches: int = 150_000,
    num_envs: int = 256,
    device: str = "auto",
    settings: PPOSettings = TUNED,
    advance: Callable[[int], None] = lambda _: None,
    on_iteration: Callable[[int, SlateScorer], None] | None = None,
) -> SlateScorer:
    """Train in a market.

    Args:
        world_name: A name of `simenv.worlds.WORLDS`.
        seed: Of the shoppers' luck, the weights, the slates that are tried and the order of the batches.
        searches: How many pages may be shown; exceeded by less than `num_envs`.
        num_envs: Shoppers side by side.
        device: Of the learner: "cpu", "cuda", "cuda:1", or "auto" for CUDA where there is one.
        settings: How PPO learns.
        advance: Told how many searches have been added, for progress bars; they sum to `searches`.
        on_iteration: Told the searches so far and handed a copy of the policy as it stands, after each update.

    Returns:
        The scorer, on the CPU. It learned as a Plackett-Luce policy at temperature 1 with `settings.floor`, and that
        is how to wrap it: `RankingPolicy("ppo-slate", scorer, temperature=1.0, floor=settings.floor)`.

    Raises:
        UserError: for an unknown world, a device that is not there, or fewer than one search.
    """
    if searches < 1:
        raise UserError(f"searches is {searches}; expected at least 1.")
    load_world(world_name)  # refuses an unknown name before RLlib starts
    config = ppo_config(world_name, seed, searches, num_envs, settings)
    _place(config, device)
    order = np.random.default_rng(seed)
    with _quiet():
        runner = SingleAgentEnvRunner(config=config)
        learner = config.build_learner(spaces=runner.get_spaces())
    with _one_thread():
        n_updates = max(1, round(searches / settings.batch))
        played = 0
        for update in range(1, n_updates + 1):
            runner.set_state({COMPONENT_RL_MODULE: learner.module.get_state()})
            episodes = runner.sample(num_timesteps=max(1, round(searches * update / n_updates) - played))
            before, played = played, played + sum(len(episode) for episode in episodes)
            learner.update(
                # RLlib would shuffle with numpy's global generator. Whole stays of shoppers are shuffled here instead.
                episodes=[episodes[i] for i in order.permutation(len(episodes))],
                timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: played},
                num_epochs=settings.epochs,
                minibatch_size=settings.minibatch,
                shuffle_batch_per_epoch=False,
            )
            advance(min(played, searches) - min(before, searches))
            if on_iteration is not None:
                on_iteration(played, _scorer(world_name, learner, seed, played))
        runner.stop()
    return _scorer(world_name, learner, seed, played)


def ppo_config(world_name: str, seed: int, searches: int, num_envs: int, settings: PPOSettings) -> PPOConfig:
    """RLlib's configuration of that training, as `train_ppo` uses it; `ppo_config(...).build_algo()` runs it on Ray."""
    config = PPOConfig()
    with_market(config, world_name, num_envs, seed=seed)
    config.training(
        gamma=settings.gamma,
        lambda_=settings.lambda_,
        lr=[[0, settings.learning_rate], [max(1, searches), 0.1 * settings.learning_rate]],
        train_batch_size_per_learner=settings.batch,
        minibatch_size=settings.minibatch,
        num_epochs=settings.epochs,
        clip_param=settings.clip,
        # The divergence and the entropy that RLlib could use are those of the first slot alone.
        use_kl_loss=False,
        entropy_coeff=0.0,
        vf_loss_coeff=0.5,
        vf_clip_param=float("inf"),
        grad_clip=1.0,
        grad_clip_by="global_norm",
    )
    config.env_runners(num_env_runners=0)
    config.learners(num_learners=0)
    config.rl_module(
        rl_module_spec=RLModuleSpec(
            module_class=SlateModule,
            model_config={
                "world": world_name, "hidden": settings.hidden, "floor": settings.floor, "seed": seed,
            },
        )
    )  # fmt: skip
    return config


def _scorer(world_name: str, learner: Learner, seed: int, played: int) -> SlateScorer:
    """A copy of the learner's network; with remote runners the module of an algorithm may be stale."""
    net = learner.module[DEFAULT_MODULE_ID].unwrapped().net
    world = load_world(world_name)
    scorer = SlateScorer(world.catalogue.public(), world.params.n_slots, net.hidden.out_features, seed)
    scorer.net.load_state_dict(net.state_dict())
    scorer.n_searches = played
    return scorer


def _place(config: PPOConfig, device: str) -> None:
    """Set where the learner computes; the runner stays on the CPU, beside the market."""
    found = torch.cuda.is_available()
    wanted = torch.device(("cuda" if found else "cpu") if device == "auto" else device)
    if wanted.type == "cpu":
        return
    if wanted.type != "cuda" or not found:
        raise UserError(
            f"device '{device}' is not available; expected 'auto', 'cpu', or 'cuda' where CUDA is installed."
        )
    config.learners(num_gpus_per_learner=1, local_gpu_idx=wanted.index or 0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch: batches are small, and threads would cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep RLlib 2.60 from warning of what it does itself.

    Every module makes a deprecated `RLModuleConfig`; every runner of a process registers the same name again.
    """
    logger = logging.getLogger("ray._common.deprecation")

    def is_news(record: logging.LogRecord) -> bool:
        return "RLModuleConfig" not in record.getMessage()

    logger.addFilter(is_news)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*rllib-single-agent-env-v0 already in registry", UserWarning)
            yield
    finally:
        logger.removeFilter(is_news)

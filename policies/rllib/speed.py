"""How fast RLlib samples pages with an untrained slate policy: its own runner, ours, and the market's part in it.

    stock, one environment a shopper (gymnasium's SYNC) < stock, native vector environment < batched

All play 256 shoppers of the world "default" side by side, with the same network, in this process, without Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import gymnasium
import numpy as np
import torch
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.tune.registry import register_env

from policies.rllib.environment import F32, FlatSearchEnv, PageLayout, make_environment, page_layout
from policies.rllib.ppo import TUNED, ppo_config
from policies.rllib.quiet import quiet
from policies.rllib.runner import BatchedEnvRunner
from simenv.env import SearchEnv

WORLD, ROWS = "default", 256
PAGES = {"sync": 2 * ROWS, "native": 8 * ROWS, "batched": 16 * ROWS}  # of one measurement


class OneShopper(gymnasium.Env[F32, Any]):
    """`simenv.env.SearchEnv` with the flat observation of `FlatSearchEnv`, for gymnasium to put beside others."""

    def __init__(self, world: str) -> None:
        """Make the market."""
        self.one = SearchEnv(world, "shopper")
        self.layout: PageLayout = page_layout(self.one.rows.world)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (self.layout.width,), np.float32)
        self.action_space = self.one.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[F32, dict[str, Any]]:
        """See `SearchEnv.reset`."""
        return self._flat(self.one.reset(seed=seed, options=options)[0]), {}

    def step(self, action: Any) -> tuple[F32, float, bool, bool, dict[str, Any]]:
        """See `SearchEnv.step`."""
        observation, reward, terminated, truncated, _ = self.one.step(action)
        return self._flat(observation), reward, terminated, truncated, {}

    def _flat(self, observation: Mapping[str, Any]) -> F32:
        row: F32 = self.layout.flat({name: np.asarray(value)[None] for name, value in observation.items()})[0]
        return row


class Clocked(FlatSearchEnv):
    """Takes the CPU time of its own steps."""

    seconds = 0.0

    def step(self, actions: Any) -> Any:
        """See `FlatSearchEnv.step`."""
        start = time.process_time()
        made = super().step(actions)
        self.seconds += time.process_time() - start
        return made


def pages_per_second(kind: str) -> Callable[[], float]:
    """A measurement of pages per CPU-second: "sync", "native" or "batched"."""
    return lambda: _timed(kind)[0]


def share_of_market() -> float:
    """The market's share of the CPU time of the batched runner."""
    return _timed("batched")[1]


def _timed(kind: str) -> tuple[float, float]:
    """Pages per CPU-second, and the share that was spent in steps of the market where it is clocked."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    runner = _runner(kind)
    env = runner.env.unwrapped
    clocked = kind == "batched"
    inside = env.seconds if clocked else 0.0
    start = time.process_time()
    played = sum(len(chunk) for chunk in runner.sample(num_timesteps=PAGES[kind]))
    seconds = time.process_time() - start
    runner.get_metrics()
    torch.set_num_threads(before)
    return played / seconds, (env.seconds - inside) / seconds if clocked else float("nan")


@lru_cache(maxsize=3)
def _runner(kind: str) -> SingleAgentEnvRunner:
    """A runner that has already played a little."""
    config = ppo_config(WORLD, 0, 1, ROWS, TUNED)
    if kind == "sync":
        register_env("simenv-one-shopper", lambda context: OneShopper(context["world"]))
        config.environment("simenv-one-shopper").env_runners(gym_env_vectorize_mode="sync")
    elif kind == "batched":
        register_env("simenv-clocked", lambda context: Clocked(make_environment(context).market, context["seed"]))
        config.environment("simenv-clocked")
    with quiet():
        runner = (BatchedEnvRunner if kind == "batched" else SingleAgentEnvRunner)(config=config)
    runner.sample(num_timesteps=ROWS)
    return runner

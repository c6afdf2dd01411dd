"""Who plays for a trainer: one batched env runner in this process, or several in others, through Ray.

Both are handed the learner's weights at every call, so that what is sampled comes from the policy as it stands.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from policies.rllib.environment import register
from policies.rllib.quiet import quiet
from policies.rllib.runner import BatchedEnvRunner
from simenv.errors import UserError
from simenv.hashing import stream

Weights = Mapping[str, Any]


class Player(Protocol):
    """Plays in an environment."""

    def play(self, weights: Weights, steps: int) -> list[SingleAgentEpisode]:
        """Sample at least that many steps with these weights; less than a step of every row more."""

    def standing(self) -> dict[str, Any]:
        """What going on needs, as `policies.training_state.packed` takes it."""

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """Stand where another of the same configuration stood."""

    def close(self) -> None:
        """Let go of environments and processes."""


class LocalPlayer:
    """One runner in this process; a training that goes on from its standing is the same to the bit.

    The environment offers `standing()` and `go_on_from()`, as `FlatSearchEnv` does, and the module draws from a
    `generator` of its own, as `SlateModule` does.
    """

    def __init__(self, config: AlgorithmConfig) -> None:
        """Make the runner; Ray is not started."""
        self.runner = BatchedEnvRunner(config=config)

    def play(self, weights: Weights, steps: int) -> list[SingleAgentEpisode]:
        """See `Player.play`."""
        self.runner.set_state({COMPONENT_RL_MODULE: weights})
        made: list[SingleAgentEpisode] = self.runner.sample(num_timesteps=steps)
        self.runner.get_metrics()  # which would pile up
        return made

    def standing(self) -> dict[str, Any]:
        """See `Player.standing`."""
        runner = self.runner.standing()
        market = None if runner is None else self.runner.env.unwrapped.standing()
        return {"runner": runner, "market": market, "noise": self.runner.module.generator}

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """See `Player.go_on_from`."""
        self.runner.go_on_from(standing["runner"])
        if standing["market"] is not None:
            self.runner.env.unwrapped.go_on_from(standing["market"])

    def close(self) -> None:
        """See `Player.close`."""
        self.runner.stop()


class RemotePlayers:
    """Runners in processes of Ray's, each with shoppers of its own.

    Where they stand is not kept: what goes on from a checkpoint starts with new shoppers, under luck that nobody has
    had. Which runner's episodes come first depends on nothing but their numbers, yet a runner that dies is replaced
    and loses its own.
    """

    def __init__(self, config: AlgorithmConfig, n_runners: int) -> None:
        """Nothing is started before the first play.

        Args:
            config: Changed in place.
            n_runners: At least 1.
        """
        self.config, self.n_runners = config, n_runners
        self._played = 0
        self._group: Any = None
        self._started_ray = False

    def play(self, weights: Weights, steps: int) -> list[SingleAgentEpisode]:
        """See `Player.play`.

        Raises:
            UserError: where no runner answers.
        """
        if self._group is None:
            self._start()
        self._group.probe_unhealthy_env_runners()
        self._group.foreach_env_runner(
            "set_state", kwargs={"state": {COMPONENT_RL_MODULE: weights}}, local_env_runner=False
        )
        each = -(-steps // self.n_runners)
        found = self._group.foreach_env_runner("sample", kwargs={"num_timesteps": each}, local_env_runner=False)
        self._group.foreach_env_runner("get_metrics", local_env_runner=False)
        if not found:
            raise UserError("no env runner answers; see Ray's logs, or train with --runners 0.")
        made = [episode for episodes in found for episode in episodes]
        self._played += sum(len(episode) for episode in made)
        return made

    def standing(self) -> dict[str, Any]:
        """See `Player.standing`."""
        return {"played": self._played}

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """See `Player.go_on_from`."""
        self._played = standing["played"]

    def close(self) -> None:
        """See `Player.close`."""
        import ray

        if self._group is not None:
            self._group.stop()
            self._group = None
        if self._started_ray:
            ray.shutdown()
            self._started_ray = False

    def _start(self) -> None:
        import ray
        from ray.rllib.env.env_runner_group import EnvRunnerGroup

        if not ray.is_initialized():
            ray.init(
                address="local", num_cpus=self.n_runners, include_dashboard=False, log_to_driver=False,
                logging_level=logging.ERROR,
            )  # fmt: skip
            self._started_ray = True
        register()
        config, seed = self.config, self.config.env_config["seed"]
        config.env_runners(num_env_runners=self.n_runners)
        config.environment(env_config={"seed": stream(seed, f"after {self._played}") % 2**31})
        with quiet():
            self._group = EnvRunnerGroup(config=config, local_env_runner=False)

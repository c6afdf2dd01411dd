"""Who plays for a trainer: one batched env runner in this process, or several in others, through Ray.

`LocalPlayer` and `RemotePlayers` are handed the learner's weights at every call, so that what is sampled comes from the
policy as it stands, and both can be stood where others of the same configuration stood: then every shopper, and what is
drawn for them, goes on. `EagerPlayers` do not wait for the learner: what they bring was played by a policy of before.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.quiet import quiet
from policies.rllib.runner import BatchedEnvRunner
from simenv.errors import UserError

Weights = Mapping[str, Any]
REQUEST = "play"
POLL = 0.01  # seconds; RLlib waits for all requests or so long, and nobody is to wait for the slowest


class Player(Protocol):
    """Plays in an environment."""

    def play(self, weights: Weights, steps: int) -> list[SingleAgentEpisode]:
        """Sample at least that many steps with these weights; less than a step of every row more."""

    def standing(self) -> dict[str, Any]:
        """What going on needs, as `policies.training_state.packed` takes it."""

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """Go on where another of the same configuration stood, as far as its standing tells."""

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
        return _standing(self.runner)

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """See `Player.go_on_from`."""
        _stand(self.runner, standing)

    def close(self) -> None:
        """See `Player.close`."""
        self.runner.stop()


class RemotePlayers:
    """Runners in processes of Ray's, each with shoppers of its own; of environment and module as for `LocalPlayer`.

    They play at the same time and answer in the order of their numbers, and where each stands is kept: a training that
    goes on is the same to the bit as long as no runner dies. One that does is replaced, and meets shoppers that nobody
    has met.
    """

    def __init__(self, config: AlgorithmConfig, n_runners: int, register: Callable[[], None]) -> None:
        """Nothing is started before the first play.

        Args:
            config: Of a runner, not frozen; how many rows it has and which seed, from which each runner makes its own.
            n_runners: How many processes.
            register: Makes the environment known by its name; Ray forgets names when it ends.
        """
        self.runners, self._played = RunnerGroup(config, n_runners, register), 0
        self._to_stand: list[Mapping[str, Any]] = []  # where runners stood that are not there yet

    def play(self, weights: Weights, steps: int) -> list[SingleAgentEpisode]:
        """See `Player.play`.

        Raises:
            UserError: where no runner answers.
        """
        group, n_runners = self.runners.started(), self.runners.n_runners
        for standing in self._to_stand:
            group.foreach_env_runner(
                _stand, kwargs={"standing": standing}, local_env_runner=False, remote_worker_ids=[standing["number"]]
            )
        self._to_stand = []
        group.probe_unhealthy_env_runners()
        # By the number of steps a runner that was made anew takes luck that nobody had; see `BatchedEnvRunner`.
        state = {COMPONENT_RL_MODULE: weights, NUM_ENV_STEPS_SAMPLED_LIFETIME: self._played}
        group.foreach_env_runner("set_state", kwargs={"state": state}, local_env_runner=False)
        each = -(-steps // n_runners)
        found = group.foreach_env_runner("sample", kwargs={"num_timesteps": each}, local_env_runner=False)
        group.foreach_env_runner("get_metrics", local_env_runner=False)
        if not found:
            raise UserError("no env runner answers; see Ray's logs, or train with --runners 0.")
        made = [episode for episodes in found for episode in episodes]
        self._played += sum(len(episode) for episode in made)
        return made

    def standing(self) -> dict[str, Any]:
        """See `Player.standing`; of the runners that answer."""
        runners = self._to_stand
        if self.runners.group is not None:
            runners = self.runners.group.foreach_env_runner(_standing, local_env_runner=False)
        return {"played": self._played, "runners": runners}

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """See `Player.go_on_from`; before the first play."""
        self._played, self._to_stand = standing["played"], standing["runners"]

    def close(self) -> None:
        """See `Player.close`."""
        self.runners.close()


class EagerPlayers:
    """Runners in processes of Ray's that play on while the learner learns; for algorithms that bear that, like APPO.

    Each has one request at a time and gets the next as soon as it answers, with the weights that there are then: those
    of before the update that its answer is for. Who answers first is chance, so no two trainings are the same to the
    byte, and one that goes on meets shoppers that nobody has met: where each runner stood is not kept.
    """

    def __init__(self, config: AlgorithmConfig, n_runners: int, register: Callable[[], None]) -> None:
        """As `RemotePlayers`; `train_batch_size_per_learner` is shared out among the requests."""
        self.runners, self._played = RunnerGroup(config, n_runners, register), 0
        self.steps = -(-config.train_batch_size_per_learner // n_runners)  # of a request

    def play(self, weights: Weights, steps: int) -> list[SingleAgentEpisode]:
        """See `Player.play`: what is there, and at least so many steps; everybody has a request when this returns.

        Raises:
            UserError: where no runner answers.
        """
        import ray

        group, held = self.runners.started(), ray.put(dict(weights))
        group.probe_unhealthy_env_runners()
        made: list[SingleAgentEpisode] = []
        n_played = 0
        while n_played < steps:
            self._ask(group, held)
            for _, episodes in group.fetch_ready_async_reqs(tags=REQUEST, timeout_seconds=POLL):
                made += episodes
                n_played += sum(len(episode) for episode in episodes)
            if not group.num_healthy_remote_workers() and not group.probe_unhealthy_env_runners():
                raise UserError("no env runner answers; see Ray's logs, or train ppo-slate with --runners 0.")
        self._played += n_played
        self._ask(group, held)
        return made

    def standing(self) -> dict[str, Any]:
        """See `Player.standing`: how many pages were shown, by which a later training's luck is another."""
        return {"played": self._played}

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """See `Player.go_on_from`; before the first play."""
        self._played = standing["played"]

    def close(self) -> None:
        """See `Player.close`."""
        self.runners.close()

    def _ask(self, group: Any, held: Any) -> None:
        """A request for everybody who has none; Ray puts what is held in its place."""
        asked = {"weights": held, "played": self._played, "steps": self.steps}
        group.foreach_env_runner_async(_played_with, tag=REQUEST, kwargs=asked)


class RunnerGroup:
    """Env runners in processes of Ray's, and Ray itself where it does not run yet; started when first needed."""

    def __init__(self, config: AlgorithmConfig, n_runners: int, register: Callable[[], None]) -> None:
        """See `RemotePlayers`."""
        self.config, self.n_runners, self._register = config, n_runners, register
        self.group: Any = None
        self._started_ray = False

    def started(self) -> Any:
        """RLlib's `EnvRunnerGroup`, without a local runner."""
        import ray
        from ray.rllib.env.env_runner_group import EnvRunnerGroup

        if self.group is not None:
            return self.group
        if not ray.is_initialized():
            ray.init(
                address="local", num_cpus=self.n_runners, include_dashboard=False, log_to_driver=False,
                logging_level=logging.ERROR,
            )  # fmt: skip
            self._started_ray = True
        self._register()
        self.config.env_runners(num_env_runners=self.n_runners)
        with quiet():
            self.group = EnvRunnerGroup(config=self.config, local_env_runner=False)
        return self.group

    def close(self) -> None:
        """End the processes."""
        import ray

        if self.group is not None:
            self.group.stop()
            self.group = None
        if self._started_ray:
            ray.shutdown()
            self._started_ray = False


def _played_with(runner: BatchedEnvRunner, weights: Weights, played: int, steps: int) -> list[SingleAgentEpisode]:
    """What a runner plays with these weights, in its own process."""
    runner.set_state({COMPONENT_RL_MODULE: weights, NUM_ENV_STEPS_SAMPLED_LIFETIME: played})
    made: list[SingleAgentEpisode] = runner.sample(num_timesteps=steps)
    runner.get_metrics()  # which would pile up
    return made


def _standing(runner: BatchedEnvRunner) -> dict[str, Any]:
    """Where a runner, its environment and its noise stand; it may go to another process."""
    own = runner.standing()
    market = None if own is None else runner.env.unwrapped.standing()
    return {
        "number": runner.worker_index,
        "runner": own,
        "market": market,
        "noise": runner.module.generator.get_state(),
    }


def _stand(runner: BatchedEnvRunner, standing: Mapping[str, Any]) -> None:
    """Let a runner stand where another of the same configuration stood."""
    held = copy.deepcopy(standing)  # what Ray hands over cannot be written into
    runner.go_on_from(held["runner"])
    if held["market"] is not None:
        runner.env.unwrapped.go_on_from(held["market"])
    runner.module.generator.set_state(held["noise"])

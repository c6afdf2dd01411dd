"""SlateQ on RLlib's new API stack: `SlateQConfig().environment(...).training(...)`, learner and algorithm.

It stands on `AlgorithmConfig` and `Algorithm`, not on DQN's. Of DQN it could use the copying of target networks, ten
lines; the rest (replay of episodes, which costs fifty times the learning; epsilon; atoms, duelling, noise, n steps) is
about single actions, and its settings would be accepted and mean nothing.

Ie, Jain, Wang, Narvekar, Agarwal, Wu, Cheng, Chandra and Boutilier, "SlateQ: A tractable decomposition for
reinforcement learning with recommendation sets", 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.execution.rollout_ops import synchronous_parallel_sample
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)
from ray.tune.registry import register_env
from typing_extensions import override

from policies.rllib.environment import refuse_unknown_context
from policies.rllib.quiet import without_news_of_the_stack
from policies.rllib.runner import BatchedEnvRunner, refuse_unsupported
from policies.rllib.slate_optimisers import optimiser
from policies.rllib.slateq_loss import Goal, copied, known_method, losses, value_scale
from policies.rllib.slateq_module import NEXT_SLATE, SlateQModule
from policies.rllib.slateq_replay import FlatReplay, Rows
from policies.rllib.slateq_worlds import make_environment, slateq_world
from policies.settings import COUNT, FLOOR, POSITIVE, SHARE, check_ranges
from simenv.errors import unknown_name

ENVIRONMENT = "simenv-slateq"
OWN_STATE = ("copied_at", "is_scaled")  # of a learner, beside RLlib's
MODEL_SETTINGS = ("hidden", "seed")  # the rest is said by the configuration
RANGES = {
    "gamma": SHARE, "temperature": POSITIVE, "floor": FLOOR, "replay_capacity": COUNT, "updates_per_sample": COUNT,
    "tau": SHARE, "train_batch_size": COUNT,
}  # fmt: skip


def register() -> None:
    """Make ENVIRONMENT known to RLlib, in this process and, once Ray runs, in those of remote runners."""
    register_env(ENVIRONMENT, make_environment)


register()  # for configurations that come back from a checkpoint


class SlateQTorchLearner(TorchLearner):  # type: ignore[misc]
    """Learns choice and item-wise values together."""

    @override
    def build(self) -> None:
        super().build()
        self.copied_at, self.is_scaled = 0, False
        self._slateq.make_target_networks()

    @property
    def _slateq(self) -> SlateQModule:
        made: SlateQModule = self.module[DEFAULT_MODULE_ID].unwrapped()
        return made

    @override
    def compute_loss_for_module(
        self, *, module_id: str, config: AlgorithmConfig, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> torch.Tensor:
        module = self.module[module_id].unwrapped()
        goal = Goal(config.gamma, config.method, config.slate_optimiser)
        made = losses(module.net, module.target, module.transitions(batch), goal)
        told = {"choice_loss": made.choice, "value_loss": made.value, "mean_value": made.mean_value}
        self.metrics.log_dict(told, key=module_id, window=1)
        weight: float = config.choice_loss_coeff
        return weight * made.choice + made.value

    @override
    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().after_gradient_based_update(timesteps=timesteps)
        now = timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0)
        if now - self.copied_at >= self.config.target_network_update_freq:
            self.copied_at = now
            for source, target in self._slateq.get_target_network_pairs():
                copied(source, target, self.config.tau)

    def set_scale(self, scale: float) -> None:
        """Set the unit of values before the first update; one that came back from a checkpoint keeps its own."""
        if not self.is_scaled:
            self._slateq.net.scale.fill_(scale)
            self.is_scaled = True

    @override
    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """RLlib's, and ours."""
        state: dict[str, Any] = super().get_state(*args, **kwargs)
        return state | {name: getattr(self, name) for name in OWN_STATE}

    @override
    def set_state(self, state: dict[str, Any]) -> None:
        """RLlib's, and ours where it is whole."""
        super().set_state(state)
        for name in OWN_STATE:
            if name in state:
                setattr(self, name, state[name])


class SlateQConfig(AlgorithmConfig):  # type: ignore[misc]
    """Configures SlateQ.

    `environment(env_config={...})`: `world` (of `policies.rllib.slateq_worlds.slateq_world`; "default" where left out),
    `episode` ("shopper" or "session") and `seed` (of luck, weights and noise). `rl_module(model_config={"hidden": 64})`
    sets the width of the networks.
    """

    def __init__(self, algo_class: type[Algorithm] | None = None) -> None:
        """Defaults, tuned on interest evolution."""
        super().__init__(algo_class=algo_class or SlateQ)
        self.method, self.slate_optimiser, self.serve = "q-learning", "optimal", "optimal"
        self.temperature, self.floor = 0.3, 0.1
        self.replay_capacity, self.updates_per_sample = 100_000, 1
        self.target_network_update_freq, self.tau = 10_000, 1.0
        self.num_steps_sampled_before_learning_starts = 10_000
        self.choice_loss_coeff = 1.0
        self.gamma, self.lr, self.train_batch_size = 1.0, 1e-3, 1024
        self.num_env_runners, self.num_envs_per_env_runner = 0, 256
        self.rollout_fragment_length = 4
        self.gym_env_vectorize_mode = "vector_entry_point"
        self.normalize_actions = self.clip_actions = False
        self.disable_env_checking = True
        self.env_runner_cls = BatchedEnvRunner
        register()  # Ray forgets names when it ends
        self.env: str | None
        self.env, self.env_config = ENVIRONMENT, {"world": "default"}

    @override
    def training(
        self,
        *,
        method: str = NotProvided,
        slate_optimiser: str = NotProvided,
        serve: str = NotProvided,
        temperature: float = NotProvided,
        floor: float = NotProvided,
        replay_capacity: int = NotProvided,
        updates_per_sample: int = NotProvided,
        target_network_update_freq: int = NotProvided,
        tau: float = NotProvided,
        num_steps_sampled_before_learning_starts: int = NotProvided,
        choice_loss_coeff: float = NotProvided,
        **kwargs: Any,
    ) -> SlateQConfig:
        """Set how it learns, beside what `AlgorithmConfig.training` sets (gamma, lr, train_batch_size).

        Args:
            method: "q-learning", or "sarsa": the next page is worth what the slate shown there is.
            slate_optimiser: Who picks the slate of the next page in the target of "q-learning".
            serve: Who picks the slates that are shown; both are names of `policies.rllib.slate_optimisers.OPTIMISERS`.
            temperature: Of the Plackett-Luce slates that explore, over scores standardised by page.
            floor: Of these, as everywhere.
            replay_capacity: Transitions that are remembered.
            updates_per_sample: Updates after each sampling.
            target_network_update_freq: Pages shown between copies of the target network.
            tau: How far a copy goes; 1 is all the way.
            num_steps_sampled_before_learning_starts: Pages shown before the first update; they set the unit of values.
            choice_loss_coeff: Weight of the choice model's likelihood.
            kwargs: RLlib's own.
        """
        super().training(**kwargs)
        given = {
            "method": method, "slate_optimiser": slate_optimiser, "serve": serve, "temperature": temperature,
            "floor": floor, "replay_capacity": replay_capacity, "updates_per_sample": updates_per_sample,
            "target_network_update_freq": target_network_update_freq, "tau": tau,
            "num_steps_sampled_before_learning_starts": num_steps_sampled_before_learning_starts,
            "choice_loss_coeff": choice_loss_coeff,
        }  # fmt: skip
        for name, value in given.items():
            if value is not NotProvided:
                setattr(self, name, value)
        return self

    @override
    def validate(self) -> None:
        """As RLlib does; what is unknown, or left out by the runner, is refused before anything starts.

        Raises:
            UserError: naming what it is.
        """
        with without_news_of_the_stack():
            super().validate()
        refuse_unsupported(self)
        if self.env == ENVIRONMENT:
            refuse_unknown_context(self.env_config)
            slateq_world(self.env_config["world"])
        optimiser(self.slate_optimiser)
        optimiser(self.serve)
        known_method(self.method)
        check_ranges("slateq", vars(self), RANGES)
        given = self._model_config
        for name in given if isinstance(given, dict) else ():  # or RLlib's own, of which nothing is read
            if name not in MODEL_SETTINGS:
                raise unknown_name("setting of SlateQModule", name, MODEL_SETTINGS)

    @property
    @override
    def _model_config_auto_includes(self) -> dict[str, Any]:
        own: dict[str, Any] = super()._model_config_auto_includes
        seed = self.env_config.get("seed")  # a runner's own, where there are several: or all would explore alike
        return own | {
            "world": self.env_config.get("world", "default"), "episode": self.env_config.get("episode", "shopper"),
            "hidden": 64, "seed": seed if seed is not None else self.seed or 0, "serve": self.serve,
            "temperature": self.temperature, "floor": self.floor,
        }  # fmt: skip

    @override
    def get_default_rl_module_spec(self) -> RLModuleSpec:
        return RLModuleSpec(module_class=SlateQModule, model_config=self.model_config)

    @override
    def get_default_learner_class(self) -> type[Learner]:
        return SlateQTorchLearner


class SlateQ(Algorithm):  # type: ignore[misc]
    """Sample, remember, learn, hand the weights on."""

    @classmethod
    @override
    def get_default_config(cls) -> SlateQConfig:
        return SlateQConfig()

    @override
    def setup(self, config: AlgorithmConfig) -> None:
        super().setup(config)
        self.replay: FlatReplay | None = None
        self.is_scaled = False

    @override
    def training_step(self) -> None:
        config = self.config
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            episodes, results = synchronous_parallel_sample(
                worker_set=self.env_runner_group, concat=True, sample_timeout_s=config.sample_timeout_s,
                _uses_new_env_runners=True, _return_metrics=True,
            )  # fmt: skip
        self.metrics.aggregate(results, key=ENV_RUNNER_RESULTS)
        rows = episode_rows(episodes, is_next_needed=config.method == "sarsa")
        if self.replay is None:
            sizes = rows.obs.shape[1], rows.slate.shape[1]
            self.replay = FlatReplay(config.replay_capacity, *sizes, config.seed or 0)
        self.replay.add(rows)
        # RLlib's checkpoints hold no memory; what comes back from one fills it anew before it learns on.
        if self.replay.size < min(config.num_steps_sampled_before_learning_starts, config.replay_capacity):
            return
        shown = self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0)
        if not self.is_scaled:
            scale, self.is_scaled = scale_of(self.replay, config.gamma), True
            self.learner_group.foreach_learner(lambda learner: learner.set_scale(scale))
        for _ in range(config.updates_per_sample):
            batch = training_batch(self.replay.sample(config.train_batch_size))
            with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
                told = self.learner_group.update(batch=batch, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: shown})
            self.metrics.aggregate(told, key=LEARNER_RESULTS)
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.env_runner_group.sync_weights(
                from_worker_or_learner_group=self.learner_group, inference_only=True, global_vars=None
            )


def training_batch(rows: Rows) -> MultiAgentBatch:
    """Transitions as a learner of RLlib takes them."""
    held = {
        Columns.OBS: rows.obs, Columns.ACTIONS: rows.slate, Columns.REWARDS: rows.reward,
        Columns.TERMINATEDS: rows.over, Columns.NEXT_OBS: rows.next_obs, NEXT_SLATE: rows.next_slate,
    }  # fmt: skip
    made = SampleBatch({name: torch.from_numpy(value) for name, value in held.items()})
    return MultiAgentBatch({DEFAULT_MODULE_ID: made}, env_steps=len(rows.reward))


def scale_of(replay: FlatReplay, gamma: float) -> float:
    """The unit of values, of what is remembered."""
    kept = replay.everything()
    return value_scale(torch.from_numpy(kept.reward), torch.from_numpy(kept.over), gamma)


def episode_rows(episodes: list[SingleAgentEpisode], is_next_needed: bool) -> Rows:
    """RLlib's episodes as transitions.

    Args:
        episodes: Or pieces of them.
        is_next_needed: Leave out the last page of an unfinished piece, whose next slate is not known yet.
    """
    parts: list[Rows] = []
    for episode in episodes:
        n = len(episode)
        observed = np.asarray(episode.get_observations(slice(0, n + 1)), dtype=np.float32)
        slate = np.asarray(episode.get_actions(slice(0, n)))
        over = np.zeros(n, dtype=bool)
        over[n - 1 :] = episode.is_terminated
        following = np.concatenate([slate[1:], np.zeros_like(slate[:1])])
        reward = np.asarray(episode.get_rewards(slice(0, n)), dtype=np.float32)
        keep = n - (is_next_needed and not episode.is_terminated)
        whole = Rows(observed[:-1], slate, reward, over, observed[1:], following)
        parts.append(Rows(**{name: each[:keep] for name, each in vars(whole).items()}))
    return Rows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})

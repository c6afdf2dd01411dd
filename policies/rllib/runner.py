"""A batched env runner: what RLlib's own returns, from a native vector environment, without Python for every item.

RLlib's runner unpacks each vector step into its rows, appends every number of every row to a list and packs them again.
This one keeps the arrays of a step whole, stacks them once a call and cuts them into episodes:

    one forward -> one draw -> one step of the environment, T times -> arrays (N, T, ...) -> chunks of episodes

What comes out is RLlib's contract: `SingleAgentEpisode`s with observations, actions, rewards, extra outputs of the
module and their look-back, ended episodes first in the order in which they ended, then a chunk of each that goes on
under the same id at the next call. Equal to `SingleAgentEnvRunner` on the same seed; tests hold the two together.

A module with a state (`is_stateful()`) is handed it as RLlib's connectors do: observations with a time axis of one,
under STATE_IN what it gave out as STATE_OUT at the row's page before, its own start where an episode starts.

What it cannot do is refused (`refuse_unsupported`): connectors of one's own between environment and module, callbacks
for episodes and steps, environments that do not reset at the next step. Infos are dropped, and durations of episodes
are not measured.
"""

from __future__ import annotations

import uuid
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
import tree
from gymnasium.vector import AutoresetMode
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.columns import Columns
from ray.rllib.env.env_runner import ENV_STEP_FAILURE
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
from ray.rllib.utils import force_list
from ray.rllib.utils.metrics import (
    EPISODE_LEN_MAX,
    EPISODE_LEN_MEAN,
    EPISODE_LEN_MIN,
    EPISODE_RETURN_MAX,
    EPISODE_RETURN_MEAN,
    EPISODE_RETURN_MIN,
    RLMODULE_INFERENCE_TIMER,
    WEIGHTS_SEQ_NO,
)
from ray.rllib.utils.numpy import convert_to_numpy
from typing_extensions import override

from policies.rllib.module_state import first_state, next_state, with_state, without_time
from policies.rllib.quiet import quiet
from policies.rllib.recording import Outputs, Recording, Stacked
from simenv.errors import UserError
from simenv.hashing import stream

STANDING = ("_record", "_over", "_state", "_ids", "_taken", "_earned", "_ended", "num_env_steps_sampled_lifetime")
EPISODE_CALLBACKS = ("on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end")


class BatchedEnvRunner(SingleAgentEnvRunner):  # type: ignore[misc]
    """RLlib's single-agent env runner for native vector environments; see the module."""

    env: Any
    _needs_initial_reset: bool
    _record: Recording
    _over: npt.NDArray[np.bool_]  # (N,) rows whose next step only starts an episode
    _state: Any  # arrays (N, ...): what a module with a state is handed next; None of one without

    @override
    def __init__(self, *, config: AlgorithmConfig, **kwargs: Any) -> None:
        """As RLlib makes it.

        Raises:
            UserError: where the configuration, its module or its environment asks for what this runner leaves out.
        """
        refuse_unsupported(config)
        self._has_begun = False
        with quiet():
            super().__init__(config=_told_apart(config, kwargs.get("worker_index") or 0), **kwargs)
        if self.env is not None:
            _check_environment(self.env, self.config)
        window = self.config.metrics_num_episodes_for_smoothing / (self.config.num_env_runners or 1)
        # RLlib averages over the last episodes: length and return of those that ended since they were last told of.
        self._window = max(1, int(np.ceil(window)))
        self._ended: list[tuple[int, float]] = []

    @override
    def make_env(self) -> None:
        """Make it, without the wrapper that turns infos into a list of dicts, row by row."""
        super().make_env()
        self.env = self.env.env

    @override
    def _sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> list[SingleAgentEpisode]:
        if force_reset or num_episodes is not None or self._needs_initial_reset:
            self._begin()
        if num_episodes is not None:
            self._needs_initial_reset = True
        n_played = n_ended = 0
        while n_played < num_timesteps if num_timesteps is not None else n_ended < (num_episodes or 0):
            outputs = (
                {Columns.ACTIONS: self.env.action_space.sample()} if random_actions else self._decide(explore, n_played)
            )
            if not self._step(outputs):  # the environment was made anew; what was not finished is lost
                self._begin()
                n_played = 0
                continue
            n_played += int(np.count_nonzero(self._record.played[-1]))
            n_ended += int(np.count_nonzero(self._over))
        ended, going_on = self._chunks()
        del self._ended[: -self._window]
        self._record = self._record.rest(self.config.episode_lookback_horizon)
        made = ended + going_on if num_timesteps is not None else ended[:num_episodes]
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=n_played)
        self._increase_sampled_metrics(n_played, len(made) - len(going_on) if num_timesteps is not None else len(made))
        return made

    @override
    def get_metrics(self) -> dict[str, Any]:
        """What RLlib's runner tells of episodes, but their duration: mean, least and largest over its window."""
        if self._ended:
            lengths, returns = np.array(self._ended, dtype=np.float64).T
            self._ended.clear()
            for name, value in ((EPISODE_LEN_MEAN, lengths.mean()), (EPISODE_RETURN_MEAN, returns.mean())):
                self.metrics.log_value(name, value, window=1)
            for name, value in ((EPISODE_LEN_MIN, lengths.min()), (EPISODE_RETURN_MIN, returns.min())):
                self.metrics.log_value(name, value, reduce="min", window=1)
            for name, value in ((EPISODE_LEN_MAX, lengths.max()), (EPISODE_RETURN_MAX, returns.max())):
                self.metrics.log_value(name, value, reduce="max", window=1)
        made: dict[str, Any] = self.metrics.reduce()
        return made

    def standing(self) -> dict[str, Any] | None:
        """Where its episodes stand, as `policies.training_state.packed` takes it; None before the first sample.

        The environment's own state is not in it: whoever goes on puts that back too.
        """
        if self._needs_initial_reset:
            return None
        return {name: getattr(self, name) for name in STANDING}

    def go_on_from(self, standing: dict[str, Any] | None) -> None:
        """Stand where another runner of as many rows stood."""
        self._needs_initial_reset, self._has_begun = standing is None, standing is not None
        for name, value in (standing or {}).items():
            setattr(self, name, value)

    def _begin(self) -> None:
        """Reset every row; seeded the first time only, as RLlib's runner does."""
        seed = self._luck() if self._needs_initial_reset else None
        observation, _ = self._try_env_reset(seed=seed)
        self._needs_initial_reset, self._has_begun = False, True
        self._record = Recording([_copied(observation)])
        self._over = np.zeros(self.num_envs, dtype=bool)
        self._state = first_state(self.module, self.num_envs)
        self._ids = [uuid.uuid4().hex for _ in range(self.num_envs)]
        self._taken = [0] * self.num_envs  # steps of the row's episode in chunks that were returned
        self._earned = [0.0] * self.num_envs

    def _luck(self) -> int | None:
        """The seed of the first reset; None where the environment has its own.

        RLlib tells a runner that takes the place of a dead one, or comes back from a checkpoint, how many steps there
        were. With the seed that it was made with it would meet shoppers that were learned from already.
        """
        own, steps = self.config.env_config.get("seed"), self.num_env_steps_sampled_lifetime
        own = self._seed if own is None else own
        is_late = own is not None and steps > 0 and not self._has_begun
        return stream(own, f"after {steps}") % 2**31 if is_late else self._seed

    def _decide(self, explore: bool, n_played: int) -> Outputs:
        """Actions and extra outputs for every row, from the module."""
        module, device = self.module, self._device
        batch = {
            Columns.OBS: tree.map_structure(
                lambda value: torch.from_numpy(value).to(device), self._record.observations[-1]
            )
        }
        if self._state is not None:
            batch = with_state(batch, self._state, device)
        n_runners = self.config.num_env_runners or 1
        at = (self.num_env_steps_sampled_lifetime // n_runners + n_played) * n_runners
        with torch.no_grad(), self.metrics.log_time(RLMODULE_INFERENCE_TIMER):
            made = module.forward_exploration(batch, t=at) if explore else module.forward_inference(batch)
            if Columns.ACTIONS not in made:
                _draw(module, made, explore)
        outputs: Outputs = convert_to_numpy(made)  # 64 bits become 32, as everywhere in RLlib
        return outputs if self._state is None else without_time(outputs)

    def _step(self, outputs: Outputs) -> bool:
        """Let every row play, and write it down; False where the environment failed and was made anew."""
        actions = outputs.pop(Columns.ACTIONS)
        result = self._try_env_step(outputs.pop(Columns.ACTIONS_FOR_ENV, actions))
        if isinstance(result, str) and result == ENV_STEP_FAILURE:
            return False
        observation, reward, terminated, truncated, _ = result
        record = self._record
        if record.rewards and record.outputs[-1].keys() != {Columns.ACTIONS, *outputs}:
            record = self._record = record.rest(0)  # other outputs than the last call's cannot be looked back on
        record.played.append(~self._over)
        record.observations.append(_copied(observation))
        record.rewards.append(np.array(reward))
        record.terminated.append(np.array(terminated, dtype=bool))
        record.truncated.append(np.array(truncated, dtype=bool))
        self._over = record.terminated[-1] | record.truncated[-1]
        if self._state is not None:
            first = first_state(self.module, self.num_envs)
            self._state = next_state(outputs.get(Columns.STATE_OUT), first, record.played[-1])
        record.outputs.append({Columns.ACTIONS: actions, **outputs})
        return True

    def _chunks(self) -> tuple[list[SingleAgentEpisode], list[SingleAgentEpisode]]:
        """The recording cut into episodes that ended, in the order in which they did, and chunks that go on."""
        record, past = self._record, self._record.past
        if len(record.rewards) == past:
            return [], []
        stacked = Stacked.of(record)
        ended, going_on = [], []
        for row, first, last in zip(*stacked.spans(), strict=True):
            chunk = self._chunk(stacked, row, first, last)
            if chunk.is_done:
                ended.append((last, chunk))
            else:
                going_on.append(chunk)
        ended.sort(key=lambda pair: pair[0])  # stable, so rows stay in order within a step
        return [chunk for _, chunk in ended], going_on

    def _chunk(self, steps: Stacked, row: int, first: int, last: int) -> SingleAgentEpisode:
        """Steps `first` to `last` of a row, with what it looks back on."""
        taken = self._taken[row]
        back = min(steps.past, taken)
        span, n = slice(first - back, last + 1), last + 1 - first
        seen = slice(first - back, last + 2)
        extra = {
            name: _buffer(tree.map_structure(lambda each: each[row, span], value), back)
            for name, value in steps.extra.items()
        }
        extra[WEIGHTS_SEQ_NO] = _buffer(np.full(back + n, self._weights_seq_no), back)
        chunk = SingleAgentEpisode(
            id_=self._ids[row],
            observations=_buffer(tree.map_structure(lambda value: value[row, seen], steps.observations), back),
            observation_space=self.env.single_observation_space,
            infos=[{}] * (back + n + 1),
            actions=_buffer(tree.map_structure(lambda value: value[row, span], steps.actions), back),
            action_space=self.env.single_action_space,
            rewards=steps.rewards[row, span],
            terminated=bool(steps.terminated[row, last]),
            truncated=bool(steps.truncated[row, last]),
            extra_model_outputs=extra,
            t_started=taken,
            len_lookback_buffer=back,
        )
        earned = self._earned[row] + float(steps.rewards[row, first : last + 1].sum(dtype=np.float64))
        if chunk.is_done:
            self._ended.append((taken + n, earned))
            self._ids[row], self._taken[row], self._earned[row] = uuid.uuid4().hex, 0, 0.0
        else:
            self._taken[row], self._earned[row] = taken + n, earned
        return chunk


def refuse_unsupported(config: AlgorithmConfig) -> None:
    """Refuse a configuration that asks `BatchedEnvRunner` for what it leaves out.

    Raises:
        UserError: naming what it asks for.
    """
    asked = {
        "a connector between environment and module (`env_to_module_connector`)": config._env_to_module_connector,
        "a connector between module and environment (`module_to_env_connector`)": config._module_to_env_connector,
        "a pipeline without RLlib's own connectors": not (
            config.add_default_connectors_to_env_to_module_pipeline
            and config.add_default_connectors_to_module_to_env_pipeline
        ),
        "episodes as lists (`episodes_to_numpy=False`)": not config.episodes_to_numpy,
        "several agents": config.is_multi_agent,
        "RLlib's old API stack": not config.enable_env_runner_and_connector_v2,
    }
    for name in EPISODE_CALLBACKS:
        own = any(
            getattr(each, name) is not getattr(RLlibCallback, name) for each in force_list(config.callbacks_class)
        )
        asked[f"the callback `{name}`"] = own or getattr(config, f"callbacks_{name}")
    for what, is_asked in asked.items():
        if is_asked:
            raise _unsupported(what)


def _told_apart(config: AlgorithmConfig, worker: int) -> AlgorithmConfig:
    """The configuration, with a seed of the environment's own for each remote runner, and for those that evaluate.

    RLlib hands every runner the same `env_config`: with one seed in it, all would meet the same shoppers, and what was
    learned from some would be evaluated on them.
    """
    seed, who = config.env_config.get("seed"), "evaluation runner" if config.in_evaluation else "runner"
    if seed is None or not (worker or config.in_evaluation):
        return config
    made = config.copy(copy_frozen=False)
    made.env_config = {**made.env_config, "seed": stream(seed, f"{who} {worker}") % 2**31}
    return made


def _check_environment(env: gymnasium.vector.VectorEnv[Any, Any, Any], config: AlgorithmConfig) -> None:
    mode = env.unwrapped.metadata.get("autoreset_mode")
    if mode is not AutoresetMode.NEXT_STEP:
        raise UserError(
            f"the environment's autoreset mode is {mode}; BatchedEnvRunner expects AutoresetMode.NEXT_STEP, in which "
            "no step of an episode is lost."
        )
    if isinstance(env.single_action_space, gymnasium.spaces.Box) and (config.normalize_actions or config.clip_actions):
        raise _unsupported("actions that are normalised or clipped (`normalize_actions`, `clip_actions`)")


def _unsupported(what: str) -> UserError:
    return UserError(
        f"BatchedEnvRunner leaves out {what}; take it out of the configuration, or choose RLlib's own runner: "
        "config.env_runners(env_runner_cls=SingleAgentEnvRunner)."
    )


def _draw(module: Any, made: dict[str, Any], explore: bool) -> None:
    """Add actions and their log-probability to what a module said of its distribution."""
    kind = module.get_exploration_action_dist_cls() if explore else module.get_inference_action_dist_cls()
    distribution = kind.from_logits(made[Columns.ACTION_DIST_INPUTS])
    if not explore:
        distribution = distribution.to_deterministic()
    made[Columns.ACTIONS] = distribution.sample()
    if Columns.ACTION_LOGP not in made:
        made[Columns.ACTION_LOGP] = distribution.logp(made[Columns.ACTIONS])


def _buffer(data: Any, back: int) -> InfiniteLookbackBuffer:
    made = InfiniteLookbackBuffer(data)
    made.lookback = back  # the constructor takes the number of keys for the length where data is a dict
    return made


def _copied(observation: Any) -> Any:
    """Environments may overwrite their arrays at the next step."""
    return tree.map_structure(np.array, observation)

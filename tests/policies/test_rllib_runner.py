"""The batched env runner against RLlib's own, on the same seed; neither starts Ray."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from simenv.errors import UserError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:(?s).*rllib-single-agent-env-v0 already in registry:UserWarning"),
]
ROWS = 16


def config(episode: str = "shopper", horizon: int = 1) -> Any:
    from policies.rllib.train import PPOSettings, ppo_config

    made = ppo_config("tiny", 1, 100, ROWS, PPOSettings(hidden=8))
    made.environment(env_config={"world": "tiny", "episode": episode, "seed": 1})
    return made.env_runners(episode_lookback_horizon=horizon)


def stock(made: Any) -> Any:
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    return SingleAgentEnvRunner(config=made)


def batched(made: Any) -> Any:
    from policies.rllib.runner import BatchedEnvRunner

    return BatchedEnvRunner(config=made)


def columns(episode: Any) -> dict[str, Any]:
    """All that an episode holds, its look-back too, but its id."""
    extra = {}
    for name in sorted(episode.extra_model_outputs):
        data = episode.extra_model_outputs[name].data
        extra |= {f"{name}.{key}": data[key] for key in data} if isinstance(data, dict) else {name: data}
    buffers = {"observations": episode.observations, "actions": episode.actions, "rewards": episode.rewards}
    return {
        **{name: buffer.data for name, buffer in buffers.items()},
        **{f"look-back of {name}": buffer.lookback for name, buffer in buffers.items()},
        **extra,
        "terminated": episode.is_terminated, "truncated": episode.is_truncated,
        "t_started": episode.t_started, "length": len(episode),
    }  # fmt: skip


def sampled(runner: Any, sizes: list[int], **how: Any) -> list[list[Any]]:
    return [runner.sample(num_timesteps=size, explore=True, **how) for size in sizes]


def differences(one: list[list[Any]], two: list[list[Any]]) -> set[str]:
    """Which columns of two samplings differ; equal means the same bytes of the same type and shape."""
    if [len(call) for call in one] != [len(call) for call in two]:
        return {"number of chunks"}
    found: set[str] = set()
    for mine, theirs in zip(chain(*one), chain(*two), strict=True):
        mine, theirs = columns(mine), columns(theirs)
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            other = np.asarray(theirs[name])
            if np.asarray(value).dtype != other.dtype or not np.array_equal(value, other):
                found.add(name)
    return found


def threads(calls: list[list[Any]]) -> list[list[tuple[int, int]]]:
    """(start, length) of the chunks of each episode, episodes in the order in which they are first seen."""
    made: dict[str, list[tuple[int, int]]] = {}
    for chunk in chain(*calls):
        made.setdefault(chunk.id_, []).append((chunk.t_started, len(chunk)))
    return list(made.values())


@pytest.mark.parametrize(("episode", "horizon"), [("shopper", 1), ("session", 3), ("shopper", 0)])
def test_it_returns_what_rllibs_runner_returns(episode: str, horizon: int) -> None:
    """To the byte: both hand the same observations to the same network in batches of the same rows."""
    sizes = [1, 90, 90, 16, 200, 90]
    theirs, mine = (sampled(make(config(episode, horizon)), sizes) for make in (stock, batched))
    assert differences(mine, theirs) == set()
    assert threads(mine) == threads(theirs)
    chunks = list(chain(*mine))
    assert sum(chunk.t_started > 0 for chunk in chunks) > 30  # cut in the middle
    assert sum(chunk.is_terminated for chunk in chunks) > 20
    assert any(chunk.is_truncated for chunk in chunks) == (episode == "shopper")


def test_greedy_and_random_actions_and_whole_episodes_are_rllibs_too() -> None:
    def play(make: Callable[[Any], Any]) -> list[list[Any]]:
        runner = make(config())
        runner.env.action_space.seed(3)
        return [
            runner.sample(num_timesteps=40, explore=False),
            runner.sample(num_episodes=7, explore=True),
            runner.sample(num_timesteps=40, explore=True),
            runner.sample(num_timesteps=40, explore=False, random_actions=True, force_reset=True),
        ]

    mine, theirs = play(batched), play(stock)
    assert len(mine[1]) == 7
    assert differences(mine, theirs) == set()


def test_episodes_are_told_of_as_rllib_tells_of_them() -> None:
    """But for their duration and timers. Sums of float64 in another order: 1e-12."""
    told = []
    for make in (stock, batched):
        runner = make(config())
        runner.sample(num_timesteps=600)
        told.append(runner.get_metrics())
    theirs, mine = told
    names = ["episode_len_mean", "episode_return_mean", "episode_len_min", "episode_return_max", "num_episodes",
             "num_env_steps_sampled", "num_env_steps_sampled_lifetime", "weights_seq_no"]  # fmt: skip
    for name in names:
        assert mine[name].peek() == pytest.approx(theirs[name].peek(), rel=1e-12), name


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("another seed", "number of chunks"),
        ("rewards come a step late", "rewards"),
        ("a transition is dropped", "length"),
        ("episodes that ended are lost", "number of chunks"),
        ("episodes start at zero again", "t_started"),
    ],
)
def test_the_comparison_finds_what_is_wrong(fault: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative controls: each fault is planted in the batched runner, and seen."""
    from policies.rllib import runner as module

    chunks = module.BatchedEnvRunner._chunks

    def wrong(self: Any) -> Any:
        record = self._record
        match fault:
            case "rewards come a step late":
                record.rewards[:] = [record.rewards[0], *record.rewards[:-1]]
            case "a transition is dropped":
                record.played[record.past][0] = False
            case "episodes that ended are lost":
                return [], [chunk for kind in chunks(self) for chunk in kind if not chunk.is_done]
            case "episodes start at zero again":
                self._taken = [0] * self.num_envs
        return chunks(self)

    monkeypatch.setattr(module.BatchedEnvRunner, "_chunks", wrong)
    made = config()
    if fault == "another seed":
        made.environment(env_config={"world": "tiny", "episode": "shopper", "seed": 2})
    sizes = [90, 90, 90]
    assert found in differences(sampled(batched(made), sizes), sampled(stock(config()), sizes))


class Counting(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Counts its steps in one array that it overwrites; two keys, and rows end by turns."""

    def __init__(self, num_envs: int, mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> None:
        self.num_envs, self.metadata = num_envs, {"autoreset_mode": mode}
        box = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.single_observation_space = gymnasium.spaces.Dict({"at": box, "row": box})
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self.at = {"at": np.zeros((num_envs, 1), np.float32), "row": np.arange(num_envs, dtype=np.float32)[:, None]}
        self.over = np.zeros(num_envs, dtype=bool)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.at["at"][:] = 0
        return self.at, {}

    def step(self, actions: Any) -> Any:
        self.at["at"][:] = np.where(self.over[:, None], 0, self.at["at"] + 1)
        reward = np.where(self.over, 0.0, self.at["at"][:, 0])
        self.over = ~self.over & (self.at["at"][:, 0] >= 2 + np.arange(self.num_envs) % 3)
        return self.at, reward, self.over.copy(), np.zeros(self.num_envs, dtype=bool), {}


def counting_runner(mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> Any:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
    from ray.tune.registry import register_env

    class Tosses(TorchRLModule):  # type: ignore[misc]
        """Leaves the draw to the runner."""

        def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            return {"action_dist_inputs": batch["obs"]["at"] * torch.tensor([0.0, 1.0])}

    register_env("counting", lambda context: Counting(context["num_envs"], mode))
    made = PPOConfig().environment("counting").debugging(seed=None)
    made.rl_module(rl_module_spec=RLModuleSpec(module_class=Tosses))
    made.env_runners(num_env_runners=0, num_envs_per_env_runner=5, gym_env_vectorize_mode="vector_entry_point")
    return batched(made)


def test_dicts_that_an_environment_overwrites_are_kept_as_they_were() -> None:
    runner = counting_runner()
    with torch.random.fork_rng():  # RLlib's own distributions draw from the global generator
        calls = [(7, False), (20, True), (33, False), (20, False)]
        made = [runner.sample(num_timesteps=size, random_actions=is_random) for size, is_random in calls]
    chunks = list(chain(*made))
    assert len(chunks) > 15
    for chunk in made[-1]:
        at, action = chunk.get_observations(slice(0, len(chunk)))["at"][:, 0], chunk.get_actions()
        expected = np.where(action == 1, at, 0) - np.logaddexp(0, at)
        np.testing.assert_allclose(chunk.get_extra_model_outputs("action_logp"), expected, atol=1e-6)  # float32
    for chunk in chunks:
        at, row = (chunk.get_observations(slice(0, len(chunk) + 1))[name][:, 0] for name in ("at", "row"))
        np.testing.assert_array_equal(at, chunk.t_started + np.arange(len(chunk) + 1))
        np.testing.assert_array_equal(chunk.get_rewards(slice(0, len(chunk))), at[1:])
        assert len(set(row.tolist())) == 1
        assert chunk.is_terminated == (at[-1] == 2 + row[0] % 3)


def test_it_refuses_what_it_leaves_out() -> None:
    from ray.rllib.callbacks.callbacks import RLlibCallback
    from ray.rllib.connectors.env_to_module import FlattenObservations

    class Told(RLlibCallback):
        def on_episode_step(self, **kwargs: Any) -> None: ...

    asks: list[tuple[Callable[[Any], Any], str]] = [
        (lambda made: made.env_runners(env_to_module_connector=lambda *_: FlattenObservations()), "env_to_module"),
        (lambda made: made.env_runners(module_to_env_connector=lambda *_: FlattenObservations()), "module_to_env"),
        (lambda made: made.callbacks(Told), "on_episode_step"),
        (lambda made: made.callbacks(on_episode_end=lambda **_: None), "on_episode_end"),
        (lambda made: made.env_runners(episodes_to_numpy=False), "episodes as lists"),
        (
            lambda made: made.api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False),
            "old API stack",
        ),
    ]
    for ask, message in asks:
        made = config()
        ask(made)
        with pytest.raises(UserError, match=message):
            batched(made)
    with pytest.raises(UserError, match="expects AutoresetMode"):
        counting_runner(AutoresetMode.SAME_STEP)


def remembering(horizon: int = 1) -> Any:
    """A configuration whose module has a state: what it has seen in an episode, folded, tilts its scores."""
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    from policies.rllib.module import SlateModule

    class Remembers(SlateModule):
        """h' = .5 h + observation, a little; scores are those of `SlateModule`, tilted by h from place to place."""

        def get_initial_state(self) -> dict[str, Any]:
            return {"seen": torch.full((4,), 0.25), "steps": torch.zeros(1)}

        def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            obs, state = batch["obs"], batch["state_in"]
            n, length = obs.shape[:2]
            made = super()._forward({"obs": obs.flatten(end_dim=1)})
            seen, steps, tilts = state["seen"], state["steps"], []
            for t in range(length):
                seen, steps = 0.5 * seen + 0.01 * obs[:, t, :4], steps + 1.0
                tilts.append(seen.sum(dim=1, keepdim=True) + 0.1 * steps)
            place = torch.linspace(0.0, 1.0, made["action_dist_inputs"].shape[1])
            scores = made["action_dist_inputs"].unflatten(0, (n, length)) + torch.stack(tilts, dim=1) * place
            return {
                "action_dist_inputs": scores,
                "embeddings": made["embeddings"].unflatten(0, (n, length)),
                "state_out": {"seen": seen, "steps": steps},
            }

        def _forward_inference(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            made = self._forward(batch)
            del made["embeddings"]
            return made

        def _forward_exploration(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            made = self._forward_inference(batch)
            distribution = self.action_dist_cls(made["action_dist_inputs"])
            made["actions"] = distribution.sample(generator=self.generator)
            return made | {"action_logp": distribution.logp(made["actions"])}

        def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Any:
            return self.net.value(self._forward(batch)["embeddings"] if embeddings is None else embeddings)

    made = config(horizon=horizon)
    settings = {"world": "tiny", "hidden": 8, "floor": 0.01, "seed": 1, "max_seq_len": 3}
    return made.rl_module(rl_module_spec=RLModuleSpec(module_class=Remembers, model_config=settings))


def test_a_module_with_a_state_is_handed_what_rllibs_runner_hands_it() -> None:
    """To the byte, the state itself among what is compared; episodes go over calls, and start anew within them."""

    def play(make: Callable[[Any], Any]) -> list[list[Any]]:
        runner = make(remembering(horizon=3))
        runner.env.action_space.seed(3)
        made = sampled(runner, [1, 90, 90, 16])
        made.append(runner.sample(num_episodes=5, explore=True))
        made.append(runner.sample(num_timesteps=40, explore=False, force_reset=True))
        made.append(runner.sample(num_timesteps=40, random_actions=True, force_reset=True, explore=True))
        return [*made, runner.sample(num_timesteps=90, force_reset=True, explore=True)]

    mine, theirs = play(batched), play(stock)
    assert differences(mine, theirs) == set()
    steps = np.concatenate([chunk.get_extra_model_outputs("state_out")["steps"] for chunk in chain(*mine[:4])])
    assert steps.max() > 4
    for chunk in chain(*mine[:4]):
        found = chunk.get_extra_model_outputs("state_out")["steps"][:, 0]
        np.testing.assert_array_equal(found, chunk.t_started + 1 + np.arange(len(chunk)))


@pytest.mark.parametrize("fault", ["episodes go on with the state of others", "a step late"])
def test_the_comparison_finds_a_state_that_is_wrong(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from policies.rllib import runner as module

    right, given_before = module.next_state, []

    def wrong(given: Any, first: Any, went_on: np.ndarray) -> Any:
        given_before.append(given)
        return given if fault.startswith("episodes") else right(given_before[-2:][0], first, went_on)

    monkeypatch.setattr(module, "next_state", wrong)
    mine, theirs = (sampled(make(remembering()), [90, 90]) for make in (batched, stock))
    assert differences(mine, theirs) & {"state_out.steps", "number of chunks", "length"}


def test_a_module_with_a_state_learns_and_goes_on_from_where_it_stood() -> None:
    """RLlib's learner cuts and pads what the runner returns; a runner that takes over plays the same to the byte."""
    import json

    from policies.training_state import packed, put_back

    made = remembering()
    runner, other = batched(made), batched(made)
    learner = made.build_learner(spaces=runner.get_spaces())
    before = learner.module["default_policy"].unwrapped().net.linear.weight.detach().clone()
    episodes = runner.sample(num_timesteps=200)
    learner.update(episodes=episodes, num_epochs=1, minibatch_size=32, shuffle_batch_per_epoch=False)
    assert not torch.equal(before, learner.module["default_policy"].unwrapped().net.linear.weight)
    runner.set_state({"rl_module": learner.module.get_state()})
    other.set_state({"rl_module": learner.module.get_state()})
    arrays: dict[str, Any] = {}
    node = json.loads(json.dumps(packed(runner.standing(), arrays)))
    other.go_on_from(put_back(node, arrays))
    other.env.unwrapped.go_on_from(runner.env.unwrapped.standing())
    other.module.generator.set_state(runner.module.generator.get_state())
    assert differences(sampled(other, [90]), sampled(runner, [90])) == set()


def test_a_callback_after_sampling_is_called_and_leaves_the_generators_alone() -> None:
    before = torch.get_rng_state()
    told: list[int] = []
    runner = batched(config().callbacks(on_sample_end=lambda samples, **_: told.append(len(samples))))
    made = runner.sample(num_timesteps=40)
    assert told == [len(made)]
    assert torch.equal(before, torch.get_rng_state())


def test_remote_runners_meet_shoppers_of_their_own_with_noise_of_their_own() -> None:
    """Made here as Ray makes them there; the first of all, without a number, plays under the seed itself."""
    from policies.rllib.runner import BatchedEnvRunner

    pages, slates = [], []
    for worker in (None, 1, 2):
        runner = BatchedEnvRunner(config=config(), worker_index=worker)
        made = runner.sample(num_timesteps=1)
        pages.append({chunk.get_observations(0).tobytes() for chunk in made})
        slates.append(np.stack([chunk.get_actions(0) for chunk in made]))
    assert len(pages[0] | pages[1] | pages[2]) == 3 * ROWS
    assert not np.array_equal(slates[1], slates[2])
    assert not np.array_equal(slates[0], slates[1])


def first_pages(runner: Any) -> set[bytes]:
    """What episodes began with: candidates, query and history of the tiny world, hardly ever the same twice."""
    return {each.get_observations(0).tobytes() for each in runner.sample(num_timesteps=200) if each.t_started == 0}


@pytest.mark.parametrize("seeded", ["world", "rllib"])
def test_a_runner_that_takes_the_place_of_another_meets_others(seeded: str) -> None:
    """RLlib tells it how many steps there were; without them it plays the same shoppers again."""
    from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

    def runner(steps: int) -> Any:
        made = config()
        if seeded == "rllib":
            made.environment(env_config={"seed": None}).debugging(seed=3)
        new = batched(made)
        new.set_state({NUM_ENV_STEPS_SAMPLED_LIFETIME: steps})
        return new

    first = first_pages(runner(0))
    assert len(first) > ROWS
    assert first_pages(runner(0)) == first
    late = first_pages(runner(200))
    assert len(late & first) <= 1
    assert first_pages(runner(200)) == late
    assert len(first_pages(runner(400)) & late) <= 1


def test_what_was_learned_from_some_is_evaluated_on_others() -> None:
    """As RLlib makes the runners of `.evaluation(...)`: of the same configuration, but for a flag."""
    evaluating = config().copy(copy_frozen=False)
    evaluating.in_evaluation = True
    assert not first_pages(batched(config())) & first_pages(batched(evaluating))

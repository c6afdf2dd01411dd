"""SlateQ over RLlib: what it observes, its memory, its training by steps, and its configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies.ranking import RankingPolicy
from policies.registry import POLICIES
from policies.rllib.slateq_replay import FlatReplay, Rows
from policies.rllib.trainer import Assignment, TrainerWatch, new_trainer, train_by_steps
from policies.training import Plan
from simenv.errors import UserError
from simenv.peers.interest_evolution import InterestEvolution
from simenv.peers.vector_env import PeerVectorEnv
from simenv.vector_env import SearchVectorEnv
from simenv.worlds import load_world

pytestmark = pytest.mark.ray
TINY = load_world("tiny")
SMALL = {"hidden": 8, "batch": 64, "warm_up": 300, "capacity": 500, "copy_every": 2}


def assigned(seed: int = 3, searches: int = 3000, settings: dict[str, Any] | None = None) -> Assignment:
    return Assignment("slateq", "tiny", seed, searches, (0.3, 0.01), {**SMALL, **(settings or {})})


def rows(n: int, first: int = 0) -> Rows:
    """N transitions that hold their own number."""
    number = np.arange(first, first + n)
    wide = np.repeat(number[:, None], 4, axis=1).astype(np.float32)
    slate = np.repeat(number[:, None], 2, axis=1)
    return Rows(wide, slate, number.astype(np.float32), number % 2 == 0, wide + 1, slate + 1)


# What it observes.


@pytest.mark.parametrize(("name", "info_env"), [
    ("tiny", lambda: SearchVectorEnv(6, "tiny", "shopper")),
    ("interest-evolution", lambda: PeerVectorEnv(6, InterestEvolution())),
])  # fmt: skip
def test_an_observation_ends_with_what_was_clicked_on_the_page_before(
    name: str, info_env: Callable[[], SearchVectorEnv | PeerVectorEnv]
) -> None:
    from policies.rllib.slateq_worlds import slateq_world

    env, other = slateq_world(name).make(6, 4), info_env()
    first, _ = env.reset()
    other.reset(seed=4)
    assert first in env.observation_space
    assert not first[:, -3:].any()
    rng, over, n_clicked = np.random.default_rng(0), np.zeros(6, dtype=bool), 0
    for _ in range(120):  # some lives end meanwhile
        slate = np.array([rng.permutation(5)[:3] for _ in range(6)])
        made, reward, terminated, truncated, _ = env.step(slate)
        _, expected, _, _, info = other.step(slate)
        np.testing.assert_array_equal(reward, expected)
        np.testing.assert_array_equal(made[:, -3:] > 0, info["clicked"] & ~over[:, None])
        over, n_clicked = terminated | truncated, n_clicked + int(made[:, -3:].sum())
    assert n_clicked > 10


def test_an_unknown_world_is_refused_with_a_suggestion() -> None:
    from policies.rllib.slateq_worlds import slateq_world

    with pytest.raises(UserError, match="Did you mean 'interest-evolution'"):
        slateq_world("interest-evolutoin")


def test_a_world_file_that_is_wrong_says_so_itself(tmp_path: Path) -> None:
    from policies.rllib.slateq_worlds import slateq_world

    path = tmp_path / "mine.toml"
    path.write_text('base = "tiny"\nn_slot = 2\n', encoding="utf-8")
    with pytest.raises(UserError, match="n_slot"):
        slateq_world(str(path))


# Its memory.


def test_the_memory_keeps_the_latest_and_samples_all_of_it() -> None:
    replay = FlatReplay(10, 4, 2, seed=0)
    replay.add(rows(7))
    assert set(replay.sample(200).reward) == set(range(7))
    replay.add(rows(6, first=7))
    found = replay.sample(400)
    assert set(found.reward) == set(range(3, 13))
    for name in ("obs", "slate"):  # a transition stays together
        np.testing.assert_array_equal(getattr(found, name)[:, 0], found.reward)
        np.testing.assert_array_equal(getattr(found, f"next_{name}")[:, 0], found.reward + 1)
    replay.add(rows(25, first=100))
    assert set(replay.everything().reward) == set(range(115, 125))


def test_episodes_become_transitions_and_sarsa_waits_for_the_next_slate() -> None:
    from ray.rllib.env.single_agent_episode import SingleAgentEpisode

    from policies.rllib.slateq import episode_rows

    def episode(n: int, terminated: bool) -> SingleAgentEpisode:
        return SingleAgentEpisode(
            observations=[np.full(4, i, np.float32) for i in range(n + 1)],
            actions=[np.array([i, i + 1]) for i in range(n)], rewards=[float(i) for i in range(n)],
            terminated=terminated, len_lookback_buffer=0,
        )  # fmt: skip

    whole = episode_rows([episode(3, True), episode(2, False)], is_next_needed=False)
    assert whole.reward.tolist() == [0, 1, 2, 0, 1]
    assert whole.over.tolist() == [False, False, True, False, False]
    assert whole.next_obs[:, 0].tolist() == [1, 2, 3, 1, 2]
    assert whole.next_slate[0].tolist() == [1, 2]
    waiting = episode_rows([episode(3, True), episode(2, False)], is_next_needed=True)
    assert waiting.reward.tolist() == [0, 1, 2, 0]


# Its training.


def test_the_same_seed_learns_the_same_without_ray_and_leaves_the_global_generators_alone() -> None:
    import ray

    from policies.rllib.slateq_train import SlateQRun, SlateQSettings, train_slateq

    before = np.random.get_state()[1], torch.get_rng_state()  # noqa: NPY002
    one, two, other = (
        train_slateq(SlateQRun("tiny", seed, 1000, num_envs=64), SlateQSettings(**SMALL)).scorer().tensors()
        for seed in (3, 3, 4)
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["values.item.weight"], other["values.item.weight"])
    assert all(np.isfinite(value).all() for value in one.values())
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
    assert not ray.is_initialized()


def test_a_killed_training_goes_on_to_the_same_model(tmp_path: Path) -> None:
    plan = Plan(None, None, tmp_path / "checkpoint", 1000, {"what": "a test"})

    class Killed(Exception):
        pass

    def kill(searches: int, figures: Any) -> None:
        if searches > 2000:
            raise Killed

    whole = new_trainer(assigned())
    train_by_steps(whole, Plan(None, None), TrainerWatch())
    killed = new_trainer(assigned())
    with pytest.raises(Killed):
        train_by_steps(killed, plan, TrainerWatch(on_step=kill))
    again = new_trainer(assigned())
    told = train_by_steps(again, plan, TrainerWatch())
    assert told["searches"] == whole.searches == again.searches
    expected, found = whole.scorer(), again.scorer()
    for name, value in expected.tensors().items():
        np.testing.assert_array_equal(value, found.tensors()[name])
    np.testing.assert_array_equal(whole.shoppers(), again.shoppers())
    assert found.n_searches == whole.searches


def test_the_log_probability_that_it_explores_with_is_the_one_that_its_policy_reports() -> None:
    """A float32 sum of three float64 logarithms of order 10: 1e-5 is several roundings."""
    from ray.rllib.core.columns import Columns

    from policies.rllib.slateq_train import SlateQTrainer, slateq_trainer

    trainer: SlateQTrainer = slateq_trainer(assigned())
    with torch.no_grad():
        for weight in trainer.module.net.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=trainer.module.generator)
    player: Any = trainer.player
    page = player.env.market.page
    made = trainer.module.forward_exploration({Columns.OBS: torch.from_numpy(player.obs)})
    policy = RankingPolicy("slateq", trainer.scorer(), trainer.settings.temperature, trainer.settings.floor)
    slate = made[Columns.ACTIONS].numpy().astype(np.int32)
    slate[(page.candidates < 0).all(axis=1)] = -1  # RLlib has no word for "nothing"
    for k in range(1, slate.shape[1]):  # a repeat is an empty slot
        slate[(slate[:, :k] == slate[:, k : k + 1]).any(axis=1), k] = -1
    logp = policy.log_prob(page, slate).logp.sum(axis=1)
    np.testing.assert_allclose(logp, made[Columns.ACTION_LOGP].numpy(), atol=1e-5)


def test_the_shoppers_it_met_are_told() -> None:
    trainer = new_trainer(assigned(searches=2000))
    train_by_steps(trainer, Plan(None, None), TrainerWatch())
    met = trainer.shoppers()
    assert met is not None
    assert len(np.unique(met)) == len(met)
    assert len(met) > 256  # of the first 256 some left and others came


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"searches": 0}, "searches is 0"),
        ({"settings": {"gama": 0.5}}, "has no setting 'gama'"),
        ({"settings": {"optimiser": "optimum"}}, "Did you mean 'optimal'"),
        ({"settings": {"method": "salsa"}}, "Did you mean 'sarsa'"),
        ({"settings": {"capacity": 0}}, "'capacity' is 0; expected at least 1"),
        ({"settings": {"floor": 1.0}}, "'floor' is 1.0; expected a share from 0, and below 1"),
        ({"settings": {"temperature": 0.0}}, "'temperature' is 0.0; expected a number above 0"),
    ],
)
def test_what_a_user_can_get_wrong_is_said(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        new_trainer(Assignment(**{**vars(assigned()), **change}))


def test_its_configuration_is_rllibs_and_says_what_it_learns() -> None:
    from policies.rllib.slateq import ENVIRONMENT, SlateQ, SlateQConfig

    config = (
        SlateQConfig()
        .environment(ENVIRONMENT, env_config={"world": "tiny", "seed": 7})
        .training(gamma=0.9, lr=0.002, method="sarsa", serve="greedy")
        .rl_module(model_config={"hidden": 8})
    )
    assert config.algo_class is SlateQ
    assert (config.gamma, config.lr, config.method, config.serve) == (0.9, 0.002, "sarsa", "greedy")
    assert config.model_config["hidden"] == 8
    assert (config.model_config["world"], config.model_config["seed"]) == ("tiny", 7)
    assert POLICIES["slateq"].acts


@pytest.mark.parametrize("gamma", [-0.1, 1.5, float("nan")])
def test_a_discount_outside_0_to_1_is_refused_before_anything_plays(gamma: float) -> None:
    from policies.rllib.slateq_train import SlateQSettings

    with pytest.raises(UserError, match="expected a discount from 0 to 1"):
        SlateQSettings(gamma=gamma)


@pytest.mark.parametrize(
    ("env", "module", "training", "message"),
    [
        ({"sed": 3}, {}, {}, "no key of env_config 'sed'"),
        ({"episode": "sesion"}, {}, {}, "expected 'session' or 'shopper'"),
        ({"world": "tinny"}, {}, {}, "Did you mean 'tiny'"),
        ({}, {"hiden": 8}, {}, "Did you mean 'hidden'"),
        ({}, {}, {"replay_capacity": 0}, "'replay_capacity' is 0; expected at least 1"),
        ({}, {}, {"floor": 1.5}, "'floor' is 1.5"),
    ],
)
def test_a_configuration_refuses_what_nothing_would_read(
    env: dict[str, Any], module: dict[str, Any], training: dict[str, Any], message: str
) -> None:
    """Its environment is the search market, unless another is named."""
    from policies.rllib.slateq import SlateQConfig

    made = SlateQConfig().environment(env_config={"world": "tiny", **env}).training(**training)
    with pytest.raises(UserError, match=message):
        made.rl_module(model_config=module).validate()


def test_a_learner_that_comes_back_keeps_its_unit_of_values() -> None:
    """Another one, taken from what a trained policy played, would stretch all that it had learned."""
    from ray.rllib.core import DEFAULT_MODULE_ID

    from policies.rllib.quiet import quiet
    from policies.rllib.slateq import SlateQConfig, make_environment

    def learner() -> Any:
        config = SlateQConfig().environment(env_config={"world": "tiny"}).rl_module(model_config={"hidden": 8})
        env = make_environment({"num_envs": 1, "world": "tiny"})
        with quiet():
            return config.build_learner(
                spaces={DEFAULT_MODULE_ID: (env.single_observation_space, env.single_action_space)}
            )

    def unit(of: Any) -> float:
        made: float = of.module[DEFAULT_MODULE_ID].unwrapped().net.scale.item()
        return made

    first, again = learner(), learner()
    first.set_scale(2.0)
    first.copied_at = 7
    again.set_state(first.get_state())
    again.set_scale(5.0)
    assert (unit(again), again.copied_at) == (2.0, 7)
    fresh = learner()
    fresh.set_scale(5.0)
    assert unit(fresh) == 5.0

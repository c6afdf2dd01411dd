"""RLlib over the market: environment, distribution, module and training, none of which starts Ray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies.features import PAGE_FIELDS, page_tensors
from policies.ranking import RankingPolicy
from policies.slate_net import SlateScorer
from simenv.errors import UserError
from simenv.vector_env import SearchVectorEnv
from simenv.world import Page
from simenv.worlds import load_world

pytestmark = pytest.mark.ray
TINY = load_world("tiny")


def page_of(flat: np.ndarray) -> Page:
    """Flat observations as a page; what features do not read is zero."""
    from policies.rllib.environment import page_layout

    fields = {name: value.numpy() for name, value in page_layout(TINY).page(torch.from_numpy(flat)).items()}
    for name in ("candidates", "query_terms", "last_brand", "page", "search"):
        fields[name] = fields[name].astype(np.int32)
    for name in ("locale", "device"):
        fields[name] = fields[name].astype(np.int8)
    zeros = np.zeros(len(flat), dtype=np.int32)
    unread = {
        "recent": np.full((len(flat), 8), -1, np.int32), "recent_bought": np.zeros((len(flat), 8), bool),
        "recent_age": np.full((len(flat), 8), -1, np.int16),
    }  # fmt: skip
    unread |= {"filters": np.full((len(flat), 7), -1, np.int32), "house": np.zeros((len(flat), 0), np.int32)}
    return Page(shopper=zeros.astype(np.int64), visit=zeros, day=zeros, time=zeros, **fields, **unread)


def tiny_trainer(seed: int = 3, searches: int = 600, **changes: Any) -> Any:
    from policies.rllib.train import PPOSettings, new_ppo
    from policies.rllib.trainer import Assignment

    assignment = Assignment("ppo-slate", "tiny", seed, searches, (1.0, 0.01), **changes)
    return new_ppo(assignment, PPOSettings(batch=300, minibatch=128, hidden=8), rows=32)


def trained(trainer: Any) -> SlateScorer:
    while trainer.searches < trainer.budget:
        trainer.step()
    made: SlateScorer = trainer.scorer()
    return made


def test_a_flat_observation_holds_what_features_read() -> None:
    from policies.rllib.environment import make_environment, page_layout

    env = make_environment({"num_envs": 6, "world": "tiny", "seed": 4})
    market = SearchVectorEnv(6, "tiny", "shopper")
    market.reset(seed=4)
    flat, _ = env.reset()
    assert flat in env.observation_space
    action = np.tile(np.arange(3), (6, 1))
    for _ in range(4):
        again = page_layout(TINY).page(torch.from_numpy(flat))
        expected = page_tensors(market.page)
        assert set(again) == set(PAGE_FIELDS)
        assert all(torch.equal(again[name].double(), expected[name].double()) for name in PAGE_FIELDS)
        flat, reward, terminated, truncated, _ = env.step(action)
        _, *others, _ = market.step(action)
        for mine, theirs in zip((reward, terminated, truncated), others, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_the_environments_own_seed_serves_the_first_reset_alone() -> None:
    from policies.rllib.environment import make_environment

    def environment() -> Any:
        return make_environment({"num_envs": 6, "world": "tiny", "seed": 4})

    first, again, given = environment(), environment(), environment()
    one = first.reset()[0]
    np.testing.assert_array_equal(one, again.reset()[0])
    assert not np.array_equal(one, again.reset()[0])
    assert not np.array_equal(one, given.reset(seed=5)[0])


def test_a_single_slot_has_the_entropy_and_divergence_of_a_categorical() -> None:
    """With one slot the stand-ins are the thing itself; float32 results, hence 1e-6."""
    from policies.rllib.distribution import slate_distribution

    scores = torch.randn((2, 7, 5), generator=torch.Generator().manual_seed(0))
    scores[:, :, 3] = -torch.inf
    mine, theirs = (slate_distribution(1, 0.0)(each) for each in scores)
    here = scores[:, :, [0, 1, 2, 4]]
    one, two = (torch.distributions.Categorical(logits=each) for each in here)
    torch.testing.assert_close(mine.entropy(), one.entropy(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(mine.kl(theirs), torch.distributions.kl_divergence(one, two), atol=1e-6, rtol=1e-6)


def test_every_drawn_slate_is_an_action_and_empty_slots_cost_nothing() -> None:
    from policies.rllib.distribution import slate_distribution

    scores = torch.tensor([[0.0, -torch.inf, 1.0, -torch.inf], [0.0, 1.0, 2.0, 3.0]])
    distribution = slate_distribution(3, 0.1)(scores)
    slate = distribution.sample(generator=torch.Generator().manual_seed(0))
    assert slate.min() >= 0
    assert slate[0, 2] == slate[0, 0]  # two candidates, three slots
    two = slate_distribution(2, 0.1)(scores)
    assert distribution.logp(slate)[0] == two.logp(slate[:, :2])[0]
    assert distribution.to_deterministic().sample()[1].tolist() == [3, 2, 1]
    assert distribution.sample(sample_shape=(4,)).shape == (4, 2, 3)


@pytest.mark.filterwarnings("ignore:.*rllib-single-agent-env-v0 already in registry:UserWarning")
@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_the_log_probability_that_rllib_logs_is_the_one_that_the_policy_reports(floor: float) -> None:
    """A float32 sum of three float64 logarithms of order 10: 1e-5 is several roundings."""
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    from policies.rllib.train import PPOSettings, ppo_config

    runner = SingleAgentEnvRunner(config=ppo_config("tiny", 1, 100, 16, PPOSettings(floor=floor)))
    module = runner.module
    with torch.no_grad():
        module.net.head.weight += 0.3 * torch.randn(module.net.head.weight.shape, generator=module.generator)
    episodes = runner.sample(num_timesteps=300)
    observed = np.concatenate([episode.get_observations(slice(0, len(episode))) for episode in episodes])
    slate = np.concatenate([episode.get_actions() for episode in episodes]).astype(np.int32)
    logged = np.concatenate([episode.get_extra_model_outputs("action_logp") for episode in episodes])
    scorer = SlateScorer(TINY.catalogue.public(), 3, hidden=64)
    scorer.net.load_state_dict(module.net.state_dict())
    policy = RankingPolicy("ppo-slate", scorer, temperature=1.0, floor=floor)
    assert len(logged) >= 300
    page = page_of(observed)
    slate[(page.candidates < 0).all(axis=1)] = -1  # RLlib has no word for "nothing"
    np.testing.assert_allclose(policy.log_prob(page, slate).logp.sum(axis=1), logged, atol=1e-5)


def test_a_short_training_moves_the_weights_and_tells_what_it_does() -> None:
    import ray

    before = ray.is_initialized()
    trainer = tiny_trainer()
    start = SlateScorer(TINY.catalogue.public(), 3, hidden=8, seed=3).tensors()
    figures = trainer.step()
    first = trainer.scorer().tensors()
    last = trained(trainer).tensors()
    for name in start:
        assert np.isfinite(last[name]).all()
        assert not np.array_equal(start[name], last[name])
    assert not np.array_equal(first["linear.weight"], last["linear.weight"])
    assert 600 <= trainer.searches == last["n_searches"] < 600 + 32
    assert ray.is_initialized() == before
    assert np.isfinite(list(figures.values())).all()
    assert 0.0 < figures["reward_per_search"] < 3.0  # clicks on three slots
    assert 0.0 < figures["slate_kl"] < figures["slate_entropy"] < np.log(8 * 7 * 6)


def test_the_same_seed_learns_the_same_and_leaves_the_global_generators_alone() -> None:
    before = np.random.get_state()[1], torch.get_rng_state()  # noqa: NPY002
    one, two, other = (trained(tiny_trainer(seed, 300)).tensors() for seed in (3, 3, 4))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["linear.weight"], other["linear.weight"])
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


@pytest.mark.slow
def test_a_training_that_goes_on_elsewhere_comes_to_the_same_weights(tmp_path: Path) -> None:
    """From every step, through a file; and one that forgets the optimiser does not."""
    from policies.checkpoint import read_checkpoint, write_checkpoint

    path = tmp_path / "it.checkpoint"
    whole = trained(tiny_trainer(searches=900)).tensors()
    trainer = tiny_trainer(searches=900)
    while trainer.searches < trainer.budget:
        trainer.step()
        write_checkpoint(path, {}, {"trainer": trainer.state()})
        trainer = tiny_trainer(searches=900)
        trainer.load_state(read_checkpoint(path, {}).part("trainer", trainer.state()))
    killed = trainer.scorer().tensors()
    assert all(np.array_equal(whole[name], killed[name]) for name in whole)
    forgetful = tiny_trainer(searches=900)
    forgetful.step()
    write_checkpoint(path, {}, {"trainer": forgetful.state()})
    forgetful = tiny_trainer(searches=900)
    optimiser = {**forgetful.state(), "optimizer": torch.optim.Adam(forgetful.state()["net"].parameters())}
    forgetful.load_state(read_checkpoint(path, {}).part("trainer", optimiser))
    assert not np.array_equal(trained(forgetful).tensors()["linear.weight"], whole["linear.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world_name": "tinny"}, "tinny"),
        ({"searches": 0}, "expected at least 1"),
        ({"device": "mps"}, "device 'mps' is not available"),
    ],
)
def test_what_a_user_can_get_wrong_is_said(change: dict[str, Any], message: str) -> None:
    from policies.rllib.train import train_ppo

    arguments: dict[str, Any] = {"world_name": "tiny", "searches": 10} | change
    train: Callable[..., SlateScorer] = train_ppo
    with pytest.raises(UserError, match=message):
        train(arguments.pop("world_name"), seed=0, **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"gama": 0.9}}, "policy 'ppo-slate' has no setting 'gama'"),
        ({"settings": {"batch": 0.5}}, "'batch' is 0.5; expected a whole number"),
        ({"settings": {"batch": 0}}, "'batch' is 0; expected at least 1"),
        ({"settings": {"rows": 0}}, "'rows' is 0; expected at least 1"),
        ({"settings": {"learning_rate": -1.0}}, "'learning_rate' is -1.0; expected a number above 0"),
        ({"settings": {"gamma": 1.5}}, "'gamma' is 1.5; expected a discount from 0 to 1"),
        ({"policy": "linear"}, "'linear' is not trained by RLlib"),
    ],
)
def test_a_wrong_assignment_is_refused(change: dict[str, Any], message: str) -> None:
    from policies.rllib.trainer import Assignment, new_trainer

    arguments: dict[str, Any] = {"policy": "ppo-slate", "world": "tiny", "seed": 0, "searches": 10} | change
    with pytest.raises(UserError, match=message):
        new_trainer(Assignment(**arguments, exploration=(1.0, 0.01)))


def test_settings_of_a_scenario_reach_the_configuration() -> None:
    from policies.rllib.train import ppo_trainer
    from policies.rllib.trainer import Assignment

    settings = {"gamma": 0.5, "batch": 200, "minibatch": 100, "hidden": 4, "rows": 8}
    trainer = ppo_trainer(Assignment("ppo-slate", "tiny", 0, 10, (1.0, 0.05), settings))
    config = trainer.config
    assert (config.gamma, config.train_batch_size_per_learner, config.num_envs_per_env_runner) == (0.5, 200, 8)
    assert config.get_default_rl_module_spec().model_config["floor"] == 0.05
    assert trainer.scorer().settings["hidden"] == 4


@pytest.mark.parametrize(
    ("env", "module", "message"),
    [
        ({"sed": 3}, {}, "no key of env_config 'sed'"),
        ({"episode": "sesion"}, {}, "expected 'session' or 'shopper'"),
        ({}, {"hiden": 8}, "Did you mean 'hidden'"),
    ],
)
def test_a_configuration_refuses_what_nothing_would_read(
    env: dict[str, Any], module: dict[str, Any], message: str
) -> None:
    from policies.rllib.ppo import SlatePPOConfig

    with pytest.raises(UserError, match=message):
        SlatePPOConfig().environment(env_config=env).rl_module(model_config=module).validate()


def test_the_settings_of_a_module_of_ones_own_are_its_own() -> None:
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    from policies.rllib.module import SlateModule
    from policies.rllib.ppo import SlatePPOConfig

    class Mine(SlateModule): ...

    config = SlatePPOConfig().environment(env_config={"world": "tiny"})
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=Mine), model_config={"width": 3}).validate()


def test_a_module_that_is_told_no_market_asks_for_one() -> None:
    from gymnasium.spaces import Box, MultiDiscrete

    from policies.rllib.module import SlateModule

    with pytest.raises(UserError, match="which world it plays in"):
        SlateModule(observation_space=Box(-1, 1, (3,)), action_space=MultiDiscrete([3, 3]), model_config={})

"""The shipped contracts hold for everything registered, and catch what is planted."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import pytest

import simenv.invented
import simenv.world
import simenv.worth
from simenv import hashing
from simenv.check import check_vector_env, check_world
from simenv.check.ranker import UniformByHash
from simenv.clicks import Cascade, ClickModel, DynamicBayesian, MultinomialLogit, PositionBased, check_click_model
from simenv.compiled.backend import Backend
from simenv.errors import UserError
from simenv.params import WorldParams
from simenv.vector_env import SearchVectorEnv
from simenv.world import World, begin, make_world, observe
from simenv.worlds import WORLDS, load_world, world_params

TINY = world_params("tiny")


@pytest.mark.parametrize("backend", ["auto", "numpy"])
@pytest.mark.parametrize("name", WORLDS)
def test_every_registered_world_keeps_the_contract(name: str, backend: Backend) -> None:
    check_world(load_world(name, backend))


@pytest.mark.parametrize("episode", ["session", "shopper"])
@pytest.mark.parametrize("num_envs", [1, 5])
def test_the_vector_env_keeps_the_contract(episode: str, num_envs: int) -> None:
    made = gymnasium.make_vec(
        "simenv/Search-v0",
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        world="tiny",
        episode=episode,
    )
    check_vector_env(made, n_steps=40)


def test_a_world_with_too_few_items_for_a_page_is_caught() -> None:
    params = dataclasses.replace(TINY, n_items=60, n_candidates=20, n_slots=12, max_pages=1)
    with pytest.raises(AssertionError, match="the catalogue is too small"):
        check_world(make_world(params))


def test_expectations_that_are_wrong_by_a_fifth_are_caught() -> None:
    class Boasting(PositionBased):
        def click_probability(self, appeal: Any) -> Any:
            return 0.8 * super().click_probability(appeal)

    with pytest.raises(AssertionError, match="samples disagree with log_prob"):
        check_click_model(Boasting((1.0, 0.8, 0.6, 0.4)))


def test_rewards_that_miss_their_expectation_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = simenv.worth.conversion

    def boasting(*arguments: Any) -> Any:
        cart, buy = honest(*arguments)
        return cart, np.minimum(1.6 * buy, 1.0)

    world = make_world(dataclasses.replace(TINY, reward="purchases"), "numpy")
    check_world(world)
    uniforms = simenv.world.uniforms

    def unlucky(key: Any, draw: Any, names: Any) -> Any:
        u = uniforms(key, draw, names)
        return np.minimum(5.0 * u, 1.0) if draw == simenv.world.Draw.BUY else u

    monkeypatch.setattr(simenv.world, "uniforms", unlucky)  # a fifth of the carts is bought that the world says
    with pytest.raises(AssertionError, match="standard errors"):
        check_world(world)
    monkeypatch.undo()
    monkeypatch.setattr(simenv.worth, "conversion", boasting)
    check_world(world)  # expectation and draw move together: another market, but an honest one


def test_luck_that_depends_on_the_row_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = simenv.world.uniforms

    def by_row(key: Any, draw: Any, names: Any) -> Any:
        return honest(hashing.absorb(key, np.arange(len(key))), draw, names)

    monkeypatch.setattr(simenv.world, "uniforms", by_row)
    with pytest.raises(AssertionError, match="rows are independent"):
        check_world(load_world("tiny", "numpy"))


def test_retrieval_that_repeats_an_item_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = simenv.invented.retrieve

    def repeating(*arguments: Any) -> Any:
        items = honest(*arguments)
        items[:, -1] = items[:, 0]
        return items

    monkeypatch.setattr(simenv.invented, "retrieve", repeating)
    with pytest.raises(AssertionError, match="distinct in a row"):
        check_world(load_world("tiny", "numpy"))


def test_a_page_that_tells_of_taste_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    import simenv.check.world

    def telling(world: World, state: Any) -> Any:
        page = observe(world, state)
        return dataclasses.replace(
            page, history_weight=page.history_weight + np.abs(state.taste[:, 0]) + state.taste[:, 0]
        )

    monkeypatch.setattr(simenv.check.world, "observe", telling)
    with pytest.raises(AssertionError, match="hidden truth stays hidden: history_weight"):
        check_world(load_world("tiny", "numpy"))


class _Broken(SearchVectorEnv):
    """A vector env with one thing wrong."""

    def __init__(self, fault: str) -> None:
        super().__init__(3, "tiny", "session")
        self.fault = fault
        self._kept: Any = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self.fault == "deaf to seeds":
            seed = 1
        made, info = super().reset(seed=seed, options=options)
        return self._spoil(made), info

    def step(self, actions: Any) -> Any:
        starts = self._over
        if self.fault == "writes into actions":
            actions[:] = actions[:, ::-1].copy()
        made, reward, terminated, truncated, info = super().step(actions)
        if self.fault == "pays for resets":
            reward = np.where(starts, 1.0, reward)
        if self.fault == "ends twice":
            truncated = terminated.copy()
        if self.fault == "listens after the end":
            made["visit"] = np.where(starts, actions[:, 0], made["visit"]).astype(np.int32)
        if self.fault == "no masks":
            del info["_clicked"]
        return self._spoil(made), reward, terminated, truncated, info

    def _spoil(self, made: Any) -> Any:
        if self.fault == "wrong dtype":
            made["time"] = made["time"].astype(np.float64)
        if self.fault == "reuses arrays":
            if self._kept is None:
                self._kept = made
            for name in made:
                self._kept[name][...] = made[name]
            return self._kept
        return made


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("deaf to seeds", "seeds matter"),
        ("writes into actions", "inputs are left alone"),
        ("pays for resets", "the step after an end gave a reward"),
        ("ends twice", "terminated and truncated at once"),
        ("listens after the end", "autoreset ignores the action"),
        ("no masks", r"info\['clicked'\] has no mask"),
        ("wrong dtype", r"observation\['time'\] \(dtype float64"),
        ("reuses arrays", "arrays are not aliased across steps"),
    ],
)
def test_a_planted_fault_of_a_vector_env_is_named(fault: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_vector_env(_Broken(fault), n_steps=30)


def test_a_vector_env_whose_episodes_never_end_is_not_passed() -> None:
    with pytest.raises(AssertionError, match="no episode ended"):
        check_vector_env(SearchVectorEnv(1, "tiny", "shopper"), n_steps=1)


@pytest.mark.parametrize(
    "model",
    [PositionBased((1.0, 1.0, 1.0, 1.0)), Cascade(), Cascade(continuation=0.0), DynamicBayesian(1.0)],
    ids=repr,
)
def test_click_models_at_their_bounds_pass_their_check(model: ClickModel) -> None:
    check_click_model(model, n_draws=50_000)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Cascade(0.8, identified_by="item-position"), "item-position weights identify it, but .* on items above"),
        (MultinomialLogit(identified_by="prefix"), "prefix weights identify it, but .* on items below"),
    ],
)
def test_a_click_model_that_claims_to_be_identified_too_easily_is_caught(model: ClickModel, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_click_model(model, n_draws=1_000)


def test_the_ranker_of_the_checks_says_how_likely_its_slates_are() -> None:
    """All 8 * 7 * 6 slates alike: chi-square over 20,000 draws of one page at 1e-6 (335 degrees of freedom: 475)."""
    world = load_world("tiny")
    one = observe(world, begin(world, 0, np.zeros(1, dtype=np.int64)))
    assert (one.candidates >= 0).all()
    n = 20_000
    page = simenv.world.observe(world, begin(world, 0, np.zeros(n, dtype=np.int64)))
    decision = UniformByHash().act(page, 3, hashing.absorb(hashing.stream(0, "test"), np.arange(n)))
    np.testing.assert_allclose(decision.logp.prefix().joint, -np.log(8 * 7 * 6))
    code = decision.slate @ np.array([64, 8, 1])
    count = np.unique(code, return_counts=True)[1]
    assert len(count) == 336
    assert ((count - n / 336) ** 2 / (n / 336)).sum() < 475


def test_wrong_parameters_are_refused_with_what_to_do() -> None:
    with pytest.raises(UserError, match="n_items is 0; expected at least 1"):
        WorldParams("?", n_items=0)
    with pytest.raises(UserError, match="cannot show more than retrieval returns"):
        WorldParams("?", n_candidates=3, n_slots=4)
    with pytest.raises(UserError, match="expected one of clicks, purchases, revenue"):
        WorldParams("?", reward="likes")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="Did you mean 'cascade'"):
        load_world("cascad")

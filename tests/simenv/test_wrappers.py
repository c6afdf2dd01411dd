"""The wrappers: what is flat is public and complete, what is chosen is shown, holes never."""

from __future__ import annotations

import dataclasses
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import VectorEnv
from hypothesis import given
from hypothesis import strategies as st

from simenv import wrappers
from simenv.check.vector_env import check_vector_env
from simenv.env import SearchEnv
from simenv.errors import UserError
from simenv.vector_env import SearchVectorEnv
from simenv.world import make_world
from simenv.worlds import WORLDS, load_world
from simenv.wrappers import vector
from simenv.wrappers.layout import LIMIT, flat_layout
from simenv.wrappers.slates import slate_with_first, top_slate

SINGLE: dict[str, Callable[[Any], gymnasium.Env[Any, Any]]] = {
    "flat": wrappers.FlatObservation,
    "scores": wrappers.ScoresToSlate,
    "item": wrappers.SingleItem,
    "flat scores": lambda env: wrappers.ScoresToSlate(wrappers.FlatObservation(env)),
    "scores flat": lambda env: wrappers.FlatObservation(wrappers.ScoresToSlate(env)),
    "flat item alone": lambda env: wrappers.SingleItem(wrappers.FlatObservation(env), below="nothing"),
}
VECTOR: dict[str, Callable[[Any], VectorEnv[Any, Any, Any]]] = {
    "flat": vector.FlatObservation,
    "scores": vector.ScoresToSlate,
    "item": vector.SingleItem,
    "flat scores": lambda env: vector.ScoresToSlate(vector.FlatObservation(env)),
    "scores flat": lambda env: vector.FlatObservation(vector.ScoresToSlate(env)),
    "flat item alone": lambda env: vector.SingleItem(vector.FlatObservation(env), below="nothing"),
}


@pytest.mark.parametrize("name", SINGLE)
def test_gymnasium_finds_nothing_to_warn_of_in_a_wrapped_environment(name: str) -> None:
    env = SINGLE[name](gymnasium.make("simenv/Search-v0", world="tiny", episode="shopper"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Of any wrapper at all it says that it is not what it wraps; here the wrapper is what is checked.
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        check_env(env)


@pytest.mark.parametrize("name", VECTOR)
@pytest.mark.parametrize("episode", ["session", "shopper"])
def test_a_wrapped_vector_environment_keeps_the_contract(name: str, episode: Any) -> None:
    check_vector_env(VECTOR[name](SearchVectorEnv(3, "tiny", episode)), n_steps=40)


@pytest.mark.parametrize("name", SINGLE)
def test_the_single_wrapper_is_row_zero_of_the_vector_wrapper(name: str) -> None:
    one, rows = SINGLE[name](SearchEnv("tiny", "shopper")), VECTOR[name](SearchVectorEnv(1, "tiny", "shopper"))
    seen, told = one.reset(seed=3)
    many, info = rows.reset(seed=3)
    rows.action_space.seed(0)
    for _ in range(40):
        assert np.array_equal(told["action_mask"], info["action_mask"][0])
        if isinstance(seen, np.ndarray):
            np.testing.assert_array_equal(seen, many[0])
        action = rows.action_space.sample()
        seen, reward, terminated, truncated, told = one.step(action[0])
        many, rewards, *_, info = rows.step(action)
        assert reward == rewards[0]
        if terminated or truncated:
            seen, told = one.reset()
            many, *_, info = rows.step(action)


@pytest.fixture(scope="module", params=["tiny", "default", "sale"])
def played(request: pytest.FixtureRequest) -> list[tuple[Any, dict[str, Any]]]:
    """Some steps of 16 shoppers, with holes: the environment, its observations."""
    env = SearchVectorEnv(16, request.param, "shopper")
    pages = [env.reset(seed=0)[0]]
    env.action_space.seed(0)
    for _ in range(12):
        pages.append(env.step(env.action_space.sample())[0])
    return [(env, page) for page in pages]


def test_a_flat_observation_says_what_the_page_says(played: list[tuple[Any, dict[str, Any]]]) -> None:
    """Every column against the public catalogue, one candidate at a time."""
    n_holes = n_known = 0
    for env, page in played:
        world, public = env.world, env.world.catalogue.public()
        layout = flat_layout(world)
        context, candidates = layout.split(layout.flat(page))
        for row in range(0, env.num_envs, 3):
            told = dict(zip(layout.context_names, context[row].tolist(), strict=True))
            assert told[f"locale_{world.demand.locales[page['locale'][row]]}"] == 1.0
            assert sum(told[f"locale_{locale}"] for locale in world.demand.locales) == 1.0
            assert sum(told[f"device_{device}"] for device in ("phone", "desktop", "tablet")) == 1.0
            assert [told["search"], told["page"]] == [page["search"][row], page["page"][row]]
            assert told["has_brand"] == (page["query_terms"][row, 1] >= 0)
            assert told["history_price"] == pytest.approx(page["history"][row, -1])
            for position, item in enumerate(page["candidates"][row].tolist()):
                block = candidates[row, position]
                if item < 0:
                    n_holes += 1
                    assert not block.any()
                    continue
                one = dict(zip(layout.candidate_names, block.tolist(), strict=True))
                category, brand, colour = page["query_terms"][row, :3].tolist()
                n_known += category >= 0
                assert one["is_candidate"] == 1.0
                assert one["engine_rank"] == pytest.approx(position / world.params.n_candidates)
                assert one["category_match"] == (public.category[item] == category)
                same_department = category >= 0 and public.department[item] == world.catalogue.departments[category]
                assert one["department_match"] == same_department
                assert one["brand_match"] == (public.brand[item] == brand)
                assert one["colour_match"] == (public.colour[item] == colour)
                assert one["last_brand_match"] == (public.brand[item] == page["last_brand"][row])
                of_category = np.log(public.price[public.category == public.category[item]].astype(np.float64))
                price = public.price_z[item] + page["discount"][row, position] / max(of_category.std(), 0.05)
                assert one["price"] == pytest.approx(price, abs=1e-5)  # float32 of order 1
                assert one["rating"] == pytest.approx((public.rating[item] - 3.0) / 2.0)
                assert one["popularity"] == pytest.approx(public.popularity[item])
                fit = float(public.style[item] @ page["history"][row, :-1])
                assert one["style_fit"] == pytest.approx(fit, abs=1e-5)  # float32, sums of a few terms of order 1
                assert one["style_0"] == pytest.approx(public.style[item, 0])
    assert n_holes > 20
    assert n_known > 500


def test_nothing_hidden_enters_a_flat_observation() -> None:
    """With other hidden columns the same page is the same vector."""
    world = make_world(WORLDS["tiny"])
    catalogue = dataclasses.replace(world.catalogue, quality=-world.catalogue.quality, bait=-world.catalogue.bait)
    other = dataclasses.replace(world, catalogue=catalogue)
    page, _ = SearchVectorEnv(8, "tiny").reset(seed=0)
    np.testing.assert_array_equal(flat_layout(world).flat(page), flat_layout(other).flat(page))


def test_the_layout_names_every_number_once() -> None:
    layout = flat_layout(load_world("tiny"))
    assert len(set(layout.names)) == len(layout.names) == layout.width == layout.space.shape[0]
    made = layout.flat(SearchVectorEnv(4, "tiny").reset(seed=0)[0])
    context, candidates = layout.split(made)
    assert context.shape == (4, len(layout.context_names))
    assert candidates.shape == (4, 8, len(layout.candidate_names))
    at = layout.names.index("3:popularity")
    assert (made[:, at] == candidates[:, 3, layout.candidate_names.index("popularity")]).all()
    assert np.abs(made).max() < LIMIT


scores = st.lists(st.sampled_from([-np.inf, -2.0, -1.0, 0.0, 0.5, 3.0, np.inf]), min_size=6, max_size=6)
holes = st.lists(st.booleans(), min_size=6, max_size=6)


@given(scores, holes)
def test_the_highest_scores_are_shown_ties_to_the_earlier_and_holes_last(values: list[float], gone: list[bool]) -> None:
    candidates = np.where(gone, -1, np.arange(6))[None].astype(np.int32)
    expected = sorted((position for position in range(6) if not gone[position]), key=lambda at: (-values[at], at))
    expected += [position for position in range(6) if gone[position]]
    assert top_slate([values], candidates, 4)[0].tolist() == expected[:4]


@given(st.integers(0, 5), holes)
def test_the_chosen_item_stands_first_and_the_engines_order_below(choice: int, gone: list[bool]) -> None:
    candidates = np.where(gone, -1, np.arange(6))[None].astype(np.int32)
    others = [position for position in range(6) if position != choice]
    expected = [choice, *sorted(others, key=lambda position: (gone[position], position))]
    assert slate_with_first([choice], candidates, 4, "engine")[0].tolist() == expected[:4]
    assert slate_with_first([choice], candidates, 4, "nothing")[0].tolist() == [choice] * 4


def test_only_the_order_of_scores_matters() -> None:
    pages = []
    for change in (lambda x: x, lambda x: 1e6 * x - 5.0, lambda x: x.astype(np.float64), lambda x: (8 * x).round()):
        env = vector.ScoresToSlate(SearchVectorEnv(5, "tiny"))
        env.reset(seed=0)
        score = np.tile(np.arange(8, dtype=np.float32) / 8, (5, 1))
        pages.append(env.step(change(score))[4]["items"])
    assert all(np.array_equal(pages[0], other) for other in pages)


def test_what_is_chosen_is_what_is_shown() -> None:
    env = vector.SingleItem(SearchVectorEnv(6, "tiny"))
    made, _ = env.reset(seed=0)
    *_, info = env.step(np.full(6, 4))
    assert info["items"].tolist() == made["candidates"][:, [4, 0, 1]].tolist()
    alone = wrappers.SingleItem(SearchEnv("tiny"), below="nothing")
    first, _ = alone.reset(seed=0)
    *_, told = alone.step(4)
    assert told["items"].tolist() == [first["candidates"][4], -1, -1]
    assert not told["clicked"][1:].any()


def seen_masks() -> Iterator[tuple[gymnasium.Env[Any, Any], dict[str, Any], dict[str, Any]]]:
    env = wrappers.SingleItem(SearchEnv("tiny", "shopper"))
    made, info = env.reset(seed=1)
    for _ in range(150):
        yield env, made, info
        action = env.action_space.sample(mask=info["action_mask"])
        made, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            made, info = env.reset()


def test_masks_tell_candidates_from_holes_and_fit_gymnasiums_sample() -> None:
    n_short = 0
    for env, made, info in seen_masks():
        assert info["action_mask"].dtype == np.int8
        assert info["action_mask"].tolist() == (made["candidates"] >= 0).astype(int).tolist()
        assert isinstance(env, wrappers.SingleItem)
        assert env.action_masks().tolist() == (made["candidates"] >= 0).tolist()
        n_short += not info["action_mask"].all()
    assert n_short > 10
    plain = SearchEnv("tiny")
    _, info = plain.reset(seed=0)
    assert plain.action_space.sample(mask=(info["action_mask"],) * 3).shape == (3,)
    rows = vector.SingleItem(SearchVectorEnv(4, "tiny"))
    _, info = rows.reset(seed=0)
    assert rows.action_space.sample(mask=tuple(info["action_mask"])).shape == (4,)
    assert info["_action_mask"].all()


@pytest.mark.parametrize(
    ("wrapper", "action", "said"),
    [
        (vector.ScoresToSlate, np.zeros((2, 7)), r"shape \(2, 7\).*expected \(2, 8\), numbers"),
        (vector.ScoresToSlate, np.zeros((2, 8), bool), "dtype bool"),
        (vector.ScoresToSlate, np.zeros((2, 8), complex), "dtype complex128"),
        (vector.ScoresToSlate, [["a"] * 8] * 2, "expected .*numbers"),
        (vector.ScoresToSlate, [[0.0], [0.0, 1.0]], "equal length"),
        (vector.ScoresToSlate, np.array([[0.0] * 8, [np.nan] * 8]), "row 1 of the scores has NaN"),
        (vector.SingleItem, np.array([0, 8]), r"row 1 of the choice is 8; expected a position in \[0, 8\)"),
        (vector.SingleItem, np.array([-1, 0]), "row 0 of the choice is -1"),
        (vector.SingleItem, np.array([0.0, 1.0]), "dtype float64; expected"),
        (vector.SingleItem, np.array([True, False]), "dtype bool"),
        (vector.SingleItem, np.array([[0, 1]]), r"shape \(1, 2\)"),
    ],
)
def test_an_action_that_means_nothing_is_refused_by_the_wrapper_too(wrapper: Any, action: Any, said: str) -> None:
    env = wrapper(SearchVectorEnv(2, "tiny"))
    env.reset(seed=0)
    with pytest.raises(UserError, match=said):
        env.step(action)


def test_a_wrapper_says_which_environment_it_is_for() -> None:
    with pytest.raises(UserError, match=r"use simenv\.wrappers\.vector"):
        wrappers.FlatObservation(gymnasium.make("CartPole-v1"))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"is no simenv\.vector_env"):
        vector.ScoresToSlate(gymnasium.make_vec("CartPole-v1", 2))
    with pytest.raises(UserError, match="below is 'anything'"):
        wrappers.SingleItem(SearchEnv("tiny"), below="anything")  # type: ignore[arg-type]
    one = wrappers.ScoresToSlate(SearchEnv("tiny"))
    one.reset(seed=0)
    with pytest.raises(UserError, match=r"the scores have shape \(3,\); expected \(8,\)"):
        one.step(np.zeros(3, np.float32))
    with pytest.raises(UserError, match="the choice has shape"):
        wrappers.SingleItem(one.env).step(np.zeros(1, int))


@pytest.mark.skipif(not importlib.util.find_spec("stable_baselines3"), reason="Stable-Baselines3 is not installed")
def test_stable_baselines_trains_on_it_unchanged() -> None:
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env as check_for_sb3

    env = wrappers.ScoresToSlate(wrappers.FlatObservation(SearchEnv("tiny", "shopper")))
    check_for_sb3(env)
    check_for_sb3(wrappers.SingleItem(wrappers.FlatObservation(SearchEnv("tiny"))))
    model = PPO("MlpPolicy", env, n_steps=128, batch_size=64, n_epochs=2, seed=0, device="cpu")
    before = [weight.detach().clone() for weight in model.policy.parameters()]
    model.learn(256)
    assert model.num_timesteps == 256
    assert any(not np.array_equal(a, b.detach()) for a, b in zip(before, model.policy.parameters(), strict=True))
    made, _ = env.reset(seed=0)
    action, _ = model.predict(made, deterministic=True)
    assert env.action_space.contains(action)

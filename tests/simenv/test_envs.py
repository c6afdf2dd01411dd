"""One world, two doors: the single and the vector environment are the same physics, and say so to Gymnasium."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, cast

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

import simenv
from simenv.check import check_vector_env
from simenv.columns import take
from simenv.env import SearchEnv
from simenv.errors import UserError
from simenv.house import HouseSlots
from simenv.observation import observation
from simenv.params import Filters, WorldParams
from simenv.postclick import PostClick
from simenv.vector_env import Episode, SearchVectorEnv
from simenv.world import Page, begin, keep, observe, step
from simenv.worlds import WORLDS, load_world
from simenv.worth import slate_items

EPISODES: tuple[Episode, ...] = ("session", "shopper")


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def fixed_actions(n_steps: int, n: int, world: str = "tiny", seed: int = 0) -> np.ndarray:
    params = load_world(world).params
    return np.random.default_rng(seed).integers(0, params.n_candidates, (n_steps, n, params.n_slots))


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("episode", EPISODES)
def test_gymnasium_finds_nothing_to_warn_of(world: str, episode: str) -> None:
    """Its checks of rendering make the environment anew in every declared render mode."""
    env = gymnasium.make("simenv/Search-v0", world=world, episode=episode, render_mode="ansi")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_gymnasium_makes_a_native_vector_env() -> None:
    assert simenv.__name__ == "simenv"
    env = gymnasium.make_vec("simenv/Search-v0", num_envs=4, vectorization_mode="vector_entry_point", world="tiny")
    assert isinstance(env.unwrapped, SearchVectorEnv)
    made, _ = env.reset(seed=0)
    assert made["candidates"].shape == (4, 8)


@pytest.mark.parametrize("episode", EPISODES)
def test_one_env_is_row_zero_of_a_batch_of_one(episode: Episode) -> None:
    rows, one = SearchVectorEnv(1, "tiny", episode), SearchEnv("tiny", episode)
    many, _ = rows.reset(seed=5)
    single, told = one.reset(seed=5)
    assert same({name: value[0] for name, value in many.items()}, cast(dict[str, Any], single))
    over, n_ends = False, 0
    for action in fixed_actions(200, 1):
        many, reward, terminated, truncated, _ = rows.step(action)
        if over:
            single, told = one.reset()
            mine = 0.0, False, False
        else:
            single, *mine, told = one.step(action[0])  # type: ignore[assignment]
        over = bool(terminated[0] or truncated[0])
        n_ends += over
        assert same({name: value[0] for name, value in many.items()}, cast(dict[str, Any], single))
        assert tuple(mine) == (reward[0], terminated[0], truncated[0])
        assert told["query"] == rows.query_strings()[0]
    assert n_ends > 10


@pytest.mark.parametrize("episode", EPISODES)
def test_each_row_plays_its_shoppers_as_if_alone(episode: Episode) -> None:
    """Row i of N plays shoppers i, i + N, ...; the physics called by hand, one shopper at a time, says the same."""
    n, world, actions = 3, load_world("tiny"), fixed_actions(60, 3)
    env = SearchVectorEnv(n, "tiny", episode)
    made, _ = env.reset(seed=9)
    seen: list[list[dict[str, Any]]] = [[{name: value[i] for name, value in made.items()}] for i in range(n)]
    told: list[list[tuple[float, bool, bool]]] = [[] for _ in range(n)]
    for action in actions:
        made, reward, terminated, truncated, _ = env.step(action)
        for i in range(n):
            seen[i].append({name: value[i] for name, value in made.items()})
            told[i].append((reward[i], terminated[i], truncated[i]))
    for i in range(n):
        shopper, over, left = i, False, False
        state = begin(world, 9, np.array([shopper]))
        for t, action in enumerate(actions):
            if over:
                if left:
                    shopper += n
                    state = begin(world, 9, np.array([shopper]))
                expected = (0.0, False, False)
                over = False
            else:
                state, outcome = step(world, state, observe(world, state), action[i : i + 1])
                left = bool(outcome.gone[0] or outcome.truncated[0])
                session = bool(outcome.session_over[0])
                ends = (session, False) if episode == "session" else (bool(outcome.gone[0]), bool(outcome.truncated[0]))
                expected = (float(outcome.reward.sum()), *ends)
                over = any(ends)
            assert told[i][t] == expected
            alone = {name: value[0] for name, value in observation(observe(world, state)).items()}
            for name, value in alone.items():
                np.testing.assert_allclose(seen[i][t + 1][name], value, rtol=1e-6, atol=1e-6)
        assert shopper > i


@pytest.mark.parametrize("n", [7, 64])
def test_a_life_does_not_depend_on_how_many_play_beside(n: int) -> None:
    """First-page slates for everybody, until all are gone: each life alike alone and among 6 or 63 others."""
    world = load_world("tiny")
    slate = np.tile(np.arange(3), (n, 1))

    def lives(shoppers: np.ndarray) -> list[Page]:
        state, pages = begin(world, 2, shoppers), []
        while len(state):
            page = observe(world, state)
            pages.append(page)
            after, outcome = step(world, state, page, slate[: len(state)])
            state = keep(after, ~(outcome.gone | outcome.truncated))
        return pages

    together = lives(np.arange(n))
    for shopper in range(0, n, max(1, n // 7)):
        alone = lives(np.array([shopper]))
        among = [take(page, page.shopper == shopper) for page in together]
        among = [page for page in among if len(page)]
        assert len(alone) == len(among)
        for one, other in zip(alone, among, strict=True):
            for field in dataclasses.fields(Page):
                a, b = np.asarray(getattr(one, field.name)), np.asarray(getattr(other, field.name))
                if a.dtype.kind == "f":
                    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
                else:
                    np.testing.assert_array_equal(a, b)


def test_the_step_after_an_end_shows_the_first_page_of_the_next_shopper() -> None:
    env = SearchVectorEnv(2, "tiny", "shopper")
    env.reset(seed=0)
    world, shoppers = load_world("tiny"), [0, 1]
    over = np.zeros(2, dtype=bool)
    for action in fixed_actions(80, 2):
        made, reward, terminated, truncated, info = env.step(action)
        for row in np.flatnonzero(over):
            shoppers[row] += 2
            fresh = observation(observe(world, begin(world, 0, np.array([shoppers[row]]))))
            assert same({name: value[row] for name, value in made.items()}, {k: v[0] for k, v in fresh.items()})
            assert reward[row] == 0
            assert not info["_clicked"][row]
        over = terminated | truncated
    assert min(shoppers) > 1


def test_reset_without_a_seed_goes_on_with_new_shoppers() -> None:
    env = SearchVectorEnv(2, "tiny")
    env.reset(seed=0)
    made, _ = env.reset()
    fresh = observation(observe(load_world("tiny"), begin(load_world("tiny"), 0, np.array([2, 3]))))
    assert same(made, fresh)
    one = SearchEnv("tiny")
    one.reset(seed=0)
    second, _ = one.reset()
    assert same(cast(dict[str, Any], second), {k: v[0] for k, v in observation(
        observe(load_world("tiny"), begin(load_world("tiny"), 0, np.array([1])))).items()})  # fmt: skip


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (np.zeros((2, 4), int), r"shape \(2, 4\) and dtype int64; expected \(2, 3\), integers"),
        (np.zeros(3, int), r"shape \(3,\)"),
        (np.zeros((2, 3)), "dtype float64"),
        (np.array([[0, 1, 2], [0, 8, 1]]), r"row 1 of the action is \[0, 8, 1\].*not item ids"),
        (np.array([[0, 1, -1], [0, 1, 2]]), "row 0"),
        (np.array([["a"] * 3] * 2), "integers"),
        (np.ones((2, 3), bool), "dtype bool; expected"),
        (np.array([[0.0, 1.0, 2.0]] * 2), "dtype float64; expected"),
        (np.array([[0, 1, 2]] * 2, dtype=object), "dtype object"),
        ([[0, 1], [0, 1, 2]], "no array of numbers .* rows of equal length"),
    ],
)
def test_an_action_that_means_nothing_is_refused_with_help(action: Any, said: str) -> None:
    """And the environment is as if nobody had asked."""
    env, other = SearchVectorEnv(2, "tiny"), SearchVectorEnv(2, "tiny")
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(UserError, match=said):
        env.step(action)
    slate = np.array([[0, 1, 2]] * 2)
    one, two = env.step(slate), other.step(slate)
    assert same(one[0], two[0])
    assert np.array_equal(one[1], two[1])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_integers_of_every_width_and_plain_lists_mean_the_same(dtype: type) -> None:
    shown = []
    for action in (np.array([[0, 1, 2]], dtype), np.array([[0, 1, 2]]), [[0, 1, 2]]):
        env = SearchVectorEnv(1, "tiny")
        env.reset(seed=0)
        shown.append(env.step(cast(np.ndarray, action))[4]["items"].tolist())
    assert shown[0] == shown[1] == shown[2]


def test_the_single_environment_refuses_the_same() -> None:
    env = SearchEnv("tiny")
    env.reset(seed=0)
    for action, said in (
        (np.zeros(4, int), r"shape \(4,\); expected \(3,\)"),
        (np.zeros((1, 3), int), r"shape \(1, 3\)"),
        (np.zeros(3), "dtype float64"),
        (np.ones(3, bool), "dtype bool"),
        (np.array([0, 1, 8]), "not item ids"),
    ):
        with pytest.raises(UserError, match=said):
            env.step(action)


def one_day_world() -> WorldParams:
    """Nobody can come back in time: every shopper has one visit."""
    params = WORLDS["tiny"]
    return dataclasses.replace(params, shoppers=dataclasses.replace(params.shoppers, horizon_days=1))


def test_a_session_ends_terminated_and_is_never_truncated() -> None:
    for world in (one_day_world(), WORLDS["tiny"]):
        env = SearchVectorEnv(50, world, "session")
        env.reset(seed=0)
        n_ends = 0
        for action in fixed_actions(30, 50):
            *_, terminated, truncated, _ = env.step(action)
            n_ends += int(terminated.sum())
            assert not truncated.any()
        assert n_ends > 200


def test_a_life_ends_terminated_for_who_stays_away_and_truncated_for_who_comes_back_too_late() -> None:
    """With a horizon of one day, every visit is a life; who would come back is told by the physics."""
    env = SearchVectorEnv(400, one_day_world(), "shopper")
    env.reset(seed=0)
    over, gone, late = np.zeros(400, dtype=bool), 0, 0
    for action in fixed_actions(12, 400):
        *_, terminated, truncated, _ = env.step(action)
        assert env.outcome is not None
        played = ~over
        assert not (terminated & truncated).any()
        np.testing.assert_array_equal(terminated, env.outcome.gone & played)
        np.testing.assert_array_equal(terminated | truncated, env.outcome.session_over & played)
        gone, late, over = gone + int(terminated.sum()), late + int(truncated.sum()), terminated | truncated
    # Come back 60% (never satisfied) to 95% (always): four standard errors of a share of over 1,000 are 0.06.
    assert gone + late > 1000
    assert 0.54 < late / (gone + late) < 1.0


def test_a_longer_horizon_truncates_fewer() -> None:
    shares = []
    for days in (1, 7, 28):
        params = WORLDS["tiny"]
        world = dataclasses.replace(params, shoppers=dataclasses.replace(params.shoppers, horizon_days=days))
        env = SearchVectorEnv(200, world, "shopper")
        env.reset(seed=0)
        ends = np.zeros(2)
        for action in fixed_actions(100, 200):
            *_, terminated, truncated, _ = env.step(action)
            ends += terminated.sum(), truncated.sum()
        shares.append(ends[1] / ends.sum())
    assert shares[0] > shares[1] > shares[2] > 0.0


def test_a_finished_episode_wants_a_reset() -> None:
    env = SearchEnv("tiny")
    env.reset(seed=0)
    over = False
    while not over:
        *_, terminated, truncated, _ = env.step(np.arange(3))
        over = terminated or truncated
    with pytest.raises(ResetNeeded, match="over"):
        env.step(np.arange(3))
    env.reset()
    env.step(np.arange(3))


def test_masks_belong_to_the_observation_they_come_with() -> None:
    env = SearchVectorEnv(40, "tiny")
    made, info = env.reset(seed=0)
    n_holes = 0
    for action in fixed_actions(30, 40):
        assert info["action_mask"].dtype == np.int8
        np.testing.assert_array_equal(info["action_mask"] == 1, made["candidates"] >= 0)
        assert info["_action_mask"].all()
        n_holes += int((info["action_mask"] == 0).sum())
        made, *_, info = env.step(action)
    assert n_holes > 100


def test_other_mistakes_are_named_too() -> None:
    with pytest.raises(UserError, match="episode is 'week'; expected 'session' or 'shopper'"):
        SearchVectorEnv(1, "tiny", cast(Episode, "week"))
    with pytest.raises(UserError, match="num_envs is 0"):
        SearchVectorEnv(0, "tiny")
    with pytest.raises(UserError, match="Did you mean 'tiny'"):
        SearchEnv("tinny")
    with pytest.raises(UserError, match="Did you mean 'rgb_array'"):
        SearchEnv("tiny", render_mode="rgb_aray")
    with pytest.raises(ResetNeeded, match="reset"):
        SearchVectorEnv(1, "tiny").step(np.zeros((1, 3), int))


@given(st.lists(st.integers(-2, 9), min_size=3, max_size=3), st.integers(0, 40))
def test_repeats_and_holes_leave_empty_slots(slate: list[int], shopper: int) -> None:
    world = load_world("tiny")
    page = observe(world, begin(world, 1, np.array([shopper])))
    page.candidates[0, 2] = -1
    items = slate_items(page, np.array([slate]))[0].tolist()
    expected = [
        int(page.candidates[0, position]) if 0 <= position < 8 and position not in slate[:slot] else -1
        for slot, position in enumerate(slate)
    ]
    assert items == expected


def test_a_repeated_position_earns_nothing_twice() -> None:
    env = SearchVectorEnv(200, "tiny")
    env.reset(seed=0)
    *_, info = env.step(np.zeros((200, 3), int))
    assert (info["items"][:, 1:] == -1).all()
    assert not info["clicked"][:, 1:].any()
    assert info["clicked"][:, 0].any()


def test_worlds_in_one_process_do_not_meet() -> None:
    """Playing another world in between changes nothing."""
    alone, beside, other = SearchVectorEnv(3, "tiny"), SearchVectorEnv(3, "tiny"), SearchVectorEnv(3, "clickbait")
    for env in (alone, beside, other):
        env.reset(seed=1)
    for action in fixed_actions(20, 3):
        one = alone.step(action)
        other.step(np.tile(np.arange(5), (3, 1)))
        two = beside.step(action)
        assert same(one[0], two[0])
        assert np.array_equal(one[1], two[1])


def test_an_environment_with_a_house_shows_it_and_tells_of_its_clicks() -> None:
    params = dataclasses.replace(
        WORLDS["tiny"],
        n_candidates=16,
        house=HouseSlots(sponsored=(0,), pinned=(2,)),
        post_click=PostClick(dwell=20.0, returns=0.3),
        filters=Filters(weight=5.0),
    )
    env = SearchVectorEnv(64, params)
    made, _ = env.reset(seed=0)
    assert made["house"].shape == (64, 2)
    clicks, filtered, dwell = 0, 0, 0.0
    for _ in range(10):
        made, *_, info = env.step(np.tile(np.arange(3), (64, 1)))
        assert env.observation_space.contains(made)
        assert info["house_clicked"].shape == (64, 2)
        assert info["returned"].shape == info["dwell"].shape == (64, 3)
        clicks += int(info["house_clicked"].sum())
        filtered += int((made["filters"] >= 0).any(axis=1).sum())
        dwell += float(info["dwell"].sum())
    assert clicks > 20
    assert filtered > 20
    assert dwell > 0
    check_vector_env(SearchVectorEnv(5, params), n_steps=40)


def test_a_market_without_a_house_says_nothing_of_one() -> None:
    env = SearchVectorEnv(2, "tiny")
    made, info = env.reset(seed=0)
    *_, info = env.step(np.zeros((2, 3), dtype=np.int64))
    assert "house" not in made
    assert "house_clicked" not in info
    assert (made["filters"] == -1).all()

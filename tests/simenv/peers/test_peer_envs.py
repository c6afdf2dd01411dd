"""One door for every peer's market, single and vector, and Gymnasium's own checks on both."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from simenv.check import check_vector_env
from simenv.errors import UserError
from simenv.peers.env import PeerEnv
from simenv.peers.interest_evolution import InterestEvolution
from simenv.peers.vector_env import PeerVectorEnv
from simenv.peers.worlds import PEER_WORLDS, load_peer


@pytest.mark.parametrize("name", PEER_WORLDS)
def test_gymnasium_finds_nothing_to_warn_of(name: str) -> None:
    env = gymnasium.make(PEER_WORLDS[name].env)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@pytest.mark.parametrize("name", PEER_WORLDS)
@pytest.mark.parametrize("num_envs", [1, 5])
def test_the_vector_env_keeps_the_contract(name: str, num_envs: int) -> None:
    env = gymnasium.make_vec(PEER_WORLDS[name].env, num_envs=num_envs, vectorization_mode="vector_entry_point")
    assert isinstance(env.unwrapped, PeerVectorEnv)
    check_vector_env(env.unwrapped, n_steps=120, seed=3)


def test_the_reference_backend_keeps_the_contract_too() -> None:
    check_vector_env(PeerVectorEnv(4, "interest-evolution", backend="numpy"), n_steps=120)


@pytest.mark.parametrize("name", PEER_WORLDS)
def test_one_env_is_row_zero_of_a_batch_of_one(name: str) -> None:
    rows, one = PeerVectorEnv(1, name), PeerEnv(name)
    rng, world = np.random.default_rng(0), load_peer(name)
    many, _ = rows.reset(seed=5)
    single, _ = one.reset(seed=5)
    over, n_ends = False, 0
    for _ in range(250):
        assert all(np.array_equal(many[key][0], single[key]) for key in many)
        action = rng.integers(0, world.n_candidates, world.n_slots)
        many, reward, terminated, truncated, _ = rows.step(action[None])
        if over:
            single, _ = one.reset()
            mine: tuple[Any, ...] = (0.0, False, False)
        else:
            single, *rest, _ = one.step(action)
            mine = tuple(rest)
        assert mine == (reward[0], terminated[0], truncated[0])
        over = bool(terminated[0] or truncated[0])
        n_ends += over
    assert n_ends > 1


def test_row_i_plays_every_nth_user() -> None:
    """The next users of two rows are 2 and 3, seen in their first interests."""
    env, world = PeerVectorEnv(2), load_peer("interest-evolution")
    env.reset(seed=9)
    user, over = np.array([0, 1]), np.zeros(2, dtype=bool)
    for _ in range(300):
        seen, *_, info = env.step(np.tile([0, 1, 2], (2, 1)))
        fresh = over.copy()
        user[fresh] += 2
        assert np.array_equal(info["_clicked"], ~fresh)
        for row in np.flatnonzero(fresh):
            first = world.observe(world.begin(9, user[row : row + 1]))
            assert all(np.array_equal(seen[name][row], first[name][0]) for name in first)
        over = env.outcome.terminated & ~fresh  # type: ignore[union-attr]
    assert user.min() > 3


def test_a_market_of_another_size_goes_through_the_same_door() -> None:
    env = gymnasium.make("simenv/InterestEvolution-v0", world=InterestEvolution(n_candidates=100, n_slots=10))
    seen, _ = env.reset(seed=0)
    assert seen["topic"].shape == (100,)
    assert env.action_space.shape == (10,)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (np.zeros((2, 4), int), r"shape \(2, 4\) and dtype int64; expected \(2, 3\), integers"),
        (np.zeros((2, 3)), "dtype float64"),
        (np.array([[0, 1, 2], [0, 10, 1]]), r"row 1 of the action is \[0, 10, 1\]"),
        (np.array([[0, 1, -1], [0, 1, 2]]), "row 0"),
    ],
)
def test_an_action_that_means_nothing_is_refused_with_help(action: np.ndarray, said: str) -> None:
    env = PeerVectorEnv(2)
    env.reset(seed=0)
    with pytest.raises(UserError, match=said):
        env.step(action)


def test_other_mistakes_are_named_too() -> None:
    with pytest.raises(UserError, match="Did you mean 'sardine'"):
        PeerVectorEnv(1, "sardines")
    with pytest.raises(UserError, match="num_envs is 0"):
        PeerVectorEnv(0)
    with pytest.raises(UserError, match="expected 'auto' or 'numpy'"):
        PeerVectorEnv(1, backend="jax")  # type: ignore[arg-type]
    with pytest.raises(ResetNeeded, match="reset"):
        PeerVectorEnv(1).step(np.zeros((1, 3), int))


def test_every_registered_market_has_an_id_that_leads_to_it() -> None:
    for name, peer in PEER_WORLDS.items():
        assert gymnasium.spec(peer.env).kwargs == {"world": name}

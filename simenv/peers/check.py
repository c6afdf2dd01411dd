"""What a peer's market owes to those who play it, as a function for people who add their own."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.columns import take
from simenv.peers.peer_world import I64, Observation, Outcome, PeerWorld, Slates
from simenv.peers.rankers import at_random, best

FLOAT_TOLERANCE = 1e-6  # of a market's floats between batch sizes
N_AMONG, N_ALONE, N_MANY, N_STEPS = 40, 4, 400, 150
Page = tuple[Observation, Outcome]


def check_peer_world(world: PeerWorld[Any], seed: int = 0) -> None:
    """Prove that a market keeps the contract of `simenv.peers.peer_world`, under rankings at random.

    Every observation lies in its space. A user's life is the same alone and among forty. The same seed gives the same
    bytes, another seed others. States, slates and what was observed are the caller's own. An empty slate earns nothing
    and a repeat leaves its slot empty. Rewards agree with their expectations within four and a half standard errors,
    clustered by user: one fair market in 150,000 fails. Nobody is terminated and truncated at once.

    Args:
        world: The market.
        seed: The users' luck.

    Raises:
        AssertionError: naming the property that fails.
    """
    users = np.arange(N_MANY, dtype=np.int64)
    _check_lives_alone(world, seed)
    _check_seeds(world, seed, users[:N_AMONG])
    _check_ownership(world, seed, users[:N_AMONG])
    _check_empty_slots(world, seed, users)
    _check_expectations(world, seed, users)


def _slates(world: PeerWorld[Any], users: I64, step: int) -> Slates:
    luck = hashing.absorb(hashing.absorb(hashing.stream(1, "check"), users), step)
    return best(at_random(world.n_candidates).scores({}, luck, None), world.n_slots)


def _pages(world: PeerWorld[Any], seed: int, users: I64) -> list[tuple[I64, Page]]:
    """What was seen and done on every page, with the users who were still there, for up to N_STEPS pages."""
    state, pages = world.begin(seed, users), []
    space = world.observation_space()
    for step in range(N_STEPS):
        seen = world.observe(state)
        for row in range(min(len(users), 3)):
            one = {name: np.asarray(value[row]) for name, value in seen.items()}
            assert space.contains(one), f"an observation lies outside its space: {one}"
        state, outcome = world.step(state, _slates(world, users, step))
        assert not (outcome.terminated & outcome.truncated).any(), "a user is terminated and truncated at once"
        pages.append((users, (seen, outcome)))
        stay = ~(outcome.terminated | outcome.truncated)
        users, state = users[stay], take(state, stay)
        if not len(users):
            break
    return pages


def _check_lives_alone(world: PeerWorld[Any], seed: int) -> None:
    together = _pages(world, seed, np.arange(N_AMONG, dtype=np.int64))
    for user in range(0, N_AMONG, N_AMONG // N_ALONE):
        alone = _pages(world, seed, np.array([user], dtype=np.int64))
        among = [(users, page) for users, page in together if user in users]
        assert len(alone) == len(among), f"user {user} lives for another time alone than among others"
        for step, ((_, one), (users, many)) in enumerate(zip(alone, among, strict=True)):
            row = np.flatnonzero(users == user)
            for name, value in _columns(many).items():
                other = _columns(one)[name]
                assert _close(value[row], other), f"user {user}, page {step}: {name} differs alone and among others"


def _check_seeds(world: PeerWorld[Any], seed: int, users: I64) -> None:
    first, again, other = (_pages(world, each, users) for each in (seed, seed, seed + 1))
    assert _same(first, again), "seeding is reproducible: the same seed gave other bytes"
    assert not _same(first, other), "seeds matter: two seeds gave the same lives"


def _check_ownership(world: PeerWorld[Any], seed: int, users: I64) -> None:
    state, slate = world.begin(seed, users), _slates(world, users, 0)
    before = copy.deepcopy(state), slate.copy()
    expected = world.step(state, slate)[1]
    for value in world.observe(state).values():
        value[...] = 0
    after = world.step(state, slate)[1]
    assert np.array_equal(slate, before[1]), "inputs are left alone: step changed the slate"
    assert np.array_equal(expected.reward, after.reward), "observations are the caller's own: writing into one was felt"
    for field in dataclasses.fields(state):
        old, new = getattr(before[0], field.name), getattr(state, field.name)
        assert np.array_equal(old, new), f"inputs are left alone: state.{field.name} changed"


def _check_empty_slots(world: PeerWorld[Any], seed: int, users: I64) -> None:
    state = world.begin(seed, users)
    nothing = np.full((len(users), world.n_slots), -1)
    outcome = world.step(state, nothing)[1]
    assert not outcome.reward.any(), "an empty slate earned something"
    assert not outcome.expected.any(), "an empty slate is expected to earn something"
    repeats, once = np.zeros_like(nothing), nothing.copy()
    once[:, 0] = 0
    a, b = world.step(state, repeats)[1], world.step(state, once)[1]
    assert np.array_equal(a.reward, b.reward), "a repeat does not leave its slot empty"
    assert np.array_equal(a.expected, b.expected), "a repeat does not leave its slot empty: expectations differ"


def _check_expectations(world: PeerWorld[Any], seed: int, users: I64) -> None:
    surprise = np.zeros(len(users))
    for there, (_, outcome) in _pages(world, seed, users):
        surprise[there] += outcome.reward - outcome.expected
    error = surprise.std(ddof=1) / np.sqrt(len(users))
    z = surprise.mean() / error
    assert abs(z) < 4.5, f"rewards disagree with their expectations: {z:.1f} standard errors apart"


def _columns(page: Page) -> dict[str, npt.NDArray[Any]]:
    seen, outcome = page
    own = {name: getattr(outcome, name) for name in ("reward", "expected", "terminated", "truncated")}
    return {f"observed {name}": value for name, value in seen.items()} | own | outcome.told


def _close(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    if a.dtype.kind == "f":
        return np.allclose(a, b, rtol=FLOAT_TOLERANCE, atol=FLOAT_TOLERANCE, equal_nan=True)
    return np.array_equal(a, b)


def _same(first: list[tuple[I64, Page]], second: list[tuple[I64, Page]]) -> bool:
    if len(first) != len(second):
        return False
    for (users, one), (others, two) in zip(first, second, strict=True):
        if not np.array_equal(users, others):
            return False
        if any(value.tobytes() != _columns(two)[name].tobytes() for name, value in _columns(one).items()):
            return False
    return True

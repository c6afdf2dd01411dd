"""Interest evolution compiled by numba: the numpy definition, row by row, with nothing materialised in between.

Equal to `InterestEvolution` in the sense of the house: ids, uniforms and integer state bit for bit; floats to a few
ulp, since logarithm and cosine of a video's quality are another library's; events wherever no draw lies on its
threshold. Importing this file needs numba; compiled code is cached beside the file or in the user's cache folder where
one of them can be written.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from simenv import hashing
from simenv.peers.interest_evolution import Draw, InterestEvolution, State
from simenv.peers.peer_world import F32, F64, I32, I64, Bools, Observation, Outcome, PeerWorld, Slates

F = TypeVar("F", bound=Callable[..., Any])
U64 = npt.NDArray[np.uint64]
I8 = npt.NDArray[np.int8]

# Every integer that meets a key is a uint64: numba would turn uint64 with int64 into a float.
_ONE = np.uint64(1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_U30, _U27, _U31 = np.uint64(30), np.uint64(27), np.uint64(31)
_U11, _U12 = np.uint64(11), np.uint64(12)
_TOPIC, _QUALITY, _CHOICE, _FLIP = (np.uint64(draw) for draw in Draw)


def _compiled(function: F) -> F:
    """Compile on the first call, and remember the result on disk where that is possible."""
    try:
        return cast(F, numba.njit(cache=True)(function))
    except RuntimeError:  # no folder for a cache
        return cast(F, numba.njit(function))


@dataclass(frozen=True)
class CompiledInterestEvolution:
    """`InterestEvolution` with compiled `observe` and `step`; everything else is that world's own."""

    world: InterestEvolution

    @property
    def n_candidates(self) -> int:
        """See `PeerWorld`."""
        return self.world.n_candidates

    @property
    def n_slots(self) -> int:
        """See `PeerWorld`."""
        return self.world.n_slots

    def observation_space(self) -> spaces.Dict:
        """See `InterestEvolution.observation_space`."""
        return self.world.observation_space()

    def begin(self, seed: int, users: I64) -> State:
        """See `InterestEvolution.begin`."""
        return self.world.begin(seed, users)

    def truth(self, state: State) -> F64:
        """See `InterestEvolution.truth`."""
        return self.world.truth(state)

    def fastest(self) -> PeerWorld[State]:
        """See `PeerWorld.fastest`."""
        return self

    def observe(self, state: State) -> Observation:
        """See `InterestEvolution.observe`."""
        topic = np.empty((len(state.user), self.n_candidates), dtype=np.int8)
        _topics(state.key, state.step, float(self.world.n_topics), topic)
        return {"interest": state.interest.copy(), "topic": topic}

    def step(self, state: State, slate: Slates) -> tuple[State, Outcome]:
        """See `InterestEvolution.step`."""
        world, slate = self.world, np.ascontiguousarray(slate, dtype=np.int64)  # one type, one compilation
        n, n_slots = slate.shape
        numbers = (
            float(world.n_topics), world.quality_spread, world.video_length, world.extension,
            world.no_click_mass + 1.0, world.no_click_cost, world.drift,
        )  # fmt: skip
        interest, budget = np.empty_like(state.interest), np.empty(n)
        clicked = np.zeros((n, n_slots), dtype=bool)
        reward, expected, quality = np.empty(n), np.empty(n), np.empty(n)
        topic, terminated = np.empty(n, dtype=np.int8), np.empty(n, dtype=bool)
        _play_pages(
            state.key, state.step, state.interest, state.budget, slate, world.n_candidates, world.topic_quality,
            numbers, interest, budget, clicked, reward, expected, quality, topic, terminated,
        )  # fmt: skip
        after = dataclasses.replace(state, step=state.step + np.int32(1), interest=interest, budget=budget)
        told = {"clicked": clicked, "quality": quality, "topic": topic, "watch_time": reward.copy()}
        return after, Outcome(reward, expected, terminated, np.zeros(n, dtype=bool), told)


@_compiled
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> _U30)) * _M1
    z = (z ^ (z >> _U27)) * _M2
    return z ^ (z >> _U31)


@_compiled
def _absorb(key: np.uint64, value: np.uint64) -> np.uint64:
    return _mix(key + (value + _ONE) * _GOLDEN)


@_compiled
def _uniform(key: np.uint64) -> float:
    return np.float64(key >> _U11) * 2.0**-53


@_compiled
def _normal(key: np.uint64) -> float:
    u = (np.float64(_absorb(key, np.uint64(1)) >> _U12) + 0.5) * 2.0**-52
    return math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * _uniform(_absorb(key, np.uint64(2))))


@_compiled
def _topics(key: hashing.Keys, step: I32, n_topics: float, topic: I8) -> None:
    """Fill the topics (N, C) of the candidates of every row's page."""
    n_candidates = topic.shape[1]
    for i in range(len(key)):
        root = _absorb(_absorb(key[i], np.uint64(step[i])), _TOPIC)
        for c in range(n_candidates):
            topic[i, c] = np.int8(_uniform(_absorb(root, np.uint64(c))) * n_topics)


@_compiled
def _play_pages(
    key: hashing.Keys,
    step: I32,
    interest: F32,
    budget: F64,
    slate: Slates,
    n_candidates: int,
    topic_quality: F64,
    numbers: tuple[float, float, float, float, float, float, float],
    new_interest: F32,
    new_budget: F64,
    clicked: Bools,
    reward: F64,
    expected: F64,
    quality: F64,
    topic: I8,
    terminated: Bools,
) -> None:
    """Play one page a row: read the first eight, fill the last eight. `clicked` comes filled with False."""
    n_topics, quality_spread, video_length, extension, no_click, no_click_cost, drift = numbers
    n, n_slots = slate.shape
    shown = np.empty(n_slots, dtype=np.int8)  # topics of the slate
    reach = np.empty(n_slots)  # cumulative weight
    for i in range(n):
        page = _absorb(key[i], np.uint64(step[i]))
        root = _absorb(page, _TOPIC)
        mass = 0.0
        for k in range(n_slots):
            position = slate[i, k]
            filled = 0 <= position < n_candidates
            for above in range(k):
                if slate[i, above] == position:
                    filled = False
            if filled:
                shown[k] = np.int8(_uniform(_absorb(root, np.uint64(position))) * n_topics)
                mass += np.float64(interest[i, shown[k]]) + 1.0
            reach[k] = mass
        total = mass + no_click
        aim = _uniform(_absorb(page, _CHOICE)) * total
        slot = 0
        while slot < n_slots and reach[slot] <= aim:
            slot += 1

        watch = min(budget[i], video_length)
        expected[i] = watch * (mass / total)
        for t in range(interest.shape[1]):
            new_interest[i, t] = interest[i, t]
        if slot == n_slots:
            new_budget[i] = budget[i] - no_click_cost
            reward[i] = 0.0
            quality[i] = np.nan
            topic[i] = -1
        else:
            t = shown[slot]
            of_video = _absorb(_absorb(page, _QUALITY), np.uint64(slate[i, slot]))
            q = topic_quality[t] + quality_spread * _normal(of_video)
            new_budget[i] = budget[i] - watch + extension * watch * q
            x = np.float64(interest[i, t])
            move = drift * (1.0 - abs(x)) * (1.0 - x)
            x = x + move if _uniform(_absorb(page, _FLIP)) < (x + 1.0) / 2.0 else x - move
            new_interest[i, t] = np.float32(min(max(x, -1.0), 1.0))
            clicked[i, slot] = True
            reward[i] = watch
            quality[i] = q
            topic[i] = t
        terminated[i] = new_budget[i] <= 0.0

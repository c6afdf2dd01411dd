"""What a vector environment owes its users: spaces, NEXT_STEP autoreset, seeding, and arrays that are theirs.

Gymnasium ships such a check for single environments only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

Env = VectorEnv[Any, Any, Any]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Played:
    """One call of `reset` or `step`: deep copies of what it gave, and the very objects."""

    observation: Any
    reward: npt.NDArray[Any]  # (N,)
    terminated: Bools  # (N,)
    truncated: Bools  # (N,)
    info: dict[str, Any]
    returned: Any


def check_vector_env(env: Env, n_steps: int = 200, seed: int = 0) -> None:
    """Prove that a vector environment keeps the contract of `gymnasium.vector.VectorEnv` with NEXT_STEP autoreset.

    Spaces are the batched single spaces and contain every observation, dtypes and shapes included. Sampled actions are
    accepted and left as they were. A row is never terminated and truncated at once; the step after an end ignores the
    row's action, gives reward 0 and no end. Info arrays come with masks. The same seed gives the same bytes, another
    seed others. What was returned never changes later, and writing into it does not reach the environment.

    Args:
        env: Made and not closed. It is reset; its action space is seeded.
        n_steps: Steps of each play. At least one episode must end in them.
        seed: Of the first play.

    Raises:
        AssertionError: naming the property that fails.
    """
    _check_spaces(env)
    first = _play(env, n_steps, seed)
    assert any((one.terminated | one.truncated).any() for one in first), (
        f"no episode ended in {n_steps} steps, so autoreset was not seen; raise n_steps"
    )
    for earlier in first:
        assert _equal(earlier.observation, earlier.returned), (
            "arrays are not aliased across steps: an observation that was returned earlier has changed since"
        )
    _same(first, _play(env, n_steps, seed), "seeding is reproducible: the same seed and actions gave other bytes")
    _same(
        first,
        _play(env, n_steps, seed, change=_other_actions),
        "NEXT_STEP autoreset ignores the action: another action in a row that starts anew changed what came",
    )
    _same(
        first,
        _play(env, n_steps, seed, spoil=True),
        "observations are the caller's own: writing into one changed what the environment did next",
    )
    other = _play(env, n_steps, seed, luck=seed + 1)
    assert not all(_equal(a.observation, b.observation) for a, b in zip(first, other, strict=True)), (
        f"seeds matter: seeds {seed} and {seed + 1} gave the same observations under the same actions"
    )


def _check_spaces(env: Env) -> None:
    mode = env.metadata.get("autoreset_mode")
    assert mode == AutoresetMode.NEXT_STEP, f"metadata['autoreset_mode'] is {mode}; expected AutoresetMode.NEXT_STEP"
    assert env.observation_space == batch_space(env.single_observation_space, env.num_envs), (
        "observation_space is not the batched single_observation_space"
    )
    assert env.action_space == batch_space(env.single_action_space, env.num_envs), (
        "action_space is not the batched single_action_space"
    )


def _play(
    env: Env,
    n_steps: int,
    seed: int,
    luck: int | None = None,
    change: Callable[[Env, Any, Bools], Any] = lambda env, actions, rows: actions,
    spoil: bool = False,
) -> list[_Played]:
    """Reset and step with sampled actions, checking each step alone.

    `seed` is that of the actions, and of the environment where `luck` is None. `change` alters the actions of rows that
    start anew; `spoil` writes into every observation that was returned.
    """
    env.action_space.seed(seed)
    n = env.num_envs
    observation, info = env.reset(seed=seed if luck is None else luck)
    none = np.zeros(n, dtype=bool)
    played = [_record(env, observation, np.zeros(n), none, none, info, spoil)]
    for _ in range(n_steps):
        starts = played[-1].terminated | played[-1].truncated
        actions = change(env, env.action_space.sample(), starts)
        before = copy.deepcopy(actions)
        observation, reward, terminated, truncated, info = env.step(actions)
        assert _equal(before, actions), "inputs are left alone: step changed the actions it was given"
        _check_ends(n, starts, reward, terminated, truncated)
        played.append(_record(env, observation, reward, terminated, truncated, info, spoil))
    return played


def _record(
    env: Env, observation: Any, reward: Any, terminated: Bools, truncated: Bools, info: dict[str, Any], spoil: bool
) -> _Played:
    _check_contained(env.observation_space, observation, "observation")
    _check_masks(info, env.num_envs)
    made = _Played(
        copy.deepcopy(observation), np.copy(reward), np.copy(terminated), np.copy(truncated), copy.deepcopy(info),
        observation,
    )  # fmt: skip
    if spoil:
        for array in _arrays(observation):
            if array.flags.writeable:
                array[...] = 0
    return made


def _check_contained(space: spaces.Space[Any], value: Any, name: str) -> None:
    """`space.contains`, but naming the part that is outside and why."""
    if space.contains(value):
        return
    if isinstance(space, spaces.Dict) and isinstance(value, dict):
        missing, extra = set(space) - set(value), set(value) - set(space)
        assert not missing, f"{name}: keys {sorted(missing)} of the space are missing"
        assert not extra, f"{name}: keys {sorted(extra)} are not in the space"
        for key, inner in space.items():
            _check_contained(inner, value[key], f"{name}['{key}']")
    found = f"dtype {value.dtype}, shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
    raise AssertionError(f"{name} ({found}) is not contained in {space}")


def _check_masks(info: dict[str, Any], n: int) -> None:
    for name, value in info.items():
        if name.startswith("_") or not isinstance(value, np.ndarray):
            continue
        assert len(value) == n, f"info['{name}'] has {len(value)} rows; expected {n}"
        mask = info.get(f"_{name}")
        assert mask is not None, f"info['{name}'] has no mask info['_{name}']"
        assert mask.dtype == bool, f"info['_{name}'] is {mask.dtype}; expected bool"
        assert mask.shape == (n,), f"info['_{name}'] has shape {mask.shape}; expected ({n},)"


def _check_ends(n: int, starts: Bools, reward: Any, terminated: Any, truncated: Any) -> None:
    for name, value in (("reward", reward), ("terminated", terminated), ("truncated", truncated)):
        assert isinstance(value, np.ndarray), f"{name} is {type(value).__name__}; expected a numpy array"
        assert value.shape == (n,), f"{name} has shape {value.shape}; expected ({n},)"
    assert np.issubdtype(reward.dtype, np.floating), f"reward is {reward.dtype}; expected floats"
    assert np.isfinite(reward).all(), "reward is not finite"
    assert terminated.dtype == bool, f"terminated is {terminated.dtype}; expected bool"
    assert truncated.dtype == bool, f"truncated is {truncated.dtype}; expected bool"
    assert not (terminated & truncated).any(), "a row is terminated and truncated at once"
    assert (reward[starts] == 0).all(), "NEXT_STEP autoreset: the step after an end gave a reward"
    assert not (terminated | truncated)[starts].any(), "NEXT_STEP autoreset: the step after an end is an end again"


def _other_actions(env: Env, actions: Any, rows: Bools) -> Any:
    """Other actions in the chosen rows, the same elsewhere."""
    changed = np.array(actions)
    low = env.single_action_space.sample()
    for row in np.flatnonzero(rows):
        changed[row] = changed[(row + 1) % len(changed)] if len(changed) > 1 else low
    return changed


def _same(first: list[_Played], second: list[_Played], broken: str) -> None:
    for place, (a, b) in enumerate(zip(first, second, strict=True)):
        same = (
            _equal(a.observation, b.observation)
            and _equal(a.reward, b.reward)
            and _equal(a.terminated, b.terminated)
            and _equal(a.truncated, b.truncated)
            and _equal(_told(a.info), _told(b.info))
        )
        assert same, f"{broken} (first seen at step {place})"


def _told(info: dict[str, Any]) -> dict[str, Any]:
    """What an info says: arrays without the rows that their masks leave out."""
    return {
        name: value[info[f"_{name}"]] if isinstance(value, np.ndarray) and f"_{name}" in info else value
        for name, value in info.items()
    }


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(a == b)


def _arrays(value: Any) -> list[npt.NDArray[Any]]:
    if isinstance(value, dict):
        return [array for inner in value.values() for array in _arrays(inner)]
    if isinstance(value, tuple):
        return [array for inner in value for array in _arrays(inner)]
    return [value] if isinstance(value, np.ndarray) else []

"""The Gymnasium vector environment of every peer's market: N rows of its physics, natively batched.

Autoreset is NEXT_STEP, as RLlib needs: the step after an episode's end ignores the row's action, gives reward 0 and the
first observation of the row's next user. Row i plays users i, i + N, i + 2N, ... of the seed's population.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from simenv.columns import overwrite
from simenv.errors import UserError
from simenv.peers.peer_world import Bools, Observation, Outcome, PeerWorld, Slates
from simenv.peers.worlds import load_peer

Backend = Literal["auto", "numpy"]


class PeerVectorEnv(VectorEnv[Observation, Slates, npt.NDArray[Any]]):
    """N users of a peer's market side by side.

    Args:
        num_envs: N.
        world: A name from PEER_WORLDS, or a market with parameters of its own, for example
            `InterestEvolution(n_candidates=100, n_slots=10)`.
        backend: "auto" for the quickest that is installed, "numpy" for the reference.

    Observation: the dict of batched arrays that the market's `observe` describes.

    Action: (N, K) candidate positions, best first. A slot stays empty where it repeats a position higher up;
    out-of-range positions and wrong dtypes or shapes raise `UserError`.

    Episode: a user's life. Terminated where the user leaves, truncated at a market's horizon.

    Info: what the market tells of the response, each with Gymnasium's `_key` mask, False in rows that were reset.
    """

    def __init__(
        self, num_envs: int = 1, world: str | PeerWorld[Any] = "interest-evolution", backend: Backend = "auto"
    ) -> None:
        if num_envs < 1:
            raise UserError(f"num_envs is {num_envs}; expected at least 1.")
        if backend not in ("auto", "numpy"):
            raise UserError(f"backend is '{backend}'; expected 'auto' or 'numpy'.")
        reference = load_peer(world) if isinstance(world, str) else world
        self.world: PeerWorld[Any] = reference.fastest() if backend == "auto" else reference
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self.single_observation_space = self.world.observation_space()
        self.single_action_space = spaces.MultiDiscrete(
            np.full(self.world.n_slots, self.world.n_candidates, dtype=np.int64)
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.luck: int | None = None
        self.state: Any
        self.outcome: Outcome | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start every row with a new user.

        Args:
            seed: Names the population and its luck, and starts it from its first user. Without it the population goes
                on with users that nobody has played yet.
            options: Not used.
        """
        super().reset(seed=seed)
        if seed is not None or self.luck is None:
            self.luck = seed if seed is not None else int(self.np_random.integers(2**62))
            self._next = np.arange(self.num_envs, dtype=np.int64)
        self.state = self.world.begin(self.luck, self._next)
        self._next = self._next + self.num_envs
        self._over = np.zeros(self.num_envs, dtype=bool)
        self.outcome = None
        return self.world.observe(self.state), {}

    def step(self, actions: Slates) -> tuple[Observation, npt.NDArray[Any], Bools, Bools, dict[str, Any]]:
        """Show a slate to every row; rows whose user is gone meet the next one instead."""
        if self.luck is None:
            raise ResetNeeded("call reset() before step().")
        slate, starts = self._checked(actions), np.flatnonzero(self._over)
        self.state, self.outcome = self.world.step(self.state, slate)
        reward, played = self.outcome.reward, ~self._over
        terminated, truncated = self.outcome.terminated, self.outcome.truncated
        if len(starts):
            self.state = overwrite(self.state, starts, self.world.begin(self.luck, self._next[starts]))
            self._next = self._next.copy()
            self._next[starts] += self.num_envs
            reward = np.where(played, reward, 0.0)
            terminated, truncated = terminated & played, truncated & played
        self._over = terminated | truncated
        info: dict[str, Any] = {}
        for name, value in self.outcome.told.items():
            info[name], info[f"_{name}"] = value, played.copy()
        return self.world.observe(self.state), reward, terminated, truncated, info

    def _checked(self, actions: Slates) -> Slates:
        slate, n_candidates = np.asarray(actions), self.world.n_candidates
        shape = (self.num_envs, self.world.n_slots)
        if slate.shape != shape or not np.issubdtype(slate.dtype, np.integer):
            raise UserError(f"the action has shape {slate.shape} and dtype {slate.dtype}; expected {shape}, integers.")
        if slate.min() < 0 or slate.max() >= n_candidates:
            row = int(np.argmax(((slate < 0) | (slate >= n_candidates)).any(axis=1)))
            raise UserError(
                f"row {row} of the action is {slate[row].tolist()}; expected positions in [0, {n_candidates})."
            )
        return slate

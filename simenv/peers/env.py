"""The Gymnasium environment of one user of a peer's market: row 0 of a batch of one, and no second implementation."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from simenv.peers.peer_world import Observation, PeerWorld, Slates
from simenv.peers.vector_env import Backend, PeerVectorEnv


class PeerEnv(gymnasium.Env[Observation, Slates]):
    """One user; see `PeerVectorEnv` for arguments, observations, actions, rewards and episodes."""

    def __init__(self, world: str | PeerWorld[Any] = "interest-evolution", backend: Backend = "auto") -> None:
        self.rows = PeerVectorEnv(1, world, backend)
        self.observation_space = self.rows.single_observation_space
        self.action_space = self.rows.single_action_space
        self._started = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next episode: with a seed, that of the population's first user."""
        super().reset(seed=seed)
        if seed is None and self._started:
            made, _ = self.rows.reset()
        else:
            luck = seed if seed is not None else int(self.np_random.integers(2**62))
            made, _ = self.rows.reset(seed=luck)
            self._started = True
        return _first(made), {}

    def step(self, action: Slates) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show one slate."""
        made, reward, terminated, truncated, info = self.rows.step(np.asarray(action)[None])
        told = {name: value[0] for name, value in info.items() if not name.startswith("_")}
        return _first(made), float(reward[0]), bool(terminated[0]), bool(truncated[0]), told


def _first(made: Observation) -> Observation:
    return {name: np.asarray(value[0]) for name, value in made.items()}

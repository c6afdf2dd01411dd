"""The Gymnasium environment of one shopper: row 0 of a batch of one, and no second implementation."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded

from simenv.errors import UserError
from simenv.observation import Observation
from simenv.params import WorldParams
from simenv.vector_env import RENDER_MODES, Actions, Episode, Frame, SearchVectorEnv, as_array


class SearchEnv(gymnasium.Env[Observation, Actions]):
    """One shopper searching; see `SearchVectorEnv` for observations, actions, rewards, episodes and rendering.

    `info["query"]` is the query as typed. `info["action_mask"]` is (C,) int8, 1 where a position holds a candidate; for
    a random slate without holes: `action_space.sample(mask=(info["action_mask"],) * K)`.

    A step after the end of an episode raises `ResetNeeded`. A reset before the end leaves the shopper where they are
    and starts with the next one.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # noqa: RUF012 - the name is Gymnasium's

    def __init__(
        self,
        world: str | WorldParams = "default",
        episode: Episode = "session",
        render_mode: str | None = None,
        show_truth: bool = False,
    ) -> None:
        """Make the market; nothing is drawn before `reset`."""
        self.rows = SearchVectorEnv(1, world, episode, render_mode, show_truth)
        self.render_mode = render_mode
        self.observation_space = self.rows.single_observation_space
        self.action_space = self.rows.single_action_space
        self._started = self._over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next episode: with a seed, that of the population's first shopper."""
        super().reset(seed=seed)
        if seed is not None or not self._started:
            luck = seed if seed is not None else int(self.np_random.integers(2**62))
            made, info = self.rows.reset(seed=luck)
            self._started = True
        else:
            self.rows.start_next(0)
            made, _, _, _, info = self.rows.step(self._any_action())
        self._over = False
        return _first(made), {"query": self.rows.query_strings()[0], "action_mask": info["action_mask"][0]}

    def step(self, action: Actions) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show one page."""
        slate, shape = as_array(action), (self.rows.world.params.n_slots,)
        if slate.shape != shape:
            raise UserError(f"the action has shape {slate.shape}; expected {shape}: positions, best first.")
        if self._over:
            raise ResetNeeded("the episode is over; call reset() before the next step().")
        made, reward, terminated, truncated, info = self.rows.step(slate[None])
        self._over = bool(terminated[0] or truncated[0])
        told: dict[str, Any] = {name: value[0] for name, value in info.items() if not name.startswith("_")}
        told["query"] = self.rows.query_strings()[0]
        return _first(made), float(reward[0]), bool(terminated[0]), bool(truncated[0]), told

    def render(self) -> Frame | None:  # type: ignore[override]
        """The last page: a text in render mode "ansi", a picture in "rgb_array"."""
        frames = self.rows.render()
        return None if frames is None else frames[0]

    def _any_action(self) -> npt.NDArray[np.int64]:
        return np.arange(self.rows.world.params.n_slots, dtype=np.int64)[None]


def _first(made: Observation) -> Observation:
    row = {name: value[0] for name, value in made.items()}
    # Discrete spaces want plain integers, Box spaces of shape () want 0-d arrays.
    return {name: np.int64(v) if name in ("locale", "device") else np.asarray(v) for name, v in row.items()}  # type: ignore[misc]

"""The wrappers of the single environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from simenv.catalogue import F32, I64
from simenv.env import SearchEnv
from simenv.errors import UserError
from simenv.observation import Observation
from simenv.vector_env import Actions, SearchVectorEnv, as_array
from simenv.wrappers.layout import flat_layout
from simenv.wrappers.slates import Below, slate_with_first, top_slate


class FlatObservation(gymnasium.ObservationWrapper[F32, Any, Observation], RecordConstructorArgs):
    """Observations as one float32 Box: the context, then the public features of each candidate.

    `layout` says where each number stands; see `FlatLayout`.
    """

    def __init__(self, env: gymnasium.Env[Observation, Any]) -> None:
        """Read the world of the environment inside."""
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.layout = flat_layout(_market(env).world)
        self.observation_space = self.layout.space

    def observation(self, observation: Observation) -> F32:
        """One observation, flat: (X + C * F,) float32."""
        flat: F32 = self.layout.flat({name: np.asarray(value)[None] for name, value in observation.items()})[0]
        return flat


class ScoresToSlate(gymnasium.ActionWrapper[Any, F32, Actions], RecordConstructorArgs):
    """Actions as scores, Box(-1, 1, (C,)): the K highest are shown, best first. See `top_slate` for ties and holes.

    Scores outside [-1, 1] are taken, too: only their order matters.
    """

    def __init__(self, env: gymnasium.Env[Any, Actions]) -> None:
        """Read the sizes of the environment inside."""
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self._rows = _market(env)
        self.action_space = spaces.Box(-1.0, 1.0, (self._rows.world.params.n_candidates,), np.float32)

    def action(self, action: F32) -> I64:
        """The slate of scores (C,): (K,) positions."""
        candidates = self._rows.candidates
        scores = _alone(action, candidates.shape[1:], "the scores have")
        slate: I64 = top_slate(scores, candidates, self._rows.world.params.n_slots)[0]
        return slate


class SingleItem(gymnasium.ActionWrapper[Any, Any, Actions], RecordConstructorArgs):
    """Actions as one choice, Discrete(C): the position of the item to show first.

    Under it stand the other candidates in the engine's order, as on a page with one place to sell; the reward is the
    whole page's. With `below="nothing"` the choice is shown alone: a contextual bandit with one arm a candidate. A hole
    leaves the first slot empty; `action_masks` tells which positions are none.
    """

    def __init__(self, env: gymnasium.Env[Any, Actions], below: Below = "engine") -> None:
        """Read the sizes of the environment inside."""
        RecordConstructorArgs.__init__(self, below=below)
        super().__init__(env)
        self.below = checked_below(below)
        self._rows = _market(env)
        self.action_space = spaces.Discrete(self._rows.world.params.n_candidates)

    def action(self, action: Any) -> I64:
        """The slate of a choice: (K,) positions."""
        choice = _alone(action, (), "the choice has")
        slate: I64 = slate_with_first(choice, self._rows.candidates, self._rows.world.params.n_slots, self.below)[0]
        return slate

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """(C,) True where a position holds a candidate: the method that masked PPO of sb3-contrib calls."""
        masks: npt.NDArray[np.bool_] = self._rows.candidates[0] >= 0
        return masks


def checked_below(below: Below) -> Below:
    """The same, if it is one of the two.

    Raises:
        UserError: if it is not.
    """
    if below not in ("engine", "nothing"):
        raise UserError(f"below is '{below}'; expected 'engine' (the engine's order) or 'nothing'.")
    return below


def _market(env: gymnasium.Env[Any, Any]) -> SearchVectorEnv:
    market = env.unwrapped
    if not isinstance(market, SearchEnv):  # Gymnasium's type says nothing of whose environment it is
        raise UserError(f"{env} is no simenv.env.SearchEnv; for SearchVectorEnv use simenv.wrappers.vector.")
    return market.rows


def _alone(action: Any, shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
    """One row's action as a batch of one."""
    array = as_array(action)
    if array.shape != shape:
        raise UserError(f"{what} shape {array.shape}; expected {shape}.")
    return array[None]

"""The wrappers of the vector environment: the same three, a row a shopper. See `simenv.wrappers.single`."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorActionWrapper, VectorEnv, VectorObservationWrapper
from gymnasium.vector.utils import batch_space

from simenv.catalogue import F32, I64
from simenv.errors import UserError
from simenv.observation import Observation
from simenv.vector_env import SearchVectorEnv
from simenv.wrappers.layout import flat_layout
from simenv.wrappers.single import checked_below
from simenv.wrappers.slates import Below, slate_with_first, top_slate


class FlatObservation(VectorObservationWrapper):
    """Observations as one float32 Box, (N, X + C * F); `layout` says where each number stands, see `FlatLayout`."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        """Read the world of the environment inside."""
        super().__init__(env)
        self.layout = flat_layout(_market(env).world)
        self.single_observation_space = self.layout.space
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def observations(self, observations: Observation) -> F32:  # type: ignore[override]
        """Observations of N shoppers, flat."""
        return self.layout.flat(observations)


class ScoresToSlate(VectorActionWrapper):
    """Actions as scores, (N, C) in [-1, 1]: the K highest of each row are shown; see `top_slate` for ties and holes."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        """Read the sizes of the environment inside."""
        super().__init__(env)
        self._market = _market(env)
        self.single_action_space = spaces.Box(-1.0, 1.0, (self._market.world.params.n_candidates,), np.float32)
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def actions(self, actions: Any) -> I64:  # type: ignore[override]
        """The slates of scores: (N, K) positions."""
        return top_slate(actions, self._market.candidates, self._market.world.params.n_slots)


class SingleItem(VectorActionWrapper):
    """Actions as one choice a row, (N,) positions of the items to show first; see the single environment's."""

    def __init__(self, env: VectorEnv[Any, Any, Any], below: Below = "engine") -> None:
        """Read the sizes of the environment inside."""
        super().__init__(env)
        self.below = checked_below(below)
        self._market = _market(env)
        self.single_action_space = spaces.Discrete(self._market.world.params.n_candidates)
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def actions(self, actions: Any) -> I64:  # type: ignore[override]
        """The slates of choices: (N, K) positions."""
        return slate_with_first(actions, self._market.candidates, self._market.world.params.n_slots, self.below)


def _market(env: VectorEnv[Any, Any, Any]) -> SearchVectorEnv:
    market = env.unwrapped
    if not isinstance(market, SearchVectorEnv):  # Gymnasium's type says nothing of whose environment it is
        raise UserError(f"{env} is no simenv.vector_env.SearchVectorEnv; for SearchEnv use simenv.wrappers.")
    return market

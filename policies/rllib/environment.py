"""The market as RLlib's environment: the native vector environment behind one flat observation.

RLlib handles observations item by item, so twelve small arrays a page would cost it twelve times the work of one. Here
the public fields that features read lie side by side in a float32 vector; `PageLayout` takes them apart again. Integers
up to 2**24 are exact in float32; a larger catalogue is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.tune.registry import register_env
from torch import Tensor

from policies.features import PAGE_FIELDS
from simenv.errors import UserError, unknown_name
from simenv.language.words import TERMS
from simenv.vector_env import Actions, Episode, SearchVectorEnv, Standing
from simenv.world import World

F32 = npt.NDArray[np.float32]
ENVIRONMENT = "simenv-search"
EPISODES = get_args(Episode)
CONTEXT = ("world", "episode", "seed", "num_envs")  # what an environment is made from
EXACT = 2**24  # the largest integer up to which float32 holds every one


@dataclass(frozen=True)
class PageLayout:
    """Where each field of a page lies in the flat observation: (name, first, past, is_scalar), in order."""

    parts: tuple[tuple[str, int, int, bool], ...]

    @property
    def width(self) -> int:
        """Length of a flat observation."""
        return self.parts[-1][2]

    def flat(self, observation: Mapping[str, npt.NDArray[Any]]) -> F32:
        """Observations of N pages as one (N, width) float32 array."""
        rows = len(observation[self.parts[0][0]])
        made = np.empty((rows, self.width), dtype=np.float32)
        for name, first, past, _ in self.parts:
            made[:, first:past] = observation[name].reshape(rows, past - first)
        return made

    def page(self, flat: Tensor) -> dict[str, Tensor]:
        """The fields again, as views (N, ...) of a flat tensor."""
        return {
            name: flat[:, first] if is_scalar else flat[:, first:past] for name, first, past, is_scalar in self.parts
        }


def page_layout(world: World) -> PageLayout:
    """The layout of a world's pages; see `layout_of`."""
    return layout_of(world.params.n_items, world.params.n_candidates, world.params.n_style)


def layout_of(n_items: int, n_candidates: int, n_style: int) -> PageLayout:
    """The layout of pages of C candidates, over a catalogue of so many items with D dimensions of style.

    Raises:
        UserError: where the catalogue has more items than float32 can name.
    """
    if n_items > EXACT:
        raise UserError(f"there are {n_items} items; RLlib's flat observation can name at most {EXACT}.")
    wide = {"candidates": n_candidates, "query_terms": len(TERMS), "history": n_style + 1, "discount": n_candidates}
    parts, first = [], 0
    for name in PAGE_FIELDS:
        past = first + wide.get(name, 1)
        parts.append((name, first, past, name not in wide))
        first = past
    return PageLayout(tuple(parts))


class FlatSearchEnv(VectorEnv[F32, Actions, npt.NDArray[Any]]):
    """`SearchVectorEnv` with flat observations, and without infos, which training does not read."""

    def __init__(self, market: SearchVectorEnv, seed: int | None = None) -> None:
        """Lay a market's observations flat.

        Args:
            market: Plays.
            seed: The luck of the first `reset`, where that is given none: RLlib passes one only together with seeding
                every global generator.
        """
        self.market, self.layout, self._seed = market, page_layout(market.world), seed
        self.num_envs, self.metadata, self.render_mode = market.num_envs, market.metadata, market.render_mode
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (self.layout.width,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, market.num_envs)
        self.single_action_space, self.action_space = market.single_action_space, market.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[F32, dict[str, Any]]:
        """See `SearchVectorEnv.reset`."""
        luck, self._seed = (self._seed if seed is None else seed), None
        observation, _ = self.market.reset(seed=luck, options=options)
        return self.layout.flat(observation), {}

    def step(
        self, actions: Actions
    ) -> tuple[F32, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """See `SearchVectorEnv.step`."""
        observation, reward, terminated, truncated, _ = self.market.step(actions)
        return self.layout.flat(observation), reward, terminated, truncated, {}

    def standing(self) -> Standing:
        """See `SearchVectorEnv.standing`."""
        return self.market.standing()

    def go_on_from(self, standing: Standing) -> None:
        """See `SearchVectorEnv.go_on_from`."""
        self.market.go_on_from(standing)
        self._seed = None


def make_environment(context: Mapping[str, Any]) -> FlatSearchEnv:
    """From RLlib's context: `num_envs`, `world` (a name or WorldParams), and maybe `episode` and `seed`.

    Raises:
        UserError: for another key, an unknown world or kind of episode.
    """
    refuse_unknown_context(context)
    market = SearchVectorEnv(context["num_envs"], context["world"], context.get("episode", "shopper"))
    return FlatSearchEnv(market, context.get("seed"))


def refuse_unknown_context(context: Mapping[str, Any]) -> None:
    """Refuse an `env_config` with a key that nothing would read, without a world, or with a kind of episode unknown.

    Raises:
        UserError: naming what it is.
    """
    for key in context:
        if key not in CONTEXT:
            raise unknown_name("key of env_config", key, CONTEXT)
    if "world" not in context:
        raise UserError('env_config names no world; say for instance env_config={"world": "default"}.')
    if context.get("episode", "shopper") not in EPISODES:
        raise UserError(f"episode is {context['episode']!r}; expected 'session' or 'shopper'.")


def register() -> None:
    """Make ENVIRONMENT known to RLlib, in this process and, once Ray runs, in those of remote runners."""
    register_env(ENVIRONMENT, make_environment)


def with_market(
    config: AlgorithmConfig, world: str, num_envs: int, *, episode: str = "shopper", seed: int | None = None
) -> None:
    """Let an RLlib configuration play in a named market; remote runners find it too.

    Args:
        config: Of any algorithm; changed in place, as RLlib's own methods do.
        world: A name of `simenv.worlds.WORLDS`.
        num_envs: Shoppers side by side in each runner.
        episode: "session" or "shopper".
        seed: Of the shoppers' luck; `policies.rllib.runner` gives each remote runner, and those that evaluate, one of
            their own from it. RLlib's own runners would all meet the same shoppers: leave it out there, and let
            `debugging(seed=...)` tell them apart.
    """
    register()
    config.environment(ENVIRONMENT, env_config={"world": world, "episode": episode, "seed": seed})
    # Actions are positions: nothing to normalise or clip, and copying them each step to do so is a tenth of the time.
    config.environment(normalize_actions=False, clip_actions=False, disable_env_checking=True)
    config.env_runners(num_envs_per_env_runner=num_envs, gym_env_vectorize_mode="vector_entry_point")


def spaces_of(env: VectorEnv[Any, Any, Any]) -> dict[str, tuple[spaces.Space[Any], spaces.Space[Any]]]:
    """Spaces as a learner of RLlib's takes them, where there is no runner in this process to ask."""
    single = (env.single_observation_space, env.single_action_space)
    return {
        INPUT_ENV_SPACES: (env.observation_space, env.action_space),
        INPUT_ENV_SINGLE_SPACES: single,
        DEFAULT_MODULE_ID: single,
    }

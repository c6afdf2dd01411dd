"""The worlds that SlateQ plays in: the search market, and peers' markets where one item of a slate is chosen.

SlateQ learns from what was chosen, and RLlib hands a learner observations alone. So an observation is a flat float32
row that ends with what the shopper clicked on the page before: the observation that follows a slate tells what came of
it. `SlateQWorld.pages` makes features of such rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor, nn

from policies.rllib.environment import PageLayout, page_layout, refuse_unknown_context
from policies.rllib.offline_data import log_layout
from policies.slateq_net import PageFeatures, SearchPages, Shape
from simenv.errors import UserError, unknown_name
from simenv.log.read import Log
from simenv.peers.interest_evolution import InterestEvolution
from simenv.peers.peer_world import Observation
from simenv.peers.vector_env import PeerVectorEnv
from simenv.vector_env import Actions, Episode, SearchVectorEnv, Standing
from simenv.world_file import SUFFIX
from simenv.worlds import WORLDS, load_world

F32 = npt.NDArray[np.float32]
INTEREST_EVOLUTION = "interest-evolution"


class ToldEnv(VectorEnv[F32, Actions, npt.NDArray[Any]]):
    """A market with flat observations that end with what was clicked on the page before (K), zeros where none was."""

    def __init__(
        self,
        market: VectorEnv[Observation, Actions, Any],
        flat: Callable[[Mapping[str, npt.NDArray[Any]]], F32],
        width: int,
        seed: int | None,
    ) -> None:
        """Lay a market's observations flat.

        Args:
            market: Plays, with NEXT_STEP autoreset; tells `clicked` (N, K) in its infos.
            flat: Rows (N, width) of its observations.
            width: Their length.
            seed: The luck of the first `reset`, where that is given none.
        """
        self.market, self.flat, self._seed = market, flat, seed
        self.num_envs, self.metadata, self.render_mode = market.num_envs, market.metadata, None
        self.single_action_space, self.action_space = market.single_action_space, market.action_space
        self.n_slots = int(np.prod(market.single_action_space.shape or ()))
        self.width = width + self.n_slots
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (self.width,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, market.num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[F32, dict[str, Any]]:
        """Start every row with a new shopper, who has clicked nothing."""
        luck, self._seed = (self._seed if seed is None else seed), None
        observation, _ = self.market.reset(seed=luck, options=options)
        return self._told(observation, np.zeros((self.num_envs, self.n_slots), dtype=bool)), {}

    def step(
        self, actions: Actions
    ) -> tuple[F32, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Show a slate to every row."""
        observation, reward, terminated, truncated, info = self.market.step(actions)
        return self._told(observation, info["clicked"] & info["_clicked"][:, None]), reward, terminated, truncated, {}

    def standing(self) -> Standing:
        """See `SearchVectorEnv.standing`: of the search market; a peer's keeps none, and nobody goes on in it."""
        return cast(SearchVectorEnv, self.market).standing()

    def go_on_from(self, standing: Standing) -> None:
        """See `SearchVectorEnv.go_on_from`."""
        cast(SearchVectorEnv, self.market).go_on_from(standing)
        self._seed = None

    def _told(self, observation: Mapping[str, npt.NDArray[Any]], clicked: npt.NDArray[np.bool_]) -> F32:
        return np.concatenate([self.flat(observation), clicked.astype(np.float32)], axis=1)


class FlatSearchPages(nn.Module):
    """Features of the search market's flat rows."""

    def __init__(self, pages: SearchPages, layout: PageLayout) -> None:
        """Read rows of that layout."""
        super().__init__()
        self.pages, self.layout = pages, layout

    def forward(self, flat: Tensor) -> PageFeatures:
        """Features of rows (N, W)."""
        made: PageFeatures = self.pages(self.layout.page(flat))
        return made


class InterestPages(nn.Module):
    """Features of interest evolution's flat rows: of an item its topic and the interest in it, of a page the interests.

    That is what SlateQ's authors let their agent see: interests are observed, a video's topic is its public feature;
    its quality and the minutes that a user has left are hidden.
    """

    def __init__(self, world: InterestEvolution) -> None:
        """Read rows of that world."""
        super().__init__()
        self.n_topics, self.n_candidates = world.n_topics, world.n_candidates
        self.n_items, self.n_context = world.n_topics + 1, world.n_topics

    def forward(self, flat: Tensor) -> PageFeatures:
        """Features of rows (N, W)."""
        interest = flat[:, : self.n_topics]
        topic = flat[:, self.n_topics : self.n_topics + self.n_candidates].long()
        own = interest.gather(1, topic)
        items = torch.cat([nn.functional.one_hot(topic, self.n_topics).float(), own[:, :, None]], dim=2)
        return PageFeatures(items, interest, torch.ones_like(topic, dtype=torch.bool))


@dataclass(frozen=True)
class SlateQWorld:
    """A world as SlateQ sees it.

    Attributes:
        pages: Makes features of its flat rows.
        flat: Lays observations flat.
        make: From the number of rows and the seed of the first reset, the environment.
        n_slots: K.
        n_items: F, features of an item. n_context: G, features of a page.
        falls: Whether slots get less attention further down.
    """

    pages: FlatSearchPages | InterestPages
    flat: Callable[[Mapping[str, npt.NDArray[Any]]], F32]
    make: Callable[[int, int | None], ToldEnv]
    n_slots: int
    n_items: int
    n_context: int
    falls: bool

    def shape(self, hidden: int) -> Shape:
        """Of networks of that width."""
        return Shape(self.n_items, self.n_context, self.n_slots, hidden, self.falls)


def slateq_world(name: str, episode: str = "shopper") -> SlateQWorld:
    """The world of that name.

    Args:
        name: In `simenv.worlds.WORLDS`, or "interest-evolution".
        episode: "session" or "shopper"; of the search market.

    Raises:
        UserError: for an unknown name, or a file that describes no world.
    """
    if name == INTEREST_EVOLUTION:
        return _interest_evolution(InterestEvolution())
    if name not in WORLDS and not name.endswith(SUFFIX) and not Path(name).exists():
        raise unknown_name("world of SlateQ", name, [INTEREST_EVOLUTION, *WORLDS])
    world = load_world(name)
    layout, pages = page_layout(world), SearchPages(world.catalogue.public())

    def make(num_envs: int, seed: int | None) -> ToldEnv:
        market = SearchVectorEnv(num_envs, name, cast(Episode, episode))  # which refuses another one
        return ToldEnv(market, layout.flat, layout.width, seed)

    return SlateQWorld(
        FlatSearchPages(pages, layout),
        layout.flat,
        make,
        world.params.n_slots,
        pages.n_items,
        pages.n_context,
        falls=True,
    )


def slateq_log_world(log: Log) -> SlateQWorld:
    """The market of a log as SlateQ sees it; nobody plays there."""
    layout, pages = log_layout(log), SearchPages(log.catalogue())

    def make(num_envs: int, seed: int | None) -> ToldEnv:
        raise UserError(f"log '{log.folder}' is no market to play in; learn from it by SlateCQLConfig.")

    return SlateQWorld(
        FlatSearchPages(pages, layout), layout.flat, make, log.manifest["n_slots"], pages.n_items, pages.n_context,
        falls=True,
    )  # fmt: skip


def _interest_evolution(world: InterestEvolution) -> SlateQWorld:
    pages = InterestPages(world)

    def flat(observation: Mapping[str, npt.NDArray[Any]]) -> F32:
        return np.concatenate([observation["interest"], observation["topic"].astype(np.float32)], axis=1)

    def make(num_envs: int, seed: int | None) -> ToldEnv:
        return ToldEnv(PeerVectorEnv(num_envs, world), flat, world.n_topics + world.n_candidates, seed)

    return SlateQWorld(pages, flat, make, world.n_slots, pages.n_items, pages.n_context, falls=False)


def make_environment(context: Mapping[str, Any]) -> ToldEnv:
    """From RLlib's context: `num_envs`, `world`, and maybe `episode` and `seed`.

    Raises:
        UserError: for another key, an unknown world or kind of episode.
    """
    refuse_unknown_context(context)
    world = slateq_world(context["world"], context.get("episode", "shopper"))
    return world.make(context["num_envs"], context.get("seed"))

"""A page as one flat vector: the context, then the public features of each candidate.

Features are gathered from the public catalogue, so nothing hidden enters. Making them every step costs several times
the market itself; who can gather features from ids, as the policies of this package do, should.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from simenv.catalogue import F32, I32, price_spread
from simenv.shoppers import DEVICES
from simenv.world import World

LIMIT = 10.0  # values are of order 1 and are cut off here
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, eq=False)
class FlatLayout:
    """Where each number of a flat observation stands, and the tables that it is gathered from.

    A flat observation is float32, X context numbers and then C blocks of F numbers, a block a candidate in the engine's
    order; `split` takes it apart. All lie in [-10, 10], most within [-3, 3].

    Context, in order: one-hot locale and device; `time_sin`, `time_cos` of the time of day; `week` (days / 7); `visit`
    (log(1 + visits before)); `search` and `page` (queries and pages before); `has_category`, `has_brand`, `has_colour`
    (whether a dictionary recognised such a word in the query); `history_sure` in [0, 1) (how much the shop knows of the
    shopper, weight / (weight + 5)); `history_style_d` and `history_price` (what the shopper clicked).

    Candidate, in order: `is_candidate` (1, or 0 for a hole, whose whole block is 0); `engine_rank` in [0, 1);
    `category_match`, `department_match`, `brand_match`, `colour_match` with the recognised words; `last_brand_match`
    with the brand clicked last; `price` (the day's, standardised within the category), `price_gap` (its distance to
    `history_price`), `rating` ((stars - 3) / 2), `popularity`; `style_fit` (style times history); `style_d`.

    Attributes:
        context_names: The X names of the context.
        candidate_names: The F names of a candidate's block.
        n_candidates: C.
    """

    context_names: tuple[str, ...]
    candidate_names: tuple[str, ...]
    n_candidates: int
    n_locales: int
    n_devices: int
    department_of: I32  # (G + 1,) of each category; -2 of "none", which matches nothing
    ids: I32  # (I, 4) category, department, brand and colour of each item
    numbers: F32  # (I, 3 + D) price, rating, popularity and style of each item
    price_spread: F32  # (G,) standard deviation of log price in each category

    @property
    def width(self) -> int:
        """Length of a flat observation, X + C * F."""
        return len(self.context_names) + self.n_candidates * len(self.candidate_names)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each number; a candidate's are "POSITION:NAME"."""
        blocks = (f"{at}:{name}" for at in range(self.n_candidates) for name in self.candidate_names)
        return (*self.context_names, *blocks)

    @property
    def space(self) -> spaces.Box:
        """The space of one flat observation."""
        return spaces.Box(-LIMIT, LIMIT, (self.width,), np.float32)

    def split(self, flat: F32) -> tuple[F32, F32]:
        """Views of flat observations (.., X + C * F): the context (.., X) and the candidates (.., C, F)."""
        n_context = len(self.context_names)
        blocks = flat[..., n_context:]
        return flat[..., :n_context], blocks.reshape(*blocks.shape[:-1], self.n_candidates, len(self.candidate_names))

    def flat(self, page: Mapping[str, npt.NDArray[Any]]) -> F32:
        """Batched observations of `SearchVectorEnv` as flat ones, (N, width)."""
        made = np.empty((len(page["candidates"]), self.width), dtype=np.float32)
        context, candidates = self.split(made)
        self._fill_context(page, context)
        self._fill_candidates(page, candidates)
        return np.clip(made, -LIMIT, LIMIT, out=made)

    def _fill_context(self, page: Mapping[str, npt.NDArray[Any]], to: F32) -> None:
        angle = page["time"] * (2 * np.pi / DAY_SECONDS)
        weight = page["history_weight"]
        terms = page["query_terms"]
        at = self.n_locales + self.n_devices
        to[:, :at] = 0.0
        rows = np.arange(len(to))
        to[rows, page["locale"]] = 1.0
        to[rows, self.n_locales + page["device"]] = 1.0
        columns = (
            np.sin(angle), np.cos(angle), page["day"] / 7.0, np.log1p(page["visit"]), page["search"], page["page"],
            terms[:, 0] >= 0, terms[:, 1] >= 0, terms[:, 2] >= 0, weight / (weight + 5.0),
        )  # fmt: skip
        for column in columns:
            to[:, at] = column
            at += 1
        to[:, at:] = page["history"]

    def _fill_candidates(self, page: Mapping[str, npt.NDArray[Any]], to: F32) -> None:
        candidates, terms, history = page["candidates"], page["query_terms"], page["history"]
        item = np.maximum(candidates, 0)
        category, department, brand, colour = np.moveaxis(self.ids[item], -1, 0)  # (N, C) each
        numbers = self.numbers[item]  # (N, C, 3 + D)
        wanted = terms[:, 0:1]
        price = numbers[..., 0] + page["discount"] / self.price_spread[category]
        columns = (
            np.ones(item.shape, dtype=np.float32), np.arange(self.n_candidates, dtype=np.float32) / self.n_candidates,
            category == wanted, department == self.department_of[wanted], brand == terms[:, 1:2],
            colour == terms[:, 2:3], brand == page["last_brand"][:, None], price,
            np.abs(price - history[:, -1:]), numbers[..., 1], numbers[..., 2],
            np.einsum("ncd,nd->nc", numbers[..., 3:], history[:, :-1]),
        )  # fmt: skip
        for at, column in enumerate(columns):
            to[..., at] = column
        to[..., len(columns) :] = numbers[..., 3:]
        to[candidates < 0] = 0.0


def flat_layout(world: World) -> FlatLayout:
    """The layout of a world's pages."""
    public, locales, n_style = world.catalogue.public(), world.demand.locales, world.params.n_style
    n_devices = len(world.params.shoppers.device_share)
    context = (
        *(f"locale_{locale}" for locale in locales), *(f"device_{name}" for name in DEVICES[:n_devices]),
        "time_sin", "time_cos", "week", "visit", "search", "page", "has_category", "has_brand", "has_colour",
        "history_sure", *(f"history_style_{d}" for d in range(n_style)), "history_price",
    )  # fmt: skip
    candidate = (
        "is_candidate", "engine_rank", "category_match", "department_match", "brand_match", "colour_match",
        "last_brand_match", "price", "price_gap", "rating", "popularity", "style_fit",
        *(f"style_{d}" for d in range(n_style)),
    )  # fmt: skip
    ids = np.stack([public.category, public.department, public.brand, public.colour], axis=1).astype(np.int32)
    return FlatLayout(
        context_names=context,
        candidate_names=candidate,
        n_candidates=world.params.n_candidates,
        n_locales=len(locales),
        n_devices=n_devices,
        department_of=np.append(world.catalogue.departments, -2).astype(np.int32),  # category -1 reads the last
        # A brand or colour that an item lacks is -1 and would match a word that is not there.
        ids=np.where(ids < 0, -3, ids),
        numbers=np.column_stack([public.price_z, (public.rating - 3.0) / 2.0, public.popularity, public.style]).astype(
            np.float32
        ),
        price_spread=price_spread(public.price, public.category, len(world.catalogue.departments)),
    )

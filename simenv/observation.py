"""What an environment tells of a page: ids and small contexts, no item features, and the spaces that say their ranges.

The features of items are the columns of `world.catalogue.public()`, gathered by whoever needs them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from simenv.recent import OLDEST
from simenv.world import Page, World

Observation = dict[str, npt.NDArray[Any]]

FLOAT_LIMIT = 1e6  # of observed floats; real values are of order 1
INT_LIMIT = 2**31 - 1
_OBSERVED = tuple(sorted(field.name for field in dataclasses.fields(Page) if field.name not in ("shopper", "query")))
_MAY_BE_ABSENT = ("house", "recent", "recent_age", "recent_bought")
_DISCRETE = ("device", "locale")  # spaces that want int64


def observation_space_of(world: World) -> spaces.Dict:
    """The space of one observation: the public fields of `simenv.world.Page` but the shopper's id and the text.

    `house` is there only where the market has places of its own, `recent` and its two neighbours only where it tells
    the last clicks.
    """
    params = world.params
    recent = (
        {
            "recent": spaces.Box(-1, params.n_items - 1, (params.n_recent,), np.int32),
            "recent_age": spaces.Box(-1, OLDEST, (params.n_recent,), np.int16),
            "recent_bought": spaces.MultiBinary(params.n_recent),
        }
        if params.n_recent
        else {}
    )
    house = {"house": spaces.Box(-1, params.n_items - 1, (params.house.n,), np.int32)} if params.house.n else {}
    top = np.array(world.demand.n_values, dtype=np.int32) - 1
    return spaces.Dict(
        {
            "candidates": spaces.Box(-1, params.n_items - 1, (params.n_candidates,), np.int32),
            "day": spaces.Box(0, INT_LIMIT, (), np.int32),
            "device": spaces.Discrete(len(params.shoppers.device_share)),
            "discount": spaces.Box(-FLOAT_LIMIT, FLOAT_LIMIT, (params.n_candidates,), np.float32),
            "filters": spaces.Box(np.full(len(top), -1, np.int32), top, top.shape, np.int32),
            "history": spaces.Box(-FLOAT_LIMIT, FLOAT_LIMIT, (params.n_style + 1,), np.float32),
            "history_weight": spaces.Box(0.0, FLOAT_LIMIT, (), np.float32),
            **house,
            "last_brand": spaces.Box(-1, params.n_brands - 1, (), np.int32),
            "locale": spaces.Discrete(len(world.demand.locales)),
            "page": spaces.Box(0, params.max_pages, (), np.int32),
            "query_terms": spaces.Box(np.full(len(top), -1, np.int32), top, top.shape, np.int32),
            **recent,
            "search": spaces.Box(0, params.dynamics.max_searches, (), np.int32),
            "time": spaces.Box(0, INT_LIMIT, (), np.int32),
            "visit": spaces.Box(0, INT_LIMIT, (), np.int32),
        }
    )


def action_space_of(world: World) -> spaces.MultiDiscrete:
    """K positions among C candidates."""
    return spaces.MultiDiscrete(np.full(world.params.n_slots, world.params.n_candidates, dtype=np.int64))


def observation(page: Page) -> Observation:
    """A page as the observation dict, in the space's order and dtypes; copies, which the caller may overwrite."""
    made: Observation = {
        name: getattr(page, name).astype(np.int64) if name in _DISCRETE else getattr(page, name).copy()
        for name in _OBSERVED
    }
    made["recent_bought"] = made["recent_bought"].view(np.int8)
    for name in _MAY_BE_ABSENT:
        if not made[name].shape[1]:
            del made[name]  # libraries stumble over arrays of no width
    return made

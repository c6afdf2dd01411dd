"""WORLDS: the named markets.

A world is registered by one line; `gymnasium.make("simenv/Search-v0", world=NAME)` and every scenario find it here.
Wherever a name is taken, the path of a world file (`simenv.world_file`) is taken too.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

from simenv.clicks import CLICK_MODELS, Cascade
from simenv.errors import unknown_name
from simenv.params import Attraction, Conversion, Dynamics, Shoppers, WorldParams
from simenv.world import World, make_world
from simenv.world_file import SUFFIX, read_world

_DEFAULT = WorldParams(
    question="How much does ranking by hidden taste add to a lexical and popularity ranker, and can a log tell?"
)

WORLDS: dict[str, WorldParams] = {
    "default": _DEFAULT,
    "cascade": dataclasses.replace(
        _DEFAULT,
        question="What happens to item-position weights when shoppers stop at the first attractive item?",
        click_model=Cascade(continuation=0.95),
    ),
    "dbn": dataclasses.replace(
        _DEFAULT,
        question="Where the item that satisfies ends the page, is clickbait at the top still worth its clicks?",
        click_model=CLICK_MODELS["dbn"](50),
    ),
    "ubm": dataclasses.replace(
        _DEFAULT,
        question="Where a click draws the eye to the slots below it, how far off are item-position weights?",
        click_model=CLICK_MODELS["user-browsing"](50),
    ),
    "choice": dataclasses.replace(
        _DEFAULT,
        question="Where the items of a page compete for one click, does anything but joint weights find its value?",
        click_model=CLICK_MODELS["multinomial-logit"](50),
    ),
    "impersonal": dataclasses.replace(
        _DEFAULT,
        question="Does personalisation claim a gain where nobody has a taste of their own? It should not.",
        attraction=Attraction(base=-3.6, taste=0.0, price=0.0, loyalty=0.0),
        conversion=Conversion(cart_taste=0.0),
        shoppers=Shoppers(loyal_share=0.0),
        dynamics=Dynamics(taste_drift=0.0),
    ),
    "clickbait": dataclasses.replace(
        _DEFAULT,
        question="Does a ranker that learns from clicks sell less where bait draws the clicks?",
        attraction=Attraction(bait=1.2, quality=0.0),
        conversion=Conversion(cart_base=-4.2, cart_quality=1.2),
    ),
    "revenue": dataclasses.replace(
        _DEFAULT,
        question="Which ranking earns most, when the reward is rare and heavy-tailed?",
        reward="revenue",
    ),
    "tiny": dataclasses.replace(
        _DEFAULT,
        question="Is everything wired up? Small enough to enumerate: 8 candidates, 3 slots.",
        n_items=1600,
        n_brands=8,
        n_style=3,
        n_candidates=8,
        n_slots=3,
    ),
}


def load_world(name: str) -> World:
    """The market of that name or world file, built once per process.

    Raises:
        UserError: for a name that is not in WORLDS, or a file that describes no world.
    """
    return _market(world_params(name))


def world_params(name: str) -> WorldParams:
    """The parameters of a named world, or of a world file (a path that ends in .toml; see `simenv.world_file`).

    Raises:
        UserError: for a name that is not in WORLDS, or a file that describes no world.
    """
    if name.endswith(SUFFIX):
        return read_world(Path(name), WORLDS)
    if name not in WORLDS:
        raise unknown_name("world", name, WORLDS)
    return WORLDS[name]


@lru_cache(maxsize=8)
def _market(params: WorldParams) -> World:
    """By parameters, not by name: a file may change while a process runs."""
    return make_world(params)

"""What came of a page: from all that happened on the page as shown to the columns of an `Outcome`.

The page as shown has the policy's K slots and the H places of the house; an outcome tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import abandonment, hashing
from simenv.behaviour import logit
from simenv.catalogue import F32, I32
from simenv.house import bids, house_places, policy_places
from simenv.postclick import dwell
from simenv.state import Bools, Draw, Outcome, State, World, uniforms
from simenv.worth import Worth

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """A page as it was looked at; (N, K + H) each, from the top.

    items: -1 for an empty place. worth: of the items. satisfied: all False where the click model knows nothing of it.
    """

    items: I32
    worth: Worth
    examined: Bools
    clicked: Bools
    satisfied: Bools
    carted: Bools
    purchased: Bools


@dataclass(frozen=True)
class End:
    """How pages ended, (N,) each; see `simenv.state.Outcome`."""

    ending: npt.NDArray[np.int8]
    session_over: Bools
    gone: Bools
    truncated: Bools


def abandons(world: World, state: State, key: hashing.Keys, seen: Seen) -> tuple[Bools, Bools]:
    """Who is content without a click, and who gives up at once; (N,) each. `key` is the page's."""
    params = world.params.abandonment
    nobody = np.zeros(len(state), dtype=bool)
    content = gives_up = nobody
    luck = hashing.absorb(key, Draw.ABANDON)
    if params.good > 0.0:
        gap = np.abs(seen.worth.price_z - state.traits.price_taste[:, None])
        u = hashing.uniform(hashing.absorb(luck, 0))
        content = abandonment.answered(params, seen.clicked, seen.examined, seen.worth.relevance, gap, u)
    if params.bad > 0.0:
        u = hashing.uniform(hashing.absorb(luck, 1))
        gives_up = abandonment.frustrated(params, seen.clicked, seen.examined, seen.worth.relevance, u)
    return content, gives_up


def outcome_of(world: World, state: State, key: hashing.Keys, seen: Seen, expected: F64, end: End) -> Outcome:
    """The outcome of pages.

    Args:
        world: The market.
        state: Where the shoppers were.
        key: (N,) the page's key.
        seen: What happened.
        expected: (N, K) exact expected reward of the policy's slots.
        end: How it ended.
    """
    params = world.params
    mine, theirs = policy_places(params.house, params.n_slots), house_places(params.house)
    items = np.ascontiguousarray(seen.items[:, mine])
    clicked, purchased = seen.clicked[:, mine], seen.purchased[:, mine]
    revenue = np.where(purchased, seen.worth.price[:, mine], 0.0).astype(np.float64)
    returned = _returned(world, key, items, purchased, seen.worth.back[:, mine])
    counts = {
        "clicks": clicked,
        "purchases": purchased,
        "revenue": revenue,
        "net revenue": np.where(returned, 0.0, revenue),
    }
    return Outcome(
        items=items,
        examined=seen.examined[:, mine],
        clicked=clicked,
        carted=seen.carted[:, mine],
        purchased=purchased,
        satisfied=seen.satisfied[:, mine],
        dwell=_dwell(world, key, items, clicked, seen.worth.cart[:, mine]),
        returned=returned,
        revenue=revenue,
        reward=counts[params.reward].astype(np.float64),
        expected=expected,
        house_examined=seen.examined[:, theirs],
        house_clicked=seen.clicked[:, theirs],
        house_carted=seen.carted[:, theirs],
        house_purchased=seen.purchased[:, theirs],
        ad_revenue=_ad_revenue(world, state, seen.items[:, theirs], seen.clicked[:, theirs]),
        ending=end.ending,
        session_over=end.session_over,
        gone=end.gone,
        truncated=end.truncated,
    )


def _returned(world: World, key: hashing.Keys, items: I32, purchased: Bools, back: F32) -> Bools:
    if world.params.post_click.returns == 0.0:
        return np.zeros(purchased.shape, dtype=bool)
    returned: Bools = purchased & (uniforms(key, Draw.SEND_BACK, items) < back)
    return returned


def _dwell(world: World, key: hashing.Keys, items: I32, clicked: Bools, cart: F32) -> F32:
    params = world.params
    if params.post_click.dwell == 0.0:
        return np.zeros(clicked.shape, dtype=np.float32)
    typical = params.conversion.cart_base + params.conversion.cart_relevance
    return dwell(params.post_click, clicked, logit(cart) - np.float32(typical), items, hashing.absorb(key, Draw.DWELL))


def _ad_revenue(world: World, state: State, items: I32, clicked: Bools) -> F64:
    """What sellers pay for clicks on their advertisements, (N, H) euros; nothing for what a merchandiser pinned."""
    house = world.params.house
    if not house.sponsored:
        return np.zeros(clicked.shape)
    is_ad = np.array([label == "sponsored" for label in house.labels()])
    return np.where(clicked & is_ad, bids(house, world.catalogue, items, state.day), 0.0)

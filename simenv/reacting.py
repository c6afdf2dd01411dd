"""After the page: how satisfied a shopper is, what they do next, what is remembered, and whether they come back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32
from simenv.mind import Mind, after_page, after_purchases, influenced, return_shift
from simenv.state import Bools, Draw, State, World, uniforms, visit_key

MEMORY = np.float32(0.97)  # of the public history, per click


def satisfaction_of(clicked: Bools, carted: Bools, purchased: Bools) -> F32:
    """1 for a purchase, 0.6 for a cart, 0.3 for a click."""
    return np.where(
        purchased.any(axis=1), 1.0, np.where(carted.any(axis=1), 0.6, np.where(clicked.any(axis=1), 0.3, 0.0))
    ).astype(np.float32)


def react(world: World, state: State, key: hashing.Keys, satisfied: F32, more: Bools) -> tuple[Bools, Bools]:
    """Who looks at the next page where there are `more` candidates, and who asks again. Nobody after a purchase."""
    dynamics = world.params.dynamics
    u = hashing.uniform(hashing.absorb(hashing.absorb(key, Draw.REACT)[:, None], np.arange(2)))
    restless = state.traits.patience * (1.0 - satisfied)
    next_page = more & (state.page + 1 < world.params.max_pages) & (u[:, 0] < dynamics.page_down * restless)
    next_search = ~next_page & (state.search + 1 < dynamics.max_searches) & (u[:, 1] < dynamics.reformulate * restless)
    return next_page, next_search


def remember(world: World, state: State, item: I32, price_z: F32, clicked: Bools) -> tuple[F32, F32, F32, I32]:
    """Taste drifts toward what was clicked; the shop remembers style, the day's price and brand of the clicks."""
    catalogue = world.catalogue
    count = clicked.sum(axis=1).astype(np.float32)
    weight = clicked.astype(np.float32)[:, None, :]  # (N, 1, K)
    style = np.matmul(weight, catalogue.style[item])[:, 0]  # (N, D)
    price = (weight[:, 0] * price_z).sum(axis=1)
    rate = np.float32(world.params.dynamics.taste_drift)
    taste = state.taste + rate * (style - count[:, None] * state.taste)
    fade = MEMORY**count
    history = state.history * fade[:, None] + np.concatenate([style, price[:, None]], axis=1)
    last = item.shape[1] - 1 - np.argmax(clicked[:, ::-1], axis=1)
    brand = catalogue.brand[np.take_along_axis(item, last[:, None], axis=1)[:, 0]]
    return taste, history, state.history_weight * fade + count, np.where(count > 0, brand, state.last_brand)


def impressed(world: World, taste: F32, items: I32, examined: Bools) -> F32:
    """Taste after what was looked at on a page, where influence is on."""
    influence = world.params.habits.influence
    return taste if influence is None else influenced(influence, world.catalogue, taste, items, examined)


def minded(world: World, state: State, key: hashing.Keys, items: I32, clicked: Bools, bought: Bools) -> Mind:
    """The mind after the clicks and purchases of a page; `key` is the page's."""
    habits, catalogue = world.params.habits, world.catalogue
    mind = after_page(habits, state.mind, catalogue, items, clicked, bought)
    if habits.loyalty is None:
        return mind
    return after_purchases(habits.loyalty, mind, catalogue, items, bought, uniforms(key, Draw.LOYALTY, items))


def shown_after(state: State, next_page: Bools, items: I32, slate: npt.NDArray[np.integer]) -> Bools:
    """Candidates that the next page of the same query leaves out; none where the next page is of another query."""
    shown = np.zeros_like(state.shown)
    rows = np.flatnonzero(next_page)
    shown[rows] = state.shown[rows]
    row, slot = np.nonzero(items[rows] >= 0)
    shown[rows[row], slate[rows[row], slot]] = True
    return shown


def running(world: World, before: F32, visit: F32) -> F32:
    """The running satisfaction after a visit: mostly what it was, partly the visit's best."""
    memory = np.float32(world.params.dynamics.satisfaction_memory)
    return memory * before + (np.float32(1.0) - memory) * visit


def returning(world: World, state: State, satisfaction: F32, mind: Mind) -> tuple[Bools, I32]:
    """Whether the shopper comes back after this visit, and after how many days (at least one).

    The chance grows with the running satisfaction (as in KuaiSim's retention) and with trust where that is on; beyond
    0 and 1 it is certain.
    """
    dynamics = world.params.dynamics
    key = visit_key(state.key, state.visit, Draw.RETURN)
    chance = dynamics.return_base + dynamics.return_gain * satisfaction
    trusting = return_shift(world.params.habits, mind)
    returns = hashing.uniform(hashing.absorb(key, 0)) < (chance if trusting is None else chance + trusting)
    # A geometric gap has mean 1 / p; gaps start at one day.
    p = 1.0 / np.maximum(state.traits.gap_days.astype(np.float64), 1.0 + 1e-9)
    gap = 1.0 + np.floor(np.log(hashing.uniform_open(hashing.absorb(key, 1))) / np.log1p(-p))
    return returns, gap.astype(np.int32)

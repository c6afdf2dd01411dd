"""The world: one causal story, told in eight steps as pure functions over columns.

`begin` makes shoppers, `observe` gives what a policy may see, `step` plays one page and returns the next state. A row
is one shopper playing its own sessions; rows never depend on each other. The Gymnasium environments, the simulation of
logs and the computation of truth all call these three functions and nothing else.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from simenv import hashing, reacting
from simenv.catalogue import I32, I64, generate_catalogue
from simenv.clicks import Appeal
from simenv.columns import take
from simenv.compiled.backend import Backend, with_backend
from simenv.invented import invented_demand
from simenv.mind import Mind, after_days, fresh_mind, reluctance
from simenv.params import WorldParams
from simenv.shoppers import first_favourite, traits
from simenv.state import Bools, Draw, Outcome, Page, State, World, page_key, uniforms, visit_key
from simenv.worth import appeal, click_values, slate_items, worth

__all__ = [
    "Draw", "Outcome", "Page", "State", "World", "begin", "keep", "make_world", "observe", "policy_keys", "step",
]  # fmt: skip

PRIOR_CLICKS = np.float32(3.0)  # clicks at the average that the public history starts from


def make_world(params: WorldParams, backend: Backend = "auto") -> World:
    """Build the market that the parameters describe. Same parameters, same bytes.

    Args:
        params: The parameters.
        backend: Who plays: "numpy", the definition below; "numba", its compiled twin; "auto", numba where it is
            installed and knows everything that the parameters ask for.

    Raises:
        UserError: for shares that do not fit the locales or the kinds of intent, a click model that does not fit the
            slots, or a backend that cannot play the world.
    """
    nothing = np.zeros((1, params.n_slots))
    params.click_model.click_probability(Appeal(nothing, nothing))  # says what is wrong before anything runs
    catalogue = generate_catalogue(params.n_items, params.n_brands, params.n_style, params.seed)
    world = World(params=params, catalogue=catalogue, demand=invented_demand(params, catalogue))
    return with_backend(world, backend)


def begin(world: World, seed: int, shoppers: I64) -> State:
    """Step 1, arrive: the first visit of each shopper.

    Args:
        world: The market.
        seed: Luck; together with a shopper's id it names everything that will happen to them.
        shoppers: (N,) ids.
    """
    if world.twin is not None and world.twin.is_of(world):
        return world.twin.begin(seed, shoppers)
    params = world.params
    key = hashing.absorb(hashing.stream(seed, "shopper"), shoppers)
    # A stream of their own: under `key` stand the visits, by number.
    own = hashing.absorb(hashing.stream(seed, "traits"), shoppers)
    who = traits(params.shoppers, params.seed, params.n_style, own)
    mind = fresh_mind(params.habits, world.catalogue, first_favourite(params.shoppers, params.n_brands, own))
    n = len(shoppers)
    zeros = np.zeros(n, dtype=np.int32)
    first = hashing.integers(hashing.absorb(key, Draw.RETURN), np.maximum(1, params.shoppers.horizon_days // 4))
    day = first.astype(np.int32)
    return State(
        key=key,
        shopper=np.asarray(shoppers, dtype=np.int64),
        visit=zeros,
        day=day,
        search=zeros,
        page=zeros,
        step=zeros,
        traits=who,
        taste=who.taste,
        mind=mind,
        intent=world.demand.intents(key, zeros, day, mind.favourite_brand, reluctance(params.habits, mind)),
        shown=np.zeros((n, params.n_candidates), dtype=bool),
        history=np.zeros((n, params.n_style + 1), dtype=np.float32),
        history_weight=np.zeros(n, dtype=np.float32),
        last_brand=np.full(n, -1, dtype=np.int32),
        satisfaction=np.full(n, 0.5, dtype=np.float32),
        visit_satisfaction=np.zeros(n, dtype=np.float32),
    )


def observe(world: World, state: State) -> Page:
    """Steps 2 and 3, ask and retrieve: the public page that a policy ranks."""
    if world.twin is not None and world.twin.is_of(world):
        return world.twin.observe(state)
    found = world.demand.search(state)
    candidates = found.candidates
    candidates[state.shown] = -1
    return Page(
        shopper=state.shopper,
        visit=state.visit,
        day=state.day,
        time=_time(state),
        search=state.search,
        page=state.page,
        locale=found.locale.astype(np.int8),
        device=state.traits.device,
        query_terms=found.terms,
        candidates=candidates,
        history=state.history / (state.history_weight + PRIOR_CLICKS)[:, None],
        history_weight=state.history_weight,
        last_brand=state.last_brand,
    )


def policy_keys(state: State, seed: int) -> hashing.Keys:
    """One key a row for the policy's own draws, from a stream that the market never uses."""
    key = hashing.absorb(hashing.stream(seed, "policy"), state.shopper)
    return page_key(visit_key(key, state.visit, Draw.POLICY), state)


def step(world: World, state: State, page: Page, slate: npt.NDArray[np.integer]) -> tuple[State, Outcome]:
    """Steps 5 to 8: the page is examined, clicked and bought from; the shopper reacts and remembers.

    Args:
        world: The market.
        state: Where the shoppers are.
        page: `observe(world, state)`.
        slate: (N, K) positions into `page.candidates`, best first. See `slate_items` for what leaves a slot empty.

    Returns:
        The next state, already at the next page, query or visit (meaningless where the shopper is gone or truncated),
        and what happened.
    """
    if world.twin is not None and world.twin.is_of(world):
        return world.twin.step(state, page, slate)
    params = world.params
    items = slate_items(page, slate)

    # 5. Examine and click: examination is keyed by the slot, what happens to an item by the item.
    key = page_key(visit_key(state.key, state.visit, Draw.ATTRACT), state)
    known = worth(world, state, items)
    look = appeal(world, known)
    slots = np.arange(items.shape[1])
    examined, clicked = params.click_model.sample(
        look,
        uniforms(key, Draw.EXAMINE, slots[None, :]),
        uniforms(key, Draw.ATTRACT, items),
    )

    # 6. Convert: utility is not attraction.
    carted = clicked & (uniforms(key, Draw.CART, items) < known.cart)
    purchased = carted & (uniforms(key, Draw.BUY, items) < known.buy)
    revenue = np.where(purchased, known.price, 0.0).astype(np.float64)
    reward = {"clicks": clicked, "purchases": purchased, "revenue": revenue}[params.reward].astype(np.float64)
    expected = params.click_model.click_probability(look).astype(np.float64) * click_values(world, known)

    # 7. React: buy and leave, look at the next page, ask again in other words, or leave.
    satisfied = reacting.satisfaction_of(clicked, carted, purchased)
    visit_satisfaction = np.maximum(state.visit_satisfaction, satisfied)
    more = (page.candidates >= 0).sum(axis=1) > (items >= 0).sum(axis=1)
    next_page, next_search = reacting.react(world, state, key, satisfied, more)
    session_over = ~next_page & ~next_search

    # 8. Remember.
    taste, history, history_weight, last_brand = reacting.remember(world, state, np.maximum(items, 0), clicked)
    mind = reacting.minded(world, state, key, items, clicked, purchased)
    satisfaction = np.where(
        session_over, reacting.running(world, state.satisfaction, visit_satisfaction), state.satisfaction
    )
    returns, gap = reacting.returning(world, state, satisfaction, mind)
    next_day = state.day + gap
    in_time = next_day < params.shoppers.horizon_days
    visit, day = state.visit + session_over, np.where(session_over, next_day, state.day)
    mind = after_days(params.habits, mind, day - state.day)
    next_state = dataclasses.replace(
        state,
        visit=visit,
        day=day,
        search=np.where(session_over, 0, state.search + next_search),
        page=np.where(next_page, state.page + 1, 0).astype(np.int32),
        step=np.where(session_over, 0, state.step + 1).astype(np.int32),
        taste=reacting.impressed(world, taste, items, examined),
        mind=mind,
        intent=_next_intent(world, state, mind, visit, day, session_over),
        shown=reacting.shown_after(state, next_page, items, slate),
        history=history,
        history_weight=history_weight,
        last_brand=last_brand,
        satisfaction=satisfaction,
        visit_satisfaction=np.where(session_over, np.float32(0.0), visit_satisfaction),
    )
    outcome = Outcome(
        items=items,
        examined=examined,
        clicked=clicked,
        carted=carted,
        purchased=purchased,
        revenue=revenue,
        reward=reward,
        expected=expected,
        session_over=session_over,
        gone=session_over & ~returns,
        truncated=session_over & returns & ~in_time,
    )
    return next_state, outcome


def _next_intent(world: World, state: State, mind: Mind, visit: I32, day: I32, session_over: Bools) -> I32:
    rows = np.flatnonzero(session_over)
    intent, now = state.intent.copy(), take(mind, rows)
    unwilling = reluctance(world.params.habits, now)
    intent[rows] = world.demand.intents(state.key[rows], visit[rows], day[rows], now.favourite_brand, unwilling)
    return intent


def _time(state: State) -> I32:
    """A visit starts between seven in the morning and eleven at night; a page takes a minute and a half."""
    u = hashing.uniform(hashing.absorb(visit_key(state.key, state.visit, Draw.INTENT), 8))
    return (3600.0 * (7.0 + 15.5 * u)).astype(np.int32) + 90 * state.step


def keep(state: State, rows: Bools) -> State:
    """The chosen rows of a state."""
    return take(state, rows)

"""The world: one causal story, told in eight steps as pure functions over columns.

`begin` makes shoppers, `observe` gives what a policy may see, `step` plays one page and returns the next state. A row
is one shopper playing its own sessions; rows never depend on each other. The Gymnasium environments, the simulation of
logs and the computation of truth all call these three functions and nothing else.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from simenv import hashing, house, reacting, stock
from simenv.abandonment import endings
from simenv.aftermath import End, Seen, abandons, outcome_of
from simenv.calendar import cold_started, discount, make_calendar, unlisted
from simenv.catalogue import I32, I64, generate_catalogue
from simenv.clicks import Appeal
from simenv.columns import take
from simenv.compiled.backend import Backend, with_backend
from simenv.invented import invented_demand
from simenv.mind import Mind, after_days, fresh_mind, reluctance
from simenv.params import WorldParams
from simenv.recent import after_clicks, no_recent
from simenv.shoppers import first_favourite, traits
from simenv.state import Bools, Draw, Outcome, Page, State, World, page_key, uniforms, visit_key
from simenv.worth import appeal, expected_of_shown, slate_items, worth

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
            slots and the places of the house, a shock on a category or brand that is not there, a real market whose
            files are wrong or that is asked for what only an invented one has, or a backend that cannot play the world.
    """
    nothing = np.zeros((1, params.n_shown))
    params.click_model.click_probability(Appeal(nothing, nothing))  # says what is wrong before anything runs
    if params.source is not None:
        from simenv.real.market import real_market  # loads scikit-learn

        catalogue, real = real_market(params)
        calendar = make_calendar(params, catalogue)
        return with_backend(World(params, cold_started(catalogue, calendar), real, calendar), backend)
    catalogue = generate_catalogue(params.n_items, params.n_brands, params.n_style, params.seed)
    calendar = make_calendar(params, catalogue)
    catalogue = cold_started(catalogue, calendar)
    world = World(params, catalogue, invented_demand(params, catalogue, calendar), calendar)
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
        recent=no_recent(n, params.n_recent),
        satisfaction=np.full(n, 0.5, dtype=np.float32),
        visit_satisfaction=np.zeros(n, dtype=np.float32),
    )


def observe(world: World, state: State, shelves: stock.Shelves | None = None) -> Page:
    """Steps 2 and 3, ask and retrieve: the public page that a policy ranks.

    Args:
        world: The market.
        state: Where the shoppers are.
        shelves: In a market with stock, what all shoppers have left for the day of every row; where None, what the rest
            of the market is expected to leave (see `simenv.stock`).
    """
    if world.twin is not None and world.twin.is_of(world):
        return world.twin.observe(state, None if shelves is None else shelves.stock)
    found = world.demand.search(state)
    candidates = found.candidates
    today = np.minimum(state.day, world.params.shoppers.horizon_days - 1)  # days after the last are like it
    absent = unlisted(world.calendar, world.catalogue, candidates, today)
    if absent is not None:
        candidates[absent] = -1
    if world.params.market.stock is not None:
        candidates[stock.sold_out(world, candidates, today, shelves)] = -1
    of_house = house.fill(world.params.house, world.catalogue, candidates, today)
    house.take_out(candidates, of_house)
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
        filters=np.full_like(found.terms, -1) if found.filters is None else found.filters,
        candidates=candidates,
        house=of_house,
        history=state.history / (state.history_weight + PRIOR_CLICKS)[:, None],
        history_weight=state.history_weight,
        last_brand=state.last_brand,
        discount=discount(world.calendar, candidates, today),
        recent=state.recent.item,
        recent_bought=state.recent.bought,
        recent_age=state.recent.age(state.day),
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
    shown = house.full_page(params.house, items, page.house)  # (N, K + H), as they look at it

    # 5. Examine and click: examination is keyed by the slot, what happens to an item by the item.
    key = page_key(visit_key(state.key, state.visit, Draw.ATTRACT), state)
    known = worth(world, state, shown)
    look = appeal(world, known)
    u_slot, u_item = uniforms(key, Draw.EXAMINE, np.arange(shown.shape[1])[None, :]), uniforms(key, Draw.ATTRACT, shown)
    examined, clicked = params.click_model.sample(look, u_slot, u_item)
    satisfied = params.click_model.satisfied(look, u_slot, u_item, clicked)
    satisfied = np.zeros_like(clicked) if satisfied is None else satisfied

    # 6. Convert: utility is not attraction.
    carted = clicked & (uniforms(key, Draw.CART, shown) < known.cart)
    purchased = carted & (uniforms(key, Draw.BUY, shown) < known.buy)

    # 7. React: buy and leave, look at the next page, ask again in other words, or leave.
    seen = Seen(shown, known, examined, clicked, satisfied, carted, purchased)
    content, gives_up = abandons(world, state, key, seen)
    page_satisfaction = reacting.satisfaction_of(clicked, carted, purchased)
    page_satisfaction[satisfied.any(axis=1) | content] = 1.0
    visit_satisfaction = np.maximum(state.visit_satisfaction, page_satisfaction)
    more = (page.candidates >= 0).sum(axis=1) > (items >= 0).sum(axis=1)
    next_page, next_search = reacting.react(world, state, key, page_satisfaction, more)
    next_page, next_search = next_page & ~gives_up, next_search & ~gives_up
    session_over = ~next_page & ~next_search

    # 8. Remember.
    taste, history, history_weight, last_brand = reacting.remember(
        world, state, np.maximum(shown, 0), known.price_z, clicked
    )
    mind = reacting.minded(world, state, key, shown, clicked, purchased)
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
        taste=reacting.impressed(world, taste, shown, examined),
        mind=mind,
        intent=_next_intent(world, state, mind, visit, day, session_over),
        shown=reacting.shown_after(state, next_page, items, slate),
        history=history,
        history_weight=history_weight,
        last_brand=last_brand,
        recent=after_clicks(state.recent, shown, clicked, purchased, state.day),
        satisfaction=satisfaction,
        visit_satisfaction=np.where(session_over, np.float32(0.0), visit_satisfaction),
    )
    end = End(
        ending=endings(purchased, content, clicked, satisfied, next_page, next_search),
        session_over=session_over,
        gone=session_over & ~returns,
        truncated=session_over & returns & ~in_time,
    )
    return next_state, outcome_of(world, state, key, seen, expected_of_shown(world, known, look), end)


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

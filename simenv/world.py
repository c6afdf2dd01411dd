"""The world: one causal story, told in eight steps as pure functions over columns.

`begin` makes shoppers, `observe` gives what a policy may see, `step` plays one page and returns the next state. A row
is one shopper playing its own sessions; rows never depend on each other. The Gymnasium environments, the simulation of
logs and the computation of truth all call these three functions and nothing else.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from simenv import asking, hashing, reacting, understanding
from simenv.behaviour import attraction, conversion, relevance, satisfying, style_match
from simenv.catalogue import F32, I32, I64, generate_catalogue
from simenv.clicks import Appeal
from simenv.columns import take
from simenv.errors import UserError
from simenv.language import QueryParts, load_lexicon, query_strings, recognised_terms
from simenv.params import IntentKind, Queries, WorldParams
from simenv.retrieval import retrieve
from simenv.shoppers import traits
from simenv.state import Bools, Draw, Outcome, Page, State, World, page_key, uniforms, visit_key

__all__ = [
    "Draw", "Outcome", "Page", "State", "World", "appeals", "attractions", "begin", "click_values", "expected_reward",
    "keep", "make_world", "observe", "policy_keys", "queries", "query_kinds", "query_parts", "slate_items", "step",
]  # fmt: skip

PRIOR_CLICKS = np.float32(3.0)  # clicks at the average that the public history starts from


def make_world(params: WorldParams) -> World:
    """Build the market that the parameters describe. Same parameters, same bytes.

    Raises:
        UserError: for shares that do not fit the locales or the kinds of intent, or a click model that does not fit the
            slots.
    """
    lexicon = load_lexicon()
    if len(params.shoppers.locale_share) != len(lexicon.locales):
        raise UserError(
            f"locale_share has {len(params.shoppers.locale_share)} entries; expected {len(lexicon.locales)}, one for "
            f"each of {', '.join(lexicon.locales)}."
        )
    _check_queries(params.queries)
    nothing = np.zeros((1, params.n_slots))
    params.click_model.click_probability(Appeal(nothing, nothing))  # says what is wrong before anything runs
    rank = np.arange(1, len(lexicon.categories) + 1)
    share = 0.3 / len(lexicon.categories) + 0.7 * (1.0 / rank) / (1.0 / rank).sum()
    return World(
        params=params,
        catalogue=generate_catalogue(params.n_items, params.n_brands, params.n_style, params.seed),
        lexicon=lexicon,
        category_edges=np.cumsum(share),
        other_meaning=understanding.other_meanings(lexicon),
        asking=asking.asking(params.queries),
    )


def begin(world: World, seed: int, shoppers: I64) -> State:
    """Step 1, arrive: the first visit of each shopper.

    Args:
        world: The market.
        seed: Luck; together with a shopper's id it names everything that will happen to them.
        shoppers: (N,) ids.
    """
    params = world.params
    key = hashing.absorb(hashing.stream(seed, "shopper"), shoppers)
    # A stream of their own: under `key` stand the visits, by number.
    own = hashing.absorb(hashing.stream(seed, "traits"), shoppers)
    who = traits(params.shoppers, params.seed, params.n_style, params.n_brands, own)
    n = len(shoppers)
    zeros = np.zeros(n, dtype=np.int32)
    first_day = hashing.integers(hashing.absorb(key, Draw.RETURN), np.maximum(1, params.shoppers.horizon_days // 4))
    return State(
        key=key,
        shopper=np.asarray(shoppers, dtype=np.int64),
        visit=zeros,
        day=first_day.astype(np.int32),
        search=zeros,
        page=zeros,
        step=zeros,
        traits=who,
        taste=who.taste,
        intent=_intent(world, key, zeros, who.favourite_brand),
        shown=np.zeros((n, params.n_candidates), dtype=bool),
        history=np.zeros((n, params.n_style + 1), dtype=np.float32),
        history_weight=np.zeros(n, dtype=np.float32),
        last_brand=np.full(n, -1, dtype=np.int32),
        satisfaction=np.full(n, 0.5, dtype=np.float32),
        visit_satisfaction=np.zeros(n, dtype=np.float32),
    )


def observe(world: World, state: State) -> Page:
    """Steps 2 and 3, ask and retrieve: the public page that a policy ranks."""
    parts = query_parts(world, state)
    terms = recognised_terms(world.lexicon, parts)
    candidates = retrieve(
        world.catalogue, understanding.understood(world, parts, terms), state.day, world.params.n_candidates
    )
    candidates[state.shown] = -1
    return Page(
        shopper=state.shopper,
        visit=state.visit,
        day=state.day,
        time=_time(state),
        search=state.search,
        page=state.page,
        locale=parts.locale.astype(np.int8),
        device=state.traits.device,
        query_terms=terms,
        candidates=candidates,
        history=state.history / (state.history_weight + PRIOR_CLICKS)[:, None],
        history_weight=state.history_weight,
        last_brand=state.last_brand,
    )


def query_parts(world: World, state: State) -> QueryParts:
    """What the shopper says of the intent, before it becomes a string; see `simenv.asking`."""
    return _asked(world, state).parts


def query_kinds(world: World, state: State) -> tuple[asking.I8, asking.I8]:
    """Hidden: the kind of intent and how the query departs from the one before.

    Returns:
        Two (N,) arrays of places in `simenv.asking.INTENT_KINDS` and `simenv.asking.REFORMULATIONS`.
    """
    return _intent_kind(world, state.key, state.visit), _asked(world, state).reformulation


def _asked(world: World, state: State) -> asking.Asked:
    return asking.ask(
        world.asking,
        world.lexicon,
        visit_key(state.key, state.visit, Draw.QUERY),
        _intent_kind(world, state.key, state.visit),
        state.intent,
        state.traits.locale.astype(np.int64),
        state.search,
    )


def queries(world: World, state: State) -> list[str]:
    """The query strings, made only when somebody reads them."""
    return query_strings(world.lexicon, world.catalogue.brands, query_parts(world, state))


def slate_items(page: Page, slate: npt.NDArray[np.integer]) -> I32:
    """Item ids of a slate of candidate positions, (N, K); -1 for an empty slot.

    A slot is empty where the position is out of range, is a hole, or repeats a position higher up.
    """
    n_candidates = page.candidates.shape[1]
    valid = (slate >= 0) & (slate < n_candidates)
    items = np.take_along_axis(page.candidates, np.where(valid, slate, 0).astype(np.int64), axis=1)
    items[~valid] = -1
    for k in range(1, slate.shape[1]):
        items[(slate[:, :k] == slate[:, k : k + 1]).any(axis=1), k] = -1
    return items


def attractions(world: World, state: State, items: I32) -> F32:
    """Hidden: the attraction of any items (N, M) to the shoppers of a state."""
    grade = relevance(world.catalogue, world.lexicon.department, state.intent, items)
    match = style_match(world.catalogue, state.taste, items)
    return attraction(world.params.attraction, world.catalogue, state.traits, match, grade, items)


def appeals(world: World, state: State, items: I32) -> Appeal:
    """Hidden: attraction and satisfaction of any items (N, M); what click models are told."""
    grade = relevance(world.catalogue, world.lexicon.department, state.intent, items)
    match = style_match(world.catalogue, state.taste, items)
    cart, _ = conversion(world.params.conversion, world.catalogue, match, grade, items)
    return Appeal(
        attraction(world.params.attraction, world.catalogue, state.traits, match, grade, items),
        satisfying(world.params.conversion, cart),
    )


def click_values(world: World, state: State, items: I32) -> npt.NDArray[np.float64]:
    """Hidden: the expected reward of a click on any items (N, M), in the world's unit of reward."""
    if world.params.reward == "clicks":
        return np.ones(items.shape)
    grade = relevance(world.catalogue, world.lexicon.department, state.intent, items)
    match = style_match(world.catalogue, state.taste, items)
    cart, buy = conversion(world.params.conversion, world.catalogue, match, grade, items)
    value = (cart * buy).astype(np.float64)
    return value * world.catalogue.price[np.maximum(items, 0)] if world.params.reward == "revenue" else value


def expected_reward(world: World, state: State, items: I32) -> npt.NDArray[np.float64]:
    """Hidden: exact expected reward per slot (N, K) of a slate of items, by the click model's closed form."""
    clicks = world.params.click_model.click_probability(appeals(world, state, items)).astype(np.float64)
    return clicks * click_values(world, state, items)


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
    params, catalogue = world.params, world.catalogue
    items = slate_items(page, slate)
    item = np.maximum(items, 0)
    grade = relevance(catalogue, world.lexicon.department, state.intent, items)

    # 5. Examine and click: examination is keyed by the slot, what happens to an item by the item.
    key = page_key(visit_key(state.key, state.visit, Draw.ATTRACT), state)
    match = style_match(catalogue, state.taste, items)
    cart, buy = conversion(params.conversion, catalogue, match, grade, items)
    appeal = Appeal(
        attraction(params.attraction, catalogue, state.traits, match, grade, items),
        satisfying(params.conversion, cart),
    )
    slots = np.arange(items.shape[1])
    examined, clicked = params.click_model.sample(
        appeal,
        uniforms(key, Draw.EXAMINE, slots[None, :]),
        uniforms(key, Draw.ATTRACT, items),
    )

    # 6. Convert: utility is not attraction.
    carted = clicked & (uniforms(key, Draw.CART, items) < cart)
    purchased = carted & (uniforms(key, Draw.BUY, items) < buy)
    revenue = np.where(purchased, catalogue.price[item], 0.0).astype(np.float64)
    probability = params.click_model.click_probability(appeal).astype(np.float64)
    if params.reward == "clicks":
        reward, expected = clicked.astype(np.float64), probability
    elif params.reward == "purchases":
        reward, expected = purchased.astype(np.float64), probability * cart * buy
    else:
        reward, expected = revenue, probability * cart * buy * catalogue.price[item]

    # 7. React: buy and leave, look at the next page, ask again in other words, or leave.
    satisfied = reacting.satisfaction_of(clicked, carted, purchased)
    visit_satisfaction = np.maximum(state.visit_satisfaction, satisfied)
    more = (page.candidates >= 0).sum(axis=1) > (items >= 0).sum(axis=1)
    next_page, next_search = reacting.react(world, state, key, satisfied, more)
    session_over = ~next_page & ~next_search

    # 8. Remember.
    taste, history, history_weight, last_brand = reacting.remember(world, state, item, clicked)
    satisfaction = np.where(
        session_over, reacting.running(world, state.satisfaction, visit_satisfaction), state.satisfaction
    )
    returns, gap = reacting.returning(world, state, satisfaction)
    next_day = state.day + gap
    in_time = next_day < params.shoppers.horizon_days
    visit = state.visit + session_over
    next_state = dataclasses.replace(
        state,
        visit=visit,
        day=np.where(session_over, next_day, state.day),
        search=np.where(session_over, 0, state.search + next_search),
        page=np.where(next_page, state.page + 1, 0).astype(np.int32),
        step=np.where(session_over, 0, state.step + 1).astype(np.int32),
        taste=taste,
        intent=_next_intent(world, state, visit, session_over),
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


def _check_queries(queries: Queries) -> None:
    for name in asking.INTENT_KINDS:
        kind: IntentKind = getattr(queries, name)
        chances = (kind.share, *kind.wants, kind.says_category, kind.says_brand, kind.says_attribute, *kind.adds)
        if not all(0.0 <= chance <= 1.0 for chance in chances):
            raise UserError(f"queries: {name} has a share or chance outside [0, 1]: {kind}.")
    if queries.navigational.share + queries.focused.share + queries.exploratory.share <= 0.0:
        raise UserError("queries: the shares of all three kinds of intent are 0; expected one above 0 at least.")


def _intent_kind(world: World, key: hashing.Keys, visit: I32) -> asking.I8:
    return asking.intent_kind(world.asking, hashing.absorb(visit_key(key, visit, Draw.INTENT), 9))


def _intent(world: World, key: hashing.Keys, visit: I32, favourite_brand: I32) -> I32:
    """What the visit is for: a favourite category or one that everybody looks for; maybe a brand and attributes."""
    params, n_categories = world.params, len(world.lexicon.categories)
    at = visit_key(key, visit, Draw.INTENT)
    u = hashing.uniform(hashing.absorb(at[:, None], np.arange(5)))
    favourite = hashing.integers(hashing.absorb(hashing.absorb(key, -1), (u[:, 1] * 3).astype(np.int64)), n_categories)
    popular = np.searchsorted(world.category_edges, u[:, 2] * world.category_edges[-1], side="right")
    category = np.where(u[:, 0] < 0.4, favourite, popular.clip(max=n_categories - 1)).astype(np.int32)
    # Brands are asked for as often as they have products, in the mean: few of them often, most of them rarely.
    any_brand = np.minimum(params.n_brands * u[:, 4] ** 1.5, params.n_brands - 1).astype(np.int32)
    brand = np.where((favourite_brand >= 0) & (u[:, 3] < 0.6), favourite_brand, any_brand)
    kind = _intent_kind(world, key, visit)
    return asking.intents(world.asking, world.lexicon, hashing.absorb(at, 10), kind, category, brand)


def _next_intent(world: World, state: State, visit: I32, session_over: Bools) -> I32:
    rows = np.flatnonzero(session_over)
    intent = state.intent.copy()
    intent[rows] = _intent(world, state.key[rows], visit[rows], state.traits.favourite_brand[rows])
    return intent


def _time(state: State) -> I32:
    """A visit starts between seven in the morning and eleven at night; a page takes a minute and a half."""
    u = hashing.uniform(hashing.absorb(visit_key(state.key, state.visit, Draw.INTENT), 8))
    return (3600.0 * (7.0 + 15.5 * u)).astype(np.int32) + 90 * state.step


def keep(state: State, rows: Bools) -> State:
    """The chosen rows of a state."""
    return take(state, rows)

"""The world: one causal story, told in eight steps as pure functions over columns.

`begin` makes shoppers, `observe` gives what a policy may see, `step` plays one page and returns the next state. A row
is one shopper playing its own sessions; rows never depend on each other. The Gymnasium environments, the simulation of
logs and the computation of truth all call these three functions and nothing else.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from simenv import asking, hashing
from simenv.behaviour import attraction, conversion, relevance, satisfying, style_match
from simenv.catalogue import F32, I32, I64, Catalogue, generate_catalogue
from simenv.clicks import Appeal
from simenv.columns import take
from simenv.errors import UserError
from simenv.language import Lexicon, QueryParts, load_lexicon, query_strings, recognised_terms
from simenv.language.queries import free_words
from simenv.language.words import BRAND, CATEGORY
from simenv.params import IntentKind, Queries, WorldParams
from simenv.retrieval import FUZZY_HIT, Understood, retrieve
from simenv.shoppers import Traits, traits

Bools = npt.NDArray[np.bool_]

MEMORY = np.float32(0.97)  # of the public history, per click
PRIOR_CLICKS = np.float32(3.0)  # clicks at the average that the public history starts from


class Draw(IntEnum):
    """The streams of one page, one visit or one search: the last word of every draw's name."""

    INTENT, QUERY, EXAMINE, ATTRACT, CART, BUY, REACT, RETURN, POLICY = range(9)


@dataclass(frozen=True)
class World:
    """A market: its parameters and what follows from them alone. Make it with `make_world`."""

    params: WorldParams
    catalogue: Catalogue
    lexicon: Lexicon
    category_edges: npt.NDArray[np.float64]  # (G,) cumulative share of each category among intents
    other_meaning: I32  # (L, G, V) the other category that a word variant of a category can mean; -1 for none
    asking: asking.Asking


@dataclass(frozen=True)
class State:
    """Where N shoppers are; hidden. Arrays (N,) unless said."""

    key: hashing.Keys  # the shopper's luck
    shopper: I64
    visit: I32
    day: I32
    search: I32  # queries asked before in this visit
    page: I32  # pages of this query seen before
    step: I32  # pages of this visit seen before
    traits: Traits
    taste: F32  # (N, D)
    intent: I32  # (N, 7) wanted category, brand, colour, size, material, audience, use; -1 any
    shown: Bools  # (N, C) candidates shown on earlier pages of this query
    history: F32  # (N, D + 1) discounted sum of clicked style and price level
    history_weight: F32
    last_brand: I32
    satisfaction: F32  # running, in [0, 1]
    visit_satisfaction: F32  # best of this visit

    def __len__(self) -> int:
        """Number of rows, N."""
        return len(self.shopper)


@dataclass(frozen=True)
class Page:
    """What a policy may see of one search; a row each. Arrays (N,) unless said.

    locale: of the shop as the query found it; where a country has two languages, that of the query.
    query_terms: (N, 7) int32, category, brand, colour, size, material, audience and use that a plain dictionary
        recognises in the query; -1 none.
    candidates: (N, C) int32 item ids in the engine's order; -1 is a hole.
    time: seconds since midnight. search, page: queries of this visit, pages of this query before this one.
    history: (N, D + 1) float32, discounted mean of style and price level of what the shopper clicked, drawn to 0 by
        three imaginary clicks. history_weight: discounted number of clicks. last_brand: last clicked, -1 none.
    """

    shopper: I64
    visit: I32
    day: I32
    time: I32
    search: I32
    page: I32
    locale: npt.NDArray[np.int8]
    device: npt.NDArray[np.int8]
    query_terms: I32
    candidates: I32
    history: F32
    history_weight: F32
    last_brand: I32

    def __len__(self) -> int:
        """Number of rows, N."""
        return len(self.shopper)


@dataclass(frozen=True)
class Outcome:
    """What happened on a page. (N, K) unless said; `expected` and `examined` are hidden truth.

    reward: float64, what the world counts, per slot. expected: its exact expectation given the slate.
    items: int32 shown item ids, -1 for an empty slot. revenue: float64 euros.
    session_over: (N,) the visit ends here. gone: (N,) the shopper will not come back. truncated: (N,) the shopper would
    have come back after the horizon.
    """

    items: I32
    examined: Bools
    clicked: Bools
    carted: Bools
    purchased: Bools
    revenue: npt.NDArray[np.float64]
    reward: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]
    session_over: Bools
    gone: Bools
    truncated: Bools


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
        other_meaning=_other_meanings(lexicon),
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
    candidates = retrieve(world.catalogue, _understood(world, parts, terms), state.day, world.params.n_candidates)
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
        _visit_key(state.key, state.visit, Draw.QUERY),
        _intent_kind(world, state.key, state.visit),
        state.intent,
        state.traits.locale.astype(np.int64),
        state.search,
    )


def _understood(world: World, parts: QueryParts, terms: I32) -> Understood:
    """What the engine reads in the letters of the queries: both meanings of a word, and misspelt words at a guess."""
    meant = parts.terms[:, CATEGORY]
    said, wrong = meant >= 0, parts.misspelt[:, CATEGORY]
    category = np.maximum(meant, 0)
    related = world.lexicon.related
    by_word = hashing.stream(world.catalogue.seed, "confused")
    u = hashing.uniform(hashing.absorb(parts.key, 50))
    nearby = related[category, hashing.integers(hashing.absorb(parts.key, 51), related.shape[1])]
    by_letters = np.where(u < FUZZY_HIT, category, nearby)
    primary = np.where(said, np.where(wrong, by_letters, terms[:, CATEGORY]), -1)
    other = world.other_meaning[parts.locale, category, parts.category_variant]
    word_key = hashing.absorb(hashing.absorb(by_word, primary), parts.locale)
    confused = related[np.maximum(primary, 0), hashing.integers(word_key, related.shape[1])]
    secondary = np.where(said, np.where((other >= 0) & ~wrong, other, confused), -1)
    brand = np.where(parts.misspelt[:, BRAND], parts.terms[:, BRAND], terms[:, BRAND])
    nothing = np.zeros(len(said), dtype=bool)
    rows = np.flatnonzero(~said)
    rows = rows[(terms[rows] < 0).all(axis=1)]
    nothing[rows] = _finds_nothing(world, take(parts, rows))
    return Understood(primary.astype(np.int32), secondary.astype(np.int32), brand.astype(np.int32), nothing)


def _finds_nothing(world: World, parts: QueryParts) -> Bools:
    """Whether the engine gives up on queries of which it knows no word; by what was typed, so alike for all."""
    misspelt = parts.misspelt[:, BRAND]
    letters = hashing.absorb(hashing.stream(world.catalogue.seed, "nothing found"), parts.locale)
    for words in free_words(world.lexicon, parts).T:
        letters = hashing.absorb(letters, words)
    u = hashing.uniform(hashing.absorb(np.where(misspelt, parts.key, letters), 52))
    return (misspelt | parts.free.any(axis=1)) & (u < world.params.queries.nothing_found)


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
    return _page_key(_visit_key(key, state.visit, Draw.POLICY), state)


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
    key = _page_key(_visit_key(state.key, state.visit, Draw.ATTRACT), state)
    match = style_match(catalogue, state.taste, items)
    cart, buy = conversion(params.conversion, catalogue, match, grade, items)
    appeal = Appeal(
        attraction(params.attraction, catalogue, state.traits, match, grade, items),
        satisfying(params.conversion, cart),
    )
    slots = np.arange(items.shape[1])
    examined, clicked = params.click_model.sample(
        appeal,
        _uniforms(key, Draw.EXAMINE, slots[None, :]),
        _uniforms(key, Draw.ATTRACT, items),
    )

    # 6. Convert: utility is not attraction.
    carted = clicked & (_uniforms(key, Draw.CART, items) < cart)
    purchased = carted & (_uniforms(key, Draw.BUY, items) < buy)
    revenue = np.where(purchased, catalogue.price[item], 0.0).astype(np.float64)
    probability = params.click_model.click_probability(appeal).astype(np.float64)
    if params.reward == "clicks":
        reward, expected = clicked.astype(np.float64), probability
    elif params.reward == "purchases":
        reward, expected = purchased.astype(np.float64), probability * cart * buy
    else:
        reward, expected = revenue, probability * cart * buy * catalogue.price[item]

    # 7. React: buy and leave, look at the next page, ask again in other words, or leave.
    satisfied = _satisfaction(clicked, carted, purchased)
    visit_satisfaction = np.maximum(state.visit_satisfaction, satisfied)
    more = (page.candidates >= 0).sum(axis=1) > (items >= 0).sum(axis=1)
    next_page, next_search = _react(world, state, key, satisfied, more)
    session_over = ~next_page & ~next_search

    # 8. Remember.
    taste, history, history_weight, last_brand = _remember(world, state, item, clicked)
    satisfaction = np.where(session_over, _running(world, state.satisfaction, visit_satisfaction), state.satisfaction)
    returns, gap = _return(world, state, satisfaction)
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
        shown=_shown(state, next_page, items, slate),
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


def _other_meanings(lexicon: Lexicon) -> I32:
    """Which other category each word means, from words that stand under two categories of one locale."""
    other = np.full(lexicon.word_recognised.shape, -1, dtype=np.int32)
    for locale, language in enumerate(lexicon.languages):
        means: dict[str, list[int]] = {}
        for category, words in enumerate(language.words):
            for word in set(words):
                means.setdefault(word, []).append(category)
        for category, words in enumerate(language.words):
            for variant, word in enumerate(words):
                others = [each for each in means[word] if each != category]
                if others:
                    # Read as the dictionary's guess first, the second reading is the one that it did not guess.
                    guessed = lexicon.word_recognised[locale, category, variant]
                    other[locale, category, variant] = others[0] if guessed == category else category
    return other


def _visit_key(key: hashing.Keys, visit: I32, draw: Draw) -> hashing.Keys:
    return hashing.absorb(hashing.absorb(key, visit), draw)


def _page_key(key: hashing.Keys, state: State) -> hashing.Keys:
    return hashing.absorb(hashing.absorb(key, state.search), state.page)


def _uniforms(key: hashing.Keys, draw: Draw, names: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    return hashing.uniform(hashing.absorb(hashing.absorb(key, draw)[:, None], names))


def _intent_kind(world: World, key: hashing.Keys, visit: I32) -> asking.I8:
    return asking.intent_kind(world.asking, hashing.absorb(_visit_key(key, visit, Draw.INTENT), 9))


def _intent(world: World, key: hashing.Keys, visit: I32, favourite_brand: I32) -> I32:
    """What the visit is for: a favourite category or one that everybody looks for; maybe a brand and attributes."""
    params, n_categories = world.params, len(world.lexicon.categories)
    at = _visit_key(key, visit, Draw.INTENT)
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
    u = hashing.uniform(hashing.absorb(_visit_key(state.key, state.visit, Draw.INTENT), 8))
    return (3600.0 * (7.0 + 15.5 * u)).astype(np.int32) + 90 * state.step


def _satisfaction(clicked: Bools, carted: Bools, purchased: Bools) -> F32:
    """1 for a purchase, 0.6 for a cart, 0.3 for a click."""
    return np.where(
        purchased.any(axis=1), 1.0, np.where(carted.any(axis=1), 0.6, np.where(clicked.any(axis=1), 0.3, 0.0))
    ).astype(np.float32)


def _react(world: World, state: State, key: hashing.Keys, satisfied: F32, more: Bools) -> tuple[Bools, Bools]:
    """Who looks at the next page where there are `more` candidates, and who asks again. Nobody after a purchase."""
    dynamics = world.params.dynamics
    u = hashing.uniform(hashing.absorb(hashing.absorb(key, Draw.REACT)[:, None], np.arange(2)))
    restless = state.traits.patience * (1.0 - satisfied)
    next_page = more & (state.page + 1 < world.params.max_pages) & (u[:, 0] < dynamics.page_down * restless)
    next_search = ~next_page & (state.search + 1 < dynamics.max_searches) & (u[:, 1] < dynamics.reformulate * restless)
    return next_page, next_search


def _remember(world: World, state: State, item: I32, clicked: Bools) -> tuple[F32, F32, F32, I32]:
    """Taste drifts toward what was clicked; the shop remembers style, price and brand of the clicks."""
    catalogue = world.catalogue
    count = clicked.sum(axis=1).astype(np.float32)
    weight = clicked.astype(np.float32)[:, None, :]  # (N, 1, K)
    style = np.matmul(weight, catalogue.style[item])[:, 0]  # (N, D)
    price = (weight[:, 0] * catalogue.price_z[item]).sum(axis=1)
    rate = np.float32(world.params.dynamics.taste_drift)
    taste = state.taste + rate * (style - count[:, None] * state.taste)
    fade = MEMORY**count
    history = state.history * fade[:, None] + np.concatenate([style, price[:, None]], axis=1)
    last = item.shape[1] - 1 - np.argmax(clicked[:, ::-1], axis=1)
    brand = catalogue.brand[np.take_along_axis(item, last[:, None], axis=1)[:, 0]]
    return taste, history, state.history_weight * fade + count, np.where(count > 0, brand, state.last_brand)


def _shown(state: State, next_page: Bools, items: I32, slate: npt.NDArray[np.integer]) -> Bools:
    """Candidates that the next page of the same query leaves out; none where the next page is of another query."""
    shown = np.zeros_like(state.shown)
    rows = np.flatnonzero(next_page)
    shown[rows] = state.shown[rows]
    row, slot = np.nonzero(items[rows] >= 0)
    shown[rows[row], slate[rows[row], slot]] = True
    return shown


def _running(world: World, before: F32, visit: F32) -> F32:
    memory = np.float32(world.params.dynamics.satisfaction_memory)
    return memory * before + (np.float32(1.0) - memory) * visit


def _return(world: World, state: State, satisfaction: F32) -> tuple[Bools, I32]:
    """Whether the shopper comes back after this visit, and after how many days (at least one)."""
    dynamics = world.params.dynamics
    key = _visit_key(state.key, state.visit, Draw.RETURN)
    returns = hashing.uniform(hashing.absorb(key, 0)) < dynamics.return_base + dynamics.return_gain * satisfaction
    # A geometric gap has mean 1 / p; gaps start at one day.
    p = 1.0 / np.maximum(state.traits.gap_days.astype(np.float64), 1.0 + 1e-9)
    gap = 1.0 + np.floor(np.log(hashing.uniform_open(hashing.absorb(key, 1))) / np.log1p(-p))
    return returns, gap.astype(np.int32)


def keep(state: State, rows: Bools) -> State:
    """The chosen rows of a state."""
    return take(state, rows)

"""Steps 5 to 8 of one row: twins of `world.step` and `simenv.reacting`, in two kernels.

`show_page` says what the slate is to the shopper and draws the clicks of position-based shoppers. Any other click model
is asked between the two, in numpy. `turn_page` sells, reacts and remembers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simenv.abandonment import Ending
from simenv.catalogue import F32, I32, I64
from simenv.compiled.asking import write_intent
from simenv.compiled.hashing import U64, Int, Single, absorb, entry, inlined, uniform, uniform_open, visit_key, woven
from simenv.compiled.tables import F64, REWARDS, Bools, Here, Tables
from simenv.compiled.worth import (
    attraction_of,
    buy_of,
    cart_of,
    click_value_of,
    match_of,
    relevance_of,
    satisfying_of,
)
from simenv.reacting import MEMORY
from simenv.state import Draw

_EXAMINE, _ATTRACT, _CART, _BUY, _REACT, _RETURN = (
    int(draw) for draw in (Draw.EXAMINE, Draw.ATTRACT, Draw.CART, Draw.BUY, Draw.REACT, Draw.RETURN)
)
_ENDED_BOUGHT, _ENDED_SATISFIED, _, _ENDED_BAD, _ENDED_NEXT_PAGE, _ENDED_ASKED_AGAIN, _ENDED_LEFT = map(int, Ending)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_BOUGHT, _CARTED, _CLICKED, _NOTHING = (np.float32(each) for each in (1.0, 0.6, 0.3, 0.0))
_CLICKS, _PURCHASES = REWARDS.index("clicks"), REWARDS.index("purchases")


class Shown(NamedTuple):
    """What a page is to the shoppers, (N, K) each; hidden. The last three columns are for click models in numpy.

    relevance, match: of the items. click: probability of a click at the slot given the slate.
    """

    items: I32
    relevance: F32
    match: F32
    attraction: F32
    examined: Bools
    clicked: Bools
    satisfied: Bools
    click: F64
    satisfaction: F32
    u_examine: F64
    u_item: F64


class After(NamedTuple):
    """What the page brought: columns of an `Outcome`, then those of the next `State`; all to be filled."""

    carted: Bools
    purchased: Bools
    revenue: F64
    reward: F64
    expected: F64
    ending: npt.NDArray[np.int8]
    session_over: Bools
    gone: Bools
    truncated: Bools
    visit: I32
    day: I32
    search: I32
    page: I32
    step: I32
    taste: F32
    intent: I32
    shown: Bools
    history: F32
    history_weight: F32
    last_brand: I32
    satisfaction: F32
    visit_satisfaction: F32


@entry
def show_page(tables: Tables, here: Here, candidates: I32, slate: I64, shown: Shown) -> None:
    """Twin of the first half of `world.step`: items, worth and the draws of clicks."""
    is_position_based = len(tables.examination) > 0
    for i in range(len(here.key)):
        key = page_key(here, i)
        examine, attract = absorb(key, _EXAMINE), absorb(key, _ATTRACT)
        for k in range(slate.shape[1]):
            item = item_of(candidates, slate, i, k)
            at = max(item, 0)
            grade = relevance_of(tables, here, i, at) if item >= 0 else _ZERO
            match = match_of(tables, here, i, at)
            attraction = attraction_of(tables, here, i, at, grade, match) if item >= 0 else _ZERO
            shown.items[i, k], shown.relevance[i, k], shown.match[i, k] = item, grade, match
            if is_position_based:
                examined = uniform(absorb(examine, k)) < tables.examination[k]
                shown.examined[i, k] = examined
                shown.clicked[i, k] = examined and uniform(absorb(attract, item)) < attraction
                shown.click[i, k] = np.float64(attraction * tables.examination[k])
            else:
                shown.attraction[i, k] = attraction
                shown.satisfaction[i, k] = satisfying_of(tables, cart_of(tables, at, grade, match))
                shown.u_examine[i, k] = uniform(absorb(examine, k))
                shown.u_item[i, k] = uniform(absorb(attract, item))


@woven
def page_key(here: Here, i: int) -> U64:
    """Twin of `state.page_key` of the stream of a visit's pages."""
    key = visit_key(here.key[i], here.visit[i], _ATTRACT)
    return absorb(absorb(key, here.search[i]), here.page[i])


@woven
def item_of(candidates: I32, slate: I64, i: int, k: int) -> Int:
    """Twin of `worth.slate_items`: -1 where the position is out of range, a hole, or repeats one higher up."""
    position = slate[i, k]
    if position < 0 or position >= candidates.shape[1]:
        return -1
    for above in range(k):
        if slate[i, above] == position:
            return -1
    return np.int64(candidates[i, position])


@entry
def turn_page(tables: Tables, here: Here, candidates: I32, slate: I64, shown: Shown, after: After) -> None:
    """Twin of the second half of `world.step`: sales, the reaction, and what is remembered."""
    for i in range(len(here.key)):
        key = page_key(here, i)
        satisfied = sell(tables, key, shown, after, i)
        best = max(here.visit_satisfaction[i], satisfied)
        next_page, next_search = react(tables, here, key, satisfied, has_more(candidates, shown.items, i), i)
        remember(tables, here, shown, after, i)
        mark_shown(here, next_page, slate, shown.items, after.shown, i)
        session_over = not next_page and not next_search
        after.session_over[i] = session_over
        after.ending[i] = ending_of(shown, after, next_page, next_search, i)
        if session_over:
            leave(tables, here, best, after, i)
        else:
            stay(here, next_page, best, after, i)


@woven
def sell(tables: Tables, key: U64, shown: Shown, after: After, i: int) -> Single:
    """Step 6 and `reacting.satisfaction_of`: carts, purchases, reward and its expectation; how satisfied that makes."""
    satisfied, counts = _NOTHING, tables.numbers[0].reward
    cart_key, buy_key = absorb(key, _CART), absorb(key, _BUY)
    for k in range(shown.items.shape[1]):
        item, clicked = int(shown.items[i, k]), shown.clicked[i, k]
        at, grade, match = max(item, 0), shown.relevance[i, k], shown.match[i, k]
        carted = clicked and uniform(absorb(cart_key, item)) < cart_of(tables, at, grade, match)
        purchased = carted and uniform(absorb(buy_key, item)) < buy_of(tables, at)
        revenue = np.float64(tables.items[at].price) if purchased else 0.0
        after.carted[i, k], after.purchased[i, k], after.revenue[i, k] = carted, purchased, revenue
        if counts == _CLICKS:
            after.reward[i, k] = 1.0 if clicked else 0.0
        elif counts == _PURCHASES:
            after.reward[i, k] = 1.0 if purchased else 0.0
        else:
            after.reward[i, k] = revenue
        after.expected[i, k] = shown.click[i, k] * click_value_of(tables, at, grade, match)
        if clicked:
            content = purchased or shown.satisfied[i, k]
            satisfied = max(satisfied, _BOUGHT if content else (_CARTED if carted else _CLICKED))
    return satisfied


@woven
def ending_of(shown: Shown, after: After, next_page: bool, next_search: bool, i: int) -> Int:
    """Twin of `abandonment.endings`."""
    clicked = satisfied = purchased = False
    for k in range(shown.clicked.shape[1]):
        clicked |= shown.clicked[i, k]
        satisfied |= shown.satisfied[i, k]
        purchased |= after.purchased[i, k]
    if purchased:
        return _ENDED_BOUGHT
    if satisfied:
        return _ENDED_SATISFIED
    if next_page:
        return _ENDED_NEXT_PAGE
    if next_search:
        return _ENDED_ASKED_AGAIN
    return _ENDED_LEFT if clicked else _ENDED_BAD


@woven
def has_more(candidates: I32, items: I32, i: int) -> bool:
    """Whether there are more candidates than the page shows."""
    n = 0
    for c in range(candidates.shape[1]):
        n += candidates[i, c] >= 0
    for k in range(items.shape[1]):
        n -= items[i, k] >= 0
    return n > 0


@woven
def react(tables: Tables, here: Here, key: U64, satisfied: Single, more: bool, i: int) -> tuple[bool, bool]:
    """Twin of `reacting.react`."""
    n, at = tables.numbers[0], absorb(key, _REACT)
    restless = here.patience[i] * (_ONE - satisfied)
    next_page = more and here.page[i] + 1 < n.max_pages and uniform(absorb(at, 0)) < n.page_down * restless
    next_search = here.search[i] + 1 < n.max_searches and uniform(absorb(at, 1)) < n.reformulate * restless
    return next_page, next_search and not next_page


@woven
def remember(tables: Tables, here: Here, shown: Shown, after: After, i: int) -> None:
    """Twin of `reacting.remember`."""
    n_style = here.taste.shape[1]
    count, brand, price = _ZERO, here.last_brand[i], _ZERO
    for d in range(n_style + 1):
        after.history[i, d] = _ZERO  # first the sum over the clicks
    for k in range(shown.items.shape[1]):
        if shown.clicked[i, k]:
            item = max(shown.items[i, k], 0)
            count += _ONE
            brand = tables.items[item].brand
            price += tables.items[item].price_z
            for d in range(n_style):
                after.history[i, d] += tables.style[item, d]
    after.last_brand[i] = brand
    rate, fade = tables.numbers[0].taste_drift, MEMORY**count if count > _ZERO else _ONE
    for d in range(n_style):
        style, taste = after.history[i, d], here.taste[i, d]
        after.taste[i, d] = taste + rate * (style - count * taste)
        after.history[i, d] = here.history[i, d] * fade + style
    after.history[i, n_style] = here.history[i, n_style] * fade + price
    after.history_weight[i] = here.history_weight[i] * fade + count


@woven
def mark_shown(here: Here, next_page: bool, slate: I64, items: I32, marked: Bools, i: int) -> None:
    """Twin of `reacting.shown_after`."""
    for c in range(marked.shape[1]):
        marked[i, c] = next_page and here.shown[i, c]
    if next_page:
        for k in range(items.shape[1]):
            if items[i, k] >= 0:
                marked[i, slate[i, k]] = True


@woven
def leave(tables: Tables, here: Here, best: Single, after: After, i: int) -> None:
    """The visit ends: twin of `reacting.running`, `reacting.returning` and `world._next_intent`."""
    n = tables.numbers[0]
    satisfaction = n.satisfaction_memory * here.satisfaction[i] + (_ONE - n.satisfaction_memory) * best
    key = visit_key(here.key[i], here.visit[i], _RETURN)
    returns = uniform(absorb(key, 0)) < n.return_base + n.return_gain * satisfaction
    day = here.day[i] + gap_of(here.gap_days[i], uniform_open(absorb(key, 1)))
    after.gone[i] = not returns
    after.truncated[i] = returns and day >= n.horizon_days
    after.visit[i], after.day[i] = here.visit[i] + 1, day
    after.search[i] = after.page[i] = after.step[i] = 0
    after.satisfaction[i], after.visit_satisfaction[i] = satisfaction, _ZERO
    write_intent(tables, here.key[i], here.visit[i] + 1, here.favourite_brand[i], after.intent, i)


@inlined
def gap_of(mean: Single, u: float) -> Int:
    """Twin of `reacting.returning`, second half: days until the next visit."""
    p = 1.0 / max(np.float64(mean), 1.0 + 1e-9)
    return np.int32(1.0 + math.floor(math.log(u) / math.log1p(-p)))


@woven
def stay(here: Here, next_page: bool, best: Single, after: After, i: int) -> None:
    """The visit goes on, with the next page or the next query."""
    after.gone[i] = after.truncated[i] = False
    after.visit[i], after.day[i] = here.visit[i], here.day[i]
    after.search[i] = here.search[i] if next_page else here.search[i] + 1
    after.page[i] = here.page[i] + 1 if next_page else 0
    after.step[i] = here.step[i] + 1
    after.satisfaction[i], after.visit_satisfaction[i] = here.satisfaction[i], best
    for term in range(here.intent.shape[1]):
        after.intent[i, term] = here.intent[i, term]

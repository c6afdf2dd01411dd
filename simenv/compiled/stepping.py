"""Steps 5 to 8 of one row: twins of `world.step` and `simenv.reacting`, in two kernels.

`show_page` says what the slate is to the shopper and draws the clicks of position-based shoppers. Any other click model
is asked between the two, in numpy. `turn_page` sells, reacts and remembers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simenv.catalogue import I32, I64
from simenv.compiled.aftermath import abandon, deal, ending_of, look_long, sell
from simenv.compiled.asking import write_intent
from simenv.compiled.hashing import U64, Int, Single, absorb, entry, inlined, uniform, uniform_open, visit_key, woven
from simenv.compiled.mind import change_mind, fade, impress
from simenv.compiled.shown import After, Shown
from simenv.compiled.tables import Bools, Here, Tables
from simenv.compiled.worth import attraction_of, cart_of, match_of, price_z_of, relevance_of, satisfying_of, write_taste
from simenv.reacting import MEMORY
from simenv.state import Draw

_EXAMINE, _ATTRACT, _REACT, _RETURN = (int(draw) for draw in (Draw.EXAMINE, Draw.ATTRACT, Draw.REACT, Draw.RETURN))
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class Shelf(NamedTuple):
    """What a page offers: the candidates (N, C) and what the house shows (N, H)."""

    candidates: I32
    house: I32


@entry
def show_page(tables: Tables, here: Here, page: Shelf, slate: I64, shown: Shown) -> None:
    """Twin of the first half of `world.step`: items, worth and the draws of clicks."""
    for i in range(len(here.key)):
        key = page_key(here, i)
        examine, attract = absorb(key, _EXAMINE), absorb(key, _ATTRACT)
        n_filled = lay_out(tables, page, slate, examine, shown, i)
        write_taste(tables, here, shown.taste, i)
        for at in range(n_filled):
            appraise(tables, here, attract, shown, i, shown.chosen[at])


@woven
def lay_out(tables: Tables, page: Shelf, slate: I64, examine: U64, shown: Shown, i: int) -> Int:
    """Put the items on the page, draw who looks where, and list in `chosen` the places that hold one; how many."""
    is_position_based, n = len(tables.examination) > 0, 0
    item: Int
    for k in range(shown.items.shape[1]):
        place = tables.places[k]
        item = item_of(page.candidates, slate, i, place) if place >= 0 else np.int64(page.house[i, -1 - place])
        shown.items[i, k] = item
        shown.relevance[i, k] = shown.match[i, k] = _ZERO
        u = uniform(absorb(examine, k))
        if is_position_based:
            shown.examined[i, k] = u < tables.examination[k]
            shown.clicked[i, k], shown.click[i, k] = False, 0.0
        else:
            shown.attraction[i, k] = shown.satisfaction[i, k] = _ZERO
            shown.u_examine[i, k], shown.u_item[i, k] = u, 0.5
        shown.chosen[n] = k  # without a branch, which nobody could predict
        n += item >= 0
    return n


@woven
def appraise(tables: Tables, here: Here, attract: U64, shown: Shown, i: int, k: Int) -> None:
    """What the item at a place is to the shopper, and the draw of its click."""
    item = int(shown.items[i, k])
    grade, match = relevance_of(tables, here, i, item), match_of(tables, shown.taste, item)
    attraction, u = attraction_of(tables, here, i, item, grade, match), uniform(absorb(attract, item))
    shown.relevance[i, k], shown.match[i, k] = grade, match
    if len(tables.examination) > 0:
        shown.clicked[i, k] = shown.examined[i, k] & (u < attraction)
        shown.click[i, k] = np.float64(attraction * tables.examination[k])
    else:
        shown.attraction[i, k] = attraction
        shown.satisfaction[i, k] = satisfying_of(tables, cart_of(tables, here, i, item, grade, match))
        shown.u_item[i, k] = u


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
def turn_page(tables: Tables, here: Here, page: Shelf, slate: I64, shown: Shown, after: After) -> None:
    """Twin of the second half of `world.step`: sales, the reaction, and what is remembered."""
    for i in range(len(here.key)):
        key, n_clicks = page_key(here, i), list_clicks(shown, i)
        satisfied = sell(tables, here, key, shown, after, n_clicks, i)
        look_long(tables, here, key, shown, after, n_clicks, i)
        content, gives_up = abandon(tables, here, key, shown, n_clicks, i)
        satisfied = _ONE if content else satisfied
        best = max(here.visit_satisfaction[i], satisfied)
        next_page, next_search = False, False
        if not gives_up:
            next_page, next_search = react(tables, here, key, satisfied, page.candidates, shown.items, i)
        remember(tables, here, shown, after, n_clicks, i)
        recall(here, shown, after, i)
        change_mind(tables, here, key, shown, after, n_clicks, i)
        after.ending[i] = ending_of(shown, n_clicks, content, (next_page, next_search), i)
        deal(tables, shown, after, n_clicks, i)
        impress(tables, shown, after.taste, i)
        mark_shown(tables, here, next_page, slate, (shown.items, after.shown), i)
        session_over = not next_page and not next_search
        after.session_over[i] = session_over
        if session_over:
            leave(tables, here, best, after, i)
        else:
            stay(here, next_page, best, after, i)


@woven
def list_clicks(shown: Shown, i: int) -> Int:
    """List in `chosen` the places that were clicked; how many. Most pages have none, and are soon done."""
    n = 0
    for k in range(shown.items.shape[1]):
        shown.chosen[n] = k
        n += shown.clicked[i, k]
    return n


@woven
def react(
    tables: Tables, here: Here, key: U64, satisfied: Single, candidates: I32, items: I32, i: int
) -> tuple[bool, bool]:
    """Twin of `reacting.react`."""
    n, at = tables.numbers[0], absorb(key, _REACT)
    restless = here.patience[i] * (_ONE - satisfied)
    next_page = here.page[i] + 1 < n.max_pages and uniform(absorb(at, 0)) < n.page_down * restless
    next_page = next_page and has_more(tables, candidates, items, i)
    next_search = here.search[i] + 1 < n.max_searches and uniform(absorb(at, 1)) < n.reformulate * restless
    return next_page, next_search and not next_page


@woven
def has_more(tables: Tables, candidates: I32, items: I32, i: int) -> bool:
    """Whether there are more candidates than the page shows."""
    n = 0
    for c in range(candidates.shape[1]):
        n += candidates[i, c] >= 0
    for slot in range(len(tables.slots)):
        n -= items[i, tables.slots[slot]] >= 0
    return n > 0


@woven
def remember(tables: Tables, here: Here, shown: Shown, after: After, n_clicks: Int, i: int) -> None:
    """Twin of `reacting.remember`."""
    n_style = here.taste.shape[1]
    count, brand, price = np.float32(n_clicks), here.last_brand[i], _ZERO
    if n_clicks == 0:  # most pages; nothing is added
        for d in range(n_style):
            after.taste[i, d] = here.taste[i, d]
        for d in range(n_style + 1):
            after.history[i, d] = here.history[i, d]
        after.history_weight[i], after.last_brand[i] = here.history_weight[i], brand
        return
    for d in range(n_style + 1):
        after.history[i, d] = _ZERO  # first the sum over the clicks
    for click in range(n_clicks):
        item = max(shown.items[i, shown.chosen[click]], 0)
        brand = tables.items[item].brand
        price += price_z_of(tables, item, here.day[i])
        for d in range(n_style):
            after.history[i, d] += tables.style[item, d]
    after.last_brand[i] = brand
    rate, fade = tables.numbers[0].taste_drift, MEMORY**count
    for d in range(n_style):
        style, taste = after.history[i, d], here.taste[i, d]
        after.taste[i, d] = taste + rate * (style - count * taste)
        after.history[i, d] = here.history[i, d] * fade + style
    after.history[i, n_style] = here.history[i, n_style] * fade + price
    after.history_weight[i] = here.history_weight[i] * fade + count


@woven
def recall(here: Here, shown: Shown, after: After, i: int) -> None:
    """Twin of `recent.after_clicks`: of the columns as they were before the page, only rows with clicks change."""
    length, n_clicks, place = after.recent_item.shape[1], 0, 0
    for k in range(shown.items.shape[1]):
        n_clicks += shown.clicked[i, k]
    if n_clicks == 0:
        return
    n_before = 0
    while n_before < length - n_clicks and after.recent_day[i, n_before] >= 0:
        n_before += 1
    for before in range(n_before - 1, -1, -1):
        after.recent_item[i, before + n_clicks] = after.recent_item[i, before]
        after.recent_bought[i, before + n_clicks] = after.recent_bought[i, before]
        after.recent_day[i, before + n_clicks] = after.recent_day[i, before]
    for k in range(shown.items.shape[1] - 1, -1, -1):
        if shown.clicked[i, k] and place < length:
            after.recent_item[i, place] = shown.items[i, k]
            after.recent_bought[i, place] = shown.purchased[i, k]
            after.recent_day[i, place] = here.day[i]
            place += 1


@woven
def mark_shown(tables: Tables, here: Here, next_page: bool, slate: I64, marks: tuple[I32, Bools], i: int) -> None:
    """Twin of `reacting.shown_after`: of the items on the page, mark the candidates."""
    items, marked = marks
    if not next_page:
        for c in range(marked.shape[1]):
            marked[i, c] = False
        return
    for c in range(marked.shape[1]):
        marked[i, c] = here.shown[i, c]
    for slot in range(len(tables.slots)):
        if items[i, tables.slots[slot]] >= 0:
            marked[i, slate[i, slot]] = True


@woven
def leave(tables: Tables, here: Here, best: Single, after: After, i: int) -> None:
    """The visit ends: twin of `reacting.running`, `reacting.returning` and `world._next_intent`."""
    n = tables.numbers[0]
    satisfaction = n.satisfaction_memory * here.satisfaction[i] + (_ONE - n.satisfaction_memory) * best
    key = visit_key(here.key[i], here.visit[i], _RETURN)
    trusting = n.trust_return_gain * (after.trust[i] - n.trust_start)
    returns = uniform(absorb(key, 0)) < n.return_base + n.return_gain * satisfaction + trusting
    day = here.day[i] + gap_of(here.gap_days[i], uniform_open(absorb(key, 1)))
    after.gone[i] = not returns
    after.truncated[i] = returns and day >= n.horizon_days
    after.visit[i], after.day[i] = here.visit[i] + 1, day
    after.search[i] = after.page[i] = after.step[i] = 0
    after.satisfaction[i], after.visit_satisfaction[i] = satisfaction, _ZERO
    fade(tables, after, day - here.day[i], i)
    coming = here.visit[i] + 1, day, after.favourite_brand[i]
    write_intent(tables, here.key[i], coming, after.satiation, after.intent, i)


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

"""What comes of the clicks of one row: twins of `world.step`'s sales, `simenv.postclick` and `simenv.abandonment`."""

from __future__ import annotations

import math

import numpy as np

from simenv.abandonment import Ending
from simenv.compiled.hashing import U64, Int, Single, absorb, normal, uniform, woven
from simenv.compiled.numbers import REWARDS
from simenv.compiled.shown import After, Shown
from simenv.compiled.tables import Here, Tables
from simenv.compiled.worth import back_of, buy_of, cart_of, click_value_of, price_of, price_z_of
from simenv.house import WEEK
from simenv.state import Draw

_CART, _BUY, _DWELL, _SEND_BACK, _ABANDON = (
    int(draw) for draw in (Draw.CART, Draw.BUY, Draw.DWELL, Draw.SEND_BACK, Draw.ABANDON)
)
_BOUGHT, _SATISFIED, _GOOD, _BAD, _NEXT_PAGE, _ASKED_AGAIN, _LEFT = (int(ending) for ending in Ending)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_PLEASED_BY_CART, _PLEASED_BY_CLICK = np.float32(0.6), np.float32(0.3)
_CLICKS, _PURCHASES, _NET_REVENUE = (REWARDS.index(each) for each in ("clicks", "purchases", "net revenue"))


@woven
def sell(tables: Tables, here: Here, key: U64, shown: Shown, after: After, n_clicks: Int, i: int) -> Single:
    """Step 6 and `reacting.satisfaction_of`: carts, purchases, and what they count; how satisfied that makes."""
    pleased, counts, day = _ZERO, tables.numbers[0].reward, here.day[i]
    cart_key, buy_key = absorb(key, _CART), absorb(key, _BUY)
    for slot in range(len(tables.slots)):
        k = tables.slots[slot]
        value = 1.0
        if counts != _CLICKS:
            at = max(shown.items[i, k], 0)
            value = click_value_of(tables, here, i, at, shown.relevance[i, k], shown.match[i, k])
        after.expected[i, slot] = shown.click[i, k] * value
    for click in range(n_clicks):
        k = shown.chosen[click]
        item, grade, match = int(shown.items[i, k]), shown.relevance[i, k], shown.match[i, k]
        at, slot = max(item, 0), tables.places[k]
        carted = uniform(absorb(cart_key, item)) < cart_of(tables, here, i, at, grade, match)
        purchased = carted and uniform(absorb(buy_key, item)) < buy_of(tables, at, day)
        shown.carted[i, k], shown.purchased[i, k] = carted, purchased
        content = purchased or shown.satisfied[i, k]
        pleased = max(pleased, _ONE if content else (_PLEASED_BY_CART if carted else _PLEASED_BY_CLICK))
        if slot < 0:  # the house's
            if tables.is_ad[-1 - slot]:
                after.ad_revenue[i, -1 - slot] = tables.days.bid[min(day // WEEK, len(tables.days.bid) - 1), at]
        else:
            earn(tables, here, absorb(key, _SEND_BACK), shown, after, i, k)
    return pleased


@woven
def earn(tables: Tables, here: Here, key: U64, shown: Shown, after: After, i: int, k: Int) -> None:
    """What a click in a slot of the policy brings: revenue, a return, the reward."""
    item, slot, purchased = int(shown.items[i, k]), tables.places[k], shown.purchased[i, k]
    at, counts = max(item, 0), tables.numbers[0].reward
    returned = purchased and uniform(absorb(key, item)) < back_of(tables, at, shown.match[i, k])
    revenue = np.float64(price_of(tables, at, here.day[i])) if purchased else 0.0
    after.returned[i, slot], after.revenue[i, slot] = returned, revenue
    if counts == _CLICKS:
        after.reward[i, slot] = 1.0
    elif counts == _PURCHASES:
        after.reward[i, slot] = 1.0 if purchased else 0.0
    else:
        after.reward[i, slot] = 0.0 if counts == _NET_REVENUE and returned else revenue


@woven
def look_long(tables: Tables, here: Here, key: U64, shown: Shown, after: After, n_clicks: Int, i: int) -> None:
    """Twin of `aftermath._dwell` and `postclick.dwell`, where dwell is recorded."""
    n, luck = tables.numbers[0], absorb(key, _DWELL)
    if n.dwell == 0.0:
        return
    for click in range(n_clicks):
        k = shown.chosen[click]
        if tables.places[k] >= 0:
            item = max(shown.items[i, k], 0)
            cart = cart_of(tables, here, i, item, shown.relevance[i, k], shown.match[i, k])
            utility = math.log(cart) - math.log1p(-cart) - n.typical_utility
            by_luck = n.dwell_spread * normal(absorb(luck, shown.items[i, k]))
            after.dwell[i, tables.places[k]] = n.dwell * math.exp(np.float64(n.dwell_utility * utility) + by_luck)


@woven
def deal(tables: Tables, shown: Shown, after: After, n_clicks: Int, i: int) -> None:
    """Part the page as shown into the slots of the policy and the places of the house."""
    if len(tables.house) == 0:
        return  # `after` holds the very columns of `shown`
    for slot in range(len(tables.slots)):
        k = tables.slots[slot]
        after.items[i, slot], after.examined[i, slot] = shown.items[i, k], shown.examined[i, k]
    for h in range(len(tables.house)):
        after.house_examined[i, h] = shown.examined[i, tables.house[h]]
    for click in range(n_clicks):
        k = shown.chosen[click]
        slot = tables.places[k]
        if slot >= 0:
            after.clicked[i, slot], after.satisfied[i, slot] = True, shown.satisfied[i, k]
            after.carted[i, slot], after.purchased[i, slot] = shown.carted[i, k], shown.purchased[i, k]
        else:
            after.house_clicked[i, -1 - slot] = True
            after.house_carted[i, -1 - slot] = shown.carted[i, k]
            after.house_purchased[i, -1 - slot] = shown.purchased[i, k]


@woven
def abandon(tables: Tables, here: Here, key: U64, shown: Shown, n_clicks: Int, i: int) -> tuple[bool, bool]:
    """Twin of `aftermath.abandons`: whether the shopper is content without a click, and whether they give up."""
    n, luck = tables.numbers[0], absorb(key, _ABANDON)
    if n_clicks > 0 or (n.good == 0.0 and n.bad == 0.0):
        return False, False
    content, gives_up = uniform(absorb(luck, 0)) < n.good, uniform(absorb(luck, 1)) < n.bad
    if content:
        content = is_answered(tables, here, shown, i)
    if gives_up:
        useful = False
        for k in range(shown.items.shape[1]):
            useful |= shown.examined[i, k] & (shown.relevance[i, k] >= n.useless)
        gives_up = not useful
    return content, gives_up


@woven
def is_answered(tables: Tables, here: Here, shown: Shown, i: int) -> bool:
    """Whether something relevant at a good price was looked at."""
    n = tables.numbers[0]
    for k in range(shown.items.shape[1]):
        if shown.examined[i, k] and shown.relevance[i, k] >= n.relevant:
            gap = price_z_of(tables, max(shown.items[i, k], 0), here.day[i]) - here.price_taste[i]
            if abs(gap) <= n.price_gap:
                return True
    return False


@woven
def ending_of(shown: Shown, n_clicks: Int, content: bool, goes_on: tuple[bool, bool], i: int) -> Int:
    """Twin of `abandonment.endings`."""
    satisfied = purchased = False
    for click in range(n_clicks):
        satisfied |= shown.satisfied[i, shown.chosen[click]]
        purchased |= shown.purchased[i, shown.chosen[click]]
    if purchased:
        return _BOUGHT
    if satisfied:
        return _SATISFIED
    if content:
        return _GOOD
    if goes_on[0]:
        return _NEXT_PAGE
    if goes_on[1]:
        return _ASKED_AGAIN
    return _LEFT if n_clicks > 0 else _BAD

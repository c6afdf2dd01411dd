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
def sell(tables: Tables, here: Here, key: U64, shown: Shown, after: After, i: int) -> Single:
    """Step 6 and `reacting.satisfaction_of`: carts, purchases, and what they count; how satisfied that makes."""
    pleased, counts, day = _ZERO, tables.numbers[0].reward, here.day[i]
    cart_key, buy_key, back_key = absorb(key, _CART), absorb(key, _BUY), absorb(key, _SEND_BACK)
    for k in range(shown.items.shape[1]):
        item, clicked = int(shown.items[i, k]), shown.clicked[i, k]
        at, grade, match = max(item, 0), shown.relevance[i, k], shown.match[i, k]
        carted = clicked and uniform(absorb(cart_key, item)) < cart_of(tables, here, i, at, grade, match)
        purchased = carted and uniform(absorb(buy_key, item)) < buy_of(tables, at, day)
        after.carted[i, k], after.purchased[i, k] = carted, purchased
        if clicked:
            content = purchased or shown.satisfied[i, k]
            pleased = max(pleased, _ONE if content else (_PLEASED_BY_CART if carted else _PLEASED_BY_CLICK))
        if tables.places[k] < 0:  # the house's
            if after.ad_revenue.shape[1] > 0:
                is_paid = clicked and tables.is_ad[-1 - tables.places[k]]
                week = min(day // WEEK, len(tables.days.bid) - 1)
                after.ad_revenue[i, k] = tables.days.bid[week, at] if is_paid else 0.0
            continue
        returned = purchased and uniform(absorb(back_key, item)) < back_of(tables, at, match)
        if after.returned.shape[1] > 0:
            after.returned[i, k] = returned
        revenue = np.float64(price_of(tables, at, day)) if purchased else 0.0
        after.revenue[i, k] = revenue
        if counts == _CLICKS:
            after.reward[i, k] = 1.0 if clicked else 0.0
        elif counts == _PURCHASES:
            after.reward[i, k] = 1.0 if purchased else 0.0
        else:
            after.reward[i, k] = 0.0 if counts == _NET_REVENUE and returned else revenue
        after.expected[i, k] = shown.click[i, k] * click_value_of(tables, here, i, at, grade, match)
    return pleased


@woven
def look_long(tables: Tables, here: Here, key: U64, shown: Shown, after: After, i: int) -> None:
    """Twin of `aftermath._dwell` and `postclick.dwell`, where dwell is recorded."""
    n, luck = tables.numbers[0], absorb(key, _DWELL)
    for k in range(after.dwell.shape[1]):
        seconds = _ZERO
        if shown.clicked[i, k] and tables.places[k] >= 0:
            item = max(shown.items[i, k], 0)
            cart = cart_of(tables, here, i, item, shown.relevance[i, k], shown.match[i, k])
            utility = math.log(cart) - math.log1p(-cart) - n.typical_utility
            by_luck = n.dwell_spread * normal(absorb(luck, shown.items[i, k]))
            seconds = np.float32(n.dwell * math.exp(np.float64(n.dwell_utility * utility) + by_luck))
        after.dwell[i, k] = seconds


@woven
def abandon(tables: Tables, here: Here, key: U64, shown: Shown, i: int) -> tuple[bool, bool]:
    """Twin of `aftermath.abandons`: whether the shopper is content without a click, and whether they give up."""
    n, luck = tables.numbers[0], absorb(key, _ABANDON)
    if n.good == 0.0 and n.bad == 0.0:
        return False, False
    clicked = answered = useful = False
    for k in range(shown.items.shape[1]):
        clicked |= shown.clicked[i, k]
        if shown.examined[i, k]:
            useful |= shown.relevance[i, k] >= n.useless
            if shown.relevance[i, k] >= n.relevant:
                gap = price_z_of(tables, max(shown.items[i, k], 0), here.day[i]) - here.price_taste[i]
                answered |= abs(gap) <= n.price_gap
    content = answered and not clicked and uniform(absorb(luck, 0)) < n.good
    gives_up = not useful and not clicked and uniform(absorb(luck, 1)) < n.bad
    return content, gives_up


@woven
def ending_of(shown: Shown, after: After, content: bool, goes_on: tuple[bool, bool], i: int) -> Int:
    """Twin of `abandonment.endings`."""
    clicked = satisfied = purchased = False
    for k in range(shown.clicked.shape[1]):
        clicked |= shown.clicked[i, k]
        satisfied |= shown.satisfied[i, k]
        purchased |= after.purchased[i, k]
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
    return _LEFT if clicked else _BAD

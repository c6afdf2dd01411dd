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
        shown.carted[i, k], shown.purchased[i, k] = carted, purchased
        if clicked:
            content = purchased or shown.satisfied[i, k]
            pleased = max(pleased, _ONE if content else (_PLEASED_BY_CART if carted else _PLEASED_BY_CLICK))
        slot = tables.places[k]
        if slot < 0:  # the house's
            h = -1 - slot
            if clicked and tables.is_ad[h]:
                after.ad_revenue[i, h] = tables.days.bid[min(day // WEEK, len(tables.days.bid) - 1), at]
            continue
        returned = purchased and uniform(absorb(back_key, item)) < back_of(tables, at, match)
        if returned:
            after.returned[i, slot] = True
        revenue = np.float64(price_of(tables, at, day)) if purchased else 0.0
        after.revenue[i, slot] = revenue
        if counts == _CLICKS:
            after.reward[i, slot] = 1.0 if clicked else 0.0
        elif counts == _PURCHASES:
            after.reward[i, slot] = 1.0 if purchased else 0.0
        else:
            after.reward[i, slot] = 0.0 if counts == _NET_REVENUE and returned else revenue
        after.expected[i, slot] = shown.click[i, k] * click_value_of(tables, here, i, at, grade, match)
    return pleased


@woven
def look_long(tables: Tables, here: Here, key: U64, shown: Shown, after: After, i: int) -> None:
    """Twin of `aftermath._dwell` and `postclick.dwell`, where dwell is recorded."""
    n, luck = tables.numbers[0], absorb(key, _DWELL)
    if n.dwell == 0.0:
        return
    for k in range(shown.items.shape[1]):
        if shown.clicked[i, k] and tables.places[k] >= 0:
            item = max(shown.items[i, k], 0)
            cart = cart_of(tables, here, i, item, shown.relevance[i, k], shown.match[i, k])
            utility = math.log(cart) - math.log1p(-cart) - n.typical_utility
            by_luck = n.dwell_spread * normal(absorb(luck, shown.items[i, k]))
            after.dwell[i, tables.places[k]] = n.dwell * math.exp(np.float64(n.dwell_utility * utility) + by_luck)


@woven
def deal(tables: Tables, shown: Shown, after: After, i: int) -> None:
    """Part the page as shown into the slots of the policy and the places of the house."""
    if after.house_clicked.shape[1] == 0:
        return  # `after` holds the very columns of `shown`
    for k in range(shown.items.shape[1]):
        slot = tables.places[k]
        if slot >= 0:
            after.items[i, slot], after.satisfied[i, slot] = shown.items[i, k], shown.satisfied[i, k]
            after.examined[i, slot], after.clicked[i, slot] = shown.examined[i, k], shown.clicked[i, k]
            after.carted[i, slot], after.purchased[i, slot] = shown.carted[i, k], shown.purchased[i, k]
        else:
            h = -1 - slot
            after.house_examined[i, h], after.house_clicked[i, h] = shown.examined[i, k], shown.clicked[i, k]
            after.house_carted[i, h], after.house_purchased[i, h] = shown.carted[i, k], shown.purchased[i, k]


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
def ending_of(shown: Shown, content: bool, goes_on: tuple[bool, bool], i: int) -> Int:
    """Twin of `abandonment.endings`."""
    clicked = satisfied = purchased = False
    for k in range(shown.clicked.shape[1]):
        clicked |= shown.clicked[i, k]
        satisfied |= shown.satisfied[i, k]
        purchased |= shown.purchased[i, k]
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

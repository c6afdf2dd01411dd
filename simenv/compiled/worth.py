"""What an item is to the shopper of one row: twins of `simenv.behaviour` and `simenv.worth`."""

from __future__ import annotations

import math

import numpy as np

from simenv.behaviour import ATTRIBUTE_MISSED, BRAND_MISSED, COLOUR_MISSED, SAME_DEPARTMENT
from simenv.calendar import PERIOD
from simenv.catalogue import F32
from simenv.compiled.hashing import Int, Single, inlined, woven
from simenv.compiled.mind import cart_shift_of, click_shift_of
from simenv.compiled.numbers import REWARDS
from simenv.compiled.tables import Here, Tables

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_DEPARTMENT, _BRAND, _COLOUR = np.float32(SAME_DEPARTMENT), np.float32(BRAND_MISSED), np.float32(COLOUR_MISSED)
_SIZE, _MATERIAL = np.float32(ATTRIBUTE_MISSED["size"]), np.float32(ATTRIBUTE_MISSED["material"])
_AUDIENCE, _USE = np.float32(ATTRIBUTE_MISSED["audience"]), np.float32(ATTRIBUTE_MISSED["use"])
_CLICKS, _PURCHASES, _NET_REVENUE = (REWARDS.index(each) for each in ("clicks", "purchases", "net revenue"))


@inlined
def sigmoid(x: Single) -> Single:
    """Twin of `behaviour._sigmoid`."""
    return _ONE / (_ONE + math.exp(-x))


@inlined
def missed(wanted: Int, own: Int, factor: Single) -> Single:
    """The factor where another value is wanted than the item has; an item that has none in particular fits."""
    return factor if wanted >= 0 and own >= 0 and own != wanted else _ONE


@woven
def relevance_of(tables: Tables, here: Here, i: int, item: int) -> Single:
    """Twin of `behaviour.relevance`."""
    it, category = tables.items[item], here.intent[i, 0]
    if it.category == category:
        grade = _ONE
    elif tables.departments[it.category] == tables.departments[category]:
        grade = _DEPARTMENT
    else:
        return _ZERO
    grade *= missed(here.intent[i, 1], it.brand, _BRAND)
    grade *= missed(here.intent[i, 2], it.colour, _COLOUR)
    grade *= missed(here.intent[i, 3], it.size, _SIZE)
    grade *= missed(here.intent[i, 4], it.material, _MATERIAL)
    grade *= missed(here.intent[i, 5], it.audience, _AUDIENCE)
    return grade * missed(here.intent[i, 6], it.use, _USE)


@woven
def write_taste(tables: Tables, here: Here, taste: F32, i: int) -> None:
    """Twin of `calendar.taste_of`: fill `taste` (D,) with that of the day."""
    today = min(here.day[i], len(tables.days.taste) - 1)
    for d in range(len(taste)):
        taste[d] = here.taste[i, d] + tables.days.taste[today, d] if today >= 0 else here.taste[i, d]


@woven
def match_of(tables: Tables, taste: F32, item: int) -> Single:
    """Twin of `behaviour.style_match`."""
    match = _ZERO
    for d in range(len(taste)):
        match += tables.style[item, d] * taste[d]
    return match


@woven
def change_of(tables: Tables, item: int, day: Int) -> Single:
    """Twin of `calendar.discount`: log of the day's price over the catalogue's."""
    change = _ZERO
    if len(tables.days.item_price) > 0:
        change += tables.days.item_price[min(day // PERIOD, len(tables.days.item_price) - 1), item]
    if len(tables.days.all_prices) > 0:
        change += tables.days.all_prices[min(day, len(tables.days.all_prices) - 1)]
    return change


@inlined
def price_of(tables: Tables, item: int, day: Int) -> Single:
    """Twin of `calendar.prices`, first half: the day's price, euros."""
    price = tables.items[item].price
    if len(tables.days.price_spread) > 0:
        price *= math.exp(change_of(tables, item, day))
    return price


@woven
def price_z_of(tables: Tables, item: int, day: Int) -> Single:
    """Twin of `calendar.prices`, second half: the day's price on the catalogue's scale."""
    price_z = tables.items[item].price_z
    if len(tables.days.price_spread) > 0:
        price_z += change_of(tables, item, day) / tables.days.price_spread[tables.items[item].category]
    return price_z


@woven
def attraction_of(tables: Tables, here: Here, i: int, item: int, grade: Single, match: Single) -> Single:
    """Twin of `behaviour.attraction`."""
    n, it = tables.numbers[0], tables.items[item]
    logit = n.relevance * grade + n.base + n.taste * match
    far = price_z_of(tables, item, here.day[i]) - here.price_taste[i]
    logit -= n.price * (far * far)
    if it.brand == here.favourite_brand[i]:
        logit = np.float32(np.float64(logit) + n.loyalty)
    logit = logit + n.quality * it.quality + n.bait * it.bait
    if n.popularity != 0.0:
        logit += n.popularity * it.popularity
    return sigmoid(logit + click_shift_of(tables, here, i, item))


@inlined
def cart_of(tables: Tables, here: Here, i: int, item: int, grade: Single, match: Single) -> Single:
    """Twin of `behaviour.conversion`, first half: P(cart | click)."""
    n = tables.numbers[0]
    utility = n.cart_relevance * grade + n.cart_base + n.cart_taste * match
    utility += n.cart_quality * tables.items[item].quality
    return sigmoid(utility + cart_shift_of(tables, here, i, item))


@inlined
def buy_of(tables: Tables, item: int, day: Int) -> Single:
    """Twin of `behaviour.conversion`, second half: P(purchase | cart)."""
    n = tables.numbers[0]
    return sigmoid(n.buy_base - n.buy_price * price_z_of(tables, item, day))


@inlined
def back_of(tables: Tables, item: int, match: Single) -> Single:
    """Twin of `behaviour.disappointment` and `postclick.sent_back`: P(returned | purchase)."""
    n, it = tables.numbers[0], tables.items[item]
    if n.returns_odds == _ZERO:
        return _ZERO
    gap = n.bait * it.bait + n.quality_deceives * it.quality + n.taste_deceives * match
    return _ONE / (_ONE + n.returns_odds * math.exp(-n.regret * gap))


@woven
def satisfying_of(tables: Tables, cart: Single) -> Single:
    """Twin of `behaviour.satisfying`."""
    odds = tables.numbers[0].satisfaction_odds
    return odds * cart / (_ONE + (odds - _ONE) * cart)


@woven
def click_value_of(tables: Tables, here: Here, i: int, item: int, grade: Single, match: Single) -> float:
    """Twin of `worth.click_values`."""
    reward = tables.numbers[0].reward
    if reward == _CLICKS:
        return 1.0
    value = np.float64(cart_of(tables, here, i, item, grade, match) * buy_of(tables, item, here.day[i]))
    if reward == _NET_REVENUE:
        value *= np.float64(_ONE - back_of(tables, item, match))
    return value if reward == _PURCHASES else value * np.float64(price_of(tables, item, here.day[i]))

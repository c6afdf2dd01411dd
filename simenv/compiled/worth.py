"""What an item is to the shopper of one row: twins of `simenv.behaviour` and `simenv.worth`."""

from __future__ import annotations

import math

import numpy as np

from simenv.behaviour import ATTRIBUTE_MISSED, BRAND_MISSED, COLOUR_MISSED, SAME_DEPARTMENT
from simenv.compiled.hashing import Int, Single, inlined, woven
from simenv.compiled.tables import REWARDS, Here, Tables

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_DEPARTMENT, _BRAND, _COLOUR = np.float32(SAME_DEPARTMENT), np.float32(BRAND_MISSED), np.float32(COLOUR_MISSED)
_SIZE, _MATERIAL = np.float32(ATTRIBUTE_MISSED["size"]), np.float32(ATTRIBUTE_MISSED["material"])
_AUDIENCE, _USE = np.float32(ATTRIBUTE_MISSED["audience"]), np.float32(ATTRIBUTE_MISSED["use"])
_CLICKS, _REVENUE = REWARDS.index("clicks"), REWARDS.index("revenue")


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
def match_of(tables: Tables, here: Here, i: int, item: int) -> Single:
    """Twin of `behaviour.style_match`."""
    match = _ZERO
    for d in range(here.taste.shape[1]):
        match += tables.style[item, d] * here.taste[i, d]
    return match


@woven
def attraction_of(tables: Tables, here: Here, i: int, item: int, grade: Single, match: Single) -> Single:
    """Twin of `behaviour.attraction`."""
    n, it = tables.numbers[0], tables.items[item]
    logit = n.relevance * grade + n.base + n.taste * match
    far = it.price_z - here.price_taste[i]
    logit -= n.price * (far * far)
    if it.brand == here.favourite_brand[i]:
        logit = np.float32(np.float64(logit) + n.loyalty)
    logit = logit + n.quality * it.quality + n.bait * it.bait
    if n.popularity != 0.0:
        logit += n.popularity * it.popularity
    return sigmoid(logit)


@woven
def cart_of(tables: Tables, item: int, grade: Single, match: Single) -> Single:
    """Twin of `behaviour.conversion`, first half: P(cart | click)."""
    n = tables.numbers[0]
    return sigmoid(
        n.cart_relevance * grade + n.cart_base + n.cart_taste * match + n.cart_quality * tables.items[item].quality
    )


@woven
def buy_of(tables: Tables, item: int) -> Single:
    """Twin of `behaviour.conversion`, second half: P(purchase | cart)."""
    n = tables.numbers[0]
    return sigmoid(n.buy_base - n.buy_price * tables.items[item].price_z)


@woven
def satisfying_of(tables: Tables, cart: Single) -> Single:
    """Twin of `behaviour.satisfying`."""
    odds = tables.numbers[0].satisfaction_odds
    return odds * cart / (_ONE + (odds - _ONE) * cart)


@woven
def click_value_of(tables: Tables, item: int, grade: Single, match: Single) -> float:
    """Twin of `worth.click_values`."""
    reward = tables.numbers[0].reward
    if reward == _CLICKS:
        return 1.0
    value = np.float64(cart_of(tables, item, grade, match) * buy_of(tables, item))
    return value * np.float64(tables.items[item].price) if reward == _REVENUE else value

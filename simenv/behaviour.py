"""Behaviour: what draws a click, what makes a sale, and what a shopper does next.

All of it is hidden truth, as pure functions of a shopper's state and of items. Attraction and conversion are different
on purpose: `bait` draws clicks and sells nothing, `quality` sells more than it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simenv.catalogue import F32, I32, Catalogue
from simenv.params import Attraction, Conversion
from simenv.state import State, World

SAME_DEPARTMENT = 0.25  # relevance of an item of the intent's department but not of its category
BRAND_MISSED = 0.6  # factor where the intent names another brand
COLOUR_MISSED = 0.75  # factor where the intent names another colour
# Factors where the intent names another value than the item has; an item that has none in particular fits.
ATTRIBUTE_MISSED = {"size": 0.8, "material": 0.85, "audience": 0.6, "use": 0.85}


@dataclass(frozen=True)
class Fit:
    """How items suit shoppers today; (N, M) float32 each.

    relevance: graded, to the intent. style: `style_match` with their taste. price_z: the day's log price in standard
    deviations from the mean of its category.
    """

    relevance: F32
    style: F32
    price_z: F32


def relevance(catalogue: Catalogue, intent: I32, items: I32) -> F32:
    """Graded relevance of items to the hidden intent, in [0, 1].

    Args:
        catalogue: The items.
        intent: (N, 7) wanted category, and brand, colour, size, material, audience, use (-1 any).
        items: (N, M) item ids; -1 is a hole and has relevance 0.

    Returns:
        (N, M) float32.
    """
    item = np.maximum(items, 0)
    category, department = catalogue.category[item], catalogue.departments
    wanted = intent[:, 0:1]
    grade = np.where(department[category] == department[wanted], np.float32(SAME_DEPARTMENT), np.float32(0.0))
    grade[category == wanted] = 1.0
    grade[(intent[:, 1:2] >= 0) & (catalogue.brand[item] != intent[:, 1:2])] *= BRAND_MISSED
    grade[(intent[:, 2:3] >= 0) & (catalogue.colour[item] != intent[:, 2:3])] *= COLOUR_MISSED
    for place, (name, factor) in enumerate(ATTRIBUTE_MISSED.items(), start=3):
        rows = np.flatnonzero(intent[:, place] >= 0)  # few want any
        own = getattr(catalogue, name)[item[rows]]
        missed = (own >= 0) & (own != intent[rows, place : place + 1])
        grade[rows] *= np.where(missed, np.float32(factor), np.float32(1.0))
    grade[items < 0] = 0.0
    return grade


def style_match(catalogue: Catalogue, taste: F32, items: I32) -> F32:
    """How well the style of items (N, M) fits tastes (N, D): their inner product, (N, M) float32."""
    return np.einsum("nmd,nd->nm", catalogue.style[np.maximum(items, 0)], taste)  # type: ignore[no-any-return]


def attraction(world: World, state: State, fit: Fit, items: I32, shift: F32 | None) -> F32:
    """Probability that an item draws the click of a shopper who examines it.

    The log-odds are linear in relevance, in the match of style and taste, in the distance of the price from the price
    they like, in loyalty, in quality as far as it shows, in bait, and in past sales as far as they persuade.

    Args:
        world: The weights and the items.
        state: (N,) the shoppers.
        fit: (N, M) how the items suit them.
        items: (N, M) ids; -1 is a hole and has attraction 0.
        shift: (N, M) what habits add to the log-odds; None where they are off.

    Returns:
        (N, M) float32 in [0, 1).
    """
    params, catalogue, item = world.params.attraction, world.catalogue, np.maximum(items, 0)
    logit = params.relevance * fit.relevance
    logit += params.base
    logit += params.taste * fit.style
    logit -= params.price * (fit.price_z - state.traits.price_taste[:, None]) ** 2
    logit += params.loyalty * (catalogue.brand[item] == state.mind.favourite_brand[:, None])
    logit += params.quality * catalogue.quality[item]
    logit += params.bait * catalogue.bait[item]
    if params.popularity != 0.0:
        logit += params.popularity * catalogue.popularity[item]
    if shift is not None:
        logit += shift
    return _sigmoid(logit) * (items >= 0)


def conversion(params: Conversion, catalogue: Catalogue, fit: Fit, items: I32, shift: F32 | None) -> tuple[F32, F32]:
    """P(cart | click) and P(purchase | cart), each (N, M) float32. Arguments as for `attraction`; shifts the cart."""
    item = np.maximum(items, 0)
    utility = params.cart_relevance * fit.relevance
    utility += params.cart_base
    utility += params.cart_taste * fit.style
    utility += params.cart_quality * catalogue.quality[item]
    if shift is not None:
        utility += shift
    cart = _sigmoid(utility)
    buy = _sigmoid(params.buy_base - params.buy_price * fit.price_z)
    return cart, buy


def disappointment(attraction: Attraction, conversion: Conversion, catalogue: Catalogue, match: F32, items: I32) -> F32:
    """How far an item promises more than it gives: its own part of the click's log-odds less that of the utility's.

    Style, quality and bait count; relevance, price and loyalty do not, since nobody is deceived about them.

    Args:
        attraction: The weights of the click.
        conversion: The weights of what follows.
        catalogue: The items.
        match: (N, M) `style_match`.
        items: (N, M) ids.

    Returns:
        (N, M) float32.
    """
    item = np.maximum(items, 0)
    gap: F32 = np.float32(attraction.bait) * catalogue.bait[item]
    gap += np.float32(attraction.quality - conversion.cart_quality) * catalogue.quality[item]
    gap += np.float32(attraction.taste - conversion.cart_taste) * match
    return gap


def satisfying(params: Conversion, cart: F32) -> F32:
    """P(a clicked item satisfies, so that its page is read no further), from the same utility as P(cart | click).

    The odds of the one are `satisfaction_odds` times the odds of the other. Same shape as `cart`.
    """
    odds = np.float32(params.satisfaction_odds)
    satisfied: F32 = odds * cart / (1 + (odds - 1) * cart)
    return satisfied


def logit(p: F32) -> F32:
    """Log-odds of probabilities strictly between 0 and 1. Same shape."""
    return np.log(p) - np.log1p(-p)


def _sigmoid(x: F32) -> F32:
    p: F32 = np.float32(1.0) / (np.float32(1.0) + np.exp(-x))
    return p

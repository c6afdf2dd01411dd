"""What a page makes of a shopper's habits: twins of `simenv.mind` and of `reacting.impressed`, a row each."""

from __future__ import annotations

import math

import numpy as np

from simenv.catalogue import F32
from simenv.compiled.hashing import U64, Int, Single, absorb, inlined, uniform, woven
from simenv.compiled.shown import After, Shown
from simenv.compiled.tables import Here, Tables
from simenv.state import Draw

_LOYALTY = int(Draw.LOYALTY)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@woven
def click_shift_of(tables: Tables, here: Here, i: int, item: int) -> Single:
    """Twin of `mind.click_shift`."""
    n, it, shift = tables.numbers[0], tables.items[item], _ZERO
    if here.satiation.shape[1] > 0:
        shift -= n.satiation_click * here.satiation[i, it.category]
    if here.recent.shape[1] > 0:
        count = here.recent[i, it.brand if n.is_boredom_of_brand else it.category]
        shift -= n.boredom_weight * max(count - n.boredom_tolerance, _ZERO)
    return shift + n.trust_click * (here.trust[i] - n.trust_start)


@woven
def cart_shift_of(tables: Tables, here: Here, i: int, item: int) -> Single:
    """Twin of `mind.cart_shift`."""
    if here.satiation.shape[1] == 0:
        return _ZERO
    return -tables.numbers[0].satiation_cart * here.satiation[i, tables.items[item].category]


@woven
def impress(tables: Tables, shown: Shown, taste: F32, i: int) -> None:
    """Twin of `mind.influenced`, in place."""
    rate, n = tables.numbers[0].influence_rate, 0
    if rate == _ZERO:
        return
    for k in range(shown.items.shape[1]):
        shown.chosen[n] = shown.items[i, k]  # without a branch, which nobody could predict
        n += shown.examined[i, k] & (shown.items[i, k] >= 0)
    if n == 0:
        return
    share = rate / np.float32(n)
    for d in range(taste.shape[1]):
        style = _ZERO
        for at in range(n):
            style += tables.style[shown.chosen[at], d]
        taste[i, d] += share * style - rate * taste[i, d]


@woven
def change_mind(tables: Tables, here: Here, key: U64, shown: Shown, after: After, n_clicks: Int, i: int) -> None:
    """Twin of `reacting.minded`: what the clicks and purchases of a page do; `key` is the page's."""
    n, luck = tables.numbers[0], absorb(key, _LOYALTY)
    trust, favourite = here.trust[i], here.favourite_brand[i]
    for g in range(here.satiation.shape[1]):
        after.satiation[i, g] = here.satiation[i, g]
    for g in range(here.recent.shape[1]):
        after.recent[i, g] = here.recent[i, g]
    for click in range(n_clicks):
        k = shown.chosen[click]
        it = tables.items[max(shown.items[i, k], 0)]
        if n.has_trust:
            trust += n.trust_rate * (_sigmoid(n.trust_quality * it.quality - n.trust_bait * it.bait) - trust)
        if here.recent.shape[1] > 0:
            after.recent[i, it.brand if n.is_boredom_of_brand else it.category] += _ONE
        if shown.purchased[i, k]:
            if here.satiation.shape[1] > 0:
                after.satiation[i, it.category] += _ONE
            if n.has_loyalty:
                u = uniform(absorb(luck, shown.items[i, k]))
                pleases = _sigmoid(n.loyalty_quality * it.quality)
                if u < n.loyalty_win * pleases:
                    favourite = it.brand
                elif u >= _ONE - n.loyalty_lose * (_ONE - pleases) and favourite == it.brand:
                    favourite = np.int32(-1)
    after.trust[i], after.favourite_brand[i] = trust, favourite


@woven
def fade(tables: Tables, after: After, days: Int, i: int) -> None:
    """Twin of `mind.after_days`."""
    n = tables.numbers[0]
    if after.satiation.shape[1] > 0:
        left = np.float32(2.0 ** (-days / n.satiation_half_life))
        for g in range(after.satiation.shape[1]):
            after.satiation[i, g] *= left
    if after.recent.shape[1] > 0:
        left = np.float32(2.0 ** (-days / n.boredom_half_life))
        for g in range(after.recent.shape[1]):
            after.recent[i, g] *= left


@inlined
def _sigmoid(x: Single) -> Single:
    """Twin of `mind._sigmoid`."""
    return _ONE / (_ONE + math.exp(-x))

"""What a shopper has become: favourite brand, trust, satiation, recent clicks; and how a page or a pause changes it.

Pure formulas per row over columns. The levels of what is off have width 0; the numbers of each habit stand in
`simenv.habits`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from simenv.catalogue import F32, I32, Catalogue
from simenv.habits import Boredom, Habits, Influence, Loyalty, Trust

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Mind:
    """Hidden; (N,) unless said. 8 bytes a shopper, and 4 more for each category (satiation) and kind (boredom).

    favourite_brand: -1 none; changes where loyalty is on. trust: in [0, 1]; 1 where it is off. satiation: (N, G) level
    of each category today, (N, 0) where it is off. recent: (N, G), or (N, B) where boredom is of brands, fading
    count of clicks, (N, 0) where boredom is off.
    """

    favourite_brand: I32
    trust: F32
    satiation: F32
    recent: F32


def fresh_mind(habits: Habits, catalogue: Catalogue, favourite_brand: I32) -> Mind:
    """Newcomers: nothing bought, nothing clicked."""
    n = len(favourite_brand)
    return Mind(
        favourite_brand=favourite_brand,
        trust=np.full(n, 1.0 if habits.trust is None else habits.trust.start, dtype=np.float32),
        satiation=np.zeros((n, 0 if habits.satiation is None else len(catalogue.departments)), dtype=np.float32),
        recent=np.zeros((n, 0 if habits.boredom is None else _n_kinds(habits.boredom, catalogue)), dtype=np.float32),
    )


def click_shift(habits: Habits, mind: Mind, catalogue: Catalogue, items: I32) -> F32 | None:
    """What satiation, boredom and trust add to the log-odds that items (N, M) are clicked; None where all are off."""
    if habits.satiation is None and habits.boredom is None and habits.trust is None:
        return None
    shift = np.zeros(items.shape, dtype=np.float32)
    if habits.satiation is not None:
        shift -= np.float32(habits.satiation.click) * satiation_of(mind, catalogue, items)
    if habits.boredom is not None:
        shift -= np.float32(habits.boredom.weight) * boredom_of(habits, mind, catalogue, items)
    if habits.trust is not None:
        shift += (np.float32(habits.trust.click) * (mind.trust - np.float32(habits.trust.start)))[:, None]
    return shift


def cart_shift(habits: Habits, mind: Mind, catalogue: Catalogue, items: I32) -> F32 | None:
    """What satiation adds to the log-odds that clicked items (N, M) go into the cart; None where it is off."""
    if habits.satiation is None:
        return None
    shift: F32 = np.float32(-habits.satiation.cart) * satiation_of(mind, catalogue, items)
    return shift


def satiation_of(mind: Mind, catalogue: Catalogue, items: I32) -> F32:
    """How sated shoppers are with the categories of items (N, M): levels, at least 0; 0 for a hole or where off."""
    return _at(mind.satiation, catalogue.category, items)


def boredom_of(habits: Habits, mind: Mind, catalogue: Catalogue, items: I32) -> F32:
    """Recent clicks beyond the tolerance on the kind of items (N, M), at least 0; 0 for a hole or where off."""
    if habits.boredom is None:
        return np.zeros(items.shape, dtype=np.float32)
    count = _at(mind.recent, _kinds(habits.boredom, catalogue), items)
    beyond: F32 = np.maximum(count - np.float32(habits.boredom.tolerance), np.float32(0.0))
    return beyond


def reluctance(habits: Habits, mind: Mind) -> F32:
    """Chance that a visit which would be for a category is for another, (N, G) in [0, 1); (N, 0) where off."""
    if habits.satiation is None:
        return mind.satiation
    chance: F32 = -np.expm1(np.float32(-habits.satiation.intent) * mind.satiation)
    return chance


def return_shift(habits: Habits, mind: Mind) -> F32 | None:
    """What trust adds to the chance to come back, (N,); None where it is off."""
    if habits.trust is None:
        return None
    shift: F32 = np.float32(habits.trust.return_gain) * (mind.trust - np.float32(habits.trust.start))
    return shift


def influenced(influence: Influence, catalogue: Catalogue, taste: F32, items: I32, examined: Bools) -> F32:
    """Taste (N, D) after the items (N, K) of a page that were looked at; as it was where none was."""
    seen = examined & (items >= 0)
    count = seen.sum(axis=1).astype(np.float32)[:, None]
    style = np.matmul(seen.astype(np.float32)[:, None, :], catalogue.style[np.maximum(items, 0)])[:, 0]
    pull = style / np.maximum(count, np.float32(1.0)) - taste
    moved: F32 = taste + np.where(count > 0, np.float32(influence.rate), np.float32(0.0)) * pull
    return moved


def after_page(habits: Habits, mind: Mind, catalogue: Catalogue, items: I32, clicked: Bools, bought: Bools) -> Mind:
    """The mind after the clicks and purchases (N, K) of a page. Loyalty needs luck: `after_purchases`."""
    if habits.trust is not None:
        mind = replace(mind, trust=_trust(habits.trust, mind.trust, catalogue, items, clicked))
    if habits.satiation is not None:
        mind = replace(mind, satiation=_count(mind.satiation, catalogue.category, items, bought))
    if habits.boredom is not None:
        mind = replace(mind, recent=_count(mind.recent, _kinds(habits.boredom, catalogue), items, clicked))
    return mind


def after_purchases(
    loyalty: Loyalty, mind: Mind, catalogue: Catalogue, items: I32, bought: Bools, luck: npt.NDArray[np.float64]
) -> Mind:
    """Who is loyal to which brand after the purchases (N, K) of a page, from a uniform an item; down the slots."""
    favourite = mind.favourite_brand.copy()
    for k in range(items.shape[1]):
        rows = np.flatnonzero(bought[:, k])
        item = items[rows, k]
        brand, u = catalogue.brand[item], luck[rows, k]
        pleases = _sigmoid(np.float32(loyalty.quality) * catalogue.quality[item])
        wins = u < loyalty.win * pleases
        loses = (u >= 1.0 - loyalty.lose * (1.0 - pleases)) & (favourite[rows] == brand)
        favourite[rows] = np.where(wins, brand, np.where(loses, np.int32(-1), favourite[rows]))
    return replace(mind, favourite_brand=favourite)


def after_days(habits: Habits, mind: Mind, days: I32) -> Mind:
    """The mind after a pause of so many days (N,): levels halve with every half-life."""
    if habits.satiation is not None:
        mind = replace(mind, satiation=_faded(mind.satiation, days, habits.satiation.half_life_days))
    if habits.boredom is not None:
        mind = replace(mind, recent=_faded(mind.recent, days, habits.boredom.half_life_days))
    return mind


def _trust(trust: Trust, before: F32, catalogue: Catalogue, items: I32, clicked: Bools) -> F32:
    """Click by click down the page: each moves trust by a step towards what it delivered."""
    rate, now = np.float32(trust.rate), before.copy()
    for k in range(items.shape[1]):
        rows = np.flatnonzero(clicked[:, k])
        now[rows] += rate * (delivered(trust, catalogue, items[rows, k]) - now[rows])
    return now


def delivered(trust: Trust, catalogue: Catalogue, item: I32) -> F32:
    """How far clicked items hold what they promise, in (0, 1); same shape as `item`."""
    return _sigmoid(np.float32(trust.quality) * catalogue.quality[item] - np.float32(trust.bait) * catalogue.bait[item])


def _count(levels: F32, kind: I32, items: I32, happened: Bools) -> F32:
    """One more for the kind of each item (N, K) to which it happened."""
    counted = levels.copy()
    for k in range(items.shape[1]):  # one item a row at a time, so that two of one kind count twice
        rows = np.flatnonzero(happened[:, k])
        counted[rows, kind[items[rows, k]]] += np.float32(1.0)
    return counted


def _faded(levels: F32, days: I32, half_life_days: float) -> F32:
    """Levels (N, G) after so many days."""
    rows = np.flatnonzero(days)
    faded = levels.copy()
    faded[rows] *= np.exp2(-days[rows] / half_life_days).astype(np.float32)[:, None]
    return faded


def _at(levels: F32, kind: I32, items: I32) -> F32:
    if not levels.shape[1]:
        return np.zeros(items.shape, dtype=np.float32)
    level = np.take_along_axis(levels, kind[np.maximum(items, 0)].astype(np.int64), axis=1)
    return np.where(items >= 0, level, np.float32(0.0))


def _kinds(boredom: Boredom, catalogue: Catalogue) -> I32:
    return catalogue.category if boredom.of == "category" else catalogue.brand


def _n_kinds(boredom: Boredom, catalogue: Catalogue) -> int:
    return len(catalogue.departments) if boredom.of == "category" else len(catalogue.brands)


def _sigmoid(x: F32) -> F32:
    p: F32 = np.float32(1.0) / (np.float32(1.0) + np.exp(-x))
    return p

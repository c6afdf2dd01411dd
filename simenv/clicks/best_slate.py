"""The slate with the highest exact expected reward under each click model, by an argument wherever there is one.

A page is worth the sum of its click probabilities times what the clicks bring. Sorting by attraction times value finds
the best page only where slots act alone and their weights fall; each function here says what is right for its model
and why. Where nothing is proved, `simenv.clicks.slate_search` looks at every slate or climbs, and `Best` says which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from simenv.clicks.cascade import Cascade
from simenv.clicks.choice import MultinomialLogit, ProportionalChoice, logit_weights
from simenv.clicks.dependent_click import DependentClick
from simenv.clicks.dynamic_bayesian import DynamicBayesian, SimplifiedDynamicBayesian
from simenv.clicks.model import Appeal, Bools, ClickModel, Floats, for_slots
from simenv.clicks.position_based import PositionBased
from simenv.clicks.slate_order import (
    Choice,
    Found,
    assigned,
    best_chain,
    best_in_order,
    best_share,
    matched,
    undominated,
)
from simenv.clicks.slate_search import F64, I64, Around, search_slates, slate_reward
from simenv.clicks.trust_bias import TrustBias
from simenv.clicks.user_browsing import UserBrowsing
from simenv.columns import take


@dataclass(frozen=True)
class Best:
    """The best pages found.

    slate: (N, K) int32 positions among the candidates; filled from the top, -1 where candidates have run out.
    reward: (N,) exact expected reward of the slate. is_exact: (N,) whether no slate is better, up to rounding; where
        it is False no single change of the slate is.
    """

    slate: npt.NDArray[np.int32]
    reward: F64
    is_exact: Bools

    @property
    def kind(self) -> Literal["exact", "local"]:
        """The word for tables: "exact" where every row is, else "local"."""
        return "exact" if self.is_exact.all() else "local"


@dataclass(frozen=True)
class Taken:
    """Places of the page that somebody else has filled.

    appeal: (N, H) of what stands there, 0 for nothing. places: H of them, from 0 at the top of a page of K + H.
    """

    appeal: Appeal
    places: tuple[int, ...]


def best_slate(model: ClickModel, appeal: Appeal, value: Floats, n_slots: int, taken: Taken | None = None) -> Best:
    """The slates with the highest expected reward.

    Every slot is filled as far as there are candidates, also with candidates that the page would be better without
    (in a choice model, or where a click costs). Ties go to the earlier candidate.

    Args:
        model: The click model. One that is not of `simenv.clicks` is searched, see `search_slates`.
        appeal: Of the candidates, (N, C); attraction 0 marks a hole.
        value: (N, C) expected reward of a click, of any sign.
        n_slots: K.
        taken: What stands around the slots; see `best_among`.
    """
    if taken is not None and taken.places:
        return best_among(model, appeal, value, n_slots, taken)
    attraction, satisfaction, worth = (
        np.asarray(each, dtype=np.float64) for each in (appeal.attraction, appeal.satisfaction, value)
    )
    here = attraction > 0.0
    choice = Choice(attraction, satisfaction, worth, here, np.minimum(here.sum(axis=1), n_slots), n_slots)
    find = BEST_SLATES.get(type(model), by_search)
    slate, is_exact = find(model, choice)
    return Best(slate.astype(np.int32), slate_reward(model, choice.appeal, worth, slate), is_exact)


def best_among(model: ClickModel, appeal: Appeal, value: Floats, n_slots: int, taken: Taken) -> Best:
    """The best slates where other places of the page are taken, whose clicks bring nothing. See `best_slate`.

    Exact where slots act alone, by leaving the numbers of the places out; and for choice models, where what is taken
    competes as not clicking does. Elsewhere no order is known to be best any more (the argument of `best_chain` asks
    that neighbours stand next to each other): every slate where they are few, else a climb from the best slate of a
    page without the others.
    """
    around = Around(taken.places, np.zeros((len(value), n_slots), dtype=np.int64))
    alone = _of_places(model, around)
    if alone is not None:
        return best_slate(alone, appeal, value, n_slots)
    attraction, satisfaction, worth = (
        np.concatenate([each, other], axis=1, dtype=np.float64)
        for each, other in (
            (appeal.attraction, taken.appeal.attraction),
            (appeal.satisfaction, taken.appeal.satisfaction),
            (value, np.zeros(taken.appeal.attraction.shape)),
        )
    )
    here = attraction > 0.0
    here[:, value.shape[1] :] = False
    n_shown = np.minimum(here.sum(axis=1), n_slots)
    choice = Choice(attraction, satisfaction, worth, here, n_shown, n_slots)
    if isinstance(model, MultinomialLogit | ProportionalChoice):
        slate, is_exact = _best_share_among(model, choice, around)
    else:
        around = replace(around, first=best_slate(model, appeal, value, n_slots).slate.astype(np.int64))
        slate, is_exact = search_slates(model, choice.appeal, worth, here, n_slots, around)
    reward = slate_reward(model, choice.appeal, worth, around.pages(slate, worth.shape[1]))
    return Best(slate.astype(np.int32), reward, is_exact)


def _of_places(model: ClickModel, around: Around) -> ClickModel | None:
    """The model of the slots alone where places do not touch each other; None where they do."""
    if isinstance(model, PositionBased):
        return replace(model, examination=tuple(np.take(model.examination, around.own).tolist()))
    if isinstance(model, TrustBias):
        curves = (model.examination, model.epsilon_plus, model.epsilon_minus)
        one, plus, minus = (tuple(np.take(curve, around.own).tolist()) for curve in curves)
        return replace(model, examination=one, epsilon_plus=plus, epsilon_minus=minus)
    return None


def _best_share_among(model: MultinomialLogit | ProportionalChoice, choice: Choice, around: Around) -> Found:
    weight = logit_weights(choice.attraction) if isinstance(model, MultinomialLogit) else choice.attraction
    n_places = choice.n_slots + len(around.places)
    curve = for_slots("prominence", model.prominence, n_places) if model.prominence else np.ones(n_places)
    others = weight[:, -len(around.places) :] * curve[list(around.places)]
    return best_share(choice, weight, model.no_click + others.sum(axis=1), tuple(curve[around.own].tolist()))


def by_search(model: ClickModel, choice: Choice) -> Found:
    """Nothing is known of the model: every slate where they are few, else local search."""
    return search_slates(model, choice.appeal, choice.value, choice.here, choice.n_slots)


def best_position_based(model: PositionBased, choice: Choice) -> Found:
    """Exact: the largest attraction times value in the slot with the largest examination, and so on.

    The page is worth sum_k examination[k] * (a * v)[k]. Whatever items are shown, sums of products are largest where
    both are sorted alike (Hardy, Littlewood and Polya, "Inequalities", 1934, theorem 368), and as examination is not
    negative, showing a larger a * v in the same slot costs nothing.
    """
    curve = for_slots("examination", model.examination, choice.n_slots)
    return matched(choice, choice.attraction * choice.value, curve), choice.all_rows


def best_trust_bias(model: TrustBias, choice: Choice) -> Found:
    """Exact: an assignment of items to slots.

    The page is worth sum_k t[k] * ((p[k] - m[k]) * a * v + m[k] * v), with examination t, epsilon_plus p, epsilon_minus
    m: a sum over (item, slot), whose best assignment `assigned` finds. Where every click brings the same and no slot
    has p < m, it is the sort by attraction into slots by t * (p - m), as for position-based clicks, since the rest is
    the same for all items.
    """
    examination, plus, minus = (
        for_slots("trust bias", each, choice.n_slots)
        for each in (model.examination, model.epsilon_plus, model.epsilon_minus)
    )
    slope, offset = examination * (plus - minus), examination * minus
    worth = choice.attraction * choice.value
    slate = matched(choice, worth, slope)
    sorts = choice.same_value if (slope >= 0.0).all() else np.zeros(len(worth), dtype=bool)
    rows = np.flatnonzero(~sorts)
    gain = worth[rows, :, None] * slope + choice.value[rows, :, None] * offset
    slate[rows] = assigned(take(choice, rows), gain)
    return slate, choice.all_rows


def best_cascade(model: Cascade, choice: Choice) -> Found:
    """Exact: a cascade goes on from an item with probability continuation * (1 - a). See `best_chain`."""
    return best_chain(choice, model.continuation * (1.0 - choice.attraction))


def best_dbn(model: DynamicBayesian, choice: Choice) -> Found:
    """Exact: the shopper goes on from an item with probability continuation * (1 - a * s). See `best_chain`."""
    return best_chain(choice, model.continuation * (1.0 - choice.attraction * choice.satisfaction))


def best_simplified_dbn(model: SimplifiedDynamicBayesian, choice: Choice) -> Found:
    """Exact: the shopper goes on from an item with probability 1 - a * s. See `best_chain`."""
    return best_chain(choice, 1.0 - choice.attraction * choice.satisfaction)


def best_dependent_click(model: DependentClick, choice: Choice) -> Found:
    """Exact where continuation is the same in all slots, or falls or rises with the slot and all clicks bring the same.

    With d[k] = 1 - continuation[k], item i above item j in slots k and k + 1, and the rest of the page worth R to
    whoever reaches it, the page is worth more than with i below j by
    a_i a_j d[k] (v_i - v_j) + R (a_j - a_i) (d[k] - d[k + 1]). So for any set of items the best order is: by value
    where d is constant; where all have one value v > 0 (so that R >= 0), by attraction, the largest first where d
    rises and last where it falls; and the other way round where v < 0. Which items to take from that order is a
    dynamic programme, see `best_in_order`. The last slot's d acts on nothing. Anything else is searched.
    """
    stop = 1.0 - for_slots("continuation", model.continuation, choice.n_slots)
    goes_on = 1.0 - choice.attraction[:, :, None] * stop  # (N, C, K)
    turns = np.diff(stop[:-1])
    if (turns == 0.0).all():
        return best_in_order(choice, choice.value, goes_on), choice.all_rows
    if (turns >= 0.0).all() or (turns <= 0.0).all():
        up = 1.0 if (turns >= 0.0).all() else -1.0
        slate = best_in_order(choice, up * np.sign(choice.value) * choice.attraction, goes_on)
        known = choice.same_value
    else:
        slate, known = np.full((len(choice.here), choice.n_slots), -1), np.zeros(len(choice.here), dtype=bool)
    return _search_the_rest(model, choice, slate, known)


def best_user_browsing(model: UserBrowsing, choice: Choice) -> Found:
    """Every order of the items that can be on a best page, where their slates are few; else local search.

    Let W[k](r) be what slots from k on are worth after a last click at r. Where examination does not rise with the
    distance to the last click and no click costs, W[k] does not fall with r (by induction from the last slot: a nearer
    click makes the better of two futures likelier), so in any slot a larger attraction with no smaller value loses
    nothing. Then a candidate with at least as many candidates above it in both as the page shows can be left out:
    one of them is not on the page and can stand in its place. Where all clicks bring the same, that leaves the K most
    attractive, in some order.
    """
    rows = (np.asarray(row) for row in model.examination[: choice.n_slots])
    falls = all((np.diff(row) <= 0.0).all() for row in rows)
    harmless = np.where(choice.here, choice.value, 0.0).min(axis=1) >= 0.0
    allowed = choice.here.copy()
    if falls and harmless.any():
        allowed[harmless] &= undominated(take(choice, np.flatnonzero(harmless)))
    return search_slates(model, choice.appeal, choice.value, allowed, choice.n_slots)


def best_logit(model: MultinomialLogit, choice: Choice) -> Found:
    """Exact: see `best_share`, with the odds of attraction as weights."""
    return best_share(choice, logit_weights(choice.attraction), model.no_click, model.prominence)


def best_proportional(model: ProportionalChoice, choice: Choice) -> Found:
    """Exact: see `best_share`, with attraction as weights."""
    return best_share(choice, choice.attraction, model.no_click, model.prominence)


BEST_SLATES: dict[type, Callable[..., Found]] = {
    PositionBased: best_position_based,
    TrustBias: best_trust_bias,
    Cascade: best_cascade,
    DynamicBayesian: best_dbn,
    SimplifiedDynamicBayesian: best_simplified_dbn,
    DependentClick: best_dependent_click,
    UserBrowsing: best_user_browsing,
    MultinomialLogit: best_logit,
    ProportionalChoice: best_proportional,
}


def _search_the_rest(model: ClickModel, choice: Choice, slate: I64, known: Bools) -> Found:
    """Search the rows whose best slate is not known."""
    rows = np.flatnonzero(~known)
    is_exact = known.copy()
    if len(rows):
        slate[rows], is_exact[rows] = by_search(model, take(choice, rows))
    return slate, is_exact

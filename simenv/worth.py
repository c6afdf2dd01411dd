"""What items truly are to shoppers: the one place where hidden taste and intent meet an item.

The step that plays a page, the oracles and the scorers all read it here, so that what happens and what is said to be
true cannot come apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import calendar
from simenv.behaviour import Fit, attraction, conversion, disappointment, satisfying, style_match
from simenv.catalogue import F32, I32
from simenv.clicks import Appeal
from simenv.house import full_page, policy_places
from simenv.mind import cart_shift, click_shift
from simenv.postclick import sent_back
from simenv.state import Page, State, World


@dataclass(frozen=True)
class Worth:
    """Hidden truth about items, (N, M) each; 0 for a hole.

    relevance: to the intent, in [0, 1]. attraction: P(click | examined). cart: P(cart | click).
    buy: P(purchase | cart). back: P(returned | purchase). price: euros, the day's; price_z: on the catalogue's scale.
    """

    relevance: F32
    attraction: F32
    cart: F32
    buy: F32
    back: F32
    price: F32
    price_z: F32


def worth(world: World, state: State, items: I32) -> Worth:
    """Hidden: what items (N, M) are to the shoppers of a state. -1 is a hole."""
    params, catalogue = world.params, world.catalogue
    grade = world.demand.relevance(state.intent, items)
    taste = calendar.taste_of_day(world.calendar, state.taste, state.day)
    price, price_z = calendar.prices(world.calendar, catalogue, items, state.day)
    fit = Fit(grade, style_match(catalogue, taste, items), price_z)
    slower = cart_shift(params.habits, state.mind, catalogue, items)
    cart, buy = conversion(params.conversion, catalogue, fit, items, slower)
    shift = click_shift(params.habits, state.mind, catalogue, items)
    return Worth(
        relevance=grade,
        attraction=attraction(world, state, fit, items, shift),
        cart=cart,
        buy=buy,
        back=_back(world, fit.style, items),
        price=price,
        price_z=price_z,
    )


def _back(world: World, match: F32, items: I32) -> F32:
    """P(returned | purchase), (N, M); for nothing where nobody returns anything."""
    params = world.params
    if params.post_click.returns == 0.0:
        return np.broadcast_to(np.float32(0.0), items.shape)
    gap = disappointment(params.attraction, params.conversion, world.catalogue, match, items)
    return sent_back(params.post_click, gap)


def appeal(world: World, items: Worth) -> Appeal:
    """Hidden: attraction and satisfaction, which is what click models are told."""
    return Appeal(items.attraction, satisfying(world.params.conversion, items.cart))


def click_values(world: World, items: Worth) -> npt.NDArray[np.float64]:
    """Hidden: the expected reward of a click, (N, M), in the world's unit of reward."""
    if world.params.reward == "clicks":
        return np.ones(items.attraction.shape)
    value = (items.cart * items.buy).astype(np.float64)
    if world.params.reward == "net revenue":
        value *= 1.0 - items.back
    return value if world.params.reward == "purchases" else value * items.price


def expected_reward(world: World, state: State, page: Page, slate: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Hidden: exact expected reward per slot, (N, K), of showing a slate, by the click model's closed form.

    The house's places are on the page that is examined and clicked, and their reward is not counted.
    """
    known = worth(world, state, full_page(world.params.house, slate_items(page, slate), page.house))
    return expected_of_shown(world, known, appeal(world, known))


def expected_of_shown(world: World, shown: Worth, look: Appeal) -> npt.NDArray[np.float64]:
    """Hidden: exact expected reward per slot of the policy, (N, K), from the worth and appeal of all K + H places."""
    clicks = world.params.click_model.click_probability(look).astype(np.float64)
    return (clicks * click_values(world, shown))[:, policy_places(world.params.house, world.params.n_slots)]


def slate_items(page: Page, slate: npt.NDArray[np.integer]) -> I32:
    """Item ids of a slate of candidate positions, (N, K); -1 for an empty slot.

    A slot is empty where the position is out of range, is a hole, or repeats a position higher up.
    """
    n_candidates = page.candidates.shape[1]
    valid = (slate >= 0) & (slate < n_candidates)
    items = np.take_along_axis(page.candidates, np.where(valid, slate, 0).astype(np.int64), axis=1)
    items[~valid] = -1
    for k in range(1, slate.shape[1]):
        items[(slate[:, :k] == slate[:, k : k + 1]).any(axis=1), k] = -1
    return items

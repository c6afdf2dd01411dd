"""House slots: the places of a page that the market fills itself, with advertisements and with a merchandiser's picks.

The policy ranks and returns K slots as ever; the page that is shown has K + H places, and the policy's slots fill those
that the house does not hold. What the house shows follows from the query's candidates and the day, never from the
slate or the shopper, so propensities are what they would be without it. A place that the house cannot fill stays empty.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32, Catalogue
from simenv.errors import UserError

Kind = TypeVar("Kind", bound=np.generic)
Places = slice | npt.NDArray[np.int64]

WEEK = 7  # days that a bid and a merchandiser's rule last
PREDICTED = -2.0  # log-odds of the predicted click of an item of average popularity
BY_POPULARITY = 0.5  # what a standard deviation of popularity adds to them
PICKED_SPREAD = 0.7  # of a merchandiser's liking, beside popularity


@dataclass(frozen=True)
class HouseSlots:
    """Which places of a page the market fills itself; none by default.

    Attributes:
        sponsored: Places, from 0 at the top of the page shown, that go to the winners of an auction among the engine's
            candidates of the query's category: highest bid times predicted click first. A click costs the bid.
        pinned: Places that go to what a merchandiser picked for the category this week.
        advertised: Share of items whose sellers bid this week.
        bid: Median bid for a click, euros. `bid_spread` is the standard deviation of its logarithm.
        prediction_noise: Standard deviation of the error of the predicted click's log-odds, per item, category and day.
        pinned_share: Chance that a place has a pick this week.
    """

    sponsored: tuple[int, ...] = ()
    pinned: tuple[int, ...] = ()
    advertised: float = 0.35
    bid: float = 0.3
    bid_spread: float = 0.6
    prediction_noise: float = 0.5
    pinned_share: float = 0.7

    def __post_init__(self) -> None:
        """Refuse shares outside [0, 1], bids below 0, and a place given twice."""
        for name in ("advertised", "pinned_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"house: {name} is {getattr(self, name)}; expected a share between 0 and 1.")
        for name in ("bid", "bid_spread", "prediction_noise"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise UserError(f"house: {name} is {getattr(self, name)}; expected a finite number of at least 0.")
        if len(set(self.places)) < len(self.places):
            raise UserError(f"house: places {list(self.places)} hold one twice; a place is sponsored or pinned, once.")

    @property
    def places(self) -> tuple[int, ...]:
        """The H places of the house, from the top; `Page.house` is in this order."""
        return tuple(sorted((*self.sponsored, *self.pinned)))

    @property
    def n(self) -> int:
        """H."""
        return len(self.sponsored) + len(self.pinned)

    def labels(self) -> tuple[str, ...]:
        """For each of the H places "sponsored" or "pinned"."""
        return tuple("sponsored" if place in self.sponsored else "pinned" for place in self.places)


def check_places(house: HouseSlots, n_slots: int) -> None:
    """Refuse places that a page of K + H does not have.

    Raises:
        UserError: naming the place.
    """
    for place in house.places:
        if not 0 <= place < n_slots + house.n:
            raise UserError(
                f"house: place {place} is not on the page, which has {n_slots} slots and {house.n} places of the "
                f"house; expected 0 to {n_slots + house.n - 1}."
            )


@functools.lru_cache(maxsize=64)
def policy_places(house: HouseSlots, n_slots: int) -> Places:
    """Where on the page the policy's K slots stand, (K,): an index for the second axis of what is (N, K + H)."""
    if not house.n:
        return slice(None)
    return np.setdiff1d(np.arange(n_slots + house.n), house.places)


def house_places(house: HouseSlots) -> Places:
    """Where on the page the house's H places stand, (H,): an index for the second axis of what is (N, K + H)."""
    return np.array(house.places, dtype=np.int64) if house.n else slice(0, 0)


def full_page(house: HouseSlots, items: npt.NDArray[Kind], of_house: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
    """The page as shown, (N, K + H), from what stands in the policy's slots (N, K) and in the house's (N, H)."""
    if not house.n:
        return items
    shown = np.empty((len(items), items.shape[1] + house.n), dtype=items.dtype)
    shown[:, policy_places(house, items.shape[1])] = items
    shown[:, house_places(house)] = of_house
    return shown


def fill(house: HouseSlots, catalogue: Catalogue, candidates: I32, day: I32) -> I32:
    """What the house shows.

    Args:
        house: The parameters.
        catalogue: The items.
        candidates: (N, C) what the engine found for the query; its first one says the category.
        day: (N,).

    Returns:
        (N, H) item ids in the order of `HouseSlots.places`, distinct in a row; -1 where a place stays empty.
    """
    made = np.full((len(candidates), house.n), -1, dtype=np.int32)
    if not house.n or not len(candidates):
        return made
    rows = np.arange(len(candidates))
    item = np.maximum(candidates, 0)
    first = candidates[rows, np.argmax(candidates >= 0, axis=1)]
    category = np.where(first >= 0, catalogue.category[np.maximum(first, 0)], np.int32(-1))
    is_open = (candidates >= 0) & (catalogue.category[item] == category[:, None])
    week = hashing.absorb(hashing.absorb(hashing.stream(catalogue.seed, "house"), category), day // WEEK)
    if house.pinned:
        liked = np.where(is_open, liking(catalogue, item, week), -np.inf)
        for place in sorted(house.pinned):
            chance = hashing.uniform(hashing.absorb(hashing.absorb(week, 2), place)) < house.pinned_share
            _give(made[:, house.places.index(place)], candidates, liked, chance)
        is_open &= np.isfinite(liked)
    if house.sponsored:
        today = hashing.absorb(hashing.absorb(hashing.stream(catalogue.seed, "auction"), category), day)
        offered = offers(house, catalogue, item, day, today)
        offered = np.where(is_open & (offered > 0.0), offered, -np.inf)
        for place in sorted(house.sponsored):
            _give(made[:, house.places.index(place)], candidates, offered, np.ones(len(rows), dtype=bool))
    return made


def bids(house: HouseSlots, catalogue: Catalogue, items: I32, day: I32) -> npt.NDArray[np.float64]:
    """What a click on items (N, M) costs their sellers this week, euros; 0 for an item that nobody advertises."""
    week = hashing.absorb(hashing.stream(catalogue.seed, "bids"), day // WEEK)
    key = hashing.absorb(week[:, None], items)
    own = house.bid * np.exp(house.bid_spread * hashing.normal(hashing.absorb(key, 1)))
    return np.where((items >= 0) & (hashing.uniform(key) < house.advertised), own, 0.0)


def take_out(candidates: I32, of_house: I32) -> None:
    """Make holes, in place, of the candidates (N, C) that the house shows (N, H): nothing stands on a page twice."""
    for column in of_house.T:
        candidates[candidates == column[:, None]] = -1


def offers(
    house: HouseSlots, catalogue: Catalogue, items: I32, day: I32, today: hashing.Keys
) -> npt.NDArray[np.float64]:
    """What items (N, M) weigh in the auctions of that key (N,): bid times predicted click; 0 without a bid."""
    return bids(house, catalogue, items, day) * _predicted(house, catalogue, items, today)


def liking(catalogue: Catalogue, item: I32, week: hashing.Keys) -> npt.NDArray[np.float64]:
    """What a merchandiser thinks of items (N, M) in the week of that key (N,): popularity, and a taste of the week."""
    taste = hashing.normal(hashing.absorb(hashing.absorb(week, 1)[:, None], item))
    liked: npt.NDArray[np.float64] = catalogue.popularity[item] + PICKED_SPREAD * taste
    return liked


def _predicted(house: HouseSlots, catalogue: Catalogue, item: I32, today: hashing.Keys) -> F32:
    """The auction's prediction of a click on items: what popularity says, and an error."""
    noise = hashing.normal(hashing.absorb(today[:, None], item))
    odds = np.exp(PREDICTED + BY_POPULARITY * catalogue.popularity[item] + house.prediction_noise * noise)
    predicted: F32 = (odds / (1.0 + odds)).astype(np.float32)
    return predicted


def _give(place: I32, candidates: I32, score: npt.NDArray[np.float64], rows: npt.NDArray[np.bool_]) -> None:
    """Give a place (N,) to the candidate with the highest score where there is one, and take it out of the race."""
    every = np.arange(len(candidates))
    best = score.argmax(axis=1)
    given = rows & np.isfinite(score[every, best])
    place[given] = candidates[every, best][given]
    score[every[given], best[given]] = -np.inf

"""The numbers that make one market differ from another.

A `WorldParams` is everything about a world but its luck: two runs with equal parameters and equal seeds are equal.
Every group can be replaced alone with `dataclasses.replace`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal, get_args

from simenv.abandonment import Abandonment
from simenv.clicks import ClickModel, PositionBased
from simenv.errors import UserError
from simenv.habits import Habits
from simenv.house import HouseSlots, check_places
from simenv.market import Market
from simenv.postclick import PostClick

Reward = Literal["clicks", "purchases", "revenue", "net revenue"]


@dataclass(frozen=True)
class Shoppers:
    """Who comes.

    Attributes:
        n_segments: Number of taste segments; a locale has its own mix of them.
        segment_spread: Standard deviation of a segment's centre per style dimension.
        taste_spread: Standard deviation of a shopper's taste around the centre of the segment.
        loyal_share: Share of shoppers with a favourite brand.
        locale_share: Share of shoppers per locale, in the lexicon's order.
        device_share: Share of shoppers on phone, desktop, tablet.
        mean_gap_days: Mean number of days between two visits of the average shopper.
        horizon_days: Days that are simulated; a shopper whose next visit would fall later is truncated.
    """

    n_segments: int = 6
    segment_spread: float = 0.8
    taste_spread: float = 0.7
    loyal_share: float = 0.4
    locale_share: tuple[float, ...] = (0.2, 0.18, 0.13, 0.1, 0.1, 0.08, 0.08, 0.06, 0.04, 0.03)
    device_share: tuple[float, ...] = (0.6, 0.3, 0.1)
    mean_gap_days: float = 3.0
    horizon_days: int = 28


@dataclass(frozen=True)
class IntentKind:
    """How shoppers with one kind of intent ask.

    Attributes:
        share: Of intents.
        wants: Chances that the intent has a brand, a colour, a size, a material, an audience, a use; the last four and
            the colour only where they fit the category.
        says_category, says_brand, says_attribute: Chances that the first query says what is wanted of these.
        adds: Chances that a query has a modifier ("cheap"), the name of a model, a detail ("with flowers"), a price.
    """

    share: float
    wants: tuple[float, float, float, float, float, float]
    says_category: float
    says_brand: float
    says_attribute: float
    adds: tuple[float, float, float, float]


@dataclass(frozen=True)
class Queries:
    """What shoppers type.

    The shares and chances of the three kinds of intent are set so that English first queries have the length and
    make-up of the labelled real queries described in docs/facts.md. How shoppers ask again is a guess.

    Attributes:
        navigational: Led by a brand, often by the name of a model.
        focused: On a kind of product, with attributes.
        exploratory: Vague and short.
        misspelling_rate: Chance that a word is misspelt when it is typed first. The real rate is not known.
        specialise: Weight of adding a word when asking again; `generalise` of dropping one, `rephrase` of using another
            word for the product. Who sees a misspelling corrects it instead.
        switch_language: Chance of asking again in the country's other language where it has one.
        nothing_found: Chance that the engine finds nothing for a query of which it knows no word: a misspelt brand, the
            name of a model, "gift for mum".
        category_share: Share of each category, in the lexicon's order, among intents that follow no favourite of the
            shopper's own (`simenv.invented.FAVOURITE` of all do). Empty: a Zipf-like head, as in the default world.
    """

    navigational: IntentKind = IntentKind(
        0.18, (1.0, 0.06, 0.09, 0.02, 0.28, 0.04), 0.6, 1.0, 0.7, (0.16, 0.46, 0.12, 0.003)
    )
    focused: IntentKind = IntentKind(
        0.58, (0.05, 0.11, 0.2, 0.14, 0.34, 0.07), 0.92, 0.9, 0.7, (0.31, 0.045, 0.24, 0.006)
    )
    exploratory: IntentKind = IntentKind(
        0.24, (0.0, 0.06, 0.03, 0.03, 0.12, 0.08), 0.72, 0.5, 0.7, (0.27, 0.0, 0.42, 0.002)
    )
    misspelling_rate: float = 0.08
    specialise: float = 0.5
    generalise: float = 0.25
    rephrase: float = 0.25
    switch_language: float = 0.3
    nothing_found: float = 0.5
    category_share: tuple[float, ...] = ()


@dataclass(frozen=True)
class Filters:
    """Facets beside the results; nobody sets any by default.

    Attributes:
        weight: Of setting a filter among the ways to go on (`Queries.specialise` and its neighbours); 0 = off. It is
            open to those whose query says something and does not say all that they want. A filter counts as a query.
        reach: How many items the engine looks at for each candidate that it returns, at most.
    """

    weight: float = 0.0
    reach: int = 40

    def __post_init__(self) -> None:
        """Refuse weights below 0 and an engine that looks at nothing."""
        if not 0.0 <= self.weight < float("inf"):
            raise UserError(f"filters: weight is {self.weight}; expected a finite number of at least 0.")
        if self.reach < 1:
            raise UserError(f"filters: reach is {self.reach}; expected at least 1.")


@dataclass(frozen=True)
class Attraction:
    """Weights of the click's log-odds. See `simenv.behaviour`.

    `bait` is how much items differ in what nobody sees and what sells nothing; `popularity` how much shoppers follow
    past sales, off at 0.
    """

    base: float = -4.0
    relevance: float = 3.4
    taste: float = 0.32
    price: float = 0.35
    loyalty: float = 0.9
    quality: float = 0.25
    bait: float = 0.35
    popularity: float = 0.0


@dataclass(frozen=True)
class Conversion:
    """Weights of the log-odds that a click becomes a cart, and of a cart becoming a purchase.

    Attributes:
        satisfaction_odds: The odds that a clicked item ends the look at the page are this many times the odds that it
            goes into the cart. Only click models that know satisfaction use it.
    """

    cart_base: float = -4.4
    cart_relevance: float = 1.8
    cart_taste: float = 0.25
    cart_quality: float = 0.6
    buy_base: float = -0.4
    buy_price: float = 0.4
    satisfaction_odds: float = 20.0


@dataclass(frozen=True)
class Dynamics:
    """What a page changes.

    Attributes:
        page_down: Chance factor that an unsatisfied shopper looks at the next page.
        reformulate: Chance factor that an unsatisfied shopper who does not page down asks again in other words.
        max_searches: Queries per session at most.
        taste_drift: Step of taste toward the style of what was clicked (0 is exactly off).
        satisfaction_memory: Weight of the past in the running satisfaction.
        return_base: Chance to come back of a shopper with satisfaction 0.
        return_gain: Added chance at satisfaction 1 (0 is exactly off: satisfaction moves nothing).
    """

    page_down: float = 0.45
    reformulate: float = 1.0
    max_searches: int = 5
    taste_drift: float = 0.02
    satisfaction_memory: float = 0.6
    return_base: float = 0.6
    return_gain: float = 0.35


@dataclass(frozen=True)
class RealSource:
    """Where a real market's products, queries and judgements come from; see `simenv.real`.

    Attributes:
        path: Of the mapping file.
        content: SHA-256 over it and the data files.
    """

    path: str
    content: str


@dataclass(frozen=True)
class WorldParams:
    """A market. The sizes, the groups above, `Habits`, the click model, and what counts as the reward.

    Attributes:
        question: What this world is for, in one sentence.
        seed: Makes the catalogue and the segments. Not the seed of a run's luck.
        n_candidates: C, candidates that retrieval returns for a query.
        n_slots: K, slots on a page.
        max_pages: Pages per query at most.
        n_recent: L, last clicks of a shopper that a page tells one by one; 0 = none.
        reward: What the reward of a slot counts: its click, its purchase, its revenue in euros, or its revenue less
            what is sent back ("net revenue").
        house: Places of the page that the market fills itself. The click model must fit `n_shown` places.
        source: The files of a real market; None for an invented one.
    """

    question: str
    seed: int = 7
    n_items: int = 10_000
    n_brands: int = 48
    n_style: int = 8
    n_candidates: int = 50
    n_slots: int = 5
    max_pages: int = 2
    n_recent: int = 8
    reward: Reward = "clicks"
    click_model: ClickModel = field(default_factory=lambda: PositionBased(_examination(50)))
    shoppers: Shoppers = field(default_factory=Shoppers)
    queries: Queries = field(default_factory=Queries)
    attraction: Attraction = field(default_factory=Attraction)
    conversion: Conversion = field(default_factory=Conversion)
    dynamics: Dynamics = field(default_factory=Dynamics)
    habits: Habits = field(default_factory=Habits)
    market: Market = field(default_factory=Market)
    source: RealSource | None = None
    house: HouseSlots = field(default_factory=HouseSlots)
    post_click: PostClick = field(default_factory=PostClick)
    abandonment: Abandonment = field(default_factory=Abandonment)
    filters: Filters = field(default_factory=Filters)

    @property
    def n_shown(self) -> int:
        """K + H, places of a page with those of the house."""
        return self.n_slots + self.house.n

    def __post_init__(self) -> None:
        """Refuse sizes that cannot make a market."""
        for name in ("n_items", "n_brands", "n_style", "n_candidates", "n_slots", "max_pages"):
            if getattr(self, name) < 1:
                raise UserError(f"world parameter {name} is {getattr(self, name)}; expected at least 1.")
        if self.n_recent < 0:
            raise UserError(f"world parameter n_recent is {self.n_recent}; expected at least 0.")
        if self.n_shown > self.n_candidates:
            house = f" with {self.house.n} places of the house" if self.house.n else ""
            raise UserError(
                f"n_slots is {self.n_slots}{house} and n_candidates {self.n_candidates}; a page cannot show more than "
                "retrieval returns. Lower n_slots or raise n_candidates."
            )
        check_places(self.house, self.n_slots)
        if self.reward not in get_args(Reward):
            raise UserError(
                f"world parameter reward is '{self.reward}'; expected one of {', '.join(get_args(Reward))}."
            )

    def digest(self) -> str:
        """SHA-256 of every parameter: under one version of the package, equal digests mean equal markets.

        The question that a world asks changes nothing in it. Of a real market's files it counts what is in them, not
        where they lie.
        """
        settings = dataclasses.asdict(self)
        settings.pop("question")
        source = settings.pop("source")
        if source is not None:
            settings["source"] = source["content"]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _examination(n_slots: int) -> tuple[float, ...]:
    """1 / rank**0.7: between the mild and the steep curves of published eye-tracking."""
    return tuple(round((1.0 + k) ** -0.7, 4) for k in range(n_slots))

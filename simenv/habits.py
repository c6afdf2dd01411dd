"""The habits that shoppers can form: how what they saw, clicked and bought changes what they do later.

`Habits` gathers one frozen group of numbers a habit. A habit that is None is exactly off: it keeps no state, draws
nothing and moves no draw. What a shopper has become is a `simenv.mind.Mind`; `simenv.mind` says how it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simenv.errors import UserError


@dataclass(frozen=True)
class Influence:
    """Taste is pulled towards what was looked at, clicked or not.

    After a page, taste += rate * (mean style of the examined items - taste). The step of SARDINE's influence
    (u = 0.95 u + 0.05 mean(clicked)), over what was examined (Zajonc, "Attitudinal effects of mere exposure", 1968),
    and as a mean over items, not over dimensions as SARDINE's code has it. No norm is restored, unlike Dean and
    Morgenstern, "Preference dynamics under personalized recommendations", 2022: tastes here have no unit length.

    Attributes:
        rate: The step, in [0, 1]; 0.05 from SARDINE.
    """

    rate: float = 0.05

    def __post_init__(self) -> None:
        """Refuse a step that would leap over what was seen."""
        _within("influence rate", self.rate, 0.0, 1.0)


@dataclass(frozen=True)
class Satiation:
    """Who bought in a category wants it less for a while.

    A level per category, +1 a purchase, halving every `half_life_days`: the fading count of RecLab's topics, of
    purchases instead of views. The weights are guesses.

    Attributes:
        half_life_days: Days after which half of it is gone, above 0.
        click: What a level of 1 takes from the click's log-odds; `cart` from the cart's.
        intent: A visit that would be for the category is for another with chance 1 - exp(-intent * level).
    """

    half_life_days: float = 10.0
    click: float = 1.0
    cart: float = 0.7
    intent: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what would not fade, or would not be a chance."""
        _within("satiation half_life_days", self.half_life_days, 1e-9)
        _within("satiation intent", self.intent, 0.0)


@dataclass(frozen=True)
class Boredom:
    """Who clicked much of one kind lately is bored by more of it, for some days.

    Clicks are counted per category (or brand), each count halving every `half_life_days`. What a count has above
    `tolerance` bores: each such click takes `weight` from the click's log-odds. SARDINE bores for 5 steps whoever
    clicked 5 of their last 10 items on one topic, whatever their number; here boredom grows with the clicks
    beyond the limit, fades with the days, and ends after half_life_days * log2(count / tolerance). Numbers are guesses.

    Attributes:
        of: What makes items alike: "category" or "brand".
        tolerance: Recent clicks that do not bore, at least 0; SARDINE's limit is 4.
        weight: Log-odds of the click a click beyond that.
        half_life_days: Days after which a click counts half, above 0.
    """

    of: Literal["category", "brand"] = "category"
    tolerance: float = 3.0
    weight: float = 0.6
    half_life_days: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what would not fade, and kinds that items do not have."""
        _within("boredom half_life_days", self.half_life_days, 1e-9)
        _within("boredom tolerance", self.tolerance, 0.0)
        if self.of not in ("category", "brand"):
            raise UserError(f"boredom is of '{self.of}'; expected 'category' or 'brand'.")


@dataclass(frozen=True)
class Loyalty:
    """A purchase that pleases may make its brand the favourite one; one that does not may end that.

    A bought item pleases with chance p = sigmoid(quality * its hidden quality). Its brand becomes the favourite with
    chance win * p; if it is the favourite, it is none any more with chance lose * (1 - p). All guesses.

    Attributes:
        win, lose: Chances in [0, 1], with win + lose at most 1 because one draw decides both.
        quality: Log-odds to please per standard deviation of quality.
    """

    win: float = 0.3
    lose: float = 0.5
    quality: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no chance."""
        _within("loyalty win", self.win, 0.0, 1.0)
        _within("loyalty lose", self.lose, 0.0, 1.0 - self.win)


@dataclass(frozen=True)
class Trust:
    """Clicks that hold less than they promise cost the shop its shoppers' trust; good ones earn it.

    Trust lies in [0, 1]. Each click moves it by `rate` towards what the click delivered,
    sigmoid(quality * q - bait * b) of the item's hidden quality q and bait b. It shifts the log-odds of every click by
    click * (trust - start) and the chance to come back by return_gain * (trust - start). In the manner of RecSim's
    long-term satisfaction (a fading sum of how far clickbait was avoided), bounded; the numbers are guesses.

    Attributes:
        start: Trust of a newcomer.
        rate: Step a click, in [0, 1].
    """

    start: float = 0.5
    rate: float = 0.15
    quality: float = 0.7
    bait: float = 1.0
    click: float = 1.0
    return_gain: float = 0.5

    def __post_init__(self) -> None:
        """Refuse trust outside [0, 1]."""
        _within("trust start", self.start, 0.0, 1.0)
        _within("trust rate", self.rate, 0.0, 1.0)


@dataclass(frozen=True)
class Habits:
    """Every habit; None is exactly off. Taste drift and retention are older and stand in `Dynamics` (0 is off)."""

    influence: Influence | None = None
    satiation: Satiation | None = None
    boredom: Boredom | None = None
    loyalty: Loyalty | None = None
    trust: Trust | None = None

    @staticmethod
    def all_on() -> Habits:
        """Every habit with its default numbers."""
        return Habits(Influence(), Satiation(), Boredom(), Loyalty(), Trust())


def _within(name: str, value: float, low: float, high: float = float("inf")) -> None:
    if not low <= value <= high:
        said = f"between {low:g} and {high:g}" if high < float("inf") else f"at least {low:g}"
        raise UserError(f"world parameter {name} is {value}; expected a number {said}.")

"""What changes in the market between days, as parameters: items, stock, prices, seasons, trends, shocks.

Each mechanism is off by default and is switched on alone by giving it a value. What follows from the parameters is in
`simenv.calendar` (what happens whoever ranks) and `simenv.stock` (what sales do).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from simenv.errors import UserError

ShockKind = Literal["demand", "supply", "prices", "taste"]


@dataclass(frozen=True)
class Churn:
    """Items come and go; a new item has no sales and no ratings to show.

    Attributes:
        new_share: Share of the catalogue that is not there on day 0 and comes on a later day of its own.
        gone_share: Share that leaves, each on a day of its own after it came.
    """

    new_share: float = 0.3
    gone_share: float = 0.2

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        for name in ("new_share", "gone_share"):
            _within(f"churn: {name}", getattr(self, name), 0.0, 1.0)


@dataclass(frozen=True)
class Stock:
    """Items are on the shelf in numbers, and all shoppers take from the same shelf.

    Attributes:
        units: What the shelf of an item holds when it is full, for every 1,000 shoppers. May be a fraction: of 0.25,
            one item in four has a unit for 1,000 shoppers.
        restock_days: Days from one filling of an item's shelf to the next; items have days of their own.
        sold_out_days: Only where shoppers are played apart, as in the Gymnasium environments: days after which the rest
            of the market is expected to have emptied the shelf of an item of average popularity.
    """

    units: float = 2.0
    restock_days: int = 7
    sold_out_days: float = 6.0

    def __post_init__(self) -> None:
        """Refuse shelves that hold less than nothing, or are filled never."""
        _within("stock: units", self.units, 0.0, float("inf"))
        _within("stock: restock_days", self.restock_days, 1, 10_000)
        _within("stock: sold_out_days", self.sold_out_days, 1e-3, float("inf"))


@dataclass(frozen=True)
class Prices:
    """Prices change once a week.

    Attributes:
        step: Standard deviation of an item's weekly step in log price, a random walk from the catalogue's price.
        sale_share: Share of the items on sale, drawn anew each week.
        sale_depth: Discount of a sale as a share of the price, below 1.
    """

    step: float = 0.03
    sale_share: float = 0.15
    sale_depth: float = 0.3

    def __post_init__(self) -> None:
        """Refuse discounts that leave no price."""
        _within("prices: step", self.step, 0.0, 1.0)
        _within("prices: sale_share", self.sale_share, 0.0, 1.0)
        _within("prices: sale_depth", self.sale_depth, 0.0, 0.95)


@dataclass(frozen=True)
class Seasons:
    """Each category has its season: the log of its demand is a sine with a phase of its own.

    Attributes:
        strength: Amplitude in log demand.
        period_days: Length of the year.
    """

    strength: float = 0.6
    period_days: int = 364

    def __post_init__(self) -> None:
        """Refuse a year without days."""
        _within("seasons: strength", self.strength, 0.0, 10.0)
        _within("seasons: period_days", self.period_days, 1, float("inf"))


@dataclass(frozen=True)
class Trends:
    """What everybody wants drifts, in daily random steps.

    Attributes:
        demand: Standard deviation of a category's daily step in log demand.
        style: Standard deviation of the daily step of everybody's taste, in each dimension of style.
    """

    demand: float = 0.05
    style: float = 0.05

    def __post_init__(self) -> None:
        """Refuse steps below 0."""
        _within("trends: demand", self.demand, 0.0, 10.0)
        _within("trends: style", self.style, 0.0, 10.0)


@dataclass(frozen=True)
class Shock:
    """One sudden change at the start of a day.

    Attributes:
        kind: "demand" adds `size` to the log demand of category `target`; "supply" takes every item of brand `target`
            off the shelves; "prices" adds `size` to the log of every price; "taste" moves everybody's taste by `size`
            in a direction of style space that the world's seed and the day decide.
        day: Its first day.
        size: See `kind`; not used by "supply".
        target: Category or brand; not used by "prices" and "taste".
        days: How long it lasts; to the end where None.
    """

    kind: ShockKind
    day: int
    size: float = 1.0
    target: int = 0
    days: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no shock."""
        if self.kind not in get_args(ShockKind):
            raise UserError(f"a shock's kind is '{self.kind}'; expected one of {', '.join(get_args(ShockKind))}.")
        _within("shock: day", self.day, 0, float("inf"))
        _within("shock: size", self.size, -10.0, 10.0)
        _within("shock: target", self.target, 0, float("inf"))
        if self.days is not None:
            _within("shock: days", self.days, 1, float("inf"))


@dataclass(frozen=True)
class Market:
    """What changes between days. Everything is off by default, and what is off costs and changes nothing."""

    churn: Churn | None = None
    stock: Stock | None = None
    prices: Prices | None = None
    seasons: Seasons | None = None
    trends: Trends | None = None
    shocks: tuple[Shock, ...] = ()

    @property
    def makes_holes(self) -> bool:
        """Whether items that retrieval would find can be unlisted or sold out."""
        return self.churn is not None or self.stock is not None or any(shock.kind == "supply" for shock in self.shocks)


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UserError(f"{name} is {value}; expected a number from {least} to {most}.")


LIVELY = Market(
    churn=Churn(),
    stock=Stock(),
    prices=Prices(),
    seasons=Seasons(),
    trends=Trends(),
    shocks=(Shock("taste", day=14, size=1.0), Shock("demand", day=7, size=1.0, target=5, days=7)),
)  # every mechanism at a sensible strength

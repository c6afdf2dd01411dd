"""KNOBS: the parameters of a world that a log can tell, and the scale on which each is moved.

Everything else keeps the value it has in the default world and is listed as not told.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from scenarios.fitting.summaries import ATTRIBUTES
from simenv.asking import INTENT_KINDS
from simenv.clicks import (
    Cascade,
    ClickModel,
    DependentClick,
    DynamicBayesian,
    PositionBased,
    SimplifiedDynamicBayesian,
    UserBrowsing,
)
from simenv.params import IntentKind, WorldParams

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

F64 = npt.NDArray[np.float64]
Scale = Literal["plain", "log", "odds", "square"]
WANTS = "queries.wants."
FURTHEST = 7.0  # log-odds and logarithms beyond which nothing moves any more
STEP = {"plain": 0.2, "log": 0.15, "odds": 0.25, "square": 0.1}  # of the differences that stand for derivatives
VAGUE = {
    "plain": 1.0,
    "log": 0.7,
    "odds": 1.0,
    "square": 0.5,
}  # standard errors from which on a log does not tell a parameter


@dataclass(frozen=True)
class Knob:
    """One parameter of a world.

    Attributes:
        path: Its dotted name in `WorldParams`.
        told_by: The summary, of `scenarios.fitting.summaries.SUMMARIES`, that tells most about it.
        scale: How it is moved: as it is, by its logarithm, by its log-odds, by its square (of a spread: its variance).
        off: Its value where the summary is exactly 0; None where that tells nothing.
    """

    path: str
    told_by: str
    scale: Scale
    off: float | None = None


KNOBS = (
    Knob("attraction.base", "clicks", "plain"),
    Knob("attraction.relevance", "match", "plain"),
    Knob("attraction.taste", "affinity", "plain"),
    Knob("attraction.price", "price", "plain"),
    Knob("attraction.loyalty", "brand again", "plain"),
    Knob("attraction.quality", "rating", "plain"),
    Knob("attraction.popularity", "popularity", "plain"),
    Knob("attraction.bait", "items differ", "square"),
    Knob("conversion.cart_base", "carts", "plain"),
    Knob("conversion.buy_base", "purchases", "plain"),
    Knob("dynamics.page_down", "page down", "log", off=0.0),
    Knob("dynamics.reformulate", "ask again", "log", off=0.0),
    Knob("dynamics.return_base", "return", "odds"),
    Knob("shoppers.mean_gap_days", "gap", "log"),
    Knob("queries.misspelling_rate", "unknown words", "odds", off=0.0),
    Knob("queries.navigational.share", "brand said", "odds"),
    Knob("queries.exploratory.share", "no category", "odds"),
    Knob("queries.nothing_found", "nothing found", "odds", off=0.0),
    *(Knob(f"queries.wants.{name}", f"{name} said", "odds", off=0.0) for name in ATTRIBUTES),
)

BUILDERS: dict[str, Callable[[list[float], int], ClickModel]] = {
    "position-based": lambda p, n: PositionBased((1.0, *p)),
    "cascade": lambda p, n: Cascade(p[0]),
    "dependent-click": lambda p, n: DependentClick((*p, 1.0)),
    "simplified-dbn": lambda p, n: SimplifiedDynamicBayesian(),
    "dbn": lambda p, n: DynamicBayesian(p[0]),
    "user-browsing": lambda p, n: UserBrowsing(_triangle([1.0, *p], n)),
}


@dataclass(frozen=True)
class Knobs:
    """What is moved: parameters of a world, then the global parameters of its click model, one vector in all.

    Attributes:
        world: What everything else is taken from.
        moved: The parameters.
        click_model: In `BUILDERS`.
        names: Of the click model's global parameters, as `fit_click_model` names them.
    """

    world: WorldParams
    moved: tuple[Knob, ...]
    click_model: str
    names: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """Names of the vector's entries."""
        return [*(knob.path for knob in self.moved), *(f"click_model.{name}" for name in self.names)]

    @property
    def scales(self) -> list[Scale]:
        """Scales of the vector's entries."""
        return [*(knob.scale for knob in self.moved), *(["odds"] * len(self.names))]  # type: ignore[list-item]

    def start(self, clicks: F64) -> F64:
        """The vector where the world's own parameters stand, and `clicks` for those of the click model."""
        own = [moved_by(knob.scale, setting(self.world, knob.path)) for knob in self.moved]
        return np.array([*own, *(moved_by("odds", float(p)) for p in clicks)])

    def values(self, vector: F64) -> list[float]:
        """The parameters that a vector stands for."""
        return [value_of(scale, float(x)) for scale, x in zip(self.scales, vector, strict=True)]

    def params(self, vector: F64) -> WorldParams:
        """The world that a vector stands for."""
        values = self.values(vector)
        made = self.world
        for knob, value in zip(self.moved, values, strict=False):
            made = with_setting(made, knob.path, value)
        model = BUILDERS[self.click_model](values[len(self.moved) :], made.n_slots)
        return dataclasses.replace(made, click_model=model)


def moved_by(scale: Scale, value: float) -> float:
    """A parameter on its scale."""
    if scale == "plain":
        return value
    if scale == "square":
        return value * abs(value)
    if scale == "log":
        return max(math.log(max(value, 1e-300)), -FURTHEST)
    inside = min(max(value, 1e-4), 1.0 - 1e-4)
    return math.log(inside / (1.0 - inside))


def value_of(scale: Scale, x: float) -> float:
    """A parameter from its scale."""
    if scale == "plain":
        return x
    if scale == "square":
        return math.sqrt(max(x, 0.0))
    x = min(max(x, -FURTHEST - 2.5), FURTHEST + 2.5)
    return math.exp(x) if scale == "log" else 1.0 / (1.0 + math.exp(-x))


def setting(params: WorldParams, path: str) -> float:
    """The number at a dotted name; `queries.wants.ATTRIBUTE` is the share of intents that want one where any fits."""
    if path.startswith(WANTS):
        place = 1 + ATTRIBUTES.index(path.removeprefix(WANTS))
        return sum(kind.share * kind.wants[place] for kind in _kinds(params).values())
    value: Any = params
    for name in path.split("."):
        value = getattr(value, name)
    return float(value)


def with_setting(params: WorldParams, path: str, value: float) -> WorldParams:
    """The same world with another number at a dotted name.

    `queries.KIND.share` keeps the sum of shares; `queries.wants.ATTRIBUTE` keeps how the kinds compare.
    """
    if path.startswith(WANTS):
        return _with_wants(params, path, value)
    if path.startswith("queries.") and path.endswith(".share"):
        return _with_share(params, path.split(".")[1], value)
    made: WorldParams = _replaced(params, path.split("."), value)
    return made


def _replaced(group: DataclassInstance, names: list[str], value: float) -> Any:
    inner = value if len(names) == 1 else _replaced(getattr(group, names[0]), names[1:], value)
    return dataclasses.replace(group, **{names[0]: inner})


def _with_share(params: WorldParams, kind: str, share: float) -> WorldParams:
    """One kind of intent gets a share; what is left goes to `focused`."""
    queries = params.queries
    shares = {name: getattr(queries, name).share for name in ("navigational", "exploratory")} | {kind: share}
    most = sum(shares.values())
    if most > 0.98:
        shares = {name: each * 0.98 / most for name, each in shares.items()}
    shares["focused"] = 1.0 - sum(shares.values())
    replaced = {name: dataclasses.replace(getattr(queries, name), share=each) for name, each in shares.items()}
    return dataclasses.replace(params, queries=dataclasses.replace(queries, **replaced))


def _with_wants(params: WorldParams, path: str, value: float) -> WorldParams:
    """An attribute is wanted as often as the value says, by all kinds of intent in proportion."""
    place, before = 1 + ATTRIBUTES.index(path.removeprefix(WANTS)), setting(params, path)
    made = {}
    for name, kind in _kinds(params).items():
        wants = list(kind.wants)
        wants[place] = min(1.0, wants[place] * value / before) if before > 0.0 else value
        made[name] = dataclasses.replace(kind, wants=tuple(wants))  # type: ignore[arg-type]
    queries = dataclasses.replace(
        params.queries,
        navigational=made["navigational"],
        focused=made["focused"],
        exploratory=made["exploratory"],
    )
    return dataclasses.replace(params, queries=queries)


def _kinds(params: WorldParams) -> dict[str, IntentKind]:
    return {name: getattr(params.queries, name) for name in INTENT_KINDS}


def click_chances(model: ClickModel) -> list[float]:
    """The global parameters of a click model, in the order of `BUILDERS`."""
    values = {field.name: getattr(model, field.name) for field in dataclasses.fields(cast(Any, model))}
    if model.name == "position-based":
        return list(values["examination"][1:])
    if model.name == "user-browsing":
        return [p for table in values["examination"] for p in table][1:]
    if model.name == "dependent-click":
        return list(values["continuation"][:-1])
    return [values["continuation"]] if "continuation" in values else []


def _triangle(table: list[float], n_slots: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(table[k * (k + 1) // 2 :][: k + 1]) for k in range(n_slots))

"""One event of a dsjson log, checked: its slots, what was chosen, how likely, and what it cost."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
EventKind = Literal["cb", "ccb", "slates"]

_CLOSE = 1e-4  # between probabilities printed from float32


@dataclass(frozen=True)
class Event:
    """An event.

    Attributes:
        kind: cb, ccb or slates.
        place: File and line, for messages.
        chance: By slot: probability of every action, (A,); NaN where a slot above has it already. Even shares where
            the log has only the chosen action's.
        is_whole: Whether `chance` is what was logged.
        chosen: By slot: the action, from 0.
        logged: By slot: its probability.
        cost: By slot; one for the page in slates.
        time: Microseconds since 1970; None where not said.
        shopper: Who; None where not asked for.
        id: EventId; "" where not said.
    """

    kind: EventKind
    place: str
    chance: tuple[Floats, ...]
    is_whole: bool
    chosen: tuple[int, ...]
    logged: tuple[float, ...]
    cost: tuple[float, ...]
    time: int | None
    shopper: Any
    id: str


def parse_event(place: str, line: dict[str, Any], shopper: str, skipped: dict[str, int]) -> Event | None:
    """The event of a line; None where the line is none, which is counted.

    Raises:
        UserError: Naming the place and the field that is wrong.
    """
    if "c" not in line and ("RewardValue" in line or "Outcomes" in line):
        skipped["dangling"] += 1
        return None
    if line.get("_skipLearn") is True:
        skipped["skipped"] += 1
        return None
    if line.get("pdrop", 0) not in (0, 0.0):
        raise UserError(
            f"{place}: pdrop is {line['pdrop']!r}; events were left out at random, and this reader does not weigh the "
            "rest. Read the log before events are dropped."
        )
    who = _at(line, shopper, place) if shopper else None
    time, identity = _time(line, place), str(line.get("EventId", ""))
    if "_outcomes" not in line:
        chance, is_whole, chosen, logged = _action(place, line)
        return Event(
            "cb", place, (chance,), is_whole, (chosen,), (logged,), (_number(place, line, "_label_cost"),), time, who,
            identity,
        )  # fmt: skip
    outcomes = line["_outcomes"]
    if type(outcomes) is not list or not outcomes or not all(type(one) is dict for one in outcomes):
        raise UserError(f"{place}: _outcomes is {str(outcomes)[:60]}; expected one object a slot.")
    is_slates = "_label_cost" in line
    own = [_slot(f"{place}, slot {k + 1}", outcome) for k, outcome in enumerate(outcomes)]
    sizes = [_slot_size(line, k, is_slates, numbers) for k, (numbers, _) in enumerate(own)]
    chances = []
    for k, ((numbers, p), size) in enumerate(zip(own, sizes, strict=True)):
        if max(numbers) >= size:
            raise UserError(f"{place}, slot {k + 1}: _a names action {max(numbers)}; expected 0 to {size - 1}.")
        chance = np.zeros(size) if is_slates else np.full(size, np.nan)
        chance[numbers] = p
        if not is_slates:
            above = [other[0][0] for other in own[:k]]
            if set(numbers) & set(above):
                raise UserError(
                    f"{place}, slot {k + 1}: _a names an action that stands above; expected it once a page."
                )
            chance[np.isnan(chance)] = 0.0
            chance[above] = np.nan
        chances.append(chance)
    costs = (_number(place, line, "_label_cost"),) if is_slates else tuple(
        _number(f"{place}, slot {k + 1}", outcome, "_label_cost") for k, outcome in enumerate(outcomes)
    )  # fmt: skip
    chosen_all, logged_all = tuple(numbers[0] for numbers, _ in own), tuple(float(p[0]) for _, p in own)
    kind: EventKind = "slates" if is_slates else "ccb"
    return Event(kind, place, tuple(chances), True, chosen_all, logged_all, costs, time, who, identity)


def _action(place: str, line: dict[str, Any]) -> tuple[Floats, bool, int, float]:
    """Chances of all actions, whether they were logged, the chosen one from 0, and its probability."""
    action = line.get("_label_Action")
    if type(action) is not int or action < 1:
        raise UserError(f"{place}: _label_Action is {action!r}; expected a number from 1.")
    if line.get("_labelIndex", action - 1) != action - 1:
        raise UserError(
            f"{place}: _labelIndex is {line['_labelIndex']!r} and _label_Action {action}; expected one more."
        )
    logged = _number(place, line, "_label_probability")
    if not 0.0 < logged <= 1.0 + _CLOSE:
        told = " Was a log-probability written?" if logged < 0.0 else ""
        raise UserError(f"{place}: _label_probability is {logged:g}; expected 0 < p <= 1.{told}")
    listed = line.get("a"), line.get("p")
    if listed == (None, None):
        context = line.get("c")
        multi = context.get("_multi") if type(context) is dict else None
        size = len(multi) if type(multi) is list else 0
        if size < action:
            raise UserError(f"{place}: it has neither a and p nor {action} actions in c._multi; expected one of them.")
        return np.full(size, 1.0 / size), False, action - 1, min(logged, 1.0)
    numbers, p = _distribution(place, listed[0], listed[1], "a", "p", first=1)
    if action - 1 not in numbers:
        raise UserError(f"{place}: _label_Action is {action}, which a does not list; expected one of a.")
    chance = np.zeros(max(len(numbers), max(numbers) + 1))
    chance[numbers] = p
    if abs(chance[action - 1] - logged) > _CLOSE:
        raise UserError(
            f"{place}: _label_probability is {logged:g} and p gives action {action} {chance[action - 1]:g}; expected "
            "the same number. Is p in the order of a?"
        )
    return chance, True, action - 1, min(logged, 1.0)


def _slot(place: str, outcome: dict[str, Any]) -> tuple[list[int], Floats]:
    numbers, p = _distribution(place, outcome.get("_a"), outcome.get("_p"), "_a", "_p", first=0)
    if p[0] <= 0.0:
        raise UserError(f"{place}: _p[0] is {p[0]:g}, but this action was shown; expected 0 < p <= 1.")
    return numbers, p


def _distribution(place: str, actions: Any, p: Any, a_name: str, p_name: str, first: int) -> tuple[list[int], Floats]:
    """Action numbers from 0 and their probabilities."""
    if type(actions) is not list or not actions or not all(type(one) is int and one >= first for one in actions):
        raise UserError(f"{place}: {a_name} is {str(actions)[:60]}; expected a list of action numbers from {first}.")
    if type(p) is not list or len(p) != len(actions) or not all(type(one) in (int, float) for one in p):
        raise UserError(
            f"{place}: {p_name} is {str(p)[:60]}; expected {len(actions)} probabilities, one for each of {a_name}."
        )
    if len(set(actions)) < len(actions) or max(actions) > 1_000_000:
        raise UserError(f"{place}: {a_name} is {str(actions)[:60]}; expected each action once.")
    made = np.array(p, dtype=np.float64)
    if not ((made >= 0.0) & (made <= 1.0 + _CLOSE)).all():
        told = " Were log-probabilities written?" if (made <= 0.0).all() else ""
        raise UserError(f"{place}: {p_name} is {str(p)[:60]}; expected numbers from 0 to 1.{told}")
    if abs(made.sum() - 1.0) > _CLOSE + 1e-6 * len(made):
        raise UserError(f"{place}: {p_name} sums to {made.sum():.6g}; expected 1.")
    return [one - first for one in actions], np.minimum(made, 1.0)


def _slot_size(line: dict[str, Any], k: int, is_slates: bool, numbers: list[int]) -> int:
    """Number of actions that a slot chooses among: of the page in ccb, of the slot in slates."""
    context = line.get("c")
    multi = context.get("_multi") if type(context) is dict else None
    if type(multi) is not list or not multi:
        return max(numbers) + 1 if is_slates else max(max(outcome["_a"]) for outcome in line["_outcomes"]) + 1
    if not is_slates:
        return len(multi)
    own = [one for one in multi if type(one) is dict and one.get("_slot_id") == k]
    return len(own) or max(numbers) + 1


def _number(place: str, line: dict[str, Any], name: str) -> float:
    value = line.get(name)
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise UserError(f"{place}: {name} is {value!r}; expected a finite number.")
    return float(value)  # type: ignore[arg-type]


def _time(line: dict[str, Any], place: str) -> int | None:
    given = line.get("Timestamp")
    if given is None:
        return None
    try:
        text = str(given).removesuffix("Z")
        whole, _, part = text.partition(".")
        at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.UTC)
        return int(at.timestamp()) * 1_000_000 + int((part + "000000")[:6])
    except (ValueError, OverflowError):
        raise UserError(f"{place}: Timestamp is {given!r}; expected a time such as 2021-07-29T10:00:00.999Z.") from None


def _at(line: dict[str, Any], path: str, place: str) -> Any:
    """What stands at a dotted path."""
    found: Any = line
    for step in path.split("."):
        if type(found) is not dict or step not in found:
            raise UserError(f"{place}: it has no '{path}', which should name the shopper; expected it in every event.")
        found = found[step]
    if type(found) not in (str, int):
        raise UserError(f"{place}: '{path}' is a {type(found).__name__}; expected the shopper's name or number.")
    return found

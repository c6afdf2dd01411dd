"""Settings of learners: what a scenario, a command or a saved card says, over each learner's own defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from simenv.errors import UserError

FOR_ALL = ("seed", "device")  # told to every learner; those that draw nothing or keep no tensors take no notice
SAVED_PARTS = ("reader", "session")  # a name, a folder, or what a saved card says of the part

Range = tuple[str, Callable[[float], bool]]  # in words, and as a question
COUNT: Range = ("at least 1", lambda value: value >= 1)
POSITIVE: Range = ("a number above 0", lambda value: 0 < value < math.inf)
NOT_NEGATIVE: Range = ("at least 0", lambda value: 0 <= value < math.inf)
SHARE: Range = ("a number from 0 to 1", lambda value: 0 <= value <= 1)
DISCOUNT: Range = ("a discount from 0 to 1", lambda value: 0 <= value <= 1)
FLOOR: Range = ("a share from 0, and below 1", lambda value: 0 <= value < 1)


def chosen(kind: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, with what is given in their place.

    Raises:
        UserError: for a setting that the learner does not have, or a value of another kind than its default.
    """
    for name in given:
        if name not in defaults and name not in FOR_ALL:
            raise UserError(f"policy '{kind}' has no setting '{name}'; expected {', '.join(defaults)}.")
        _check_kind(kind, name, given[name], defaults.get(name))
    return {name: given.get(name, default) for name, default in defaults.items()}


def check_ranges(kind: str, settings: Mapping[str, Any], ranges: Mapping[str, Range]) -> None:
    """Refuse what no training can go by, before it starts.

    Args:
        kind: Whose settings they are.
        settings: By name.
        ranges: Of those that have one.

    Raises:
        UserError: naming the setting, and what was expected.
    """
    for name, (expected, holds) in ranges.items():
        if not holds(settings[name]):
            raise UserError(f"policy '{kind}': setting '{name}' is {settings[name]!r}; expected {expected}.")


def _check_kind(kind: str, name: str, value: Any, default: Any) -> None:
    """Refuse what would fail in the middle of training, far from where it was written."""
    if name in SAVED_PARTS:
        expected, fits = "a name or a folder", isinstance(value, str | Path | Mapping | None)
    elif default is None:  # no default to go by: the learner itself says what it takes
        return
    elif isinstance(default, bool):
        expected, fits = "true or false", isinstance(value, bool)
    elif isinstance(default, Integral):
        expected, fits = "a whole number", isinstance(value, Integral) and not isinstance(value, bool)
    elif isinstance(default, Real):
        expected, fits = "a number", isinstance(value, Real) and not isinstance(value, bool)
    elif isinstance(default, str):
        expected, fits = "text", isinstance(value, str)
    else:
        expected, fits = "a list of whole numbers", isinstance(value, Sequence) and not isinstance(value, str)
    if not fits:
        raise UserError(f"policy '{kind}': setting '{name}' is {value!r}; expected {expected}.")

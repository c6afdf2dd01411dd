"""Propensities as a log gives them, checked and turned into the kinds that evidence knows; never one kind for another.

Conditional, prefix, marginal and whole-page probabilities look alike, and one in place of another biases the estimate
without a warning. Two checks help against a wrong word in the mapping: running products never rise, and the mean of 1/p
counts what could have stood at a slot: C, C - 1, C - 2, ... for conditionals of a logger that shows nothing twice, and
C at every slot for its marginals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.readers.mapping import Chance, Kind, Scale
from offpolicy.readers.pages import Pages
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_ROUNDING = 1e-6
_CLEAR = 5.0  # standard errors that tell two kinds apart
_NEAR = 3.0


@dataclass(frozen=True)
class Given:
    """Numbers that somebody says are propensities.

    Attributes:
        value: (N, K), or (N, 1) for the whole page.
        kind, scale: What they are said to be.
        name: Where they come from, for messages.
    """

    value: Floats
    kind: Kind
    scale: Scale
    name: str


def from_columns(pages: Pages, chances: Sequence[Chance], role: str) -> list[Given]:
    """The propensities that the mapping names."""
    made = []
    for chance in chances:
        listed = f"{', '.join(chance.columns[:3])}{' ...' if len(chance.columns) > 3 else ''}"
        if chance.kind == "whole":
            value = pages.whole(chance.columns[0], role)[:, None]
        else:
            value = pages.numbers(chance.columns, role)
        made.append(Given(value, chance.kind, chance.scale, f"{role} ({listed})"))
    return made


def checked(pages: Pages, given: Sequence[Given], shown: Bools, *, by_logger: bool) -> dict[Kind, Floats]:
    """Log-probabilities by kind: (N, K), or (N, 1) for "whole"; 0 where a slot is empty.

    Args:
        pages: The log.
        given: Numbers and what they are said to be.
        shown: Where a slot is not empty, (N, K).
        by_logger: Whether they are the logger's, who showed this, so that 0 is wrong.

    Raises:
        UserError: Naming file, row and slot of the first number that is no propensity, and what it may be instead.
    """
    made: dict[Kind, Floats] = {}
    for one in given:
        filled = np.ones((len(shown), 1), dtype=np.bool_) if one.kind == "whole" else shown
        if one.value.shape != filled.shape:
            raise UserError(
                f"{one.name} of kind {one.kind} has {one.value.shape[1]} numbers a page; expected {filled.shape[1]}. "
                "Is it "
                'the probability of the whole page? Then its kind is "whole".'
            )
        logp = _logp(pages, one, filled, by_logger=by_logger)
        if one.kind == "prefix":
            _check_falling(pages, logp, one.name, shown)
        made["conditional" if shown.shape[1] == 1 else one.kind] = logp  # with one slot all kinds are one
    return made


def _logp(pages: Pages, one: Given, filled: Bools, *, by_logger: bool) -> Floats:
    if one.scale == "log":
        bad = filled & ~(one.value <= _ROUNDING)  # not-a-number is not
        wanted = f"a log-probability, at most 0. Was a probability written? Then {_said(one, 'probability')}."
    else:
        bad = filled & ~((one.value >= 0.0) & (one.value <= 1.0 + _ROUNDING))
        wanted = "0 < p <= 1. Was a percentage, a weight or a score written instead?"
        if (one.value[bad] < 0.0).any():
            wanted = f"0 < p <= 1. Was a log-probability written? Then {_said(one, 'log')}."
    if bad.any():
        page, slot = (int(place) for place in np.argwhere(bad)[0])
        where, value = pages.place(page, None if one.kind == "whole" else slot), one.value[page, slot]
        told = "missing or not a number" if np.isnan(value) else f"{value:g}"
        raise UserError(f"{where}: {one.name} is {told}; expected {wanted}")
    with np.errstate(divide="ignore", invalid="ignore"):
        made = np.minimum(one.value if one.scale == "log" else np.log(one.value), 0.0)
    never = filled & (made == -np.inf)
    if by_logger and never.any():
        page, slot = (int(place) for place in np.argwhere(never)[0])
        where = pages.place(page, None if one.kind == "whole" else slot)
        raise UserError(
            f"{where}: {one.name} is 0, but the logger showed this; expected 0 < p <= 1. Take the "
            "propensity that the page was drawn with."
        )
    return np.where(filled, made, 0.0)


def _said(one: Given, scale: str) -> str:
    """Where the other scale is declared: by the mapping's key, or by the key that a policy answers with."""
    if not one.name.startswith("policy "):
        return f'say scale = "{scale}"'
    return f"answer under the key {'logp' if scale == 'log' else 'p'}_{one.kind}"


def _check_falling(pages: Pages, logp: Floats, name: str, shown: Bools) -> None:
    bad = shown[:, 1:] & (logp[:, 1:] > logp[:, :-1] + _ROUNDING)
    if bad.any():
        page, slot = (int(place) for place in np.argwhere(bad)[0])
        raise UserError(
            f"{pages.place(page, slot + 1)}: {name} rises from {np.exp(logp[page, slot]):g} to "
            f'{np.exp(logp[page, slot + 1]):g} along the page; running products (kind "prefix") never rise. Are they '
            "conditionals or marginals?"
        )


def conditional(chances: Mapping[Kind, Floats], shown: Bools) -> Floats | None:
    """Log p of each slot given those above, (N, K), where what is known gives it."""
    if "conditional" in chances:
        return chances["conditional"]
    if "prefix" not in chances:
        return None
    prefix = chances["prefix"]
    before = np.concatenate([np.zeros((len(prefix), 1)), prefix[:, :-1]], axis=1)
    with np.errstate(invalid="ignore"):
        made = np.minimum(prefix - before, 0.0)
    # Below what a policy never shows nothing more is to be said; in an empty slot nothing is.
    return np.where(shown & (before > -np.inf), made, 0.0)


def whole(chances: Mapping[Kind, Floats], shown: Bools) -> Floats | None:
    """Log p of the page, (N, 1), where what is known gives it."""
    if "whole" in chances:
        return chances["whole"]
    slots = conditional(chances, shown)
    return None if slots is None else slots.sum(axis=1, keepdims=True)


def looks_otherwise(chances: Mapping[Kind, Floats], shown: Bools) -> tuple[Kind, str] | None:
    """What the propensities look like, if not like what they are said to be: the kind and the reason, or None.

    Only pages with all slots are looked at. With K slots the mean of 1/p_1 - 1/p_k over pages is k - 1 for conditionals
    and 0 for marginals of a logger that can show everything and nothing twice. They are told to be the other kind where
    every slot is near the other's mean and far from their own.
    """
    full = shown.all(axis=1)
    n_slots = shown.shape[1]
    if n_slots < 2 or full.sum() < 50:
        return None
    pairs: tuple[tuple[Kind, Kind], ...] = (("marginal", "conditional"), ("conditional", "marginal"))
    for claimed, other in pairs:
        if claimed not in chances or other in chances:
            continue
        inverse = np.exp(-np.maximum(chances[claimed][full], -300.0))
        drop = inverse[:, :1] - inverse[:, 1:]  # (n, K - 1)
        mean, error = drop.mean(axis=0), drop.std(axis=0, ddof=1) / np.sqrt(len(drop)) + 1e-9
        steps = np.arange(1.0, n_slots)
        own, others = (0.0 * steps, steps) if claimed == "marginal" else (steps, 0.0 * steps)
        if (np.abs(mean - others) < _NEAR * error).all() and (np.abs(mean - own) > _CLEAR * error).all():
            told = ", ".join(f"{one:.2f}" for one in inverse.mean(axis=0)[:5])
            choice = "one fewer at each slot" if other == "conditional" else "as many at every slot"
            return other, f"the mean of 1/p counts the choices at a slot; it is {told} from the top, {choice}"
    return None

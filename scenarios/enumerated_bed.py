"""Beds whose truth is enumerated: a few hundred contexts, every slate of each, exact chances of everything.

An estimator can only be judged where the truth is known, and only a truth that costs nothing can be met thousands of
times. A bed is a market of C candidates and K slots in which every slate can be listed: K = 1 is a single-action log.
Its knobs plant what goes wrong in real logs: loggers that hardly ever or never show something, propensities that are
not those the slates were drawn with, rewards that depend on what stands around, few rows, shoppers who are not told
apart, rewards of a heavy tail, reward models that like the wrong things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from offpolicy.slates.pseudoinverse import moment_weights
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CONTEXTS = 200
MOST_SLATES = 1_000
_EXAMINED = 0.65  # how much less each slot is looked at than the one above
_MODEL_NOISE = 0.3  # of a good reward model, in the logit


class Bed(BaseModel):
    """A market with a logger and several target policies.

    Attributes:
        name: What tables call it.
        about: What is right or wrong with it, in a sentence.
        is_sound: Whether nothing is wrong with it, so that refusing there costs something.
        candidates, slots: C and K.
        rows: Of a log.
        targets: The gain of each target policy: how much more than the logger it follows what shoppers like.
        behaviour: Whether a slot's reward depends on its own item ("position"), on what was clicked above ("cascade"),
            or on every other item of the slate ("whole").
        sharpness: How much the logger follows what shoppers like.
        drawn_at: The sharpness with which slates are really drawn, as a multiple of what the propensities say.
        drawn_later: The same in the second half of the log.
        rare: What the logger's weight of the first `n_rare` candidates is multiplied by; 0 never shows them.
        n_rare: How many candidates that concerns.
        model: A reward model that is about right, one that likes the opposite, or none.
        per_shopper: Rows of one shopper, who keeps one context and one appetite.
        appetite: How much shoppers differ in how readily they click: chances are multiplied by 1 - a or 1 + a.
        declared: What is taken for independent: the shopper, or wrongly the row.
        rate: What click chances are multiplied by.
        late: The last share of the time in which rewards are still missing, all of them at its end.
        twice: Whether each row was logged twice, under another shopper's name.
        spread: Standard deviation of the logarithm of what a click earns, whose mean is 1; 0 counts clicks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["enumerated"] = "enumerated"
    name: str = Field(pattern=r"^[a-z0-9-]+$")
    about: str = ""
    is_sound: bool = False
    candidates: int = Field(default=8, ge=2)
    slots: int = Field(default=3, ge=1)
    rows: int = Field(default=2_000, ge=4)
    targets: dict[str, float] = {"near": 0.3, "further": 0.8, "far": 1.4}
    behaviour: Literal["position", "cascade", "whole"] = "position"
    sharpness: float = 0.5
    drawn_at: float = Field(default=1.0, gt=0)
    drawn_later: float | None = Field(default=None, gt=0)
    rare: float = Field(default=1.0, ge=0)
    n_rare: int = Field(default=1, ge=1)
    model: Literal["good", "wrong", "none"] = "good"
    per_shopper: int = Field(default=2, ge=1)
    appetite: float = Field(default=0.0, ge=0, lt=1)
    declared: Literal["shopper", "row"] = "shopper"
    rate: float = Field(default=0.5, gt=0, le=1)
    late: float = Field(default=0.0, ge=0, le=1)
    twice: bool = False
    spread: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> Bed:
        n_slates = int(np.prod(np.arange(self.candidates - self.slots + 1, self.candidates + 1)))
        if self.slots >= self.candidates + (self.slots == 1) or n_slates > MOST_SLATES:
            raise UserError(
                f"bed '{self.name}' has {n_slates:,} slates of {self.slots} of {self.candidates}; expected fewer slots "
                f"than candidates and at most {MOST_SLATES:,} slates, for all of them are listed"
            )
        if self.n_rare > self.candidates - self.slots:
            raise UserError(f"bed '{self.name}': n_rare leaves too few candidates to fill {self.slots} slots")
        if self.appetite and (self.behaviour == "cascade" or self.rate * (1 + self.appetite) > 1.0 + 1e-9):
            raise UserError(f"bed '{self.name}': appetite needs rate * (1 + appetite) <= 1, and no cascade")
        if not self.targets:
            raise UserError(f"bed '{self.name}' has no targets; give each a name and a gain")
        return self


@dataclass(frozen=True)
class Chances:
    """A policy's exact propensities of every slate in every context."""

    conditional: Floats  # (X, S, K) log-probabilities
    marginal: Floats  # (X, S, K) log-probabilities
    slate: Floats  # (X, S) probabilities


@dataclass(frozen=True)
class Market:
    """A bed with everything enumerated.

    Attributes:
        slates: (S, K) items.
        click: Chance of a click at each slot given the slate, before anybody's appetite, (X, S, K).
        expected: Expected reward of each slot given the slate, (X, S, K).
        logger: What the propensities say the logger does.
        drawn: What it really does in the first and in the second half of a log, (X, S) each.
        targets: Target policies by name.
        truth: Their values per row.
        context: Public features of the contexts, (X, 2), which no policy can move.
        model: Reward of each slot as the reward model expects it, (X, S, K); None where there is none.
        prefix: The same, given what stands above, (X, S, K).
        placebo: Liking of each slot's item minus its mean given the rest of the slate, (X, S, K).
        residual: Score of the slate minus its expectation under the logged propensities, (X, S).
        pseudoinverse: Weights of each target, (X, S).
        foreseen, foreseen_square: E_target[w] and E_target[w^2] of each target by family of weights, (X,) each.
    """

    slates: Ints
    click: Floats
    expected: Floats
    logger: Chances
    drawn: tuple[Floats, Floats]
    targets: Mapping[str, Chances]
    truth: Mapping[str, float]
    context: Floats
    model: Floats | None
    prefix: Floats | None
    placebo: Floats
    residual: Floats
    pseudoinverse: Mapping[str, Floats]
    foreseen: Mapping[str, Mapping[str, Floats]]
    foreseen_square: Mapping[str, Mapping[str, Floats]]


@lru_cache(maxsize=2)
def market_of(bed: str) -> Market:
    """The enumerated market of a bed told as JSON, which is what a cache can hold."""
    return enumerated(Bed.model_validate_json(bed))


def enumerated(bed: Bed) -> Market:
    """List every slate of a bed; contexts, tastes and policies are the same for all beds of one size."""
    rng = np.random.default_rng([bed.candidates, bed.slots])
    slates = np.array(list(permutations(range(bed.candidates), bed.slots)))
    x = rng.standard_normal((CONTEXTS, bed.candidates))
    logits = bed.sharpness * x + 0.3 * rng.standard_normal(x.shape)
    seen_by_model = x + _MODEL_NOISE * rng.standard_normal(x.shape)
    rarity = np.ones(bed.candidates)
    rarity[: bed.n_rare] = bed.rare
    logger = plackett_luce(rarity * np.exp(logits), slates)
    targets = {name: plackett_luce(np.exp(logits + gain * x), slates) for name, gain in bed.targets.items()}
    later = bed.drawn_at if bed.drawn_later is None else bed.drawn_later
    drawn = tuple(plackett_luce(rarity * np.exp(at * logits), slates).slate for at in (bed.drawn_at, later))
    click, expected = _clicks(bed, x, slates)
    model = prefix = None
    if bed.model != "none":
        model = bed.rate * _attraction(seen_by_model if bed.model == "good" else -seen_by_model, slates)
        prefix = model * _none_above(model) if bed.behaviour == "cascade" else model
    return Market(
        slates=slates,
        click=click,
        expected=expected,
        logger=logger,
        drawn=(drawn[0], drawn[1]),
        targets=targets,
        truth={name: float((each.slate * expected.sum(axis=2)).sum(axis=1).mean()) for name, each in targets.items()},
        context=x[:, :2],
        model=model,
        prefix=prefix,
        placebo=_placebo(logger.slate, seen_by_model, slates),
        residual=_residual(rarity * np.exp(logits), logits, slates),
        pseudoinverse={
            name: moment_weights(logger.slate, each.slate, slates, bed.candidates) if bed.slots > 1 else each.slate
            for name, each in targets.items()
        },
        foreseen={name: _foreseen(logger, each, 1) for name, each in targets.items()},
        foreseen_square={name: _foreseen(logger, each, 2) for name, each in targets.items()},
    )


def plackett_luce(weight: Floats, slates: Ints) -> Chances:
    """Exact propensities of all slates: conditionals by definition, marginals by summing over slates.

    Args:
        weight: Weights of the candidates, (X, C), not negative.
        slates: (S, K).
    """
    strength = weight[:, slates]  # (X, S, K)
    left = weight.sum(axis=1)[:, None, None] - (np.cumsum(strength, axis=2) - strength)
    with np.errstate(divide="ignore"):
        conditional = np.log(strength / np.maximum(left, 1e-300))
        slate = np.exp(conditional.sum(axis=2))
        at_slot = (slates[:, :, None] == np.arange(weight.shape[1])).astype(np.float64)  # (S, K, C)
        marginal = np.log(np.einsum("xs,skc->xkc", slate, at_slot, optimize=True))
    return Chances(conditional, marginal[:, np.arange(slates.shape[1]), slates], slate)


def _attraction(x: Floats, slates: Ints) -> Floats:
    examined = 0.9 * _EXAMINED ** np.arange(slates.shape[1])
    chance: Floats = examined / (1.0 + np.exp(1.0 - x[:, slates]))
    return chance


def _none_above(click: Floats) -> Floats:
    """Chance that nothing above was clicked, (X, S, K)."""
    return np.cumprod(1.0 - click, axis=2) / (1.0 - click)


def _clicks(bed: Bed, x: Floats, slates: Ints) -> tuple[Floats, Floats]:
    """Chance of a would-be click at each slot, and the expected reward of it, (X, S, K) both."""
    liking = x[:, slates]
    if bed.behaviour == "whole":  # what stands around an item lends it shine
        liking_around = liking.sum(axis=2, keepdims=True) - liking
        examined = 0.9 * _EXAMINED ** np.arange(bed.slots)
        click = bed.rate * examined / (1.0 + np.exp(1.0 - liking - 0.8 * liking_around))
        return click, click
    click = bed.rate * _attraction(x, slates)
    return click, click * _none_above(click) if bed.behaviour == "cascade" else click


def _foreseen(logger: Chances, target: Chances, power: int) -> dict[str, Floats]:
    """E_target[w^power] by family, the mean over slots where a family has several, (X,) each; inf beyond support."""
    with np.errstate(over="ignore"):
        prefix = np.exp(power * (np.cumsum(target.conditional, axis=2) - np.cumsum(logger.conditional, axis=2)))
        slot = np.exp(power * (target.marginal - logger.marginal))
    weights = {"joint": prefix[:, :, -1], "prefix": prefix.mean(axis=2), "item_position": slot.mean(axis=2)}
    return {name: (target.slate * weight).sum(axis=1) for name, weight in weights.items()}


def _placebo(logger: Floats, liking: Floats, slates: Ints) -> Floats:
    """Liking of each slot's item minus its mean over the slates that differ there alone, (X, S, K)."""
    made = np.empty((len(logger), *slates.shape))
    for k in range(slates.shape[1]):
        rest = np.delete(slates, k, axis=1)
        _, group = np.unique(rest, axis=0, return_inverse=True) if rest.shape[1] else (None, np.zeros(len(slates), int))
        same = (group[:, None] == np.arange(group.max() + 1)).astype(np.float64)  # (S, G)
        own = liking[:, slates[:, k]]  # (X, S)
        mean = ((logger * own) @ same) / np.maximum(logger @ same, 1e-300)
        made[:, :, k] = own - mean[:, group]
    return made


def _residual(weight: Floats, logits: Floats, slates: Ints) -> Floats:
    """Logit of each slot's item minus its mean over what was left for the slot, summed over slots, (X, S)."""
    made = np.zeros((len(weight), len(slates)))
    left_mass = np.broadcast_to(weight.sum(axis=1)[:, None], made.shape).copy()
    left_score = np.broadcast_to((weight * logits).sum(axis=1)[:, None], made.shape).copy()
    for item in slates.T:
        made += logits[:, item] - left_score / np.maximum(left_mass, 1e-300)
        left_mass -= weight[:, item]
        left_score -= weight[:, item] * logits[:, item]
    return made

"""What a scorer believes about the candidates of a page, and how much of it a scheme of exploration asks for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from simenv.decision import Truth
from simenv.errors import UserError
from simenv.world import Page

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Needs:
    """What a scheme reads beside the scores.

    Attributes:
        spread: The standard deviation of each score.
        n_draws: How many whole sets of scores from the posterior, or how many members of an ensemble; 0 for none.
    """

    spread: bool = False
    n_draws: int = 0


@dataclass(frozen=True)
class Estimates:
    """Beliefs about candidates; whatever is said about holes is ignored.

    Attributes:
        scores: (N, C) higher is better; finite where `here`.
        here: (N, C) bool, False for a hole.
        spread: (N, C) standard deviations >= 0, or None where the scorer was not asked.
        draws: (N, M, C) scores by M posterior draws or ensemble members, or None where it was not asked.
    """

    scores: npt.NDArray[np.floating]
    here: Bools
    spread: npt.NDArray[np.floating] | None = None
    draws: npt.NDArray[np.floating] | None = None

    def without(self, taken: Bools) -> Estimates:
        """The same beliefs where the candidates `taken` (N, C) are holes."""
        return dataclasses.replace(self, here=self.here & ~taken)

    def spread_of(self, scheme: str) -> F64:
        """The spreads.

        Raises:
            UserError: where there are none; a missing spread is never read as 0.
        """
        if self.spread is None:
            raise UserError(f"exploration '{scheme}' needs the spread of each score; these estimates have none.")
        return self.spread.astype(np.float64)

    def draws_of(self, scheme: str) -> npt.NDArray[np.floating]:
        """The draws.

        Raises:
            UserError: where there are none.
        """
        if self.draws is None or self.draws.shape[1] == 0:
            raise UserError(f"exploration '{scheme}' needs posterior draws or members; these estimates have none.")
        return self.draws


class Exploration(Protocol):
    """A scheme: beliefs in, probabilities of one choice out."""

    @property
    def needs(self) -> Needs:
        """What it reads beside the scores."""

    def log_prob(self, estimates: Estimates) -> F64:
        """Log-probabilities of one choice, (N, C) float64.

        Each row's probabilities sum to one over the candidates that are here; holes, and what is never chosen, have
        -inf. A row of nothing but holes has -inf everywhere. Rows do not look at one another.
        """


class Uncertain(Protocol):
    """A scorer that also knows what it does not know."""

    def estimates(self, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
        """Beliefs about a page's candidates. Draws are functions of the state and of the page's own name."""


def greedy(scores: npt.NDArray[np.floating], here: Bools) -> F64:
    """Probabilities (..., C) of a choice that takes the best and splits ties evenly; 0 in rows of holes."""
    masked = np.where(here, scores, -np.inf)
    best = here & (masked == masked.max(axis=-1, keepdims=True))
    share: F64 = best / np.maximum(best.sum(axis=-1, keepdims=True), 1)
    return share


def floored(p: F64, here: Bools, floor: float) -> F64:
    """Log of `(1 - floor) * p + floor / n` over the n candidates that are here, (N, C)."""
    even = here / np.maximum(here.sum(axis=1, keepdims=True), 1)
    with np.errstate(divide="ignore"):
        logp: F64 = np.log((1.0 - floor) * p + floor * even)
    return logp


def refuse_share(scheme: str, name: str, value: float) -> None:
    """Refuse what is no share.

    Raises:
        UserError: outside [0, 1].
    """
    if not 0.0 <= value <= 1.0:
        raise UserError(f"exploration '{scheme}': {name} is {value}; expected 0 <= {name} <= 1.")


def refuse_negative(scheme: str, name: str, value: float) -> None:
    """Refuse what is below zero or not finite.

    Raises:
        UserError: for such a value.
    """
    if not 0.0 <= value < np.inf:
        raise UserError(f"exploration '{scheme}': {name} is {value}; expected a finite number of 0 or more.")

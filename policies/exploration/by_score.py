"""Schemes that read scores alone: epsilon-greedy, softmax, Plackett-Luce with a floor, and SquareCB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies import plackett_luce
from policies.exploration.estimates import F64, Estimates, Needs, floored, greedy, refuse_negative, refuse_share
from simenv.errors import UserError


@dataclass(frozen=True)
class EpsilonGreedy:
    """The best with probability 1 - epsilon, ties split evenly; with epsilon, any of all n candidates alike.

    `p = (1 - epsilon) * [best] / n_best + epsilon / n`.
    """

    epsilon: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        refuse_share("epsilon-greedy", "epsilon", self.epsilon)

    @property
    def needs(self) -> Needs:
        """Scores alone."""
        return Needs()

    def log_prob(self, estimates: Estimates) -> F64:
        """See `Exploration.log_prob`."""
        return floored(greedy(estimates.scores, estimates.here), estimates.here, self.epsilon)


@dataclass(frozen=True)
class PlackettLuce:
    """`p = (1 - floor) * softmax(score / temperature) + floor / n`: the first choice of `policies.plackett_luce`."""

    temperature: float = 1.0
    floor: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what has no distribution."""
        if not 0.0 < self.temperature < np.inf:
            raise UserError(f"exploration 'plackett-luce': temperature is {self.temperature}; expected more than 0.")
        if not 0.0 <= self.floor < 1.0:
            raise UserError(f"exploration 'plackett-luce': floor is {self.floor}; expected 0 <= floor < 1.")

    @property
    def needs(self) -> Needs:
        """Scores alone."""
        return Needs()

    def log_prob(self, estimates: Estimates) -> F64:
        """See `Exploration.log_prob`."""
        masked = np.where(estimates.here, estimates.scores, -np.inf)
        return plackett_luce.log_weights(masked, self.temperature, self.floor)


@dataclass(frozen=True)
class SquareCB:
    """Inverse gap weighting: `p_a = 1 / (n + gamma * (best - score_a))`, and the best takes what is left.

    Where several are best they share what is left, which is what choosing one of them at random would come to. Every
    row has its own best and its own n. Everything has a positive probability, the best at least 1 / n.

    Foster and Rakhlin, "Beyond UCB: optimal and efficient contextual bandits with regression oracles", 2020, where
    gamma grows with the square root of the rounds times n; right where scores are expected rewards by least squares.
    """

    gamma: float = 100.0

    def __post_init__(self) -> None:
        """Refuse a gamma below zero."""
        refuse_negative("squarecb", "gamma", self.gamma)

    @property
    def needs(self) -> Needs:
        """Scores alone."""
        return Needs()

    def log_prob(self, estimates: Estimates) -> F64:
        """See `Exploration.log_prob`."""
        here = estimates.here
        scores = np.where(here, estimates.scores, -np.inf).astype(np.float64)
        best = scores.max(axis=1, keepdims=True)
        is_best = here & (scores == best)
        gap = np.where(here & ~is_best, np.where(np.isneginf(best), 0.0, best) - scores, 0.0)
        p = np.where(here & ~is_best, 1.0 / (np.maximum(here.sum(axis=1, keepdims=True), 1) + self.gamma * gap), 0.0)
        left = (1.0 - p.sum(axis=1, keepdims=True)) / np.maximum(is_best.sum(axis=1, keepdims=True), 1)
        with np.errstate(divide="ignore"):
            logp: F64 = np.log(np.where(is_best, left, p))
        return logp


@dataclass(frozen=True)
class Softmax:
    """Boltzmann exploration: `p = softmax(score / temperature)`, in logarithms, so no candidate ever gets 0."""

    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no distribution."""
        if not 0.0 < self.temperature < np.inf:
            raise UserError(f"exploration 'softmax': temperature is {self.temperature}; expected more than 0.")

    @property
    def needs(self) -> Needs:
        """Scores alone."""
        return Needs()

    def log_prob(self, estimates: Estimates) -> F64:
        """See `Exploration.log_prob`."""
        return plackett_luce.log_weights(
            np.where(estimates.here, estimates.scores, -np.inf), self.temperature, floor=0.0
        )

"""Schemes that let several opinions vote: bagging, and Thompson sampling by a mixture of posterior draws.

A vote goes to the best of the candidates, ties split evenly; the shares of the votes, mixed with a uniform floor, are
the distribution that is drawn from and logged. That makes a shared-parameter Thompson policy exact: it does not
estimate the probability that one more draw would choose an item (whose inverse is biased: -42% at 50 draws), it chooses
from the M draws it has. Given the page these are fixed, so the same page has the same probabilities when asked again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies import plackett_luce
from policies.exploration.estimates import F64, Bools, Estimates, Needs, floored, greedy, refuse_negative, refuse_share
from simenv.errors import UserError


@dataclass(frozen=True)
class Bagging:
    """Vote shares of an ensemble's members plus a floor.

    Each member was trained on a bootstrap of the feedback. Agarwal et al., "Taming the monster", 2014, and Bietti,
    Agarwal and Langford, "A contextual bandit bake-off", 2021.
    """

    n_members: int = 10
    floor: float = 0.02

    def __post_init__(self) -> None:
        """Refuse what has no distribution."""
        _refuse_none("bagging", "n_members", self.n_members)
        refuse_share("bagging", "floor", self.floor)

    @property
    def needs(self) -> Needs:
        """Scores of every member."""
        return Needs(n_draws=self.n_members)

    def log_prob(self, estimates: Estimates) -> F64:
        """See `Exploration.log_prob`."""
        return floored(vote_shares(estimates.draws_of("bagging"), estimates.here), estimates.here, self.floor)


@dataclass(frozen=True)
class ThompsonMixture:
    """`p = (1 - floor) * mean over draws m of choice_m + floor / n`.

    `choice_m` is the best of draw m (temperature 0, ties split: the frequencies of M posterior draws), or
    `softmax(draw_m / temperature)`, which keeps an order among those that are never best and so makes better slates.
    Right for any posterior that can be drawn from. More draws come nearer to Thompson sampling; every number of them
    is exact. Thompson, "On the likelihood that one unknown probability exceeds another", 1933.
    """

    n_draws: int = 64
    temperature: float = 0.0
    floor: float = 0.02

    def __post_init__(self) -> None:
        """Refuse what has no distribution."""
        _refuse_none("thompson-mixture", "n_draws", self.n_draws)
        refuse_negative("thompson-mixture", "temperature", self.temperature)
        refuse_share("thompson-mixture", "floor", self.floor)

    @property
    def needs(self) -> Needs:
        """Scores by every posterior draw."""
        return Needs(n_draws=self.n_draws)

    def log_prob(self, estimates: Estimates) -> F64:
        """See `Exploration.log_prob`."""
        draws, here = estimates.draws_of("thompson-mixture"), estimates.here
        if self.temperature == 0.0:
            return floored(vote_shares(draws, here), here, self.floor)
        logp = mixed_softmax(draws, here, self.temperature)
        return (
            plackett_luce.log_weights(logp, 1.0, self.floor)
            if self.floor < 1.0
            else floored(np.zeros(here.shape), here, 1.0)
        )


def vote_shares(draws: np.ndarray[tuple[int, ...], np.dtype[np.floating]], here: Bools) -> F64:
    """Shares (N, C) of M votes for the best of (N, M, C); 0 at holes."""
    share: F64 = greedy(draws, here[:, None, :]).mean(axis=1)
    return share


def mixed_softmax(draws: np.ndarray[tuple[int, ...], np.dtype[np.floating]], here: Bools, temperature: float) -> F64:
    """Log of the mean over draws of softmax(draw / temperature), (N, C) float64; -inf at holes."""
    n, m, n_candidates = draws.shape
    every = np.repeat(here, m, axis=0)
    masked = np.where(every, draws.reshape(n * m, n_candidates), -np.inf)
    logp = plackett_luce.log_weights(masked, temperature, 0.0).reshape(n, m, n_candidates)
    peak = np.where(here, logp.max(axis=1, initial=-np.inf), 0.0)
    with np.errstate(divide="ignore"):
        mean: F64 = np.where(here, peak + np.log(np.exp(logp - peak[:, None]).mean(axis=1)), -np.inf)
    return mean


def _refuse_none(scheme: str, name: str, value: int) -> None:
    if value < 1:
        raise UserError(f"exploration '{scheme}': {name} is {value}; expected 1 or more.")

"""Click models: how a page that is looked at becomes clicks.

Each model turns the attraction of the shown items into examined and clicked slots, knows the exact probability of any
click pattern, and the exact probability of a click at each slot given the slate. An empty slot has attraction 0.

The draws are handed in as uniforms (examination keyed by the slot, attraction by the item), so the models are pure
functions and twins share their luck.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


class ClickModel(Protocol):
    """What the market needs of a click model."""

    @property
    def name(self) -> str:
        """A word for tables."""

    @property
    def identified_by(self) -> str:
        """The weakest propensities that identify the value of a ranking: "item-position" or "prefix"."""

    def sample(self, attraction: Floats, u_examine: Floats, u_attract: Floats) -> tuple[Bools, Bools]:
        """Examined and clicked slots, each (N, K) bool, from attraction and uniforms of shape (N, K)."""

    def log_prob(self, attraction: Floats, clicks: Bools) -> Floats:
        """Log-probability of each row's click pattern, (N,); -inf where impossible."""

    def click_probability(self, attraction: Floats) -> Floats:
        """Probability of a click at each slot given the whole slate, (N, K)."""


@dataclass(frozen=True)
class PositionBased:
    """A slot is examined with its own probability, and a click is examination times attraction.

    P(click at k) = examination[k] * attraction[k], independently over slots. The value of a ranking is a sum over
    (item, slot), so item-position weights identify it. Wrong where clicks above stop the shopper.

    Richardson, Dominowska and Ragno, "Predicting clicks: estimating the click-through rate for new ads", 2007.
    """

    examination: tuple[float, ...]
    name: str = "position-based"
    identified_by: str = "item-position"

    def sample(self, attraction: Floats, u_examine: Floats, u_attract: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`."""
        examined = u_examine < self._curve(attraction)
        return examined, examined & (u_attract < attraction)

    def log_prob(self, attraction: Floats, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        p = self.click_probability(attraction)
        with np.errstate(divide="ignore"):
            logp: Floats = np.where(clicks, np.log(p), np.log1p(-p)).sum(axis=1)
        return logp

    def click_probability(self, attraction: Floats) -> Floats:
        """See `ClickModel.click_probability`."""
        probability: Floats = attraction * self._curve(attraction)
        return probability

    def _curve(self, attraction: Floats) -> Floats:
        n_slots = attraction.shape[1]
        if n_slots > len(self.examination):
            raise UserError(
                f"the slate has {n_slots} slots and examination is given for {len(self.examination)}; give one "
                "probability for each slot."
            )
        return np.asarray(self.examination[:n_slots], dtype=attraction.dtype)


@dataclass(frozen=True)
class Cascade:
    """The shopper reads from the top, clicks the first attractive item and reads no further.

    P(examined at k) = prod_{j<k} continuation * (1 - attraction[j]). At most one click a page. The reward at a slot
    depends on everything above it, so item-position weights do not identify a ranking's value; prefix weights do.

    Craswell, Zoeter, Taylor and Ramsey, "An experimental comparison of click position-bias models", 2008;
    `continuation` < 1 adds a constant chance of stopping between slots.
    """

    continuation: float = 1.0
    name: str = "cascade"
    identified_by: str = "prefix"

    def sample(self, attraction: Floats, u_examine: Floats, u_attract: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`. The first slot is always examined; its `u_examine` is unused."""
        attractive = u_attract < attraction
        goes_on = u_examine < self.continuation
        examined = np.ones(attraction.shape, dtype=bool)
        for k in range(1, attraction.shape[1]):
            examined[:, k] = examined[:, k - 1] & ~attractive[:, k - 1] & goes_on[:, k]
        return examined, examined & attractive

    def log_prob(self, attraction: Floats, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        p = self.click_probability(attraction)
        n_clicks = clicks.sum(axis=1)
        probability = np.where(n_clicks == 0, 1.0 - p.sum(axis=1), (p * clicks).sum(axis=1))
        with np.errstate(divide="ignore"):
            return np.where(n_clicks > 1, -np.inf, np.log(probability.clip(0.0)))

    def click_probability(self, attraction: Floats) -> Floats:
        """See `ClickModel.click_probability`."""
        survives = np.cumprod((1.0 - attraction) * self.continuation, axis=1)
        examined = np.concatenate([np.ones_like(attraction[:, :1]), survives[:, :-1]], axis=1)
        probability: Floats = examined * attraction
        return probability


def check_click_model(model: ClickModel, n_draws: int = 200_000, seed: int = 0) -> None:
    """Prove a click model against enumeration and against its own samples.

    On a small slate: the probabilities of all 2**K patterns sum to one; the slot probabilities are the marginals of
    those patterns; sampled patterns agree with them within five standard errors; an empty slot is never clicked.

    Raises:
        AssertionError: naming the property that fails.
    """
    attraction = np.array([[0.7, 0.2, 0.0, 0.9]])
    patterns = np.array(list(itertools.product([False, True], repeat=4)))
    p = np.exp(model.log_prob(np.repeat(attraction, len(patterns), axis=0), patterns))
    assert abs(p.sum() - 1.0) < 1e-12, f"{model.name}: pattern probabilities sum to {p.sum()}"
    marginal = (p[:, None] * patterns).sum(axis=0)
    assert np.allclose(marginal, model.click_probability(attraction)[0], atol=1e-12), (
        f"{model.name}: slot probabilities differ from enumeration"
    )
    rng = np.random.default_rng(seed)
    shape = (n_draws, 4)
    examined, clicks = model.sample(np.repeat(attraction, n_draws, axis=0), rng.random(shape), rng.random(shape))
    assert not (clicks & ~examined).any(), f"{model.name}: a slot was clicked but not examined"
    assert not clicks[:, 2].any(), f"{model.name}: an empty slot was clicked"
    frequency = np.bincount(clicks @ np.array([8, 4, 2, 1]), minlength=16) / n_draws
    error = 5.0 * np.sqrt(p * (1.0 - p) / n_draws) + 1e-12
    assert (np.abs(frequency - p) <= error).all(), f"{model.name}: samples disagree with log_prob"

"""The position-based model: every slot is a coin of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simenv.clicks.model import Appeal, Bools, Floats, for_slots, require_probabilities


@dataclass(frozen=True)
class PositionBased:
    """A slot is examined with its own probability, and a click is examination times attraction.

    P(click at k) = examination[k] * attraction[k], independently over slots. The value of a ranking is a sum over
    (item, slot), so item-position weights identify it. Right where people look at a page as a whole, as on a grid;
    wrong where clicks above stop the shopper or draw the eye.

    Richardson, Dominowska and Ragno, "Predicting clicks: estimating the click-through rate for new ads", 2007.
    """

    examination: tuple[float, ...]
    name: str = "position-based"
    identified_by: str = "item-position"

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        require_probabilities("examination", self.examination)

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`."""
        examined = u_examine < self._curve(appeal.attraction)
        return examined, examined & (u_item < appeal.attraction)

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`. This model knows nothing of satisfaction."""
        return None

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        p = self.click_probability(appeal)
        with np.errstate(divide="ignore"):
            logp: Floats = np.where(clicks, np.log(p), np.log1p(-p)).sum(axis=1, dtype=np.float64)
        return logp

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`."""
        probability: Floats = appeal.attraction * self._curve(appeal.attraction)
        return probability

    def _curve(self, attraction: Floats) -> Floats:
        return for_slots("examination", self.examination, attraction.shape[1]).astype(attraction.dtype)

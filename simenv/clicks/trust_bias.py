"""Trust bias: a position-based page whose top is clicked because it is the top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simenv.clicks.model import Appeal, Bools, Floats, for_slots, require_probabilities


@dataclass(frozen=True)
class TrustBias:
    """An examined item seems attractive or not with an error that depends on the slot.

    P(click at k) = examination[k] * (epsilon_plus[k] * a + epsilon_minus[k] * (1 - a)), independently over slots, where
    a is the attraction, epsilon_plus[k] the chance that an attractive item is clicked and epsilon_minus[k] that an
    unattractive one is. epsilon_minus falls with the slot where people trust the ranking. A click still depends on the
    item and its slot alone, so item-position weights identify the value of a ranking; dividing clicks by examination
    does not (the bias is affine, not a factor). Wrong where clicks above matter.

    From a log alone, attraction is known only up to an affine map: (examination, epsilon_plus, epsilon_minus) are
    3K numbers of which 2K - 2 can be told, see `simenv.clicks.fitting`. An empty slot (attraction 0) is never clicked.

    Agarwal, Wang, Li, Bendersky and Najork, "Addressing trust bias for unbiased learning-to-rank", 2019.
    """

    examination: tuple[float, ...]
    epsilon_plus: tuple[float, ...]
    epsilon_minus: tuple[float, ...]
    name: str = "trust-bias"
    identified_by: str = "item-position"

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        require_probabilities("examination", self.examination)
        require_probabilities("epsilon_plus", self.epsilon_plus)
        require_probabilities("epsilon_minus", self.epsilon_minus)

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`."""
        examined = u_examine < for_slots("examination", self.examination, appeal.attraction.shape[1])
        return examined, examined & (u_item < self._perceived(appeal.attraction))

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`. This model knows nothing of satisfaction."""
        return None

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        p = self.click_probability(appeal)
        with np.errstate(divide="ignore"):
            logp: Floats = np.where(clicks, np.log(p), np.log1p(-p)).sum(axis=1)
        return logp

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`."""
        curve = for_slots("examination", self.examination, appeal.attraction.shape[1])
        probability: Floats = curve * self._perceived(appeal.attraction)
        return probability

    def _perceived(self, attraction: Floats) -> Floats:
        n_slots = attraction.shape[1]
        plus = for_slots("epsilon_plus", self.epsilon_plus, n_slots)
        minus = for_slots("epsilon_minus", self.epsilon_minus, n_slots)
        a = attraction.astype(np.float64)
        return np.where(attraction > 0.0, plus * a + minus * (1.0 - a), 0.0)

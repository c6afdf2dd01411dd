"""The cascade model: read from the top, click once, leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simenv.clicks.model import Appeal, Bools, Floats, require_probabilities


@dataclass(frozen=True)
class Cascade:
    """The shopper reads from the top, clicks the first attractive item and reads no further.

    P(examined at k) = prod_{j<k} continuation * (1 - attraction[j]). At most one click a page. A click depends on the
    items above it, so item-position weights do not identify a ranking's value; prefix weights do, since nothing below
    matters. Right for a list read for one answer; wrong where people click several items.

    Craswell, Zoeter, Taylor and Ramsey, "An experimental comparison of click position-bias models", 2008;
    `continuation` < 1 adds a constant chance of stopping between slots.
    """

    continuation: float = 1.0
    name: str = "cascade"
    identified_by: str = "prefix"

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        require_probabilities("continuation", (self.continuation,))

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`. The first slot is always examined; its `u_examine` is unused."""
        attractive = u_item < appeal.attraction
        goes_on = u_examine < self.continuation
        examined = np.ones(attractive.shape, dtype=bool)
        for k in range(1, attractive.shape[1]):
            examined[:, k] = examined[:, k - 1] & ~attractive[:, k - 1] & goes_on[:, k]
        return examined, examined & attractive

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`. This model knows nothing of satisfaction."""
        return None

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        p = self.click_probability(appeal)
        n_clicks = clicks.sum(axis=1)
        probability = np.where(n_clicks == 0, 1.0 - p.sum(axis=1), (p * clicks).sum(axis=1))
        with np.errstate(divide="ignore"):
            return np.where(n_clicks > 1, -np.inf, np.log(probability.clip(0.0)))

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`."""
        attraction = appeal.attraction
        survives = np.cumprod((1.0 - attraction) * self.continuation, axis=1)
        examined = np.concatenate([np.ones_like(attraction[:, :1]), survives[:, :-1]], axis=1)
        probability: Floats = examined * attraction
        return probability

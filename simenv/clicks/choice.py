"""Choice models: the items of a page compete for one click, with each other and with no click at all.

A choice is drawn as a race: every item arrives after an exponential time whose rate is its weight, not clicking after
one whose rate is `no_click`, and the first to arrive is chosen. That is exactly P(item) = weight / sum of weights, and
an item keeps its luck (its uniform) in every slate; not clicking takes its luck from the first slot's uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.clicks.model import Appeal, Bools, Floats, for_slots
from simenv.errors import UserError

F64 = npt.NDArray[np.float64]

MOST = 1.0 - 2.0**-40  # attractions above count as this, so that odds stay finite


@dataclass(frozen=True)
class MultinomialLogit:
    """One item or none, with weights from the odds of attraction.

    P(click at k) = w[k] / (no_click + sum_j w[j]), w[j] = prominence[j] * a[j] / (1 - a[j]). Alone on the page at
    prominence 1 and no_click 1, an item is clicked with its attraction; among others less, since they compete. A click
    depends on every item of the slate, above and below: only joint weights identify the value of a ranking. Right
    where people compare and choose one; wrong where they click several, or where alike items share their clicks (the
    independence of irrelevant alternatives).

    McFadden, "Conditional logit analysis of qualitative choice behavior", 1974.

    Attributes:
        no_click: The weight of clicking nothing, above 0.
        prominence: What a slot multiplies the weight of its item by; () for all slots alike.
    """

    no_click: float = 1.0
    prominence: tuple[float, ...] = ()
    name: str = "multinomial-logit"
    identified_by: str = "joint"

    def __post_init__(self) -> None:
        """Refuse weights that make no choice."""
        _check(self.no_click, self.prominence)

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`. Every slot is examined; of `u_examine` only the first slot's is used."""
        return _race(self._weights(appeal), self.no_click, u_examine, u_item)

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`. This model knows nothing of satisfaction."""
        return None

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        return _log_prob(self._weights(appeal), self.no_click, clicks)

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`."""
        return _share(self._weights(appeal), self.no_click)

    def _weights(self, appeal: Appeal) -> F64:
        return _prominent(logit_weights(appeal.attraction), self.prominence)


@dataclass(frozen=True)
class ProportionalChoice:
    """One item or none, with weights proportional to attraction.

    P(click at k) = w[k] / (no_click + sum_j w[j]), w[j] = prominence[j] * a[j]. As in a multinomial logit a click
    depends on the whole slate, and only joint weights identify the value of a ranking. Right where scores are already
    positive strengths; wrong in the same places as a logit, and a very attractive item never crowds out the rest.

    Luce, "Individual choice behavior", 1959; the choice of RecSim's interest evolution (Ie et al., "RecSim: a
    configurable simulation platform for recommender systems", 2019).

    Attributes:
        no_click: The weight of clicking nothing, above 0.
        prominence: What a slot multiplies the weight of its item by; () for all slots alike.
    """

    no_click: float = 1.0
    prominence: tuple[float, ...] = ()
    name: str = "proportional"
    identified_by: str = "joint"

    def __post_init__(self) -> None:
        """Refuse weights that make no choice."""
        _check(self.no_click, self.prominence)

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`. Every slot is examined; of `u_examine` only the first slot's is used."""
        return _race(self._weights(appeal), self.no_click, u_examine, u_item)

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`. This model knows nothing of satisfaction."""
        return None

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        return _log_prob(self._weights(appeal), self.no_click, clicks)

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`."""
        return _share(self._weights(appeal), self.no_click)

    def _weights(self, appeal: Appeal) -> F64:
        return _prominent(appeal.attraction.astype(np.float64), self.prominence)


def logit_weights(attraction: Floats) -> F64:
    """The weight of an item in a multinomial logit at prominence 1: the odds of its attraction."""
    a = np.minimum(attraction.astype(np.float64), MOST)
    odds: F64 = a / (1.0 - a)
    return odds


def _check(no_click: float, prominence: tuple[float, ...]) -> None:
    if not 0.0 < no_click < float("inf"):
        raise UserError(f"no_click is {no_click}; expected a positive weight.")
    for k, weight in enumerate(prominence):
        if not 0.0 <= weight < float("inf"):
            raise UserError(f"prominence is {weight} at slot {k + 1}; expected a weight of at least 0.")


def _prominent(weights: F64, prominence: tuple[float, ...]) -> F64:
    return weights * for_slots("prominence", prominence, weights.shape[1]) if prominence else weights


def _share(weights: F64, no_click: float) -> F64:
    share: F64 = weights / (no_click + weights.sum(axis=1, keepdims=True))
    return share


def _log_prob(weights: F64, no_click: float, clicks: Bools) -> F64:
    n_clicks = clicks.sum(axis=1)
    chosen = np.where(n_clicks == 0, no_click, (weights * clicks).sum(axis=1))
    with np.errstate(divide="ignore"):
        return np.where(n_clicks > 1, -np.inf, np.log(chosen) - np.log(no_click + weights.sum(axis=1)))


def _race(weights: F64, no_click: float, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
    arrives = np.full(weights.shape, np.inf)
    np.divide(-np.log1p(-u_item), weights, out=arrives, where=weights > 0.0)
    first = arrives.argmin(axis=1)
    rows = np.arange(len(weights))
    clicked = np.zeros(weights.shape, dtype=bool)
    clicked[rows, first] = arrives[rows, first] < -np.log1p(-u_examine[:, 0]) / no_click
    return np.ones(weights.shape, dtype=bool), clicked

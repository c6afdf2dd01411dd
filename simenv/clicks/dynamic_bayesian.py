"""Dynamic Bayesian networks: the shopper stops when an item satisfies, not when it attracts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simenv.clicks.chain import chain_click_probability, chain_log_prob, chain_sample
from simenv.clicks.model import Appeal, Bools, Floats, require_probabilities


@dataclass(frozen=True)
class DynamicBayesian:
    """The shopper reads from the top, clicks what attracts, and stops when a clicked item satisfies.

    P(examined at k + 1 | examined at k) = continuation without a click, continuation * (1 - satisfaction[k]) after one.
    A click depends on the items above it, through what they attract and satisfy: prefix weights identify the value of
    a ranking. Right where a good item ends the search, so that clickbait is clicked and read past; wrong where people
    compare a page as a whole. Satisfaction ends the look
    at the page; what it does to the visit is the market's business.

    The item's one uniform tells both: below attraction * satisfaction it would be clicked and satisfy, below
    attraction it would be clicked.

    Chapelle and Zhang, "A dynamic Bayesian network click model for web search ranking", 2009 (continuation is their
    gamma, "perseverance").
    """

    continuation: float = 0.9
    name: str = "dbn"
    identified_by: str = "prefix"

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        require_probabilities("continuation", (self.continuation,))

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`. The first slot is always examined; its `u_examine` is unused."""
        return _sample(appeal, u_examine, u_item, self.continuation)

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`."""
        return clicked & _satisfies(appeal, u_item)

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        return chain_log_prob(
            appeal.attraction, np.full(1, self.continuation), _after_click(appeal, self.continuation), clicks
        )

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`."""
        return chain_click_probability(
            appeal.attraction, np.full(1, self.continuation), _after_click(appeal, self.continuation)
        )


@dataclass(frozen=True)
class SimplifiedDynamicBayesian:
    """A dynamic Bayesian network whose shopper never tires: continuation is 1.

    P(examined at k + 1 | examined at k) = 1 without a click, 1 - satisfaction[k] after one. Prefix weights identify the
    value of a ranking. Right where pages are short; wrong where people leave without a click, whom it takes for people
    who disliked everything down to the last slot.

    Chapelle and Zhang, "A dynamic Bayesian network click model for web search ranking", 2009, section 5.
    """

    name: str = "simplified-dbn"
    identified_by: str = "prefix"

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`. Nothing but items is drawn; `u_examine` is unused."""
        return _sample(appeal, u_examine, u_item, 1.0)

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`."""
        return clicked & _satisfies(appeal, u_item)

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        return chain_log_prob(appeal.attraction, np.ones(1), _after_click(appeal, 1.0), clicks)

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`."""
        return chain_click_probability(appeal.attraction, np.ones(1), _after_click(appeal, 1.0))


def _after_click(appeal: Appeal, continuation: float) -> Floats:
    after: Floats = continuation * (1.0 - appeal.satisfaction.astype(np.float64))
    return after


def _sample(appeal: Appeal, u_examine: Floats, u_item: Floats, continuation: float) -> tuple[Bools, Bools]:
    after_click = np.where(_satisfies(appeal, u_item), 0.0, continuation)
    return chain_sample(u_item < appeal.attraction, u_examine, np.full(1, continuation), after_click)


def _satisfies(appeal: Appeal, u_item: Floats) -> Bools:
    """Whether each item would be clicked and satisfy, once it is examined."""
    satisfies: Bools = u_item < appeal.attraction.astype(np.float64) * appeal.satisfaction
    return satisfies

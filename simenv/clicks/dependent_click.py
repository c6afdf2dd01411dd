"""The dependent click model: a cascade that may go on after a click, by slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simenv.clicks.chain import chain_click_probability, chain_log_prob, chain_sample
from simenv.clicks.model import Appeal, Bools, Floats, for_slots, require_probabilities


@dataclass(frozen=True)
class DependentClick:
    """The shopper reads from the top; a click at slot k is followed by more reading with probability continuation[k].

    P(examined at k + 1 | examined at k) = continuation[k] after a click, 1 without one. A click depends on the items
    above it: prefix weights identify the value of a ranking. Right for lists on which people open several results;
    wrong where they give up without a click (then examination never ends), or where it is the item that satisfies.

    Guo, Liu and Wang, "Efficient multiple-click models in web search", 2009. The continuation of the last slot shown
    is never used.
    """

    continuation: tuple[float, ...]
    name: str = "dependent-click"
    identified_by: str = "prefix"

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        require_probabilities("continuation", self.continuation)

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """See `ClickModel.sample`. The first slot is always examined; its `u_examine` is unused."""
        return chain_sample(u_item < appeal.attraction, u_examine, np.ones(1), self._after_click(appeal))

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """See `ClickModel.satisfied`: who stops after a click is satisfied.

        Whether the last slot's click was the end is told by the first slot's `u_examine`, which nothing else uses.
        """
        goes_on = np.concatenate([u_examine[:, 1:], u_examine[:, :1]], axis=1) < self._after_click(appeal)
        return clicked & ~goes_on

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """See `ClickModel.log_prob`."""
        return chain_log_prob(appeal.attraction, np.ones(1), self._after_click(appeal), clicks)

    def click_probability(self, appeal: Appeal) -> Floats:
        """See `ClickModel.click_probability`."""
        return chain_click_probability(appeal.attraction, np.ones(1), self._after_click(appeal))

    def _after_click(self, appeal: Appeal) -> Floats:
        return for_slots("continuation", self.continuation, appeal.attraction.shape[1])

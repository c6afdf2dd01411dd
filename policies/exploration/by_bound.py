"""RegCB: choose among the candidates that confidence bounds still allow to be best.

Foster, Agarwal, Dudik, Luo and Schapire, "Practical contextual bandits with regression oracles", 2018. What is done
here: the bounds are `score -+ width * spread` (the paper finds them by binary search over a class of regressors); a
candidate is *plausible* where its upper bound is at least the greatest lower bound of its row. The elimination form
chooses uniformly among the plausible; the optimistic form takes the greatest upper bound, ties split evenly. A floor
spreads a share of the choice over all candidates, because the paper's forms leave the others at 0, where nothing can
be judged off-policy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.exploration.estimates import F64, Estimates, Needs, floored, greedy, refuse_negative, refuse_share


@dataclass(frozen=True)
class RegCB:
    """See the module.

    Attributes:
        width: Half the width of the interval, in spreads.
        floor: Share of the choice that is uniform over all candidates; with 0 it is the paper's.
        is_optimistic: Take the greatest upper bound alone.
    """

    width: float = 1.0
    floor: float = 0.02
    is_optimistic: bool = False

    def __post_init__(self) -> None:
        """Refuse a negative width and what is no share."""
        refuse_negative("regcb", "width", self.width)
        refuse_share("regcb", "floor", self.floor)

    @property
    def needs(self) -> Needs:
        """Scores and spreads."""
        return Needs(spread=True)

    def log_prob(self, estimates: Estimates) -> F64:
        """See `Exploration.log_prob`."""
        here, scores = estimates.here, estimates.scores.astype(np.float64)
        half = self.width * estimates.spread_of("regcb")
        if self.is_optimistic:
            return floored(greedy(scores + half, here), here, self.floor)
        lower = np.where(here, scores - half, -np.inf).max(axis=1, keepdims=True)
        plausible = here & (
            scores + half >= lower
        )  # never empty where somebody is here: who has that lower bound is in
        return floored(plausible / np.maximum(plausible.sum(axis=1, keepdims=True), 1), here, self.floor)

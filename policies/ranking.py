"""A ranking policy: any scorer, with the one Plackett-Luce definition behind it.

Temperature 0 is the greedy ranking, which shows one slate with probability one; it can be judged, but a log that it
writes can judge nobody else.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from policies import plackett_luce
from simenv.decision import Decision, PropensityKind, Truth
from simenv.errors import UserError
from simenv.hashing import Keys
from simenv.propensity import Conditional, Marginal
from simenv.world import Page

F32 = npt.NDArray[np.float32]


class Scorer(Protocol):
    """What ranks: a score for each candidate, higher is better."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Scores (N, C) float32; what it says about holes is ignored. `truth` is None for all but oracles."""


@dataclass(frozen=True)
class RankingPolicy:
    """A scorer as a stochastic ranker; satisfies `simenv.decision.Policy`.

    Raises:
        UserError: for a temperature below 0 or infinite, a floor outside [0, 1), or a floor on a greedy policy.
    """

    name: str
    scorer: Scorer
    temperature: float = 1.0
    floor: float = 0.0
    sees_truth: bool = False
    propensity_kind: PropensityKind = "exact"
    propensity_error: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what has no distribution."""
        if not 0.0 <= self.temperature < math.inf:
            raise UserError(f"policy '{self.name}': temperature is {self.temperature}; expected 0 (greedy) or more.")
        if not 0.0 <= self.floor < 1.0:
            raise UserError(f"policy '{self.name}': floor is {self.floor}; expected 0 <= floor < 1.")
        if self.temperature == 0 and self.floor > 0:
            raise UserError(
                f"policy '{self.name}': a greedy policy (temperature 0) has no floor; raise the temperature."
            )

    def act(self, page: Page, n_slots: int, keys: Keys, truth: Truth | None = None) -> Decision:
        """See `simenv.decision.Policy.act`."""
        scores = self.scores(page, truth)
        if self.temperature == 0:
            slate = plackett_luce.top(scores, n_slots)
            return Decision(slate, Conditional(np.zeros(slate.shape)), scores)
        logw = plackett_luce.log_weights(scores, self.temperature, self.floor)
        slate = plackett_luce.draw(logw, n_slots, keys, page.candidates)
        return Decision(slate, plackett_luce.conditional(logw, slate), scores)

    def log_prob(self, page: Page, slate: npt.NDArray[np.int32], truth: Truth | None = None) -> Conditional:
        """See `simenv.decision.Policy.log_prob`."""
        return self.propensities(page, slate, truth, want_marginal=False)[0]

    def propensities(
        self, page: Page, slate: npt.NDArray[np.int32], truth: Truth | None = None, want_marginal: bool = True
    ) -> tuple[Conditional, Marginal | None]:
        """Conditional and, where wanted, marginal propensities of given slates, from one scoring."""
        return slate_propensities(self.scores(page, truth), self.temperature, self.floor, slate, want_marginal)

    def scores(self, page: Page, truth: Truth | None = None) -> F32:
        """Scores with -inf at holes, (N, C) float32, exactly as they are drawn from and logged.

        Raises:
            UserError: where the scorer gives a candidate NaN or infinity.
        """
        here = page.candidates >= 0
        scores = np.where(here, self.scorer.score(page, truth), -np.inf).astype(np.float32)
        if not np.isfinite(scores[here]).all():
            raise UserError(f"policy '{self.name}': a candidate's score is NaN or infinite; expected finite numbers.")
        return scores

    def with_exploration(self, temperature: float, floor: float) -> RankingPolicy:
        """The same scorer under another temperature and floor."""
        return dataclasses.replace(self, temperature=temperature, floor=floor)


def slate_propensities(
    scores: F32, temperature: float, floor: float, slate: npt.NDArray[np.int32], want_marginal: bool
) -> tuple[Conditional, Marginal | None]:
    """Propensities of slates from logged scores alone: what a log needs to be checked by.

    Args:
        scores: (N, C) float32 as logged, -inf at holes.
        temperature: as logged, 0 for greedy.
        floor: as logged.
        slate: (N, K) positions, -1 for empty.
        want_marginal: compute the marginals too (the expensive part).
    """
    if temperature == 0:
        same = slate == plackett_luce.top(scores, slate.shape[1])
        certain = np.where(same, 0.0, -np.inf)
        return Conditional(certain), Marginal(certain) if want_marginal else None
    logw = plackett_luce.log_weights(scores, temperature, floor)
    marginal = plackett_luce.marginal(logw, slate) if want_marginal else None
    return plackett_luce.conditional(logw, slate), marginal

"""A ranking policy: any scorer, with the one Plackett-Luce definition behind it.

Temperature 0 is the greedy ranking, which shows one slate with probability one; it can be judged, but a log that it
writes can judge nobody else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from policies import plackett_luce
from policies.exploration.estimates import Estimates, Exploration, Needs, Uncertain
from simenv.decision import Decision, PropensityKind, Truth, query_of
from simenv.errors import UserError
from simenv.hashing import Keys
from simenv.propensity import Conditional, Marginal
from simenv.world import Page

F32 = npt.NDArray[np.float32]


class Scorer(Protocol):
    """What ranks: a score for each candidate, higher is better.

    One that reads the queries as typed has an attribute `reads_query` that is True, and finds them by
    `simenv.decision.query_of(page)`.
    """

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Scores (N, C) float32; what it says about holes is ignored. `truth` is None for all but oracles."""


@dataclass(frozen=True)
class Answered:
    """What a policy says of logged pages, all of it from one scoring.

    Attributes:
        conditional: Of the logged slates.
        marginal: Of the same; None where it cannot be computed.
        slates: Slates (N, K) that it would have shown, each as likely as the next.
        scores: What it ranks by, (N, C); None where slates are not made from one score a candidate.
    """

    conditional: Conditional
    marginal: Marginal | None
    slates: tuple[npt.NDArray[np.int32], ...]
    scores: npt.NDArray[np.float32] | None = None


def reads_query(scorer: Scorer) -> bool:
    """Whether a scorer announced that it reads `Page.query`, by an attribute `reads_query` that is True.

    Scorers that rank by numbers need not have heard of it.
    """
    of_features = getattr(scorer, "feature_map", None)  # of a learner, whose reader makes features of the query
    return bool(getattr(scorer, "reads_query", False) or getattr(of_features, "reads_query", False))


@dataclass(frozen=True)
class RankingPolicy:
    """A scorer as a stochastic ranker; satisfies `simenv.decision.Policy`.

    Under an `exploration` the first slot has that scheme's probabilities p, and the slate is Plackett-Luce with weights
    p: what is ranked by, drawn from and logged are the scores log p (rounded once, to float32) at temperature 1 and
    floor 0, so the log alone gives the propensities back. Every candidate then needs a positive p.

    Raises:
        UserError: for a temperature below 0 or infinite, a floor outside [0, 1), a floor on a greedy policy, or an
            exploration beside another temperature or floor, or one that asks the scorer for what it does not give.
    """

    name: str
    scorer: Scorer
    temperature: float = 1.0
    floor: float = 0.0
    sees_truth: bool = False
    propensity_kind: PropensityKind = "exact"
    propensity_error: float = 0.0
    exploration: Exploration | None = None

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
        if self.exploration is None:
            return
        if (self.temperature, self.floor) != (1.0, 0.0):
            raise UserError(
                f"policy '{self.name}': an exploration has a temperature and a floor of its own; leave the policy's at "
                f"1 and 0, not {self.temperature} and {self.floor}."
            )
        refuse_certain(self.name, self.scorer, self.exploration)

    @property
    def reads_query(self) -> bool:
        """Whether the scorer reads the queries as typed."""
        return reads_query(self.scorer)

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

    def answered(self, page: Page, slate: npt.NDArray[np.int32], keys: Sequence[Keys]) -> Answered:
        """Propensities of given slates, and a slate of its own for each of `keys` (one alone of a greedy policy)."""
        scores, n_slots = self.scores(page), slate.shape[1]
        said = slate_propensities(scores, self.temperature, self.floor, slate, True)
        if self.temperature == 0:
            return Answered(*said, (plackett_luce.top(scores, n_slots),), scores)
        logw = plackett_luce.log_weights(scores, self.temperature, self.floor)
        slates = tuple(plackett_luce.draw(logw, n_slots, key, page.candidates) for key in keys)
        return Answered(*said, slates, scores)

    def scores(self, page: Page, truth: Truth | None = None) -> F32:
        """Scores with -inf at holes, (N, C) float32, exactly as they are drawn from and logged.

        Raises:
            UserError: where the scorer gives a candidate NaN or infinity or reads queries that the page does not carry,
                or the exploration never chooses a candidate.
        """
        if self.reads_query:
            query_of(page)  # says what to do where there is none
        here = page.candidates >= 0
        if self.exploration is None:
            return finite_scores(self.name, here, self.scorer.score(page, truth))
        logp = self.exploration.log_prob(estimates_of(self.name, self.scorer, page, truth, self.exploration.needs))
        if np.isneginf(logp[here]).any():
            raise UserError(
                f"policy '{self.name}': its exploration gives a candidate probability 0, and a Plackett-Luce slate has "
                "to go on when the others are shown. Give it a floor, or use policies.exploration.slotwise."
            )
        return logp.astype(np.float32)

    def with_exploration(self, temperature: float, floor: float) -> RankingPolicy:
        """The same scorer under another temperature and floor."""
        return dataclasses.replace(self, temperature=temperature, floor=floor, exploration=None)


def finite_scores(policy: str, here: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating]) -> F32:
    """Scores (N, C) float32 with -inf at holes.

    Raises:
        UserError: where a candidate's score is NaN or infinite.
    """
    made = np.where(here, scores, -np.inf).astype(np.float32)
    if not np.isfinite(made[here]).all():
        raise UserError(f"policy '{policy}': a candidate's score is NaN or infinite; expected finite numbers.")
    return made


def estimates_of(policy: str, scorer: Scorer, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
    """What an exploration asks of a scorer: its scores, or its whole beliefs where it needs more.

    Raises:
        UserError: where a candidate's score is NaN or infinite.
    """
    here = page.candidates >= 0
    if needs == Needs():
        return Estimates(finite_scores(policy, here, scorer.score(page, truth)), here)
    made = cast(Uncertain, scorer).estimates(page, truth, needs)
    return dataclasses.replace(made, scores=finite_scores(policy, here, made.scores), here=here)


def refuse_certain(policy: str, scorer: Scorer, exploration: Exploration) -> None:
    """Refuse an exploration that needs spreads or draws over a scorer that has none.

    Raises:
        UserError: saying which.
    """
    if exploration.needs != Needs() and not callable(getattr(scorer, "estimates", None)):
        raise UserError(
            f"policy '{policy}': its exploration needs {'spreads' if exploration.needs.spread else 'draws'}, and a "
            f"{type(scorer).__name__} only scores. Use a scheme that reads scores, or a scorer with 'estimates'."
        )


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

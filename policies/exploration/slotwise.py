"""Slates by asking a scheme of exploration anew at every slot, over what is left.

So epsilon-greedy shows the second best second, where Plackett-Luce with its first-choice probabilities would shuffle
all but the best. The conditionals are exact; marginals are by enumeration of all slates, and refused where these are
too many. A slate of these is not Plackett-Luce with any weights, so its propensities cannot be had from logged scores,
temperature and floor: this is a type of its own. It can play, be checked, saved, and judged from the logs of others
(by joint weights; by item-position weights where slates can be enumerated); its own log judges nobody, and the reader
refuses to take it for the other kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from policies import plackett_luce
from policies.exploration.estimates import F64, Estimates, Exploration
from policies.ranking import Answered, RankingPolicy, Scorer, estimates_of, finite_scores, reads_query, refuse_certain
from simenv import hashing
from simenv.decision import Decision, PropensityKind, Truth, query_of
from simenv.errors import UserError
from simenv.hashing import Keys
from simenv.propensity import Conditional, Marginal
from simenv.world import Page

I32 = npt.NDArray[np.int32]

MAX_SLATES = 5_000  # that marginals are enumerated over


@dataclass(frozen=True)
class Slotwise:
    """A scheme that is asked anew at every slot; so a model is saved whose policy is to be a `SlotwisePolicy`."""

    scheme: Exploration


@dataclass(frozen=True)
class SlotwisePolicy:
    """A scorer that explores slot by slot; satisfies `simenv.decision.Policy`.

    Raises:
        UserError: where the exploration asks the scorer for what it does not give.
    """

    name: str
    scorer: Scorer
    exploration: Exploration
    sees_truth: bool = False
    propensity_kind: PropensityKind = "exact"
    propensity_error: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a scorer that is too sure of itself."""
        refuse_certain(self.name, self.scorer, self.exploration)

    @property
    def reads_query(self) -> bool:
        """Whether the scorer reads the queries as typed."""
        return reads_query(self.scorer)

    @property
    def temperature(self) -> float:
        """1: the exploration has its own."""
        return 1.0

    @property
    def floor(self) -> float:
        """0: the exploration has its own."""
        return 0.0

    def act(self, page: Page, n_slots: int, keys: Keys, truth: Truth | None = None) -> Decision:
        """See `simenv.decision.Policy.act`."""
        whole = self._estimates(page, truth)
        scores = finite_scores(self.name, whole.here, whole.scores)
        slate, logp = self._drawn(whole, page, n_slots, keys)
        return Decision(slate, Conditional(logp), scores)

    def log_prob(self, page: Page, slate: I32, truth: Truth | None = None) -> Conditional:
        """See `simenv.decision.Policy.log_prob`."""
        return Conditional(self._conditional(self._estimates(page, truth), slate))

    def propensities(
        self, page: Page, slate: I32, truth: Truth | None = None, want_marginal: bool = True
    ) -> tuple[Conditional, Marginal | None]:
        """Conditional and, where wanted, marginal propensities of given slates.

        Raises:
            UserError: for marginals on pages with more than MAX_SLATES slates.
        """
        left = self._estimates(page, truth)
        conditional = Conditional(self._conditional(left, slate))
        return conditional, self._marginal(left, slate) if want_marginal else None

    def answered(self, page: Page, slate: I32, keys: Sequence[Keys]) -> Answered:
        """Propensities of given slates, and a slate of its own for each of `keys`.

        Without marginals where a page may have more than MAX_SLATES slates.
        """
        whole, n_slots = self._estimates(page, None), slate.shape[1]
        n_candidates = page.candidates.shape[1]
        can_enumerate = math.perm(n_candidates, min(n_slots, n_candidates)) <= MAX_SLATES
        return Answered(
            Conditional(self._conditional(whole, slate)),
            self._marginal(whole, slate) if can_enumerate else None,
            tuple(self._drawn(whole, page, n_slots, key)[0] for key in keys),
        )

    def _drawn(self, left: Estimates, page: Page, n_slots: int, keys: Keys) -> tuple[I32, F64]:
        """Slates (N, K) and the conditional log-probability of each of their items."""
        slate = np.full((len(page), n_slots), -1, dtype=np.int32)
        logp = np.zeros(slate.shape)
        for k in range(n_slots):
            choice = self.exploration.log_prob(left)
            slate[:, k] = plackett_luce.draw(choice, 1, hashing.absorb(keys, k + 1), page.candidates)[:, 0]
            logp[:, k], left = _take_slot(choice, slate[:, k], left)
        return slate, logp

    def _estimates(self, page: Page, truth: Truth | None) -> Estimates:
        if self.reads_query:
            query_of(page)  # says what to do where there is none
        return estimates_of(self.name, self.scorer, page, truth, self.exploration.needs)

    def _conditional(self, left: Estimates, slate: I32) -> F64:
        logp = np.zeros(slate.shape)
        for k in range(slate.shape[1]):
            logp[:, k], left = _take_slot(self.exploration.log_prob(left), slate[:, k], left)
        never = np.logical_or.accumulate(np.isneginf(logp), axis=1)
        return np.where(never & (slate >= 0), -np.inf, logp)

    def _marginal(self, whole: Estimates, slate: I32) -> Marginal:
        n_slots = slate.shape[1]
        every, which = _distinct(whole)
        tables = np.zeros((len(every), whole.here.shape[1], n_slots))
        for u, row in enumerate(every):
            here = np.flatnonzero(whole.here[row])
            depth = min(n_slots, len(here))
            if not depth:
                continue
            if math.perm(len(here), depth) > MAX_SLATES:
                raise UserError(
                    f"policy '{self.name}' explores slot by slot: its marginals are by enumeration, and a page has "
                    f"{math.perm(len(here), depth):,} slates; expected at most {MAX_SLATES:,}. Ask for conditionals."
                )
            slates = np.array(list(permutations(here, depth)), dtype=np.int32).reshape(-1, depth)
            joint = np.exp(self._conditional(_rows(whole, np.full(len(slates), row)), slates).sum(axis=1))
            for k in range(depth):
                np.add.at(tables[u, :, k], slates[:, k], joint)
        at = tables[which[:, None], np.maximum(slate, 0), np.arange(n_slots)]
        with np.errstate(divide="ignore"):
            return Marginal(np.where(slate >= 0, np.minimum(np.log(at), 0.0), 0.0))


AnyPolicy = RankingPolicy | SlotwisePolicy


def _take_slot(choice: F64, slot: I32, left: Estimates) -> tuple[F64, Estimates]:
    """Log-probability of each row's item (0 for an empty slot), and the beliefs without it."""
    filled = slot >= 0
    at = np.maximum(slot, 0)[:, None]
    logp = np.where(filled, np.take_along_axis(choice, at.astype(np.int64), axis=1)[:, 0], 0.0)
    taken = (np.arange(choice.shape[1]) == at) & filled[:, None]
    return np.minimum(logp, 0.0), left.without(taken)


def _rows(columns: Estimates, rows: npt.NDArray[np.intp]) -> Estimates:
    spread, draws = columns.spread, columns.draws
    return Estimates(
        columns.scores[rows],
        columns.here[rows],
        None if spread is None else spread[rows],
        None if draws is None else draws[rows],
    )


def _distinct(whole: Estimates) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """One row of each kind, and the kind of every row: many slates of one page are enumerated once."""
    parts = [whole.scores, whole.here, whole.spread, whole.draws]
    flat = [np.asarray(part, dtype=np.float64).reshape(len(whole.here), -1) for part in parts if part is not None]
    joined = np.where(np.concatenate(flat, axis=1) == 0.0, 0.0, np.concatenate(flat, axis=1))  # -0.0 is 0.0
    _, first, which = np.unique(joined, axis=0, return_index=True, return_inverse=True)
    return first, which.reshape(-1)

"""What the market needs of a policy.

A policy sees a page and returns slates with the log-probability of what it drew, from the same numbers that drew it.
The oracle alone is handed the hidden truth beside the page; `sees_truth` says which of the two a policy is, and no
learner may set it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from simenv.clicks import ClickModel, Taken
from simenv.errors import UserError
from simenv.hashing import Keys
from simenv.propensity import Conditional
from simenv.state import Page, State, World

PropensityKind = Literal["exact", "estimated"]


@dataclass(frozen=True)
class Truth:
    """Hidden truth about each candidate of a page, for oracles and scorers.

    attraction: (N, C) probability of a click when examined; 0 for a hole.
    satisfaction: (N, C) probability that a clicked item satisfies; see `simenv.clicks.Appeal`.
    value: (N, C) expected reward of a click.
    relevance: (N, C) graded relevance to the hidden intent, in [0, 1].
    taken: the places that the market fills itself, and how what stands there strikes the shoppers.
    state: where the N shoppers are, for who looks further than the page.
    click_model: what makes clicks of a slate. n_slots: K.
    """

    attraction: npt.NDArray[np.float32]
    satisfaction: npt.NDArray[np.float32]
    value: npt.NDArray[np.float64]
    relevance: npt.NDArray[np.float32]
    taken: Taken
    state: State
    click_model: ClickModel
    n_slots: int


@dataclass(frozen=True)
class Decision:
    """Slates and how likely they were.

    slate: (N, K) int32 positions into the page's candidates, best first; -1 where fewer than K candidates exist.
    logp: conditional log-probabilities; 0 at empty slots.
    scores: (N, C) float32 the scores that the policy ranked by, -inf at holes.
    """

    slate: npt.NDArray[np.int32]
    logp: Conditional
    scores: npt.NDArray[np.float32]


class Policy(Protocol):
    """A stochastic ranker.

    Attributes:
        name: For tables and logs.
        temperature: Divides scores before the softmax, > 0; 0 means the greedy ranking.
        floor: Share of the choice at each slot that is uniform over what is left, in [0, 1).
        propensity_kind: "exact", or "estimated" with `propensity_error` > 0, which forbids the verdict `trust`.
        sees_truth: True for oracles only.
        reads_query: True where it needs `Page.query`; whoever plays or judges it then fills that in (`with_query`).
    """

    @property
    def name(self) -> str:
        """See the attributes."""

    @property
    def temperature(self) -> float:
        """See the attributes."""

    @property
    def floor(self) -> float:
        """See the attributes."""

    @property
    def propensity_kind(self) -> PropensityKind:
        """See the attributes."""

    @property
    def propensity_error(self) -> float:
        """See the attributes."""

    @property
    def sees_truth(self) -> bool:
        """See the attributes."""

    @property
    def reads_query(self) -> bool:
        """See the attributes."""

    def act(self, page: Page, n_slots: int, keys: Keys, truth: Truth | None = None) -> Decision:
        """Draw a slate for each row. `keys` is (N,) uint64: the row's own luck. Never changes the policy."""

    def log_prob(self, page: Page, slate: npt.NDArray[np.int32], truth: Truth | None = None) -> Conditional:
        """The conditional log-probabilities of given slates, -inf where the policy would never show them."""


def with_query(world: World, state: State, page: Page) -> Page:
    """A page with the queries as typed, for policies that read text; as it is where it has them already."""
    if page.query is not None:
        return page
    return dataclasses.replace(page, query=np.array(world.demand.strings(state), dtype=object))


def query_of(page: Page) -> npt.NDArray[np.object_]:
    """The queries as typed, (N,), for whoever reads text.

    Raises:
        UserError: where the page carries none.
    """
    if page.query is None:
        raise UserError(
            "the page carries no query strings, and this policy reads them. Set reads_query = True on its scorer so "
            "that the market fills them in; from a log, ask for them: log.batches(want_query=True); by hand, use "
            "simenv.decision.with_query."
        )
    return page.query

"""A ranker that knows nothing: slates in an order hashed from the row's own luck.

Checks and tests need a policy that is fixed, stochastic and exact, and the market may not import `policies`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.decision import Decision, PropensityKind, Truth
from simenv.propensity import Conditional
from simenv.world import Page


@dataclass(frozen=True)
class UniformByHash:
    """Every order of the candidates alike: Plackett-Luce with equal scores. Satisfies `simenv.decision.Policy`."""

    name: str = "uniform-by-hash"
    temperature: float = 1.0
    floor: float = 0.0
    propensity_kind: PropensityKind = "exact"
    propensity_error: float = 0.0
    sees_truth: bool = False
    reads_query: bool = False

    def act(self, page: Page, n_slots: int, keys: hashing.Keys, truth: Truth | None = None) -> Decision:
        """See `simenv.decision.Policy.act`; a candidate's luck is named by its item id."""
        holes = page.candidates < 0
        luck = hashing.uniform(hashing.absorb(keys[:, None], page.candidates))
        luck[holes] = 2.0  # behind every candidate
        slate = np.argsort(luck, axis=1, kind="stable")[:, :n_slots].astype(np.int32)
        slate[np.take_along_axis(holes, slate.astype(np.int64), axis=1)] = -1
        scores = np.where(holes, -np.inf, 0.0).astype(np.float32)
        return Decision(slate, self.log_prob(page, slate), scores)

    def log_prob(self, page: Page, slate: npt.NDArray[np.int32], truth: Truth | None = None) -> Conditional:
        """See `simenv.decision.Policy.log_prob`: 1 / (number of candidates left) at each filled slot."""
        filled = slate >= 0
        taken: npt.NDArray[np.int64] = np.cumsum(filled, axis=1) - filled
        left = (page.candidates >= 0).sum(axis=1)[:, None] - taken
        return Conditional(np.where(filled, -np.log(np.maximum(left, 1)), 0.0))

"""A scorer with doubts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from policies.exploration.estimates import Estimates, Needs
from policies.registry import named_policy
from simenv import hashing
from simenv.catalogue import PublicCatalogue
from simenv.decision import Truth
from simenv.world import Page


@dataclass(frozen=True)
class Unsure:
    """The production ranker with invented doubts: spreads by item, draws by page and item."""

    inner: Any

    def score(self, page: Page, truth: Truth | None) -> Any:
        return self.inner.score(page, truth)

    def estimates(self, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
        scores, item = self.score(page, truth), page.candidates
        spread = 0.1 + hashing.uniform(hashing.absorb(hashing.stream(0, "doubt"), item))
        draws = None
        if needs.n_draws:
            key = hashing.absorb(hashing.absorb(hashing.stream(0, "draws"), page.shopper), page.visit)
            named = hashing.absorb(hashing.absorb(key, page.search)[:, None], np.arange(needs.n_draws))
            draws = scores[:, None] + spread[:, None] * hashing.normal(hashing.absorb(named[:, :, None], item[:, None]))
        return Estimates(scores, item >= 0, spread if needs.spread else None, draws)


@pytest.fixture
def unsure(catalogue: PublicCatalogue) -> Unsure:
    return Unsure(named_policy("production", catalogue).scorer)

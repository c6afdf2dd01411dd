"""Rankers without learning: uniform, popularity, lexical relevance and a plain production blend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.ranking import F32
from simenv.catalogue import PublicCatalogue
from simenv.decision import Truth
from simenv.world import Page


@dataclass(frozen=True)
class Uniform:
    """Every candidate alike."""

    catalogue: PublicCatalogue

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Zeros."""
        return np.zeros(page.candidates.shape, dtype=np.float32)


@dataclass(frozen=True)
class Popularity:
    """Past sales, whatever was asked."""

    catalogue: PublicCatalogue

    def score(self, page: Page, truth: Truth | None) -> F32:
        """The item's standardised log sales."""
        return self.catalogue.popularity[np.maximum(page.candidates, 0)]


@dataclass(frozen=True)
class Lexical:
    """How many of the query's recognised words the item matches: category counts 2, brand 1, colour 0.5."""

    catalogue: PublicCatalogue

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Weighted number of matches, 0 to 3.5."""
        item, terms = np.maximum(page.candidates, 0), page.query_terms
        score: npt.NDArray[np.float64] = 2.0 * (self.catalogue.category[item] == terms[:, 0:1])
        score += self.catalogue.brand[item] == terms[:, 1:2]
        score += 0.5 * ((terms[:, 2:3] >= 0) & (self.catalogue.colour[item] == terms[:, 2:3]))
        return score.astype(np.float32)


@dataclass(frozen=True)
class Production:
    """What many shops run: lexical match first, popularity within it."""

    catalogue: PublicCatalogue
    popularity_weight: float = 0.5

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Lexical score plus weighted popularity."""
        lexical = Lexical(self.catalogue).score(page, truth)
        blend: F32 = lexical + np.float32(self.popularity_weight) * Popularity(self.catalogue).score(page, truth)
        return blend

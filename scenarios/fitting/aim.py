"""What a fit aims at: the summaries of a log that tell the moved parameters, and their error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.fitting.knobs import Knobs
from scenarios.fitting.seen import Seen
from scenarios.fitting.summaries import SUMMARIES, fitted_clicks, summarise
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError

F64 = npt.NDArray[np.float64]
COUNTED = ("position-based", "user-browsing")  # click models that are fitted from counts, in no time
ALSO = ("more matches",)  # tells relevance from the level where few items of other categories are shown
DRAWS = {True: 200, False: 100}  # of the bootstrap


@dataclass(frozen=True)
class Aim:
    """Which summaries tell the knobs: one for each moved parameter, ALSO, and the click model's global parameters."""

    knobs: Knobs

    @property
    def told_by(self) -> list[int]:
        """Places in SUMMARIES."""
        return [list(SUMMARIES).index(name) for name in (*(knob.told_by for knob in self.knobs.moved), *ALSO)]

    @property
    def sources(self) -> list[str]:
        """What tells each entry of the vector, in words."""
        return [SUMMARIES[knob.told_by] for knob in self.knobs.moved] + ["clicks by slot"] * len(self.knobs.names)

    def values(self, seen: Seen, catalogue: PublicCatalogue) -> F64:
        """Of a log, (S,); what it has nothing of is 0."""
        own = summarise(seen, catalogue).values()[self.told_by]
        made: F64 = np.nan_to_num(np.concatenate([own, self._clicks(seen, catalogue)]))
        return made

    def covariance(self, seen: Seen, catalogue: PublicCatalogue, seed: int) -> F64:
        """Of `values`, (S, S), over shoppers drawn again; shrunk, with a floor where something never varied."""
        rng = np.random.default_rng(seed)
        sums = summarise(seen, catalogue)
        _, shopper = np.unique(seen.shopper, return_inverse=True)
        n = len(sums.sums)
        drawn = []
        for _ in range(DRAWS[self.knobs.click_model in COUNTED]):
            weights = np.bincount(rng.integers(0, n, n), minlength=n)
            values = sums.values(weights[None, :].astype(np.float64))[0, self.told_by]
            again = take(seen, np.repeat(np.arange(len(seen)), weights[shopper])) if self.knobs.names else seen
            drawn.append(np.concatenate([values, self._clicks(again, catalogue)]))
        return shrunk_covariance(np.nan_to_num(np.array(drawn)), floor=0.5 / len(seen))

    def _clicks(self, seen: Seen, catalogue: PublicCatalogue) -> F64:
        if not self.knobs.names:
            return np.zeros(0)
        try:
            fitted = fitted_clicks(self.knobs.click_model, seen, catalogue)
        except UserError:  # a simulated log without a click on the way to a better one
            return np.full(len(self.knobs.names), 0.5)
        return np.array(list(fitted.parameters.values()))


def shrunk_covariance(drawn: F64, floor: float) -> F64:
    """The covariance (S, S) of draws (B, S), its correlations drawn toward 0 so that it can be inverted.

    The shrinkage is the one that minimises the expected squared error of the correlations, from their own noise over
    the draws; variances stay as they are.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, in the form of
    Schaefer and Strimmer, "A shrinkage approach to large-scale covariance matrix estimation", 2005.

    Args:
        drawn: (B, S).
        floor: The least standard error that anything has.
    """
    n_draws, n = drawn.shape
    spread = drawn.std(axis=0, ddof=1)
    unit = np.where(spread > 0, (drawn - drawn.mean(axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
    correlation = unit.T @ unit / (n_draws - 1)
    noise = ((unit**2).T @ unit**2 / n_draws - (unit.T @ unit / n_draws) ** 2) / (n_draws - 1)
    off = ~np.eye(n, dtype=bool)
    size = float((correlation[off] ** 2).sum())
    kept = 1.0 - min(1.0, float(noise[off].sum()) / size) if size > 0 else 0.0
    scale = np.maximum(spread, floor)
    made: F64 = (np.where(off, kept * correlation, 1.0)) * scale[:, None] * scale
    return made

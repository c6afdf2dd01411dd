"""Thompson sampling by quadrature, for arms whose posteriors are independent normals.

The probability that arm a is the best is `p_a = int f_a(t) prod_{b != a} F_b(t) dt`. It is taken by the trapezoidal
rule on one grid of t for all arms of a row, which converges geometrically for such integrands; the step is at most
half the narrowest spread. Halving the step at least doubles the correct digits, so the error stated is the square of
the largest difference to the same rule with twice the step.

Right only where the scores are independent given the context: disjoint posteriors. Arms that share parameters need
`policies.exploration.by_vote.ThompsonMixture`. What is drawn from and logged are the normalised numbers themselves, so
the propensity is exact whatever the error of the integral: the error says how near to Thompson sampling it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from policies.exploration.estimates import F64, Bools, Estimates, Needs, floored, greedy, refuse_share

TAILS = 8.3  # spreads beyond which a normal has less than 1e-16
NODES = (64, 2048)  # least and most nodes of the grid
NARROWEST = 1.0 / 1024  # spread, in lengths of the grid
ROUNDING = 1e-11  # what is left of the error where the rule has converged
CELLS = 4_000_000  # numbers held at once


@dataclass(frozen=True)
class ThompsonQuadrature:
    """Thompson sampling over independent normal posteriors (score, spread), plus a uniform floor.

    A spread below 1/1024 of the grid's length (about 17 of the widest spreads) is widened to that; a row without any
    spread takes its best.
    """

    floor: float = 0.02

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        refuse_share("thompson-quadrature", "floor", self.floor)

    @property
    def needs(self) -> Needs:
        """Scores and spreads."""
        return Needs(spread=True)

    def log_prob(self, estimates: Estimates) -> F64:
        """See `Exploration.log_prob`."""
        spread = estimates.spread_of("thompson-quadrature")
        p, _ = chance_of_best(estimates.scores.astype(np.float64), spread, estimates.here)
        return floored(p, estimates.here, self.floor)


def chance_of_best(mean: F64, spread: F64, here: Bools) -> tuple[F64, float]:
    """P(arm is the best) for independent normals, and the largest error.

    Args:
        mean: (N, C).
        spread: (N, C), >= 0.
        here: (N, C) bool; others have probability 0.

    Returns:
        (N, C) probabilities that sum to one in rows with somebody, and the largest error of the integral.
    """
    p = greedy(mean, here)
    mean, spread = np.where(here, mean, 0.0), np.where(here, spread, 0.0)
    low = np.where(here, mean - TAILS * spread, -np.inf).max(axis=1)
    high = np.where(here, mean + TAILS * spread, -np.inf).max(axis=1)
    low, high = (np.where(here.any(axis=1), end, 0.0) for end in (low, high))
    widened = NARROWEST * (high - low)
    spread = np.maximum(spread, widened[:, None])
    low, high = low - TAILS * widened, high + TAILS * widened
    span = high - low
    counts = here & (mean + TAILS * spread >= low[:, None])  # the others are never best
    narrow = np.where(counts, spread, np.inf).min(axis=1)
    open_rows = (span > 0) & (counts.sum(axis=1) > 1)
    ratio = np.divide(span, narrow, out=np.ones(len(span)), where=open_rows)
    # As powers of two, so that a row's grid does not depend on its neighbours.
    size = np.clip(2.0 ** np.ceil(np.log2(ratio) + 1.0), *NODES).astype(np.int64)
    error = 0.0
    for n_nodes in np.unique(size[open_rows]):
        rows = np.flatnonzero(open_rows & (size == n_nodes))
        for part in np.array_split(rows, math.ceil(len(rows) * mean.shape[1] * n_nodes / CELLS)):
            fine, coarse = _integrals(mean[part], spread[part], counts[part], (low[part], span[part]), int(n_nodes))
            error = max(error, ROUNDING + float(np.abs(fine - coarse).max(initial=0.0)) ** 2)
            p[part] = fine
    return p, error


def _integrals(mean: F64, spread: F64, counts: Bools, grid: tuple[F64, F64], n_nodes: int) -> tuple[F64, F64]:
    """The integral with all nodes and with every second one, each normalised, (n, C)."""
    from scipy.special import log_ndtr

    low, span = grid
    t = low[:, None] + span[:, None] * (np.arange(n_nodes + 1) / n_nodes)  # (n, G)
    z = (t[:, None, :] - mean[:, :, None]) / spread[:, :, None]  # (n, C, G)
    log_below = np.where(counts[:, :, None], log_ndtr(z), 0.0)
    all_below = log_below.sum(axis=1, keepdims=True)
    density = np.exp(all_below - log_below - 0.5 * z**2) / spread[:, :, None]
    density[~counts] = 0.0
    made = [density.sum(axis=2), density[:, :, ::2].sum(axis=2)]
    fine, coarse = (each / each.sum(axis=1, keepdims=True) for each in made)
    return fine, coarse

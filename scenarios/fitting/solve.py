"""Indirect inference: parameters under which simulated logs have the summaries of the log that is imitated.

    minimise  (s(theta) - s_log)' W (s(theta) - s_log),    W = inverse covariance of s_log - s(theta)

by Gauss-Newton, with derivatives from differences of simulations that share their luck: once from where it starts, and
once more near the end. The covariance is that of the log's summaries (bootstrap over shoppers, shrunk), enlarged by the
noise of the simulation: (1 + shoppers in the log / shoppers simulated). The whole of it is used and not its diagonal
alone: the level of clicks and every contrast of clicks move together, and a summary is worth what it adds to others.
The error of the estimate is (J' W J)^-1.

Right where the world can make logs like this one; what it cannot make shows in the posterior predictive check.

Gourieroux, Monfort and Renault, "Indirect inference", 1993.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.fitting.knobs import STEP, VAGUE, Knobs

F64 = npt.NDArray[np.float64]
MOST_ITERATIONS = 10  # of each of the two rounds
LONGEST_STEP, SHORTEST_STEP = 1.5, 0.01
SETTLED = 0.02  # gain per parameter, in units of its own error, that is no longer worth a simulation


@dataclass(frozen=True)
class Target:
    """What is to be met.

    values: (S,) summaries of the log. covariance: (S, S) of them. noise: 1 + shoppers in the log / simulated.
    """

    values: F64
    covariance: F64
    noise: float

    @property
    def whitener(self) -> F64:
        """(S, S) what makes the difference of summaries white: W is its square."""
        root = np.linalg.cholesky(self.covariance * self.noise)
        made: F64 = np.linalg.inv(root)
        return made


@dataclass(frozen=True)
class Solution:
    """Estimates on their scales.

    vector: (P,) covariance: (P, P). vague: (P,) what this log does not tell; there the vector stands where it began and
    the covariance is 0. misfit: sum of squared standardised differences. met: (S,) summaries at the estimate.
    """

    vector: F64
    covariance: F64
    vague: npt.NDArray[np.bool_]
    misfit: float
    met: F64


def solve(knobs: Knobs, target: Target, simulate: Callable[[F64], F64], start: F64) -> Solution:
    """Meet the target.

    Args:
        knobs: What is moved.
        target: The log's summaries.
        simulate: Summaries (S,) at a vector (P,); the same luck every time.
        start: (P,).
    """
    white = target.whitener
    vector, met = start, simulate(start)
    for _ in range(2):
        slope = white @ derivatives(knobs, simulate, vector, met)
        vague = untold(knobs, slope)
        if (vector[vague] != start[vague]).any():
            vector = np.where(vague, start, vector)
            met = simulate(vector)
        vector, met = _descend(Round(white, slope, vague, simulate), target, vector, met)
    kept = slope[:, ~vague]
    covariance = np.zeros((len(vague), len(vague)))
    covariance[np.ix_(~vague, ~vague)] = np.linalg.pinv(kept.T @ kept, hermitian=True)
    return Solution(vector, covariance, vague, _misfit(white, target, met), met)


@dataclass(frozen=True)
class Round:
    """One round of steps: what makes summaries white (S, S), the white slope (S, P), what is not told (P,)."""

    white: F64
    slope: F64
    vague: npt.NDArray[np.bool_]
    simulate: Callable[[F64], F64]


def _descend(how: Round, target: Target, vector: F64, met: F64) -> tuple[F64, F64]:
    """Steps until they promise nothing or stop helping: the vector and the summaries there.

    What each step brings mends the slope (Broyden, "A class of methods for solving nonlinear simultaneous equations",
    1965); a step that does not help is taken back, and the next may go half as far.
    """
    slope, told, longest = how.slope.copy(), ~how.vague, LONGEST_STEP
    misfit = _misfit(how.white, target, met)
    for _ in range(MOST_ITERATIONS):
        step = np.zeros(len(vector))
        step[told] = np.linalg.lstsq(slope[:, told], how.white @ (target.values - met), rcond=None)[0]
        if float(((slope @ step) ** 2).sum()) < SETTLED * told.sum() or longest < SHORTEST_STEP:
            break
        step *= min(1.0, longest / float(np.abs(step).max()))
        reached = how.simulate(vector + step)
        slope += np.outer(how.white @ (reached - met) - slope @ step, step) / float(step @ step)
        if _misfit(how.white, target, reached) < misfit:
            vector, met, misfit = vector + step, reached, _misfit(how.white, target, reached)
        else:
            longest = 0.5 * float(np.abs(step).max())
    return vector, met


def derivatives(knobs: Knobs, simulate: Callable[[F64], F64], vector: F64, met: F64) -> F64:
    """(S, P) by differences."""
    slope = np.zeros((len(met), len(vector)))
    for place, scale in enumerate(knobs.scales):
        moved = vector.copy()
        step = -STEP[scale] if scale == "odds" and vector[place] > 0 else STEP[scale]
        moved[place] += step
        slope[:, place] = (simulate(moved) - met) / step
    return slope


def untold(knobs: Knobs, slope: F64) -> npt.NDArray[np.bool_]:
    """(P,) parameters whose error would be so large that the log does not tell them, the worst dropped first.

    Args:
        knobs: What is moved.
        slope: (S, P) of the white summaries.
    """
    limit = np.array([VAGUE[scale] for scale in knobs.scales])
    vague = np.zeros(slope.shape[1], dtype=bool)
    while not vague.all():
        kept = slope[:, ~vague]
        error = np.sqrt(np.diag(np.linalg.pinv(kept.T @ kept, hermitian=True)).clip(0.0))
        error[np.abs(kept).sum(axis=0) == 0.0] = np.inf
        worst = int(np.argmax(error / limit[~vague]))
        if error[worst] <= limit[~vague][worst]:
            break
        vague[np.flatnonzero(~vague)[worst]] = True
    return vague


def _misfit(white: F64, target: Target, met: F64) -> float:
    return float(((white @ (target.values - met)) ** 2).sum())

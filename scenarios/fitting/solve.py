"""Indirect inference: parameters under which simulated logs have the summaries of the log that is imitated.

    minimise  (s(theta) - s_log)' W (s(theta) - s_log),    W = diag(1 / variance of s_log - s(theta))

by Gauss-Newton, with derivatives from differences of simulations that share their luck. The error of the estimate is
that of the log's summaries (bootstrap over shoppers), taken through the same derivatives and enlarged by the noise of
the simulation: (1 + shoppers in the log / shoppers simulated).

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
MOST_ITERATIONS = 6
LONGEST_STEP = 1.5
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
    def precision(self) -> F64:
        """(S,) weights of the summaries: one over the variance of the difference."""
        variance = np.diag(self.covariance) * self.noise
        return 1.0 / np.maximum(variance, 1e-12)


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
    vector, met = start, simulate(start)
    weights = target.precision
    slope = derivatives(knobs, simulate, vector, met)
    vague = untold(knobs, slope, weights)
    misfit = _misfit(target, met)
    for iteration in range(MOST_ITERATIONS):
        if iteration == 2:  # the first ones came from far away
            slope = derivatives(knobs, simulate, vector, met)
        step = _step(slope[:, ~vague], weights, target.values - met)
        promised = float(step @ (slope[:, ~vague].T * weights @ slope[:, ~vague]) @ step)
        if promised < SETTLED * (~vague).sum() and iteration > 2:
            break
        step = np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        for _ in range(3):
            trial = vector.copy()
            trial[~vague] += step
            reached = simulate(trial)
            if _misfit(target, reached) < misfit:
                vector, met, misfit = trial, reached, _misfit(target, reached)
                break
            step = step / 3.0
        else:
            if iteration > 2:
                break
    return Solution(vector, _covariance(slope, weights, target, vague), vague, misfit, met)


def derivatives(knobs: Knobs, simulate: Callable[[F64], F64], vector: F64, met: F64) -> F64:
    """(S, P) by differences."""
    slope = np.zeros((len(met), len(vector)))
    for place, scale in enumerate(knobs.scales):
        moved = vector.copy()
        step = -STEP[scale] if scale == "odds" and vector[place] > 0 else STEP[scale]
        moved[place] += step
        slope[:, place] = (simulate(moved) - met) / step
    return slope


def untold(knobs: Knobs, slope: F64, weights: F64) -> npt.NDArray[np.bool_]:
    """(P,) parameters whose error would be so large that the log does not tell them, the worst dropped first."""
    limit = np.array([VAGUE[scale] for scale in knobs.scales])
    vague = np.zeros(slope.shape[1], dtype=bool)
    while not vague.all():
        kept = slope[:, ~vague]
        error = np.sqrt(np.diag(np.linalg.pinv(kept.T * weights @ kept, hermitian=True)).clip(0.0))
        error[np.abs(kept).sum(axis=0) == 0.0] = np.inf
        worst = int(np.argmax(error / limit[~vague]))
        if error[worst] <= limit[~vague][worst]:
            break
        vague[np.flatnonzero(~vague)[worst]] = True
    return vague


def _step(slope: F64, weights: F64, gap: F64) -> F64:
    root = np.sqrt(weights)
    made: F64 = np.linalg.lstsq(slope * root[:, None], gap * root, rcond=None)[0].astype(np.float64)
    return made


def _misfit(target: Target, met: F64) -> float:
    return float((target.precision * (target.values - met) ** 2).sum())


def _covariance(slope: F64, weights: F64, target: Target, vague: npt.NDArray[np.bool_]) -> F64:
    """G S G' with G = (J' W J)^-1 J' W: the error of the summaries, through the fit."""
    kept = slope[:, ~vague]
    through = np.linalg.pinv(kept.T * weights @ kept, hermitian=True) @ (kept.T * weights)
    covariance = np.zeros((len(vague), len(vague)))
    covariance[np.ix_(~vague, ~vague)] = through @ (target.covariance * target.noise) @ through.T
    return covariance

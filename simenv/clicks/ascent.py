"""Climbing a log-likelihood with a few global parameters and one or two of every document.

Damped Newton steps: the observed information H is never formed, only multiplied by vectors, and systems are solved by
conjugate gradients with the complete-data information as preconditioner. (With so much damping that H no longer
matters, a step is one of EM to first order, so far from the top this is as safe as EM; near it, it is as fast as
Newton.) Documents' parameters are profiled out of the covariance of the global ones by the Schur complement
H_gg - H_gd H_dd^-1 H_dg.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

TOLERANCE = 1e-6  # log-likelihood still to be gained; a parameter is then within sqrt(2e-6) of a standard error
MOST_STEPS = 200
LIMIT = 30.0  # of log-odds: their probabilities are 1e-13 from 0 and 1, and never exactly there
UNDAMPED = 1e-6  # with less damping than this, a step tells how far the top is
SOLVE_STEP, SOLVE_COVARIANCE = 1e-3, 1e-9  # relative residuals of conjugate gradients
MOST_SOLVES = 500
UNIDENTIFIED = 1e-9  # of the complete-data information, left in some direction


@dataclass(frozen=True)
class Local:
    """A log-likelihood around one point of M parameters.

    gradient: (M,). scale: (M,) positive, information as if everything hidden were seen, per parameter. information: the
    observed information (minus the Hessian) times a vector (M,).
    """

    value: float
    gradient: F64
    scale: F64
    information: Callable[[F64], F64]


class Likelihood(Protocol):
    """A log-likelihood of M log-odds, the global ones first."""

    def value(self, x: F64) -> float:
        """The log-likelihood; -inf where impossible."""

    def local(self, x: F64) -> Local:
        """The log-likelihood, its gradient and its curvature."""


@dataclass(frozen=True)
class Maximum:
    """Where the climb ended. gap: what the last step promised to gain. n_steps: steps tried."""

    x: F64
    local: Local
    gap: float
    n_steps: int
    converged: bool


def maximise(likelihood: Likelihood, start: F64) -> Maximum:
    """Climb from a start to a top.

    Args:
        likelihood: What is climbed.
        start: (M,) where its value is finite.
    """
    x, at = start, likelihood.local(start)
    damping, gap = 0.1, np.inf
    for n_steps in range(1, MOST_STEPS + 1):
        # What stands at the limit and would go beyond it stays where it is.
        stuck = (x >= LIMIT) & (at.gradient > 0.0) | (x <= -LIMIT) & (at.gradient < 0.0)
        step, ascends = solve(at, at.gradient, damping, SOLVE_STEP, fixed=stuck.astype(np.float64))
        gap = 0.5 * float(at.gradient @ step)
        if ascends and damping <= UNDAMPED and gap <= TOLERANCE:
            return Maximum(x, at, gap, n_steps, True)
        promised = float(at.gradient @ step) - 0.5 * float(step @ at.information(step))
        trial = (x + step).clip(-LIMIT, LIMIT)
        gained = likelihood.value(trial) - at.value if ascends else -np.inf
        # Near the top what is gained drowns in the rounding of a long sum.
        enough = gained > 0.1 * promised - 1e-13 * abs(at.value)
        if ascends and enough:
            x, at = trial, likelihood.local(trial)
            damping = damping / 10.0 if gained > 0.5 * promised or gap < 1e-3 else damping
        else:
            damping = max(4.0 * damping, 1e-3)
    return Maximum(x, at, gap, MOST_STEPS, False)


def solve(at: Local, right: F64, damping: float, tolerance: float, fixed: F64 | None = None) -> tuple[F64, bool]:
    """Solve (H + damping * scale) z = right by preconditioned conjugate gradients.

    Args:
        at: Gives H.
        right: (M,).
        damping: At least 0.
        tolerance: Of the residual, relative to the right side.
        fixed: (M,) 1 for parameters that are held (z is 0 there), else 0; None holds none.

    Returns:
        z, and whether H was positive along the way; if not, z is as far as it got.
    """
    free = 1.0 if fixed is None else 1.0 - fixed
    inverse = free / (at.scale * (1.0 + damping))
    z = np.zeros_like(right)
    residual = right * free
    toward = inverse * residual
    direction, size = toward, float(residual @ toward)
    enough = tolerance**2 * size
    for _ in range(MOST_SOLVES):
        if size <= enough:
            break
        image = (at.information(direction) + damping * at.scale * direction) * free
        curvature = float(direction @ image)
        if curvature <= 0.0:
            return (z if z.any() else toward), False
        length = size / curvature
        z = z + length * direction
        residual = residual - length * image
        toward = inverse * residual
        size, before = float(residual @ toward), size
        direction = toward + (size / before) * direction
    return z, True


def profile_covariance(at: Local, n_global: int, held: npt.NDArray[np.bool_]) -> F64 | None:
    """Covariance of the global parameters with the documents' profiled out, (G, G); None where it does not exist.

    Args:
        at: The log-likelihood at its top.
        n_global: G.
        held: (G,) globals that are taken as known, such as those at a bound; their rows and columns are 0.
    """
    globals_fixed = (np.arange(len(at.scale)) < n_global).astype(np.float64)
    schur = np.empty((n_global, n_global))
    for g in range(n_global):
        column = at.information((np.arange(len(at.scale)) == g).astype(np.float64))
        answer, _ = solve(at, column, 0.0, SOLVE_COVARIANCE, fixed=globals_fixed)
        schur[g] = (column - at.information(answer))[:n_global]
    free = ~held
    covariance = np.zeros((n_global, n_global))
    if free.any():
        block = 0.5 * (schur + schur.T)[np.ix_(free, free)]
        width = np.sqrt(at.scale[:n_global][free])
        if np.linalg.eigvalsh(block / np.outer(width, width)).min() < UNIDENTIFIED:
            return None
        covariance[np.ix_(free, free)] = np.linalg.inv(block)
    return covariance


def variances(at: Local, which: npt.NDArray[np.int64], fixed: F64) -> F64:
    """Variances of single parameters with all others profiled out, one solve each: (len(which),)."""
    found = np.empty(len(which))
    for k, m in enumerate(which):
        found[k] = solve(at, (np.arange(len(at.scale)) == m).astype(np.float64), 0.0, SOLVE_COVARIANCE, fixed)[0][m]
    return found

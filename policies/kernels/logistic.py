"""Bayesian logistic regression by Laplace's approximation, one batch at a time or all at once.

The posterior after a batch is the normal around the mode of `prior * likelihood` with the curvature there as precision;
it is the prior of the next batch. Chapelle and Li, "An empirical evaluation of Thompson sampling", 2011, with the full
precision in place of its diagonal. There are no finite sufficient statistics: batch after batch is an approximation
that depends, a little, on the batches; all at once from the first prior does not depend on the order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from policies.kernels.ridge import Posterior

STEPS = 50  # of Newton's method at most; five to ten are usual
CLOSE = 1e-10  # of the gain at which it ends


def laplace(x: Tensor, y: Tensor, mean: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """Mode and precision after a batch.

    Newton's method with halved steps, so it cannot diverge: the objective is convex.

    Args:
        x: (n, P).
        y: (n,) in [0, 1].
        mean: (P,) float64 of the normal prior.
        precision: (P, P) float64 of it.

    Returns:
        The mode (P,) and the precision (P, P), float64.
    """
    x, y, theta = x.double(), y.double(), mean.clone()
    worth = _objective(x, y, theta, mean, precision)
    for _ in range(STEPS):
        p = torch.sigmoid(x @ theta)
        curve = precision + (x * (p * (1.0 - p)).unsqueeze(-1)).mT @ x
        slope = x.mT @ (p - y) + precision @ (theta - mean)
        step = torch.cholesky_solve(slope.unsqueeze(-1), torch.linalg.cholesky(curve)).squeeze(-1)
        gain, size = float(slope @ step), 1.0
        while size > 1e-6:
            tried = _objective(x, y, theta - size * step, mean, precision)
            if tried <= worth - 0.1 * size * gain + CLOSE:
                break
            size /= 2.0
        theta, worth = theta - size * step, tried
        if gain < CLOSE:
            break
    p = torch.sigmoid(x @ theta)
    return theta, precision + (x * (p * (1.0 - p)).unsqueeze(-1)).mT @ x


def as_posterior(mean: Tensor, precision: Tensor) -> Posterior:
    """The normal with that mean and precision, ready to score and to draw from."""
    lower = torch.linalg.cholesky(precision)
    eye = torch.eye(len(lower), dtype=torch.float64, device=lower.device)
    return Posterior(mean, torch.linalg.solve_triangular(lower, eye, upper=False))


def _objective(x: Tensor, y: Tensor, theta: Tensor, mean: Tensor, precision: Tensor) -> float:
    logit, off = x @ theta, theta - mean
    return float((torch.nn.functional.softplus(logit) - y * logit).sum() + 0.5 * off @ precision @ off)

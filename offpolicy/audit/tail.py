"""The tail of the weights: whether their mean can be learned from a sample at all.

The largest weights are fitted by a generalised Pareto distribution. Its shape k says which moments exist: below 1/2 the
variance, below 1 the mean; below 0 the tail has an upper end, as weights have where a floor stands under the logger.
Past .7 no sample of any usual size settles the mean. Vehtari, Simpson, Gelman, Yao and Gabry, "Pareto smoothed
importance sampling" (2024); the fit is that of Zhang and Stephens, "A new and efficient estimation method for the
generalized Pareto distribution" (2009), with the weak prior of the former.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWEST = 20  # weights in a tail from which a shape is told
_PRIOR, _PRIOR_WEIGHT = 0.5, 10.0  # the shape is drawn to 1/2 with the weight of ten points
_LARGE = 30  # of quadrature points, before the square root of the tail's size is added


def tail_size(n: int) -> int:
    """How many of n weights are taken for the tail: min(n / 5, 3 sqrt(n))."""
    return int(min(0.2 * n, 3.0 * math.sqrt(n)))


def pareto_k(weight: Floats) -> float:
    """Shape of the tail of weights (N,).

    Returns:
        k, below 0 where the largest weights crowd towards an upper end; NaN where there are too few weights, or where
        the largest are all alike: they have no tail.
    """
    m = tail_size(len(weight))
    if m < FEWEST:
        return float("nan")
    top = np.partition(weight, len(weight) - m - 1)[len(weight) - m - 1 :]
    cut = float(top.min())
    excess = np.sort(top[np.argsort(top)[1:]] - cut)
    return fitted_shape(excess[excess > 0.0])


def fitted_shape(excess: Floats) -> float:
    """Shape of a generalised Pareto distribution of excesses over a cut, (m,) ascending and above 0."""
    m = len(excess)
    if m < FEWEST or excess[-1] - excess[0] <= 1e-12 * excess[-1]:
        return float("nan")
    points = _LARGE + int(math.sqrt(m))
    quartile = excess[int(m / 4 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3.0 * quartile)
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    # An exponential tail is where both are 0, and shape / theta their limit there, minus the mean excess.
    scale = np.divide(shape, theta, out=np.full_like(theta, -excess.mean()), where=theta != 0.0)
    profile = m * (-np.log(-scale) - shape - 1.0)
    share = np.exp(profile - profile.max())
    share /= share.sum()
    k = float(np.log1p(-float(theta @ share) * excess).mean())
    return (m * k + _PRIOR_WEIGHT * _PRIOR) / (m + _PRIOR_WEIGHT)

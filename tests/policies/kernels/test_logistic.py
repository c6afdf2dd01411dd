"""The Laplace posterior is the mode and the curvature, and planted weights are inside it."""

from __future__ import annotations

import numpy as np
import torch
from scipy import optimize

from policies.kernels.logistic import as_posterior, laplace


def planted(n: int, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x, theta = scale * torch.randn(n, 5, generator=g).double(), torch.randn(5, generator=g).double()
    return x, (torch.rand(n, generator=g) < torch.sigmoid(x @ theta)).double(), theta


def prior() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(5, dtype=torch.float64), 2.0 * torch.eye(5, dtype=torch.float64)


def test_the_mode_is_the_one_a_general_optimiser_finds() -> None:
    x, y, _ = planted(300)
    mean, precision = laplace(x, y, *prior())

    def objective(theta: np.ndarray) -> float:
        logit = x.numpy() @ theta
        return float((np.logaddexp(0, logit) - y.numpy() * logit).sum() + theta @ theta)

    found = optimize.minimize(objective, np.zeros(5), method="BFGS", options={"gtol": 1e-8})
    assert np.allclose(mean.numpy(), found.x, atol=1e-5)
    p = torch.sigmoid(x @ mean)
    assert torch.allclose(precision, prior()[1] + (x * (p * (1 - p))[:, None]).T @ x)


def test_all_at_once_does_not_depend_on_the_order() -> None:
    """Newton ends at a gain below 1e-10, so modes differ by less than 1e-5 deviations."""
    x, y, _ = planted(300)
    one, other = laplace(x, y, *prior()), laplace(x.flip(0), y.flip(0), *prior())
    assert torch.allclose(one[0], other[0], atol=1e-6)
    assert torch.allclose(one[1], other[1], rtol=1e-6)


def test_batch_after_batch_comes_near_to_all_at_once() -> None:
    """An approximation: within a fifth of a deviation after 60 batches, and the planted weights within five."""
    x, y, theta = planted(3000)
    mean, precision = prior()
    for rows in torch.arange(3000).split(50):
        mean, precision = laplace(x[rows], y[rows], mean, precision)
    whole, exact = laplace(x, y, *prior())
    deviation = torch.linalg.inv(exact).diagonal().sqrt()
    assert ((mean - whole).abs() < 0.2 * deviation).all()
    assert ((whole - theta).abs() < 5 * deviation).all()


def test_separable_data_of_a_huge_scale_stays_finite() -> None:
    x, _, theta = planted(100, scale=100.0)
    mean, precision = laplace(x, (x @ theta > 0).double(), *prior())
    belief = as_posterior(mean, precision)
    assert torch.isfinite(mean).all()
    assert torch.isfinite(belief.root).all()
    assert torch.allclose(belief.root.T @ belief.root @ precision, torch.eye(5, dtype=torch.float64), atol=1e-8)

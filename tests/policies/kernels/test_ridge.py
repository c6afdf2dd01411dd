"""Ridge kernels: sums, posteriors and scores, against the plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from policies.kernels import ridge
from policies.kernels.ridge import Posterior


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, generator=g, dtype=torch.float64)
    return x, x @ torch.arange(6.0).double() + torch.randn(500, generator=g)


def test_the_posterior_is_ridge_regression(data: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = data
    belief = ridge.posterior(ridge.sums_of(x, y), 3.0)
    precision = x.T @ x + 3.0 * torch.eye(6, dtype=torch.float64)
    assert torch.allclose(belief.mean, torch.linalg.solve(precision, x.T @ y), rtol=1e-12, atol=1e-12)
    assert torch.allclose(belief.root.T @ belief.root, torch.linalg.inv(precision), rtol=1e-10, atol=1e-14)


def test_batch_by_batch_one_by_one_or_backwards_is_the_same(data: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Up to the rounding of 500 float64 sums in another order."""
    x, y = data
    whole = ridge.sums_of(x, y)
    single = sum((ridge.sums_of(x[i : i + 1], y[i : i + 1]) for i in range(500)), ridge.no_sums((6,)))
    for other in (
        single,
        ridge.sums_of(x.flip(0), y.flip(0)),
        ridge.sums_of(x[:99], y[:99]) + ridge.sums_of(x[99:], y[99:]),
    ):
        assert torch.allclose(other.gram, whole.gram, rtol=1e-12, atol=1e-11)
        assert torch.allclose(other.moment, whole.moment, rtol=1e-12, atol=1e-11)
        assert float(other.weight) == 500


def test_sums_by_arm_are_the_sums_of_each_arm(
    data: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = data
    arm, weight = torch.arange(500) * 7 % 4, torch.linspace(0.1, 2.0, 500, dtype=torch.float64)
    monkeypatch.setattr(ridge, "OUTER", 64)  # several parts
    both = ridge.sums_by_arm(x, y, weight, arm, 5)  # nobody has arm 4
    for a in range(5):
        own = ridge.sums_of(x[arm == a], y[arm == a], weight[arm == a])
        assert torch.allclose(both.gram[a], own.gram, rtol=1e-12, atol=1e-12)
        assert torch.allclose(both.moment[a], own.moment, rtol=1e-12, atol=1e-12)
        assert torch.allclose(both.weight[a], own.weight)
    stacked, single = (
        ridge.posterior(both, 2.0),
        ridge.posterior(ridge.sums_of(x[arm == 1], y[arm == 1], weight[arm == 1]), 2.0),
    )
    assert torch.allclose(stacked.mean[1], single.mean, rtol=1e-10)


@pytest.mark.parametrize("regularisation", [0.1, 10.0])
def test_the_bonus_of_a_cold_arm_is_alpha_times_length_over_root_lambda(regularisation: float) -> None:
    """Two libraries in wide use are off by a factor of lambda here (start from lambda for 1 / lambda)."""
    cold = ridge.posterior(ridge.no_sums((5,)), regularisation)
    x = torch.randn(70, 9, 5, generator=torch.Generator().manual_seed(0))
    expected = 1.5 * x.norm(dim=2) / regularisation**0.5
    assert torch.allclose(ridge.linucb(cold, x, 1.5), expected, rtol=1e-5)
    never = ridge.posterior(ridge.sums_by_arm(x[0], x[0, :, 0], torch.ones(9), torch.zeros(9), 1), regularisation)
    assert (ridge.deviation(never.root[0], x[0][None]) < x[0].norm(dim=1) / regularisation**0.5).all()


def test_linucb_is_the_mean_plus_the_root_of_the_quadratic_form(data: tuple[torch.Tensor, torch.Tensor]) -> None:
    belief = ridge.posterior(ridge.sums_of(*data), 1.0)
    x = torch.randn(131, 7, 6, generator=torch.Generator().manual_seed(1))  # not a multiple of the chunk
    covariance = torch.linalg.inv(data[0].T @ data[0] + torch.eye(6, dtype=torch.float64))
    quadratic = torch.einsum("ncp,pq,ncq->nc", x.double(), covariance, x.double())
    expected = x.double() @ belief.mean + 2.0 * quadratic.sqrt()
    assert torch.allclose(ridge.linucb(belief, x, 2.0).double(), expected, atol=1e-4)
    assert torch.allclose(ridge.linucb(belief, x[5:6], 2.0)[0], ridge.linucb(belief, x, 2.0)[5], atol=1e-5)


def test_draws_of_theta_have_the_posteriors_mean_and_covariance(data: tuple[torch.Tensor, torch.Tensor]) -> None:
    """100,000 whitened draws: squared lengths are chi-square with P degrees of freedom, alpha 1e-6."""
    belief = ridge.posterior(ridge.sums_of(data[0][:9], data[1][:9]), 0.5)
    noise = torch.randn(100_000, 6, generator=torch.Generator().manual_seed(2))
    theta = ridge.draw_theta(belief, noise)
    white = torch.linalg.solve(belief.root.T, (theta - belief.mean).T).T
    assert stats.kstest((white**2).sum(dim=1).numpy(), "chi2", args=(6,)).pvalue > 1e-6
    precision = data[0][:9].T @ data[0][:9] + 0.5 * torch.eye(6, dtype=torch.float64)
    found = torch.cov(theta.T) @ precision
    assert torch.allclose(found, torch.eye(6, dtype=torch.float64), atol=0.15)  # five errors at condition number 50


def test_values_are_the_same_given_features_or_ids(data: tuple[torch.Tensor, torch.Tensor]) -> None:
    g = torch.Generator().manual_seed(3)
    table, theta = torch.randn(40, 6, generator=g), torch.randn(300, 6, generator=g, dtype=torch.float64)
    items = torch.randint(-1, 40, (300, 11), generator=g)
    by_id = ridge.value_of_items(theta, table, items)
    expected = (table[items.clamp(min=0)].double() * theta[:, None]).sum(-1)
    assert torch.allclose(by_id.double(), expected, atol=1e-5)
    assert torch.equal(ridge.value_of_items(theta[7:8], table, items[7:8])[0], by_id[7])


def test_scoring_leaves_the_belief_alone(data: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Selection that updates the precision counts twice what is predicted twice: two published codes do."""
    sums = ridge.sums_of(*data)
    before = [each.clone() for each in vars(sums).values()]
    belief = ridge.posterior(sums, 1.0)
    held = Posterior(belief.mean.clone(), belief.root.clone())
    x = torch.randn(40, 7, 6)
    ridge.linucb(belief, x, 1.0)
    ridge.value(ridge.draw_theta(belief, torch.randn(40, 6)), x)
    assert torch.equal(belief.mean, held.mean)
    assert torch.equal(belief.root, held.root)
    assert all(torch.equal(one, other) for one, other in zip(before, vars(sums).values(), strict=True))


def test_a_thousand_to_one_scale_stays_finite() -> None:
    x = 1e3 * torch.randn(1000, 5, generator=torch.Generator().manual_seed(0))
    belief = ridge.posterior(ridge.sums_of(x, torch.ones(1000)), 1e-3)
    assert np.isfinite(ridge.linucb(belief, x[None], 1.0).numpy()).all()

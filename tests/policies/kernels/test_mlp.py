"""Scores of networks a few contexts at a time, against the network itself."""

from __future__ import annotations

import pytest
import torch

from policies.kernels import mlp
from policies.position_based import PositionBasedNet


def drawn(seed: int = 0, n_features: int = 7) -> PositionBasedNet:
    """A network none of whose numbers is 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    net = PositionBasedNet(n_features, 3, (12, 9), generator)
    with torch.no_grad():
        for each in (*net.parameters(), net.torso.mean):
            each.copy_(0.5 * torch.randn(each.shape, generator=generator))
        net.torso.scale.copy_(0.5 + torch.rand(n_features, generator=generator))
    return net


def contexts(n: int = 70, n_candidates: int = 5, n_features: int = 7) -> torch.Tensor:
    """More than two chunks, the last of them short."""
    return torch.randn(n, n_candidates, n_features, generator=torch.Generator().manual_seed(1))


def with_one(phi: torch.Tensor) -> torch.Tensor:
    return torch.cat([phi, phi.new_ones((*phi.shape[:-1], 1))], dim=-1)


def test_scores_are_those_of_the_network() -> None:
    """Within the rounding of float32 sums of a dozen terms."""
    net, x = drawn(), contexts()
    with torch.no_grad():
        phi = net.torso(x)
        value = net.head(phi).squeeze(-1)
    root = torch.randn(10, 10, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mean, spread = mlp.last_layer_beliefs(net.weights(), root, x)
    assert torch.allclose(mlp.value(net.weights(), x), value, atol=1e-5)
    assert torch.allclose(mean, value, atol=1e-5)
    assert torch.allclose(spread.double(), (with_one(phi).double() @ root.T).norm(dim=-1), rtol=1e-5)


def test_draws_of_the_last_layer_are_its_values() -> None:
    net, x = drawn(), contexts()
    theta = torch.randn(70, 4, 10, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with torch.no_grad():
        expected = theta.float() @ with_one(net.torso(x)).mT
    assert torch.allclose(mlp.last_layer_draws(net.weights(), theta, x), expected, atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 32, 33])
def test_any_number_of_contexts_is_scored_and_a_row_is_its_own(n: int) -> None:
    """To 1e-6 of the scores, as between batch sizes of any network."""
    weights, x = drawn().weights(), contexts()
    whole = mlp.value(weights, x)
    some = mlp.value(weights, x[:n])
    assert some.shape == (n, 5)
    assert torch.allclose(some, whole[:n], atol=1e-6)

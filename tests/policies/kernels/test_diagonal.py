"""The closed form of NeuralUCB's bonus, against gradients that autograd makes one example at a time."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, grad, vmap

from policies.kernels import diagonal, mlp
from policies.position_based import PositionBasedNet
from tests.policies.kernels.test_mlp import contexts, drawn

ORDER = ("torso.first.weight", "torso.first.bias", "torso.second.weight", "torso.second.bias", "head.weight",
         "head.bias")  # fmt: skip


def gradients(net: PositionBasedNet, x: torch.Tensor) -> torch.Tensor:
    """Of f by every weight, (n, p) float64, at rows x (n, F), by autograd."""
    net = net.double()
    whole = {name: each.detach() for name, each in net.named_parameters()} | dict(net.named_buffers())
    by = {name: whole[name] for name in ORDER}

    class Score(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, row: torch.Tensor) -> torch.Tensor:
            return self.net.head(self.net.torso(row)).squeeze(-1)

    module = Score()

    def score(by: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        return functional_call(module, {f"net.{name}": each for name, each in (whole | by).items()}, (row,))

    made = vmap(grad(score), in_dims=(None, 0))(by, x.double())
    return torch.cat([made[name].reshape(len(x), -1) for name in ORDER], dim=1)


def test_the_closed_form_is_that_of_per_example_gradients() -> None:
    """Sums of squares of about 240 positive float32 numbers: relative error 1e-6 at most, 1e-7 in the middle."""
    net, x = drawn(), contexts()
    seen, weight = x[:40].reshape(-1, 7), torch.rand(200, generator=torch.Generator().manual_seed(4))
    weights, width = net.weights(), 9
    precision = 2.0 + diagonal.squares(weights, seen, weight)
    mean, spread = diagonal.beliefs(weights, precision, x)
    value = mlp.value(weights, x)
    by_hand = gradients(drawn(), seen).square()
    expected = 2.0 + (weight.double()[:, None] * by_hand).sum(dim=0) / width
    assert torch.allclose(precision, expected, rtol=2e-6)
    squares = (gradients(drawn(), x.reshape(-1, 7)).square() / (width * expected)).sum(dim=1).view(70, 5)
    relative = (spread.double().square() / squares - 1).abs()
    assert relative.max() < 3e-6
    assert relative.median() < 3e-7
    assert torch.allclose(mean, value, atol=1e-6)


@pytest.mark.parametrize("regularisation", [0.1, 10.0])
def test_a_cold_network_is_unsure_by_its_gradient_over_root_lambda(regularisation: float) -> None:
    """One library starts the inverse from lambda in place of 1 / lambda; another forgets the square root."""
    net, x = drawn(), contexts()
    _, spread = diagonal.beliefs(net.weights(), diagonal.no_squares(net.weights()) + regularisation, x)
    length = gradients(drawn(), x.reshape(-1, 7)).norm(dim=1).view(70, 5)
    assert torch.allclose(spread.double(), length / (9 * regularisation) ** 0.5, rtol=1e-5)


def test_what_is_seen_often_is_known_and_scoring_teaches_nothing() -> None:
    net, x = drawn().weights(), contexts()
    cold = diagonal.no_squares(net) + 1.0
    before = cold.clone()
    _, unsure = diagonal.beliefs(net, cold, x)
    warm = cold + diagonal.squares(net, x[0], torch.full((5,), 1000.0))
    _, surer = diagonal.beliefs(net, warm, x)
    assert (surer[0] < 0.2 * unsure[0]).all()
    assert (surer <= unsure).all()
    assert torch.equal(cold, before)
    assert torch.equal(diagonal.beliefs(net, warm, x)[1], surer)


def test_sums_do_not_depend_on_the_batches() -> None:
    net, x = drawn().weights(), contexts().reshape(-1, 7)
    weight = torch.ones(len(x))
    parts = sum((diagonal.squares(net, x[i : i + 9], weight[i : i + 9]) for i in range(0, len(x), 9)), 0)
    assert torch.allclose(diagonal.squares(net, x, weight), parts, rtol=1e-5)

"""The bonus of NeuralUCB with a diagonal precision, in closed form: no gradient of a single example is ever made.

`spread(x)^2 = sum_j g_j(x)^2 / (m U_j)` with g = df/dtheta and `U = lambda + sum_i weight_i g(x_i)^2 / m`, m the
width of the last hidden layer. The gradient of a layer is an outer product delta a', so over its weights
`sum g^2 / U = (delta^2)' (1 / U) (a^2)`: two products of matrices instead of p numbers for each candidate. The
sums of U are products as well. U is a precision and is divided by; it starts at lambda, so the spread of a cold model
is |g| / sqrt(m lambda).

Zhou, Li and Gu, "Neural contextual bandits with UCB-based exploration", 2020; Zhang, Zhou, Li and Gu, "Neural Thompson
sampling", 2021. The diagonal is their experiments' approximation: right where gradients of different weights are
nearly uncorrelated, and otherwise the spread is too small in directions that examples share.
"""

from __future__ import annotations

import torch
from torch import Tensor

from policies.kernels.mlp import Weights, by_chunks, hidden_layers

ROWS = 4096  # examples whose gradients are summed at once


def no_squares(net: Weights) -> Tensor:
    """Sums over no examples, (p,) float64, for the p weights of a network: w1, b1, w2, b2, w3, b3 in that order."""
    return torch.zeros(sum(_sizes(net)), dtype=torch.float64, device=net.w1.device)


def squares(net: Weights, x: Tensor, weight: Tensor) -> Tensor:
    """Sums over examples x (n, F), each counted `weight` (n,) times, of g^2 / m: (p,) float64."""
    made = no_squares(net)
    for first in range(0, len(x), ROWS):
        part = slice(first, first + ROWS)
        z, one, two, delta = _backward(net, x[part])
        own = weight[part].to(z.dtype)
        by_one = (delta.square_() * own[:, None]).T
        by_two = ((two > 0) * net.w3.square() * own[:, None]).T
        by_three = own @ two.square()
        parts = (
            by_one @ z.square(), by_one.sum(dim=1), by_two @ one.square(), by_two.sum(dim=1), by_three, own.sum()
        )  # fmt: skip
        made += torch.cat([each.reshape(-1) for each in parts]).double()
    return made / net.w3.numel()


def beliefs(net: Weights, precision: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The scores f and their deviations, (N, C) each, of x (N, C, F), from the precision U (p,)."""
    inverse = [each.to(x.dtype) for each in torch.split(1.0 / (precision * net.w3.numel()), _sizes(net))]
    alive = net.w3.square()  # delta^2 of the second layer, where it is
    v1, v2 = inverse[0].view_as(net.w1).T.contiguous(), (alive[:, None] * inverse[2].view_as(net.w2)).T.contiguous()
    c1, c2, v3, c3 = inverse[1], alive * inverse[3], inverse[4], inverse[5]

    def of(rows: Tensor) -> tuple[Tensor, Tensor]:
        z, one, two, delta = _backward(net, rows)
        mean = (two @ net.w3).add_(net.b3)
        by_two = torch.addmm(c2, one.square_(), v2).mul_(two > 0).sum(dim=1)
        by_one = torch.addmm(c1, z.square_(), v1).mul_(delta.square_()).sum(dim=1)
        return mean, (two.square_() @ v3).add_(c3).add_(by_two).add_(by_one).sqrt_()

    mean, spread = by_chunks(of, x)
    return mean, spread


def _backward(net: Weights, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Standardised input, both hidden layers, and the gradient of f by what goes into the first."""
    z, one, two = hidden_layers(net, x)
    delta = ((two > 0) * net.w3) @ net.w2
    return z, one, two, delta.mul_(one > 0)


def _sizes(net: Weights) -> list[int]:
    return [each.numel() for each in (net.w1, net.b1, net.w2, net.b2, net.w3, net.b3)]

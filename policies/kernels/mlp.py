"""A network of two hidden layers and one output, scored a few contexts at a time.

`f(x) = w3 . relu(W2 relu(W1 z + b1) + b2) + b3` with `z = (x - mean) / scale`. Scoring 4,096 contexts of 100
candidates at once writes every activation to memory and reads it back; CHUNK contexts stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 32  # contexts of about 100 candidates, whose activations stay in the cache


@dataclass(frozen=True)
class Weights:
    """The numbers of a network.

    mean, scale: (F,). w1: (H, F), b1: (H,). w2: (G, H), b2: (G,). w3: (G,), b3: (). An ensemble has a leading axis M
    on all but mean and scale.
    """

    mean: Tensor
    scale: Tensor
    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor
    w3: Tensor
    b3: Tensor


def hidden_layers(net: Weights, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Standardised input (n, F) and both hidden layers, (n, H) and (n, G), of rows x (n, F)."""
    z = torch.addcdiv(-net.mean / net.scale, x, net.scale)
    first = torch.addmm(net.b1, z, net.w1.T).relu_()
    return z, first, torch.addmm(net.b2, first, net.w2.T).relu_()


def by_chunks(work: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor) -> tuple[Tensor, ...]:
    """What `work` makes of rows of features (n, F), each (n,), over contexts x (N, C, F), a few at a time; (N, C)."""
    parts = [work(x[first : first + CHUNK].reshape(-1, x.shape[2])) for first in range(0, max(len(x), 1), CHUNK)]
    return tuple(torch.cat(each).view(x.shape[:2]) for each in zip(*parts, strict=True))


def value(net: Weights, x: Tensor) -> Tensor:
    """f, (N, C), of x (N, C, F)."""
    return by_chunks(lambda rows: ((hidden_layers(net, rows)[2] @ net.w3).add_(net.b3),), x)[0]


def last_layer_beliefs(net: Weights, root: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """NeuralLinear's f and the deviations of its last layer, (N, C) each, of x (N, C, F).

    Args:
        net: The network.
        root: (G + 1, G + 1), so that |root (phi, 1)| is the deviation of f at last features phi.
        x: Features.
    """
    turn, shift = root[:, :-1].T.to(x.dtype).contiguous(), root[:, -1].to(x.dtype)

    def beliefs(rows: Tensor) -> tuple[Tensor, Tensor]:
        phi = hidden_layers(net, rows)[2]
        return (phi @ net.w3).add_(net.b3), torch.linalg.vector_norm(torch.addmm(shift, phi, turn), dim=1)

    mean, spread = by_chunks(beliefs, x)
    return mean, spread


def last_layer_draws(net: Weights, theta: Tensor, x: Tensor) -> Tensor:
    """Values (N, M, C) of x (N, C, F) under last layers theta (N, M, G + 1) of each context's own: Thompson draws."""
    made = torch.empty((*theta.shape[:2], x.shape[1]), dtype=x.dtype, device=x.device)
    for first in range(0, len(x), CHUNK):
        part, own = x[first : first + CHUNK], theta[first : first + CHUNK].to(x.dtype)
        phi = hidden_layers(net, part.reshape(-1, x.shape[2]))[2].view(*part.shape[:2], -1)
        made[first : first + CHUNK] = torch.baddbmm(own[:, :, -1:], own[:, :, :-1], phi.mT)
    return made

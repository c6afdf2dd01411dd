"""Bayesian ridge regression by its sufficient statistics, and the scores that LinUCB and LinTS make of it.

`theta ~ N(mean, precision^-1)` with `precision = lambda I + sum x x'` and `mean = precision^-1 sum x y`, at unit noise.
The statistics are sums: one by one, all at once or in another order they are the same, up to the rounding of float64.
A cold model has mean 0 and deviation |x| / sqrt(lambda).

LinUCB: Li, Chu, Langford and Schapire, "A contextual-bandit approach to personalized news article recommendation",
2010. LinTS: Agrawal and Goyal, "Thompson sampling for contextual bandits with linear payoffs", 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CHUNK = 64  # contexts whose products stay in the cache
GATHERED = 256  # contexts whose features are gathered at once
OUTER = 4096  # examples whose outer products are held at once


@dataclass(frozen=True)
class Sums:
    """What ridge regression remembers of its examples.

    gram: (..., P, P) float64, sum of weight x x'. moment: (..., P) float64, sum of weight x y. weight: (...) float64.
    """

    gram: Tensor
    moment: Tensor
    weight: Tensor

    def __add__(self, other: Sums) -> Sums:
        """Both sets of examples."""
        return Sums(self.gram + other.gram, self.moment + other.moment, self.weight + other.weight)

    def scaled(self, factor: float) -> Sums:
        """The same examples, each with its weight times a factor."""
        return Sums(self.gram * factor, self.moment * factor, self.weight * factor)


@dataclass(frozen=True)
class Posterior:
    """theta ~ N(mean, root' root).

    mean: (..., P) float64. root: (..., P, P) float64, the inverse of the precision's Cholesky factor; |root x| is the
    deviation of x . theta, and mean + root' z with z standard normal is a draw.
    """

    mean: Tensor
    root: Tensor


def no_sums(shape: tuple[int, ...], device: torch.device | str = "cpu") -> Sums:
    """Sums over no examples, for a model of shape (..., P)."""
    made = torch.zeros(shape, dtype=torch.float64, device=device)
    return Sums(made.unsqueeze(-1) * made.unsqueeze(-2), made, made.sum(dim=-1))


def sums_of(x: Tensor, y: Tensor, weight: Tensor | None = None) -> Sums:
    """Sums over examples x (..., n, P) with rewards y (..., n), each counted `weight` (..., n) times, or once."""
    x, y = x.double(), y.double()
    weight = torch.ones_like(y) if weight is None else weight.double()
    weighted = x * weight.unsqueeze(-1)
    return Sums(weighted.mT @ x, (weighted * y.unsqueeze(-1)).sum(dim=-2), weight.sum(dim=-1))


def sums_by_arm(x: Tensor, y: Tensor, weight: Tensor, arm: Tensor, n_arms: int) -> Sums:
    """Sums for each arm, with a leading axis A: x (n, P), y, weight and arm (n,); arms in [0, A)."""
    if n_arms == 1:
        whole = sums_of(x, y, weight)
        return Sums(whole.gram[None], whole.moment[None], whole.weight[None])
    made = no_sums((n_arms, x.shape[1]), x.device)
    for first in range(0, len(x), OUTER):
        part = slice(first, first + OUTER)
        own, of = x[part].double(), arm[part]
        weighted = own * weight[part].double().unsqueeze(-1)
        made.gram.index_add_(0, of, weighted.unsqueeze(-1) * own.unsqueeze(-2))
        made.moment.index_add_(0, of, weighted * y[part].double().unsqueeze(-1))
        made.weight.index_add_(0, of, weight[part].double())
    return made


def posterior(sums: Sums, regularisation: float) -> Posterior:
    """What the examples say, with the prior precision `regularisation` > 0 of every weight."""
    eye = torch.eye(sums.gram.shape[-1], dtype=torch.float64, device=sums.gram.device)
    lower = torch.linalg.cholesky(sums.gram + regularisation * eye)
    root = torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)
    mean = (root.mT @ (root @ sums.moment.unsqueeze(-1))).squeeze(-1)
    return Posterior(mean, root)


def value(mean: Tensor, x: Tensor) -> Tensor:
    """Expected rewards (N, C) of x (N, C, P) under one mean (P,), or under one for each row (N, P)."""
    mean = mean.to(x.dtype)
    if mean.dim() == 1 or x.device.type != "cpu":
        return (x @ mean.unsqueeze(-1)).squeeze(-1)
    # Many small products of a matrix and a vector: numpy takes a quarter of torch's time for them.
    made: Tensor = torch.from_numpy(np.matmul(x.numpy(), mean.numpy()[:, :, None])[:, :, 0])
    return made


def value_of_items(mean: Tensor, table: Tensor, items: Tensor) -> Tensor:
    """Expected rewards (N, C) of items (N, C), rows of table (I, P), under a mean for each row (N, P).

    Features are gathered a few contexts at a time, so that they are read while they are in the cache. Holes (-1) get
    the value of item 0, which nobody may look at.
    """
    made = torch.empty(items.shape, dtype=table.dtype, device=table.device)
    for first in range(0, len(items), GATHERED):
        part = slice(first, first + GATHERED)
        ids = items[part].clamp(min=0).reshape(-1)
        made[part] = value(mean[part], table.index_select(0, ids).reshape(*items[part].shape, -1))
    return made


def deviation(root: Tensor, x: Tensor) -> Tensor:
    """Posterior deviations (N, C) of x (N, C, P) under one root (P, P), or under one for each row (N, P, P)."""
    length: Tensor = torch.linalg.vector_norm(x @ root.to(x.dtype).mT, dim=-1)
    return length


def linucb(belief: Posterior, x: Tensor, alpha: float) -> Tensor:
    """Upper confidence bounds (N, C) of x (N, C, P) under one posterior, a few contexts at a time."""
    mean, root = belief.mean.to(x.dtype), (alpha * belief.root).to(x.dtype).mT.contiguous()
    made = torch.empty(x.shape[:2], dtype=x.dtype, device=x.device)
    for first in range(0, len(x), CHUNK):
        part = x[first : first + CHUNK]
        torch.add(part @ mean, torch.linalg.vector_norm(part @ root, dim=-1), out=made[first : first + CHUNK])
    return made


def draw_theta(belief: Posterior, noise: Tensor) -> Tensor:
    """Draws of theta (..., P) from standard normals (..., P), under one posterior; float64."""
    return belief.mean + noise.double() @ belief.root

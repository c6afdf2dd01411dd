"""An ensemble of networks as batched products of matrices: M members cost one call and not M.

Each member learns from its own bootstrap of the searches. How often member m counts a search is a Poisson(1) variable
hashed from the search's name and m, which is what sampling with replacement comes to when there are many searches; so
a member's sample does not depend on the order or the batches of what arrives. Osband and Van Roy, "Bootstrapped
Thompson sampling and deep exploration", 2015; Oza and Russell, "Online bagging and boosting", 2001.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.kernels.mlp import CHUNK, Weights
from simenv import hashing

# P(count <= k) of a Poisson(1) variable; more than 15 happens once in 10**14.
_BELOW = np.cumsum([math.exp(-1.0) / math.factorial(k) for k in range(16)])


def bootstrap_counts(keys: hashing.Keys, n_members: int, seed: int) -> npt.NDArray[np.float32]:
    """How often each member counts searches of names `keys` (n,), (n, M)."""
    named = hashing.absorb(hashing.absorb(hashing.stream(seed, "bootstrap"), keys)[:, None], np.arange(n_members))
    counts: npt.NDArray[np.float32] = np.searchsorted(_BELOW, hashing.uniform(named), side="right").astype(np.float32)
    return counts


def rows(net: Weights, x: Tensor) -> Tensor:
    """Scores (M, n) of rows x (n, F) by each of M members."""
    z = ((x - net.mean) / net.scale).expand(len(net.w1), -1, -1)
    first = torch.relu(torch.baddbmm(net.b1.unsqueeze(1), z, net.w1.mT))
    second = torch.relu(torch.baddbmm(net.b2.unsqueeze(1), first, net.w2.mT))
    return torch.baddbmm(net.b3[:, None, None], second, net.w3.unsqueeze(-1)).squeeze(-1)


def values(net: Weights, x: Tensor) -> Tensor:
    """Scores (N, M, C) of x (N, C, F) by each of M members, a few contexts at a time."""
    n_candidates, n_features = x.shape[1:]
    made = torch.empty((len(x), len(net.w1), n_candidates), dtype=x.dtype, device=x.device)
    for first in range(0, len(x), CHUNK):
        part = x[first : first + CHUNK].reshape(-1, n_features)
        made[first : first + CHUNK] = rows(net, part).view(len(net.w1), -1, n_candidates).transpose(0, 1)
    return made

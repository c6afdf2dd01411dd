"""Batched members are the members, and their bootstraps are those of the names of searches."""

from __future__ import annotations

import numpy as np
import torch

from policies.kernels import ensemble, mlp
from policies.kernels.mlp import Weights
from simenv import hashing
from tests.policies.kernels.test_mlp import contexts, drawn


def stacked(n: int) -> tuple[list[Weights], Weights]:
    """Members one by one and at once; the standardising is the first one's."""
    nets = [drawn(seed).weights() for seed in range(n)]
    both = {name: torch.stack([getattr(net, name) for net in nets]) for name in ("w1", "b1", "w2", "b2", "w3", "b3")}
    mean, scale = nets[0].mean, nets[0].scale
    return [Weights(mean, scale, *(each[m] for each in both.values())) for m in range(n)], Weights(mean, scale, **both)


def test_batched_members_are_the_members() -> None:
    alone, together = stacked(4)
    x = contexts()
    values = ensemble.values(together, x)
    assert values.shape == (70, 4, 5)
    for m, net in enumerate(alone):
        assert torch.allclose(values[:, m], mlp.value(net, x), atol=1e-5)


def test_counts_are_poisson_and_named() -> None:
    """200,000 counts: mean and variance 1 and P(0) within five standard errors; members are independent."""
    keys = hashing.absorb(7, np.arange(20_000))
    counts = ensemble.bootstrap_counts(keys, 10, seed=1)
    n = counts.size
    assert abs(counts.mean() - 1.0) < 5 / np.sqrt(n)
    assert abs(counts.var() - 1.0) < 5 * np.sqrt(3 / n)  # fourth central moment of Poisson(1) is 4
    assert abs((counts == 0).mean() - np.exp(-1)) < 5 * 0.5 / np.sqrt(n)
    correlation = np.corrcoef(counts.T) - np.eye(10)
    assert np.abs(correlation).max() < 6 / np.sqrt(20_000)
    order = np.random.default_rng(0).permutation(20_000)
    assert np.array_equal(ensemble.bootstrap_counts(keys[order], 10, seed=1), counts[order])
    assert np.array_equal(ensemble.bootstrap_counts(keys, 4, seed=1), counts[:, :4])
    assert not np.array_equal(ensemble.bootstrap_counts(keys, 10, seed=2), counts)

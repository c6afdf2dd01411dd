"""The fast slates are the Plackett-Luce of the rest of the house."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats

from policies import plackett_luce
from policies.kernels import slates
from policies.kernels.slates import conditional, draw_named, draw_slates
from simenv import hashing


@pytest.mark.parametrize("scale", [1.0, 20.0, 100.0])
def test_log_probabilities_are_those_of_the_one_definition(scale: float) -> None:
    """Also at scale 20, where subtracting from the whole fails for 72% of slates; float64 to 1e-12 of the scores."""
    scores = scale * torch.randn(600, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slate, logp = draw_slates(scores, 8, torch.Generator().manual_seed(1))
    logw = plackett_luce.log_weights(scores.numpy(), 1.0, 0.0)
    expected = plackett_luce.conditional(logw, slate.numpy().astype(np.int32)).logp
    assert np.isfinite(logp.numpy()).all()
    assert np.allclose(logp.numpy(), expected, atol=1e-12 * max(1.0, 4 * scale))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slates_are_drawn_as_often_as_stated(dtype: torch.dtype) -> None:
    """Chi-square of all 60 slates of 3 of 5 (one hole beside them) over 200,000 draws; joints sum to one."""
    scores = torch.tensor([0.3, -1.0, 1.2, -torch.inf, 0.0, 0.7], dtype=dtype).expand(200_000, 6)
    slate, _ = draw_slates(scores, 3, torch.Generator().manual_seed(0))
    every = torch.tensor(list(permutations([0, 1, 2, 4, 5], 3)))
    joint = conditional(scores[: len(every)], every).double().sum(dim=1).exp().numpy()
    assert joint.sum() == pytest.approx(1.0, abs=1e-5)
    code = torch.tensor([36, 6, 1])
    count = np.array([(slate @ code == one).sum().item() for one in every @ code])
    assert count.sum() == 200_000
    statistic = ((count - 200_000 * joint) ** 2 / (200_000 * joint)).sum()
    assert stats.chi2.sf(statistic, 59) > 1e-6


def test_the_same_generator_gives_the_same_slates() -> None:
    scores = torch.zeros(300, 9)
    one, other, third = (draw_slates(scores, 4, torch.Generator().manual_seed(s))[0] for s in (1, 1, 2))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


def test_sorting_and_selecting_draw_the_same_slates() -> None:
    """The same race in float32, which is sorted, and in float64, which is selected; at any sign, size and hole."""
    generator = torch.Generator().manual_seed(0)
    arrival = torch.randn(500, 40, generator=generator) * 10.0 ** torch.randint(-30, 30, (500, 1), generator=generator)
    arrival[torch.rand(arrival.shape, generator=generator) < 0.3] = torch.inf
    assert (arrival.isfinite().sum(dim=1) >= 10).all()
    assert torch.equal(slates._first(arrival, 10), slates._first(arrival.double(), 10))


@pytest.mark.parametrize("shape", [(700, 40, 10), (5, 5, 5), (3, 2, 4), (1, 1, 1)])
@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e4])
def test_named_slates_are_those_of_the_one_definition(scale: float, floor: float, shape: tuple[int, int, int]) -> None:
    """The same slates from the same names, with holes and at any scale; log-probabilities to 1e-11 of float64 sums."""
    n, c, k = shape
    rng = np.random.default_rng(0)
    scores = (scale * rng.normal(size=(n, c))).astype(np.float32)
    scores[rng.random((n, c)) < rng.choice([0.0, 0.5, 1.0], (n, 1), p=[0.7, 0.2, 0.1])] = -np.inf
    keys, names = hashing.absorb(3, np.arange(n)), rng.permuted(np.tile(np.arange(c), (n, 1)), axis=1)
    slate, logp = draw_named(scores, (0.7, floor), k, keys, names)
    logw = plackett_luce.log_weights(scores, 0.7, floor)
    expected = plackett_luce.draw(logw, k, keys, names)
    assert np.array_equal(slate, expected)
    exact = plackett_luce.conditional(logw, expected).logp
    assert np.allclose(logp, exact, rtol=1e-12, atol=1e-11)
    alone = [
        draw_named(scores[i : i + 1], (0.7, floor), k, keys[i : i + 1], names[i : i + 1]) for i in range(min(n, 9))
    ]
    for i, (one, its) in enumerate(alone):
        assert np.array_equal(one[0], slate[i])
        assert np.array_equal(its[0], logp[i])

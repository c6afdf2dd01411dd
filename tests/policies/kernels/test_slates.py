"""The fast slates are the Plackett-Luce of the rest of the house."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats

from policies import plackett_luce
from policies.kernels.slates import conditional, draw_slates


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

"""The slate distribution: what is exact, what is estimated, and gradients where batches are padded."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.ray
FLOOR, K, C = 0.05, 3, 5


def made(scores: torch.Tensor, floor: float = FLOOR, n_slots: int = K) -> Any:
    from policies.rllib.distribution import slate_distribution

    return slate_distribution(n_slots, floor)(scores)


def all_slates() -> torch.Tensor:
    return torch.tensor(list(permutations(range(C), K)))  # (60, 3)


def drawn_scores(rows: int, seed: int = 0) -> torch.Tensor:
    return 1.5 * torch.randn((rows, C), generator=torch.Generator().manual_seed(seed))


def test_probabilities_of_all_slates_sum_to_one_and_slates_are_drawn_with_them() -> None:
    """Sums: 60 float32 terms, 1e-5. Frequencies: 5 standard errors of 200,000 draws, for each of 60 slates."""
    scores = drawn_scores(1)
    p = made(scores.expand(60, C)).logp(all_slates()).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-5)
    n = 200_000
    slates = made(scores.expand(n, C)).sample(generator=torch.Generator().manual_seed(1))
    code = torch.tensor([C * C, C, 1])
    often = torch.bincount(slates @ code, minlength=C**3)[all_slates() @ code] / n
    assert ((often - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all()


def test_entropy_and_divergence_of_slates_are_estimated_without_bias() -> None:
    """Against sums over all 60 slates; 5 standard errors as told, which are right to a few percent at 20,000 draws."""
    mine, theirs = drawn_scores(1, 2), drawn_scores(1, 3)
    p, q = (made(scores.expand(60, C)).logp(all_slates()).double() for scores in (mine, theirs))
    generator = torch.Generator().manual_seed(0)
    for (estimate, error), exact in (
        (made(mine).slate_entropy(20_000, generator), -(p.exp() * p).sum()),
        (made(mine).slate_kl(made(theirs), 20_000, generator), (p.exp() * (p - q)).sum()),
    ):
        assert 0 < error.item() < 0.05 * exact
        assert abs(estimate.item() - exact) < 5 * error.item()


def test_the_stand_ins_are_of_the_first_slot_and_not_of_the_slate() -> None:
    scores = torch.zeros(1, C)
    slate, _ = made(scores).slate_entropy(10)
    assert made(scores).entropy().item() == pytest.approx(torch.tensor(5.0).log().item(), abs=1e-6)
    assert slate.item() == pytest.approx(torch.tensor(60.0).log().item(), abs=1e-6)  # all slates alike: no variance
    assert made(scores).slate_kl(made(scores), 10)[0].item() == 0.0


@pytest.mark.parametrize("floor", [0.0, FLOOR])
def test_padded_rows_have_finite_figures_and_gradients(floor: float) -> None:
    """Rows of nothing but holes, rows of zeros with slates of zeros as RLlib pads them, rows of fewer than K items."""
    holes = torch.full((C,), -torch.inf)
    few = torch.tensor([0.3, -torch.inf, 1.0, -torch.inf, -torch.inf])
    sharp = torch.tensor([300.0, 0.0, -300.0, -torch.inf, 1.0])
    scores = torch.stack(
        [holes, torch.zeros(C), few, sharp, torch.randn(C, generator=torch.Generator().manual_seed(0))]
    )
    scores.requires_grad_()
    distribution = made(scores, floor)
    slates = torch.zeros(5, K, dtype=torch.long)
    slates[2] = torch.tensor([2, 0, 2])
    slates[3] = torch.tensor([0, 4, 1])
    slates[4] = torch.tensor([1, 2, 3])
    other = made(scores.detach() * 0.5, floor)
    for figure in (distribution.logp(slates), distribution.entropy(), distribution.kl(other)):
        assert torch.isfinite(figure).all()
        (gradient,) = torch.autograd.grad(figure.sum(), scores, retain_graph=True)
        assert torch.isfinite(gradient).all()
    assert distribution.logp(slates)[0] == 0.0
    for figure, error in (distribution.slate_entropy(4), distribution.slate_kl(other, 4)):
        assert torch.isfinite(torch.cat([figure, error])).all()


def test_a_gradient_step_on_a_padded_batch_moves_weights_by_finite_amounts() -> None:
    """As the learner of PPO computes it: ratios of padded rows are made and masked after."""
    scores = drawn_scores(4).requires_grad_()
    padded = torch.where(torch.tensor([[True], [True], [False], [False]]), scores, -torch.inf)
    slates = torch.zeros(4, K, dtype=torch.long)
    slates[:2] = torch.tensor([0, 1, 2])
    ratio = (made(padded).logp(slates) - torch.tensor([-3.0, -3.0, 0.0, 0.0])).exp()
    ratio[:2].mean().backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[:2] != 0).any()
    assert (scores.grad[2:] == 0).all()

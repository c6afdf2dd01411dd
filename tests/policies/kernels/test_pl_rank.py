"""Gradients of slates: equal to enumeration, right on average, surer than plain REINFORCE, finite at any scale."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from policies import plackett_luce_torch
from policies.kernels.pl_rank import CHUNK, Gains, Spots, pl_rank

C, K = 5, 3
EVERY = torch.tensor(list(itertools.permutations(range(C), K)))  # (60, K)


def drawn(rows: int = 2, scale: float = 1.0) -> tuple[Tensor, Gains]:
    """Scores, gains by position, and a spot at most slots; float64."""
    generator = torch.Generator().manual_seed(4)
    logw = scale * torch.randn(rows, C, generator=generator, dtype=torch.float64)
    item = torch.rand(rows, C, generator=generator, dtype=torch.float64)
    slate = torch.stack([torch.randperm(C, generator=generator)[:K] for _ in range(rows)])
    slate[0, 1] = -1
    amount = torch.randn(rows, K, generator=generator, dtype=torch.float64)
    return logw, Gains(item, torch.tensor([1.0, 0.6, 0.3], dtype=torch.float64), Spots(slate, amount))


def worth(gains: Gains, row: int, slates: Tensor) -> Tensor:
    """What slot k of each of a row's slates brings, as the docstring defines it."""
    item = torch.where(slates < 0, 0.0, gains.item[row][slates.clamp(min=0)] * gains.weight)
    if gains.spots is None:
        return item
    return item + (slates == gains.spots.slate[row]) * (slates >= 0) * gains.spots.amount[row]


def exact(logw: Tensor, gains: Gains, row: int, slates: Tensor = EVERY) -> tuple[Tensor, Tensor]:
    """The gradient of the enumerated expectation by autograd, and the probability of every slate."""
    own = logw[row].clone().requires_grad_()
    p = plackett_luce_torch.conditional(own.expand(len(slates), -1), slates).sum(dim=1).exp()
    (made,) = torch.autograd.grad((p * worth(gains, row, slates).sum(dim=1)).sum(), own)
    return made, p.detach()


def repeated(logw: Tensor, gains: Gains, row: int, n: int) -> tuple[Tensor, Gains]:
    spots = gains.spots and Spots(gains.spots.slate[row].expand(n, K), gains.spots.amount[row].expand(n, K))
    return logw[row].expand(n, -1), Gains(gains.item[row].expand(n, -1), gains.weight, spots)


def pl_rank_2(logw: Tensor, slates: Tensor, item: Tensor, weight: Tensor, variates: bool) -> Tensor:
    """PL-Rank-2 from its formula, with chances of all candidates at every slot: (N, S, C), slow and plain.

    With or without the control variates of ours.
    """
    n, s, k = slates.shape
    left = logw[:, None, :].expand(n, s, -1).clone()
    gain = item[:, None, :].expand(n, s, -1).gather(2, slates) * weight
    made = torch.zeros_like(left)
    for slot in range(k):
        chance = left.softmax(dim=2)
        now, later = gain[..., slot], gain[..., slot + 1 :].sum(dim=2)
        if variates:
            now = (chance * item[:, None, :]).sum(dim=2) * weight[slot]
            later = later - (later.sum(dim=1, keepdim=True) - later) / (s - 1)
        made += chance * (weight[slot] * item[:, None, :] - (now + later)[..., None])
        at = slates[..., slot : slot + 1]
        made.scatter_add_(2, at, later[..., None])
        left.scatter_(2, at, -torch.inf)
    return made


def reinforce(logw: Tensor, slates: Tensor, item: Tensor, weight: Tensor) -> Tensor:
    """Score-function gradient with the mean of the row's other slates as baseline, (N, S, C) a slate."""
    n, s, _ = slates.shape
    own = logw[:, None, :].expand(n, s, -1).clone().requires_grad_()
    (score,) = torch.autograd.grad(plackett_luce_torch.conditional(own, slates).sum(), own)
    total = (item[:, None, :].expand(n, s, -1).gather(2, slates) * weight).sum(dim=2)
    baseline = (total.sum(dim=1, keepdim=True) - total) / (s - 1)
    return score * (total - baseline)[..., None]


def test_weighed_by_their_probability_all_slates_give_the_exact_gradient() -> None:
    """60 slates of 3 of 5, with gains and spots; the error is that of float64."""
    logw, gains = drawn()
    for row in range(2):
        expected, p = exact(logw, gains, row)
        each = pl_rank(repeated(logw, gains, row, 60)[0], EVERY[:, None], repeated(logw, gains, row, 60)[1])
        torch.testing.assert_close((each * p[:, None]).sum(dim=0), expected, atol=1e-12, rtol=0)


def test_pairs_of_slates_give_it_too() -> None:
    """All 3,600 pairs, where each slate is the other's baseline."""
    logw, gains = drawn()
    expected, p = exact(logw, gains, 1)
    first, second = (each.reshape(-1) for each in torch.meshgrid(torch.arange(60), torch.arange(60), indexing="ij"))
    many, same = repeated(logw, gains, 1, 3600)
    made = pl_rank(many, torch.stack([EVERY[first], EVERY[second]], dim=1), same)
    torch.testing.assert_close((made * (p[first] * p[second])[:, None]).sum(dim=0), expected, atol=1e-12, rtol=0)


def test_it_is_the_plain_formula_to_rounding() -> None:
    """The same estimator slate by slate, in another order of summation; 300 rows are more than two chunks."""
    generator = torch.Generator().manual_seed(0)
    logw = torch.randn(2 * CHUNK + 44, 20, generator=generator, dtype=torch.float64)
    item = torch.rand(logw.shape, generator=generator, dtype=torch.float64)
    weight = 1.0 / torch.arange(1, 7, dtype=torch.float64)
    slates = plackett_luce_torch.draw(logw[:, None].expand(-1, 4, -1), 6, generator)
    expected = pl_rank_2(logw, slates, item, weight, variates=True).mean(dim=1)
    torch.testing.assert_close(pl_rank(logw, slates, Gains(item, weight)), expected, atol=1e-12, rtol=0)


def test_sampled_gradients_are_right_on_average() -> None:
    """200,000 slates in 2,000 estimates: within 4.5 standard errors in each of five coordinates."""
    logw, gains = drawn(1)
    many, same = repeated(logw, gains, 0, 2000)
    slates = plackett_luce_torch.draw(many[:, None].expand(-1, 100, -1), K, torch.Generator().manual_seed(2))
    each = pl_rank(many, slates, same)
    off = (each.mean(dim=0) - exact(logw, gains, 0)[0]).abs() / (each.std(dim=0) / 2000**0.5)
    assert float(off.max()) < 4.5


@pytest.mark.parametrize("kept", [1.0, 0.1])
def test_its_variance_is_below_those_of_reinforce_and_of_pl_rank(kept: float) -> None:
    """100 candidates, slates of 10, where all or a tenth of the candidates are worth something.

    Variances of the mean of 10 slates, over 500 such means, which pin each to about 5%.
    """
    generator = torch.Generator().manual_seed(0)
    logw = torch.randn(1, 100, generator=generator, dtype=torch.float64).expand(500, -1)
    item = (torch.rand(1, 100, generator=generator) * (torch.rand(1, 100, generator=generator) < kept)).double()
    item, weight = item.expand(500, -1), 1.0 / torch.arange(2.0, 12.0, dtype=torch.float64).log2()
    slates = plackett_luce_torch.draw(logw[:, None].expand(-1, 10, -1), 10, generator)
    ours = pl_rank(logw, slates, Gains(item, weight))
    plain = pl_rank_2(logw, slates, item, weight, variates=False).mean(dim=1)
    scored = reinforce(logw, slates, item, weight).mean(dim=1)
    variance = [float(each.var(dim=0).sum()) for each in (ours, plain, scored)]
    print(f"ours {variance[0]:.3f}, PL-Rank-2 {variance[1]:.3f}, REINFORCE with baseline {variance[2]:.3f}")
    assert variance[0] < 0.8 * min(variance[1:])


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_holes_short_rows_and_ties_at_any_scale(scale: float) -> None:
    """Against enumeration of what is left: 2 of 2, 3 of 3, 3 of 4 with two alike, none of none; float32 too."""
    logw, gains = drawn(4, scale)
    holes = [[0, 2, 4], [1, 3], [2], [0, 1, 2, 3, 4]]
    for row, hole in enumerate(holes):
        logw[row, hole] = -torch.inf
    logw[2, 0] = logw[2, 1]
    for row, hole in enumerate(holes):
        here = [c for c in range(C) if c not in hole]
        shown = list(itertools.permutations(here, min(K, len(here))))
        slates = torch.nn.functional.pad(
            torch.tensor(shown).reshape(len(shown), -1), (0, K - min(K, len(here))), value=-1
        )
        slates = slates.long()
        expected, p = exact(logw, gains, row, slates)
        many, same = repeated(logw, gains, row, len(slates))
        made = (pl_rank(many, slates[:, None], same) * p[:, None]).sum(dim=0)
        torch.testing.assert_close(made, expected, atol=1e-10, rtol=0)
        small = Gains(same.item.float(), same.weight.float(), Spots(same.spots.slate, same.spots.amount.float()))  # type: ignore[union-attr]
        single = pl_rank(many.float(), slates[:, None], small)
        assert torch.isfinite(single).all()

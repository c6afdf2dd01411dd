"""Slate optimisers against all slates of small pages, and against the paper's linear programme."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from policies.rllib.slate_optimisers import OPTIMISERS, Worth, best_slate, exact, greedy, optimiser, slate_value, top_k
from simenv.errors import UserError

ROWS, C, K = 200, 7, 3
ROUNDING = 2e-6  # values are of order 1 to 5 and summed in float32: a few ulp of 5


def pages(n: int = ROWS, attention: tuple[float, ...] = (1.0, 1.0, 1.0), holes: float = 0.0) -> Worth:
    """Weights over two orders of magnitude, and values of either sign."""
    generator = torch.Generator().manual_seed(5)
    here = torch.rand(n, C, generator=generator) >= holes
    v = (1.5 * torch.randn(n, C, generator=generator)).exp() * here
    return Worth(
        v=v,
        q=2.0 * torch.randn(n, C, generator=generator) + 0.5,
        null_v=(0.5 * torch.randn(n, generator=generator)).exp(),
        null_q=torch.randn(n, generator=generator),
        attention=torch.tensor(attention),
        here=here,
    )


def every_value(worth: Worth) -> torch.Tensor:
    """What each ordered slate of each page is worth (N, C! / (C - K)!)."""
    slates = torch.tensor(list(itertools.permutations(range(C), K)))
    return torch.stack([slate_value(worth, slate.expand(len(worth.q), K)) for slate in slates], dim=1)


def value_by(name: str, worth: Worth) -> torch.Tensor:
    return slate_value(worth, best_slate(OPTIMISERS[name](worth), K))


@pytest.mark.parametrize("attention", [(1.0, 1.0, 1.0), (1.0, 0.6, 0.3)])
@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_the_optimal_slate_is_worth_as_much_as_the_best_of_all_orders(
    attention: tuple[float, ...], holes: float
) -> None:
    """With holes too: a page of fewer than K candidates shows them all, in whatever slots."""
    worth = pages(attention=attention, holes=holes)
    enough = worth.here.sum(dim=1) >= K
    best = every_value(worth).masked_fill(~_shown_whole(worth), -torch.inf).amax(dim=1)
    torch.testing.assert_close(value_by("optimal", worth)[enough], best[enough], atol=ROUNDING, rtol=ROUNDING)


def _shown_whole(worth: Worth) -> torch.Tensor:
    """Which slates of `every_value` show K candidates: a slate has no empty slot where it could have none."""
    slates = torch.tensor(list(itertools.permutations(range(C), K)))
    return torch.stack([worth.here[:, slate].all(dim=1) for slate in slates], dim=1)


def test_the_optimal_slate_is_worth_what_the_linear_programme_says() -> None:
    """The paper's programme after Charnes and Cooper, by scipy; all slots alike. The solver's own tolerance is 1e-7."""
    worth = pages(40)
    found = []
    for row in range(40):
        v, q = worth.v[row].double().numpy(), worth.q[row].double().numpy()
        null_v, null_q = float(worth.null_v[row]), float(worth.null_q[row])
        gain = -np.append(v * q, null_v * null_q)  # of shares y_i = x_i t and t, where t is one over the mass
        mass, size = np.append(v, null_v), np.append(np.ones(C), -float(K))
        bounded = np.hstack([np.eye(C), -np.ones((C, 1))])
        solved = linprog(gain, bounded, np.zeros(C), np.stack([mass, size]), [1.0, 0.0], bounds=(0, None))
        found.append(-solved.fun)
    np.testing.assert_allclose(value_by("optimal", worth).numpy(), found, atol=ROUNDING, rtol=ROUNDING)


def test_greedy_takes_one_after_another_what_makes_the_slate_worth_most() -> None:
    worth = pages(30)
    slate = best_slate(greedy(worth), K)
    for row in range(30):
        taken: list[int] = []
        for _ in range(K):
            rest = [i for i in range(C) if i not in taken]
            one = {i: _value(worth, row, [*taken, i]) for i in rest}
            taken.append(max(one, key=lambda i: one[i]))
        assert slate[row].tolist() == taken


def _value(worth: Worth, row: int, items: list[int]) -> float:
    v, q = worth.v[row, items].double(), worth.q[row, items].double()
    null_v, null_q = float(worth.null_v[row]), float(worth.null_q[row])
    return float((null_v * null_q + (v * q).sum()) / (null_v + v.sum()))


def test_top_k_is_the_order_of_weight_times_value_and_worth_less() -> None:
    worth = pages()
    slate = best_slate(top_k(worth), K)
    torch.testing.assert_close(slate, (worth.v * worth.q).argsort(dim=1, descending=True)[:, :K])
    exactly, greedily, top = (value_by(name, worth).mean() for name in ("optimal", "greedy", "top-k"))
    assert exactly >= greedily > top


@pytest.mark.parametrize("name", OPTIMISERS)
def test_scores_rank_every_candidate_and_no_hole(name: str) -> None:
    worth = pages(holes=0.4)
    scores = OPTIMISERS[name](worth)
    assert torch.equal(torch.isfinite(scores), worth.here)


def test_dinkelbach_survives_pages_where_everything_is_worth_the_same() -> None:
    worth = pages()
    same = Worth(worth.v, torch.ones_like(worth.q), worth.null_v, torch.ones(ROWS), worth.attention, worth.here)
    torch.testing.assert_close(slate_value(same, best_slate(exact(same), K)), torch.ones(ROWS), atol=ROUNDING, rtol=0.0)


def test_an_unknown_optimiser_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'optimal'"):
        optimiser("optimum")

"""The torch form of Plackett-Luce against the numpy form, against enumeration, and where gradients could break."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from policies import plackett_luce
from policies import plackett_luce_torch as torch_form

FLOORS = [0.0, 0.05]


def scores_with_holes(scale: float = 1.0) -> np.ndarray:
    """200 rows of 12 scores; row i has i % 9 holes, so that some rows have fewer candidates than 5 slots."""
    rng = np.random.default_rng(3)
    scores = (scale * rng.normal(size=(200, 12))).astype(np.float32)
    for row in range(200):
        scores[row, rng.permutation(12)[: row % 9]] = -np.inf
    return scores


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("temperature", [0.3, 1.0])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_weights_and_conditionals_equal_the_numpy_form(scale: float, temperature: float, floor: float) -> None:
    """Both are float64, so 1e-6 is generous; log-weights reach -2,000 at scale 100, hence relative there."""
    scores = scores_with_holes(scale)
    logw = plackett_luce.log_weights(scores, temperature, floor)
    mine = torch_form.log_weights(torch.from_numpy(scores), temperature, floor)
    np.testing.assert_allclose(mine.numpy(), logw, rtol=1e-9, atol=1e-9)
    slate = torch_form.draw(mine, 5, torch.Generator().manual_seed(0))
    expected = plackett_luce.conditional(logw, slate.numpy().astype(np.int32)).logp
    np.testing.assert_allclose(torch_form.conditional(mine, slate).numpy(), expected, rtol=1e-9, atol=1e-6)


def test_the_best_ranking_equals_the_numpy_form() -> None:
    scores = scores_with_holes()
    mine = torch_form.top(torch.from_numpy(scores), 5).numpy()
    np.testing.assert_array_equal(mine, plackett_luce.top(scores, 5))


def test_a_hole_in_a_slate_is_impossible_and_an_empty_slot_is_certain() -> None:
    logw = torch_form.log_weights(torch.tensor([[0.0, 1.0, -torch.inf]]))
    logp = torch_form.conditional(logw, torch.tensor([[1, 2, -1]]))
    assert logp[0, 0] == pytest.approx(1.0 - np.log1p(np.e))
    assert logp[0, 1] == -torch.inf
    assert logp[0, 2] == 0.0


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("n_slots", [3, 5])
def test_the_probabilities_of_all_slates_sum_to_one(n_slots: int, floor: float) -> None:
    """Enumerated: 60 ordered slates of 3 of 5, and all 120 orders of 5."""
    scores = torch.randn((1, 5), generator=torch.Generator().manual_seed(1))
    every = torch.tensor(list(itertools.permutations(range(5), n_slots)))
    logw = torch_form.log_weights(scores, 1.0, floor).expand(len(every), 5)
    assert float(torch_form.conditional(logw, every).sum(dim=1).exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_draws_are_distributed_as_reported() -> None:
    """Chi-square over the 12 slates of 2 of 4 (one of 5 is a hole): 31.3 is the 0.1% point of 11 degrees of freedom."""
    scores = torch.tensor([0.5, -torch.inf, -1.0, 1.0, 0.0])
    logw = torch_form.log_weights(scores, 1.0, 0.1).expand(40_000, 5)
    slate = torch_form.draw(logw, 2, torch.Generator().manual_seed(5))
    every = torch.tensor(list(itertools.permutations([0, 2, 3, 4], 2)))
    expected = 40_000 * torch_form.conditional(logw[: len(every)], every).sum(dim=1).exp()
    count = (slate[:, None, :] == every).all(dim=2).sum(dim=0)
    assert int(count.sum()) == 40_000
    assert float(((count - expected) ** 2 / expected).sum()) < 31.3


def test_the_same_generator_seed_draws_the_same_slates_and_another_does_not() -> None:
    logw = torch_form.log_weights(torch.from_numpy(scores_with_holes()))
    first, again, other = (torch_form.draw(logw, 5, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_where_candidates_run_out_slots_stay_empty() -> None:
    logw = torch_form.log_weights(torch.tensor([[1.0, -torch.inf, 0.0]]))
    slate = torch_form.draw(logw, 5, torch.Generator().manual_seed(0))
    assert sorted(slate[0].tolist()) == [-1, -1, -1, 0, 2]
    assert slate[0, 2:].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_gradients_are_finite_at_any_scale_on_padded_repeated_and_impossible_slates(scale: float, floor: float) -> None:
    scores = torch.from_numpy(scores_with_holes(scale)).requires_grad_()
    logw = torch_form.log_weights(scores, 1.0, floor)
    slate = torch_form.draw(logw.detach(), 5, torch.Generator().manual_seed(0))
    slate[:50] = 0  # as RLlib pads
    slate[50:60] = torch.tensor([3, 3, 4, 3, 4])
    slate[60:70] = -1
    slate[70:80] = torch.tensor([0, 1, 2, 3, 4])  # holes among them
    logp = torch_form.conditional(logw, slate).sum(dim=1)
    # As PPO uses it: a ratio, of which only the valid rows count.
    ratio = torch.exp(logp - logp.detach().clamp(min=-1e3))
    ratio[80:].sum().backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


def test_the_gradient_is_the_derivative() -> None:
    """By central differences of step 1e-6 in float64."""
    logw = torch.randn((4, 6), generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    slate = torch.tensor([[0, 1, 2], [5, 4, -1], [3, 3, 1], [2, 0, 5]])
    assert torch.autograd.gradcheck(lambda w: torch_form.conditional(w, slate), (logw,))


def test_a_repeated_position_is_an_empty_slot() -> None:
    """The market reads slates so, and RLlib's action space has no word for an empty slot."""
    logw = torch_form.log_weights(torch.from_numpy(scores_with_holes()[:1]))
    repeated = torch_form.conditional(logw, torch.tensor([[3, 3, 1, 3]]))
    empty = torch_form.conditional(logw, torch.tensor([[3, -1, 1, -1]]))
    assert torch.equal(repeated, empty)

"""Feedback that is late, out of order, delivered twice or old: the sums are those of the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from policies.kernels import ridge
from policies.kernels.feedback import Feedback, Forgetting
from simenv.errors import UserError

SHAPE = (3, 4)
WAYS = [Forgetting(), Forgetting(half_life=2.5), Forgetting(window=3)]


def arrivals() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 4, generator=g)
    return x, torch.randn(200, generator=g), torch.randint(0, 3, (200,), generator=g), 10 * torch.rand(200, generator=g)


def defined(way: Forgetting) -> Any:
    """The sums by their definition, at the time of the latest arrival."""
    x, y, arm, time = arrivals()
    time = time.double()
    age = time.max() - time
    weight = torch.ones_like(age)
    if way.half_life is not None:
        weight = 0.5 ** (age / way.half_life)
    if way.window is not None:
        weight = (torch.floor(time) > torch.floor(time.max()) - way.window).double()
    return ridge.sums_by_arm(x, y, weight, arm, 3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", ["as sent", "backwards", "shuffled"])
@pytest.mark.parametrize("batch", [1, 7, 200])
def test_what_counts_does_not_depend_on_how_it_arrives(way: Forgetting, order: str, batch: int) -> None:
    """Rounding of float64 sums is all that may differ: 1e-10 at sums of up to some hundreds."""
    x, y, arm, time = arrivals()
    at = {"as sent": torch.arange(200), "backwards": torch.arange(200).flip(0),
          "shuffled": torch.randperm(200, generator=torch.Generator().manual_seed(5))}[order]  # fmt: skip
    feedback = Feedback(SHAPE, way)
    for rows in at.split(batch):
        feedback.add(x[rows], y[rows], arm[rows], time[rows])
    found, expected = feedback.total(), defined(way)
    for name in ("gram", "moment", "weight"):
        assert torch.allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-10)


def test_forgetting_forgets() -> None:
    """The planted fault of the test above: the three ways differ."""
    weights = [float(defined(way).weight.sum()) for way in WAYS]
    assert weights[0] == 200
    assert 30 < weights[1] < 100
    assert 30 < weights[2] < 100


def test_a_delivery_counts_once() -> None:
    feedback = Feedback(SHAPE, Forgetting())
    assert feedback.unseen(np.array([5, 7, 5, 9], dtype=np.uint64)).tolist() == [True, True, False, True]
    assert feedback.unseen(np.array([7, 8, 2**64 - 1], dtype=np.uint64)).tolist() == [False, True, True]
    assert feedback.unseen(np.array([2**64 - 1], dtype=np.uint64)).tolist() == [False]


@pytest.mark.parametrize("way", WAYS)
def test_a_restored_memory_goes_on_as_if_nothing_had_happened(way: Forgetting) -> None:
    x, y, arm, time = arrivals()
    whole, first, second = (Feedback(SHAPE, way) for _ in range(3))
    whole.unseen(np.arange(9, dtype=np.uint64))
    first.unseen(np.arange(9, dtype=np.uint64))
    for each in (whole, first):
        each.add(x[:90], y[:90], arm[:90], time[:90])
    second.restore(first.tensors())
    for each in (whole, second):
        each.add(x[90:], y[90:], arm[90:], time[90:])
    assert torch.equal(whole.total().gram, second.total().gram)
    assert not second.unseen(np.arange(9, dtype=np.uint64)).any()
    with pytest.raises(ValueError, match="gram has shape"):
        Feedback((2, 4), way).restore(first.tensors())


def test_no_feedback_changes_nothing() -> None:
    feedback = Feedback(SHAPE, Forgetting(half_life=1.0))
    feedback.add(torch.empty(0, 4), torch.empty(0))
    assert not feedback.total().gram.any()
    assert not feedback.total().weight.any()


@pytest.mark.parametrize(
    ("half_life", "window", "told"), [(1.0, 3, "two ways"), (0.0, None, "half_life is 0.0"), (None, 0, "window is 0")]
)
def test_what_is_no_way_to_forget_is_refused(half_life: float | None, window: int | None, told: str) -> None:
    with pytest.raises(UserError, match=told):
        Forgetting(half_life, window)

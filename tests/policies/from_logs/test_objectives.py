"""Objectives and their gradients against enumeration: unbiased over logs, and exact for a given log."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from policies import plackett_luce, plackett_luce_torch
from policies.from_logs.ascent import Pull, Seen, divergence, surrogate
from policies.from_logs.logged import HELD_OUT, Weighing, in_pieces, is_held_out, log_pieces, weights
from policies.from_logs.objectives import OBJECTIVES, Objective, Pieces, coefficients, estimate, whole
from policies.learning import in_half

C, K = 5, 3
EVERY = np.array(list(itertools.permutations(range(C), K)), dtype=np.int32)  # (60, K)
UNCLIPPED = 1e12
EXAMINATION = np.array([1.0, 0.5, 0.2])
WEIGHINGS = get_args(Weighing)


def market(n: int) -> dict[str, np.ndarray]:
    """n pages: log-weights of logger and policy, what candidates bring when seen, and a model that is wrong."""
    rng = np.random.default_rng(8)
    logger, policy = (plackett_luce.log_weights(rng.normal(size=(n, C)), 1.0, 0.05) for _ in range(2))
    return {"logger": logger, "policy": policy, "brings": rng.random((n, C)), "q": rng.random((n, C))}


def pull_of(coefficient: np.ndarray, q: np.ndarray | None) -> Pull:
    item = None if q is None else torch.from_numpy(q)
    return Pull(torch.from_numpy(coefficient), item, torch.from_numpy(EXAMINATION))


def pieces_of(page: dict[str, np.ndarray], slate: np.ndarray, reward: np.ndarray, weighing: Weighing) -> Pieces:
    logmu = log_pieces(page["logger"], slate, weighing)
    weight = weights(log_pieces(page["policy"], slate, weighing), logmu, weighing, UNCLIPPED)
    q = np.take_along_axis(page["q"], slate.astype(np.int64), axis=1) * EXAMINATION
    return Pieces(weight, in_pieces(reward, weighing), in_pieces(q, weighing))


def gradient(
    page: dict[str, np.ndarray], slate: np.ndarray, pull: Pull, weighing: Weighing, share: np.ndarray
) -> np.ndarray:
    """Of the shared sum of surrogates in the policy's log-weights (n, C), over every slate that could be sampled.

    Log-weights as float32 within the kernel: good to 1e-6.
    """
    n, m = len(slate), len(EVERY)
    logw = torch.from_numpy(page["policy"]).requires_grad_()
    wide = logw.repeat_interleave(m, dim=0)
    drawn = torch.from_numpy(EVERY).long().repeat(n, 1)
    p = plackett_luce_torch.conditional(wide.detach(), drawn).sum(dim=1).exp()
    seen = Seen(
        torch.from_numpy(slate).long().repeat_interleave(m, dim=0),
        torch.from_numpy(log_pieces(page["logger"], slate, weighing)).repeat_interleave(m, dim=0),
        torch.from_numpy(page["logger"]).repeat_interleave(m, dim=0),
    )
    item = None if pull.item is None else pull.item.repeat_interleave(m, dim=0)
    many = Pull(pull.coefficient.repeat_interleave(m, dim=0), item, pull.slot)
    each = surrogate(wide, seen, many, drawn[:, None], weighing, UNCLIPPED)
    (each * p * torch.from_numpy(share).repeat_interleave(m)).sum().backward()  # type: ignore[no-untyped-call]
    assert logw.grad is not None
    return logw.grad.numpy()


@pytest.mark.parametrize("objective", ["ips", "dr"])
@pytest.mark.parametrize("weighing", WEIGHINGS)
def test_over_all_logs_and_samples_the_gradient_is_that_of_the_true_value(
    objective: Objective, weighing: Weighing
) -> None:
    """One page, all 60 slates that the logger may show times all 60 that may be sampled; dr leans on a wrong model."""
    page = market(1)
    logw = torch.from_numpy(page["policy"]).requires_grad_()
    p = plackett_luce_torch.conditional(logw.expand(60, C), torch.from_numpy(EVERY).long()).sum(dim=1).exp()
    brings = page["brings"][0][EVERY] * EXAMINATION  # (60, K)
    (p * torch.from_numpy(brings.sum(axis=1))).sum().backward()  # type: ignore[no-untyped-call]
    assert logw.grad is not None

    logs = {name: np.repeat(column, 60, axis=0) for name, column in page.items()}
    likely = np.exp(plackett_luce.conditional(logs["logger"], EVERY).logp.sum(axis=1))
    pieces = pieces_of(logs, EVERY, brings, weighing)
    coefficient = coefficients(objective, pieces, whole(pieces, 60), 0.0)
    made = gradient(logs, EVERY, pull_of(coefficient, logs["q"] if objective == "dr" else None), weighing, likely)
    np.testing.assert_allclose(made.sum(axis=0), logw.grad[0].numpy(), atol=5e-6)


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "regression"])
@pytest.mark.parametrize("weighing", WEIGHINGS)
def test_on_a_given_log_the_gradient_is_that_of_the_estimate(objective: Objective, weighing: Weighing) -> None:
    """Seven searches; the estimate is written down from its definition, with marginals by enumeration, for autograd."""
    n, variance = 7, 0.8
    page, rng = market(n), np.random.default_rng(1)
    slate, reward = EVERY[rng.integers(0, 60, n)], (rng.random((n, K)) < 0.5).astype(np.float64)
    logw = torch.from_numpy(page["policy"]).requires_grad_()
    value = by_definition(objective, page, logw, slate, reward, weighing, variance)
    value.backward()  # type: ignore[no-untyped-call]
    assert logw.grad is not None

    pieces = pieces_of(page, slate, reward, weighing)
    coefficient = coefficients(objective, pieces, whole(pieces, n), variance)
    pull = pull_of(coefficient, page["q"] if objective == "dr" else None)
    made = gradient(page, slate, pull, weighing, np.full(n, 1.0 / n))
    np.testing.assert_allclose(made, logw.grad.numpy(), atol=1e-5)
    if objective in ("dr", "snips"):
        expected_q = (slate_chances(logw) @ (torch.from_numpy(page["q"])[:, EVERY] * torch.from_numpy(EXAMINATION))
                      .sum(dim=2)[..., None])[:, 0, 0]  # fmt: skip
        found = estimate(objective, pieces, expected_q.detach().numpy(), np.arange(n))
        assert found.value == pytest.approx(float(value.detach()), rel=1e-9)


def slate_chances(logw: Tensor) -> Tensor:
    """(n, 1, 60) probabilities of every slate."""
    n = len(logw)
    every = torch.from_numpy(EVERY).long().repeat(n, 1)
    logp = plackett_luce_torch.conditional(logw.repeat_interleave(60, dim=0), every)
    return logp.sum(dim=1).exp().reshape(n, 1, 60)


def by_definition(
    objective: str, page: dict[str, np.ndarray], logw: Tensor, slate: np.ndarray, reward: np.ndarray,
    weighing: Weighing, variance: float,
) -> Tensor:  # fmt: skip
    """The formulas in the head of `objectives`, differentiable."""
    chances = slate_chances(logw)[:, 0]
    if weighing == "item-position":
        same = torch.from_numpy(EVERY[None] == slate[:, None])  # (n, 60, K)
        pi = (chances[..., None] * same).sum(dim=1)
    else:
        pi = plackett_luce_torch.conditional(logw, torch.from_numpy(slate).long()).cumsum(dim=1).exp()
        pi = pi if weighing == "prefix" else pi[:, -1:]
    w = pi / torch.from_numpy(np.exp(log_pieces(page["logger"], slate, weighing)))
    r = torch.from_numpy(in_pieces(reward, weighing))
    u = (w * r).sum(dim=1)
    if objective == "snips":
        return ((w * r).sum(dim=0) / w.sum(dim=0)).sum()
    if objective == "poem":
        return u.mean() - variance * (u.var(unbiased=False) / len(u)).sqrt()
    if objective == "ips":
        return u.mean()
    shown = torch.from_numpy(page["q"])[:, EVERY] * torch.from_numpy(EXAMINATION)  # (n, 60, K)
    q = np.take_along_axis(page["q"], slate.astype(np.int64), axis=1) * EXAMINATION
    rest = (w * (r - torch.from_numpy(in_pieces(q, weighing)))).sum(dim=1)
    return ((chances * shown.sum(dim=2)).sum(dim=1) + rest).mean()


@pytest.mark.parametrize("by", ["dr", "snips"])
def test_a_shopper_who_came_twice_is_one_shopper(by: str) -> None:
    """The same rows twice under the same shoppers: the same value, and no more sure of it."""
    rng = np.random.default_rng(0)
    pieces = Pieces(rng.random((50, 3)), rng.random((50, 3)), rng.random((50, 3)))
    q, twice = rng.random(50), np.tile(np.arange(50), 2)
    doubled = Pieces(*(np.concatenate([each, each]) for each in (pieces.weight, pieces.reward, pieces.q)))
    once, again = estimate(by, pieces, q, np.arange(50)), estimate(by, doubled, np.tile(q, 2), twice)
    assert again.value == pytest.approx(once.value)
    assert again.stderr == pytest.approx(once.stderr)
    assert np.isnan(estimate(by, pieces, q, np.zeros(50, dtype=np.int64)).value)


@pytest.mark.parametrize("weighing", WEIGHINGS)
def test_no_weight_is_above_the_clip_and_one_is_one(weighing: Weighing) -> None:
    page = market(60)
    logpi, logmu = (log_pieces(page[who], EVERY, weighing) for who in ("policy", "logger"))
    assert weights(logpi, logmu, weighing, UNCLIPPED).max() > 2.0
    assert weights(logpi, logmu, weighing, 2.0).max() <= 2.0 + 1e-12
    np.testing.assert_allclose(weights(logmu, logmu, weighing, UNCLIPPED), 1.0)


def test_a_fifth_of_the_shoppers_is_held_out_whatever_half_they_are_in() -> None:
    """Of 100,000, within five standard errors; the choice is forever, like that of the halves."""
    shopper = np.arange(100_000)
    held, half = is_held_out(shopper), in_half(shopper, 0)
    error = np.sqrt(HELD_OUT * (1 - HELD_OUT) / 50_000)
    assert abs(held[half].mean() - HELD_OUT) < 5 * error
    assert abs(held[~half].mean() - HELD_OUT) < 5 * error


def test_divergence_is_the_sum_that_defines_it_and_0_at_home() -> None:
    page = market(4)
    for name in ("logger", "policy"):
        page[name][0, 2:] = page[name][3] = -np.inf
    p, q = np.exp(page["policy"]), np.exp(page["logger"])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.nansum(p * np.log(p / q), axis=1)
    made = divergence(torch.from_numpy(page["policy"]), torch.from_numpy(page["logger"])).numpy()
    np.testing.assert_allclose(made, expected, atol=1e-12)
    assert divergence(torch.from_numpy(page["logger"]), torch.from_numpy(page["logger"])).abs().max() == 0.0

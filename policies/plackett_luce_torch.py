"""The torch form of `policies.plackett_luce`, for training by gradients; tested equal to the numpy form.

The same weights, the same draw, the same conditionals; only what lies outside its domain differs, because a gradient
must stay finite there: a position that repeats one higher up is read as an empty slot, as the market reads it
(`simenv.world.slate_items`). RLlib pads batches with zeros, which are such slates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOW = -1e30  # stands for -inf where a gradient passes: finite, and nothing beside any weight
TINY = 2.0**-54  # half the distance of two neighbouring uniforms; keeps log(-log(u)) finite


def log_weights(scores: Tensor, temperature: float = 1.0, floor: float = 0.0) -> Tensor:
    """Log of the Plackett-Luce weights; they sum to one in each row. See `policies.plackett_luce.log_weights`.

    Args:
        scores: (..., C); -inf at holes. A row of nothing but holes shows nothing, for certain.
        temperature: > 0.
        floor: in [0, 1), the share of the weight that is spread evenly.

    Returns:
        (..., C) float64 log-weights, -inf at holes.
    """
    hole = torch.isneginf(scores)
    empty = hole.all(dim=-1, keepdim=True)  # rows without a candidate
    logw = torch.log_softmax((scores.double() / temperature).masked_fill(empty, 0.0), dim=-1).masked_fill(
        empty, -torch.inf
    )
    if floor == 0.0:
        return logw
    even = math.log(floor) - (~hole).sum(dim=-1, keepdim=True).clamp(min=1).double().log()
    return torch.logaddexp(math.log1p(-floor) + logw, even).masked_fill(hole, -torch.inf)


def draw(logw: Tensor, n_slots: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw a slate for each row by the Gumbel top-k trick, with float64 noise.

    Args:
        logw: (..., C) log-weights.
        n_slots: K.
        generator: Whose noise; torch's global generator where None. It may live on another device than `logw`.

    Returns:
        (..., K) int64 positions, best first; -1 where fewer than K candidates exist.
    """
    device = logw.device if generator is None else generator.device
    u = torch.rand(logw.shape, dtype=torch.float64, device=device, generator=generator).clamp_(min=TINY)
    return top(logw - torch.log(-torch.log(u)).to(logw.device), n_slots)


def top(scores: Tensor, n_slots: int) -> Tensor:
    """The K best positions of each row, best first; -1 for what is -inf. Ties fall as torch lets them."""
    best = scores.topk(min(n_slots, scores.shape[-1]), dim=-1)
    slate = best.indices.masked_fill(torch.isneginf(best.values), -1)
    return torch.nn.functional.pad(slate, (0, n_slots - slate.shape[-1]), value=-1)


def conditional(logw: Tensor, slate: Tensor) -> Tensor:
    """Log-probability of each slot's item given those above it. See `policies.plackett_luce.conditional`.

    Args:
        logw: (..., C) log-weights.
        slate: (..., K) positions; -1 for an empty slot, and so is a repeated position: both have log-probability 0.

    Returns:
        (..., K) float64; -inf for a hole, 0 where there are only holes. Gradients are finite everywhere.
    """
    slate = slate.long()
    empty = _is_empty(slate) | torch.isneginf(logw).all(dim=-1, keepdim=True)  # no candidate: whatever is said, nothing
    finite = logw.clamp(min=LOW)
    at = slate.clamp(min=0)
    chosen = finite.gather(-1, at)
    # The mass left at slot k is what is never chosen plus what is chosen from k on.
    never = finite.masked_fill(_is_listed(slate, logw.shape[-1]), LOW)
    tail = torch.cat([chosen.masked_fill(empty, LOW), never.logsumexp(dim=-1, keepdim=True)], dim=-1)
    mass = tail.flip(-1).logcumsumexp(dim=-1).flip(-1)[..., :-1]
    logp = (chosen - mass).clamp(max=0.0)
    return logp.masked_fill(torch.isneginf(logw).gather(-1, at), -torch.inf).masked_fill(empty, 0.0)


def _is_empty(slate: Tensor) -> Tensor:
    """(..., K) bool: no position, or one that stands higher up already."""
    same = slate.unsqueeze(-1) == slate.unsqueeze(-2)  # (..., K, K)
    return (slate < 0) | same.tril(diagonal=-1).any(dim=-1)


def _is_listed(slate: Tensor, n_candidates: int) -> Tensor:
    """(..., C) bool: the slate holds the candidate. Empty slots write to a spare column that is cut off."""
    listed = torch.zeros((*slate.shape[:-1], n_candidates + 1), dtype=torch.bool, device=slate.device)
    at = slate.masked_fill(slate < 0, n_candidates)
    return listed.scatter_(-1, at, torch.ones_like(at, dtype=torch.bool))[..., :n_candidates]

"""Gradients of what a Plackett-Luce ranking is worth, from sampled slates, with little variance.

The worth of a slate y is `sum_k gain(y_k, k)`, where a candidate d brings `weight_k * item_d` at slot k, and besides a
spot amount at one slot, where there is one (that is what inverse propensities make of a logged slate: only what stood
there is known of the slot). PL-Rank tells a choice's own gain exactly, by its probability, and leaves to the samples
what follows it:

    dV/dm_d = E_y[ sum_{x > rank(d)} g(y_x, x) + sum_{k <= rank(d)} P(d at k | above) (g(d, k) - sum_{x >= k} g(y_x, x)) ]

with m_d the candidate's log-weight and rank(d) = K for what is not on the slate. Every slate's part is made of running
sums over the slots alone, so its cost is that of looking at the candidates once: Oosterhuis, "Learning-to-rank at the
speed of sampling: Plackett-Luce gradient estimation with minimal computational complexity" (PL-Rank-3), 2022. The sums
run here in units of the mass that is left, which keeps them finite at any scale of scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 128  # rows whose sampled slates stay in the cache
LOW = -1e30  # stands for -inf where it is subtracted


@dataclass(frozen=True)
class Spots:
    """What single candidates bring at single slots, beside their gain.

    slate: (N, K) int64, the candidate whose spot is at slot k; -1 where there is none. amount: (N, K).
    """

    slate: Tensor
    amount: Tensor


@dataclass(frozen=True)
class Gains:
    """What slates are worth: item (N, C) times weight (K,), and spots."""

    item: Tensor
    weight: Tensor
    spots: Spots | None = None


@dataclass(frozen=True)
class _Sampled:
    """Sampled slates and the chances on their way.

    slate: (N, S, K) with 0 at empty slots. empty: the same, bool. log_mass: (N, S, K) log of the weight that is left to
    choose from at each slot; 0 at empty ones. rest: (N, S, C) P(d at slot K | above) of what is not on the slate, else 0.
    """

    slate: Tensor
    empty: Tensor
    log_mass: Tensor
    rest: Tensor


def pl_rank(logw: Tensor, slates: Tensor, gains: Gains) -> Tensor:
    """The gradient of each row's expected worth in its log-weights, (N, C): unbiased, the mean over S slates.

    Args:
        logw: (N, C) log-weights (or scores: a constant does not matter), -inf at holes.
        slates: (N, S, K) int64, drawn from these weights; -1 where a row has fewer than K candidates.
        gains: Of the candidates; 0 or anything finite at holes.
    """
    with torch.no_grad():
        parts = [slice(first, first + CHUNK) for first in range(0, len(logw), CHUNK)]
        made = [_gradient(logw[part], _sampled(logw[part], slates[part]), _rows(gains, part)) for part in parts]
        return torch.cat(made) if made else torch.zeros_like(logw)


def slot_chance(logw: Tensor, slates: Tensor, at: Tensor) -> Tensor:
    """P(at_k at slot k), (N, K): unbiased, from what each sampled slate leaves to choose from; 1 at empty slots.

    Args:
        logw: (N, C) log-weights, -inf at holes.
        slates: (N, S, K) drawn from them, -1 for an empty slot.
        at: (N, K) candidates, -1 for an empty slot.
    """
    with torch.no_grad():
        sampled = _sampled(logw, slates)
        chance = _chance(logw, sampled, at).mean(dim=1)
        return torch.where(at < 0, torch.ones_like(chance), chance)


def _rows(gains: Gains, part: slice) -> Gains:
    spots = gains.spots
    return Gains(gains.item[part], gains.weight, spots and Spots(spots.slate[part], spots.amount[part]))


def _sampled(logw: Tensor, slates: Tensor) -> _Sampled:
    """A slot is empty only where every candidate stands higher up, so that 0 may stand for its position."""
    empty = slates < 0
    at = slates.masked_fill(empty, 0)
    wide = logw[:, None, :].expand(-1, slates.shape[1], -1)
    chosen = wide.gather(2, at).masked_fill(empty, -torch.inf)
    rest = wide.scatter(2, at, -torch.inf)
    peak = rest.amax(dim=2, keepdim=True).clamp(min=LOW)
    rest.sub_(peak).exp_()
    never = rest.sum(dim=2, keepdim=True).log() + peak
    mass = torch.cat([never, chosen.flip(2)], dim=2).logcumsumexp(dim=2)[..., 1:].flip(2)
    mass = mass.masked_fill(empty, 0.0)
    rest.mul_((peak - mass[..., -1:]).clamp(max=0.0).exp())
    return _Sampled(at, empty, mass, rest)


def _gradient(logw: Tensor, sampled: _Sampled, gains: Gains) -> Tensor:
    n, s, k = sampled.slate.shape
    flat = sampled.slate.reshape(n, s * k)
    item = gains.item.gather(1, flat).reshape(n, s, k)
    gain = item * gains.weight
    made = torch.zeros_like(logw)
    if gains.spots is not None:
        stands = sampled.slate == gains.spots.slate[:, None, :]
        gain = gain + stands * gains.spots.amount[:, None, :]
        chance = _chance(logw, sampled, gains.spots.slate).sum(dim=1)
        own = (chance * gains.spots.amount).masked_fill(gains.spots.slate < 0, 0.0)
        made.scatter_add_(1, gains.spots.slate.clamp(min=0), own)
    gain = gain.masked_fill(sampled.empty, 0.0)
    to_come = gain.flip(2).cumsum(dim=2).flip(2)
    log_mass = sampled.log_mass
    shrink = (log_mass[..., 1:] - log_mass[..., :-1]).clamp(max=0.0).exp()
    weight = gains.weight.expand(n, s, k)
    # sum_{j <= k} (mass_k / mass_j) of what is to come at j, and of the slots' weights.
    come, weighed = to_come.clone(), weight.clone()
    for slot in range(1, k):
        come[..., slot] += come[..., slot - 1] * shrink[..., slot - 1]
        weighed[..., slot] += weighed[..., slot - 1] * shrink[..., slot - 1]
    p = (logw.gather(1, flat).reshape(n, s, k) - log_mass).clamp(max=0.0).exp()
    placed = (to_come - gain + p * (item * weighed - come)).masked_fill(sampled.empty, 0.0)
    made.scatter_add_(1, flat, placed.reshape(n, s * k))
    ends = torch.stack([weighed[..., -1], come[..., -1]], dim=1)  # (N, 2, S)
    of_rest = torch.bmm(ends, sampled.rest)  # (N, 2, C)
    made += gains.item.masked_fill(torch.isneginf(logw), 0.0) * of_rest[:, 0] - of_rest[:, 1]
    return made / s


def _chance(logw: Tensor, sampled: _Sampled, at: Tensor) -> Tensor:
    """P(at_k at slot k | the slate above it), (N, S, K); 0 where it stands above."""
    same = at[:, None, :, None] == sampled.slate[:, :, None, :].masked_fill(sampled.empty[:, :, None, :], -2)
    gone = same.tril(diagonal=-1).any(dim=3)
    own = logw.gather(1, at.clamp(min=0))[:, None, :]
    return (own - sampled.log_mass).clamp(max=0.0).exp().masked_fill(gone | sampled.empty, 0.0)

"""Gradients of what a Plackett-Luce ranking is worth, from sampled slates, with little variance.

The worth of a slate y is `sum_k g(y_k, k)`, where a candidate d brings `g(d, k) = weight_k * item_d` at slot k, and
besides a spot amount at one slot, where there is one (that is what inverse propensities make of a logged slate: only
what stood there is known of the slot). With m_d the candidate's log-weight, P_k the chances of the choice at slot k
given what stands above, and rank(d) = K for what is not on the slate,

    dV/dm_d = E_y[ F_rank(d) - b_rank(d) + sum_{k <= rank(d)} P_k(d) (g(d, k) - E_k g - (F_k - b_k)) ]

where F_k is what the slots below k bring (the first two terms only for what is on the slate). This is PL-Rank: what a
choice itself brings is told exactly, and only what follows it is left to the samples. Every slate's part is made of
running sums over the slots alone, so that its cost is that of looking at the candidates once: Oosterhuis,
"Learning-to-rank at the speed of sampling: Plackett-Luce gradient estimation with minimal computational complexity"
(PL-Rank-3), 2022. Two control variates are added: the expectation E_k g in place of what the sample's choice brings,
and the mean b_k of F_k over the row's other samples (Kool, van Hoof and Welling, "Buy 4 REINFORCE samples, get a
baseline for free!", 2019); without them rewards that are all alike still make noise. The sums run in units of the mass
that is left, which keeps them finite at any scale of scores.
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
    choose from at each slot; 0 at empty ones. rest: (N, S, C) P_K(d) of what is not on the slate, else 0.
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
    gain, log_mass, rest = item * gains.weight, sampled.log_mass, sampled.rest
    made, shrink = torch.zeros_like(logw), (log_mass[..., 1:] - log_mass[..., :-1]).clamp(max=0.0).exp()
    p = (logw.gather(1, flat).reshape(n, s, k) - log_mass).clamp(max=0.0).exp().masked_fill(sampled.empty, 0.0)
    # E_k of the item part, from the last slot up: the choice, or else what the next slot has to choose from.
    expected = p * item
    expected[..., -1] += torch.bmm(rest, gains.item[..., None]).squeeze(-1)
    for slot in range(k - 2, -1, -1):
        expected[..., slot] += expected[..., slot + 1] * shrink[..., slot]
    expected = expected * gains.weight
    if gains.spots is not None:
        spot, amount = gains.spots.slate, gains.spots.amount.masked_fill(gains.spots.slate < 0, 0.0)
        gain = gain + (sampled.slate == spot[:, None, :]) * amount[:, None, :]
        own = _chance(logw, sampled, spot) * amount[:, None, :]
        expected = expected + own
        made.scatter_add_(1, spot.clamp(min=0), own.sum(dim=1))
    gain = gain.masked_fill(sampled.empty, 0.0)
    follows = gain.flip(2).cumsum(dim=2).flip(2) - gain
    if s > 1:
        follows = (follows - follows.mean(dim=1, keepdim=True)) * (s / (s - 1))
    # sum_{j <= k} (mass_k / mass_j) of what has to be subtracted at j, and of the slots' weights.
    less, weighed = expected + follows, gains.weight.expand(n, s, k).clone()
    for slot in range(1, k):
        less[..., slot] += less[..., slot - 1] * shrink[..., slot - 1]
        weighed[..., slot] += weighed[..., slot - 1] * shrink[..., slot - 1]
    placed = (follows + p * (item * weighed - less)).masked_fill(sampled.empty, 0.0)
    made.scatter_add_(1, flat, placed.reshape(n, s * k))
    of_rest = torch.bmm(torch.stack([weighed[..., -1], less[..., -1]], dim=1), rest)  # (N, 2, C)
    made += gains.item * of_rest[:, 0] - of_rest[:, 1]
    return made / s


def _chance(logw: Tensor, sampled: _Sampled, at: Tensor) -> Tensor:
    """P(at_k at slot k | the slate above it), (N, S, K); 0 where it stands above."""
    same = at[:, None, :, None] == sampled.slate[:, :, None, :].masked_fill(sampled.empty[:, :, None, :], -2)
    gone = same.tril(diagonal=-1).any(dim=3)
    own = logw.gather(1, at.clamp(min=0))[:, None, :]
    return (own - sampled.log_mass).clamp(max=0.0).exp().masked_fill(gone | sampled.empty, 0.0)

"""One batch's pull on a policy's log-weights: the surrogate whose gradient is that of an objective.

Item-position weights make the worth of a policy a sum over slots of what stands there: ips is, exactly, the expected
worth of a slate of which only the logged items pay, `c_ik / mu(a_ik at k)` each at its own slot. Those are the spots of
`policies.kernels.pl_rank`, whose gradient is unbiased whatever the samples, without a marginal of the policy ever being
differentiated; dr adds a gain for every candidate. Weights of prefixes and of whole slates are functions of the logged
slate alone, and are differentiated as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from policies import plackett_luce_torch
from policies.from_logs.logged import Weighing
from policies.kernels.pl_rank import Gains, Spots, pl_rank


@dataclass(frozen=True)
class Seen:
    """Logged slates as tensors: slate (n, K) int64, logmu (n, J), logw (n, C) of the logger, -inf at holes."""

    slate: Tensor
    logmu: Tensor
    logw: Tensor


@dataclass(frozen=True)
class Pull:
    """What pulls: coefficient (n, J) of each weight; item (n, C) a model's gains or None, times slot (K,)."""

    coefficient: Tensor
    item: Tensor | None
    slot: Tensor


def surrogate(logw: Tensor, seen: Seen, pull: Pull, slates: Tensor, weighing: Weighing, clip: float) -> Tensor:
    """(n,) numbers whose gradient is that of each row's part of the objective; their values mean nothing.

    Args:
        logw: (n, C) the policy's log-weights, -inf at holes.
        seen: What was shown.
        pull: What for.
        slates: (n, S, K) drawn from `logw`.
        weighing: How slates are weighed.
        clip: The largest weight.
    """
    pays: Spots | None = None
    direct = logw.new_zeros(len(logw))
    if weighing == "item-position":
        pays = Spots(seen.slate, (pull.coefficient * seen.logmu.clamp(min=-math.log(clip)).neg().exp()).float())
    else:
        logpi = plackett_luce_torch.conditional(logw, seen.slate).cumsum(dim=1)
        ratio = (logpi if weighing == "prefix" else logpi[:, -1:]) - seen.logmu
        direct = (pull.coefficient * ratio.clamp(max=math.log(clip)).exp()).sum(dim=1)
    if pays is None and pull.item is None:
        return direct
    item = torch.zeros_like(logw) if pull.item is None else pull.item
    gradient = pl_rank(logw.detach().float(), slates, Gains(item.float(), pull.slot.float(), pays))
    return direct + (logw.masked_fill(torch.isneginf(logw), 0.0) * gradient).sum(dim=1)


def divergence(logw: Tensor, logger: Tensor) -> Tensor:
    """KL of the policy's first choice from the logger's, in nats, (n,): exact; 0 where nothing was found."""
    hole = torch.isneginf(logw)
    own, other = logw.masked_fill(hole, 0.0), logger.masked_fill(hole, 0.0)
    return (own.exp().masked_fill(hole, 0.0) * (own - other)).sum(dim=1)

"""Slates and their log-probabilities as fast as one core allows: Gumbel top-k and one logcumsumexp.

The same Plackett-Luce as `policies.plackett_luce`, for simulation and training on given scores, where luck comes from a
seeded generator. Where luck has a name (in the market and in its logs), `policies.plackett_luce.draw` is the one. The
noise is float32 where the scores are: an exponential is drawn as `-log(u)` with `u` in (0, 1] on a grid of 2**-24, so a
choice that should happen less than once in 10**7 is not drawn at its right rate; take float64 scores where that counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 256  # rows that stay in the cache


def draw_slates(logit: Tensor, n_slots: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Slates (N, K) int64 and conditional log-probabilities (N, K) of scores (N, C) with at least K candidates.

    Args:
        logit: (N, C) scores over temperature, float32 or float64; -inf at holes, of which a row may have C - K.
        n_slots: K.
        generator: Whose luck.
    """
    slate = torch.empty((len(logit), n_slots), dtype=torch.int64, device=logit.device)
    logp = torch.empty((len(logit), n_slots), dtype=logit.dtype, device=logit.device)
    tiny = torch.finfo(logit.dtype).tiny
    for first in range(0, len(logit), CHUNK):
        part = slice(first, first + CHUNK)
        own = logit[part]
        noise = torch.rand(own.shape, dtype=own.dtype, device=own.device, generator=generator)
        # 1 - u is in (0, 1]; its exponential 0 would win every race, and is moved to the smallest number there is.
        noise.neg_().log1p_().neg_().clamp_(min=tiny).log_()
        slate[part] = torch.topk(own - noise, n_slots, dim=1).indices
        logp[part] = conditional(own, slate[part])
    return slate, logp


def conditional(logit: Tensor, slate: Tensor) -> Tensor:
    """Log-probability (N, K) of each slot's item given those above it; slates (N, K) without repeats or holes.

    By sums of what is left, never by subtraction from the whole: finite at any scale of scores.
    """
    chosen = logit.gather(1, slate)
    never = logit.scatter(1, slate, -torch.inf).logsumexp(dim=1, keepdim=True)
    mass = torch.cat([never, chosen.flip(1)], dim=1).logcumsumexp(dim=1)[:, 1:].flip(1)
    return (chosen - mass).clamp_(max=0.0)

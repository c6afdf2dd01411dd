"""Slates and their log-probabilities as fast as one core allows, from given scores.

The same Plackett-Luce as `policies.plackett_luce`, in two forms. `draw_named` has its luck: hashed from names, in
float64, with the same slates; it races with weights in place of their logarithms and falls back to the one definition
for rows where that could go wrong (holes, or weights that underflow). `draw_slates` is for simulation and training in
torch, with the luck of a seeded generator and in the precision of the scores. In float32 an exponential is
`-log(1 - u)` with `u` on a grid of 2**-24, so a choice that should happen less than once in 10**7 is not drawn at its
right rate; take float64 scores where that counts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies import plackett_luce
from simenv import hashing

CHUNK = 256  # rows that stay in the cache
LEAST = 1e-290  # weight at which sums and quotients of weights still have all their digits

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]


def draw_named(
    scores: npt.NDArray[np.floating],
    exploration: tuple[float, float],
    n_slots: int,
    keys: hashing.Keys,
    names: npt.NDArray[np.integer],
) -> tuple[I32, F64]:
    """Slates (N, K) and conditional log-probabilities (N, K) float64, as `policies.plackett_luce` gives them.

    Args:
        scores: (N, C), -inf at holes.
        exploration: Temperature > 0 and floor.
        n_slots: K.
        keys: (N,) uint64, the row's luck.
        names: (N, C) what each candidate's luck is named by.
    """
    slate = np.empty((len(scores), n_slots), dtype=np.int32)
    logp = np.empty(slate.shape)
    for first in range(0, len(scores), CHUNK):
        part = slice(first, first + CHUNK)
        weight = _weights(scores[part], *exploration)
        slow = (weight < LEAST).any(axis=1) | (scores.shape[1] < n_slots)
        if not slow.all():
            u = hashing.uniform_open(hashing.absorb(keys[part, None], names[part]))
            slate[part], logp[part] = _race(weight, -np.log(u), n_slots)
        if slow.any():
            rows = first + np.flatnonzero(slow)
            logw = plackett_luce.log_weights(scores[rows], *exploration)
            slate[rows] = plackett_luce.draw(logw, n_slots, keys[rows], names[rows])
            logp[rows] = plackett_luce.conditional(logw, slate[rows]).logp
    return slate, logp


def _weights(scores: npt.NDArray[np.floating], temperature: float, floor: float) -> F64:
    """(N, C) that sum to one; 0 at holes, and in rows of nothing but holes."""
    logit = scores.astype(np.float64)
    logit /= temperature
    peak = logit.max(axis=1, keepdims=True)
    logit -= np.where(np.isneginf(peak), 0.0, peak)
    weight: F64 = np.exp(logit)
    weight *= (1.0 - floor) / np.maximum(weight.sum(axis=1, keepdims=True), LEAST)
    here = np.isfinite(scores)
    weight += floor * here / np.maximum(here.sum(axis=1, keepdims=True), 1)
    return weight


def _race(weight: F64, exponential: F64, n_slots: int) -> tuple[npt.NDArray[np.int64], F64]:
    """The first K to arrive when i arrives at exponential / weight; what is left is summed and never subtracted."""
    with np.errstate(divide="ignore", over="ignore"):  # in rows that are drawn again
        arrival = exponential / weight
    slate = arrival.argsort(axis=1)[:, :n_slots]  # sorting whole rows is faster than selecting a few
    own = np.take_along_axis(weight, slate, axis=1)
    left = weight.copy()
    np.put_along_axis(left, slate, 0.0, axis=1)
    mass = np.concatenate([left.sum(axis=1, keepdims=True), own[:, ::-1]], axis=1).cumsum(axis=1)[:, :0:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return slate, np.minimum(np.log(own / mass), 0.0)


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
        slate[part] = _first(noise.sub_(own), n_slots)
        logp[part] = conditional(own, slate[part])
    return slate, logp


def _first(arrival: Tensor, n_slots: int) -> Tensor:
    """Positions (N, K) int64 of the K that arrive first, in their order, of (N, C) without NaN.

    On a CPU whole rows of integers are sorted, which NumPy does three times as fast as torch selects: a float32's bits
    in the upper half, put into an order of integers by turning those below the sign of negative ones, and the position
    in the lower half.
    """
    if arrival.dtype != torch.float32 or arrival.device.type != "cpu":
        return arrival.topk(n_slots, dim=1, largest=False).indices
    bits = arrival.numpy().view(np.int32)
    key = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    key <<= 32
    key |= np.arange(arrival.shape[1])
    key.sort(axis=1)
    return torch.from_numpy(key[:, :n_slots] & 0xFFFFFFFF)


def conditional(logit: Tensor, slate: Tensor) -> Tensor:
    """Log-probability (N, K) of each slot's item given those above it; slates (N, K) without repeats or holes.

    By sums of what is left, never by subtraction from the whole: finite at any scale of scores.
    """
    chosen = logit.gather(1, slate)
    never = logit.scatter(1, slate, -torch.inf).logsumexp(dim=1, keepdim=True)
    mass = torch.cat([never, chosen.flip(1)], dim=1).logcumsumexp(dim=1)[:, 1:].flip(1)
    return (chosen - mass).clamp_(max=0.0)

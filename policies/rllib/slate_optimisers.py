"""Which slate is worth most, when a shopper chooses one item of it or nothing: three answers, batched in torch.

With weights v of choice and values q of what is chosen, both for every candidate and for choosing nothing (0), a slate
A of K items is worth

    Q(A) = (v_0 q_0 + sum_k w_k v_k q_k) / (v_0 + sum_k w_k v_k),

where w falls from slot to slot with the attention that slots get (all 1 in the paper). Every optimiser answers with
scores: the K best-scored candidates, best first, are its slate. So one ranking policy serves them all.

- `exact`: Dinkelbach's method on the fractional programme, which finds what the paper's linear programme finds: with
  the best slate's worth L, that slate is the K largest v (q - L), sorted by it. Exact with falling w too, by the
  rearrangement inequality.
- `greedy`: one item after another, each the one that makes the slate so far worth most.
- `top_k`: the largest v q, which forgets that items compete.

Ie, Jain, Wang, Narvekar, Agarwal, Wu, Cheng, Chandra and Boutilier, "SlateQ: A tractable decomposition for
reinforcement learning with recommendation sets", 2019; Dinkelbach, "On nonlinear fractional programming", 1967.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from simenv.errors import unknown_name

ITERATIONS = 50  # of Dinkelbach at most; it converges superlinearly, 3 to 6 are usual
ROUNDING = 1e-6  # of float32, relative: a gain below it is none


@dataclass(frozen=True)
class Worth:
    """What a page's candidates are worth.

    v: (N, C) weights of choice, >= 0; 0 at holes. q: (N, C) values of what is chosen. null_v, null_q: (N,) the same of
    choosing nothing; null_v > 0. attention: (K,) weights of the slots, positive, not rising. here: (N, C) bool, whether
    there is a candidate.
    """

    v: Tensor
    q: Tensor
    null_v: Tensor
    null_q: Tensor
    attention: Tensor
    here: Tensor


def slate_value(worth: Worth, slate: Tensor, filled: Tensor | None = None) -> Tensor:
    """What slates are worth.

    Args:
        worth: Of the candidates.
        slate: (N, K) int64 positions.
        filled: (N, K) bool, which slots show something; all where None (a hole shows nothing anyhow).

    Returns:
        (N,).
    """
    v = worth.v.gather(1, slate) * worth.attention
    v = v if filled is None else v * filled
    top = worth.null_v * worth.null_q + (v * worth.q.gather(1, slate)).sum(dim=1)
    value: Tensor = top / (worth.null_v + v.sum(dim=1))
    return value


def best_slate(scores: Tensor, n_slots: int) -> Tensor:
    """The K best-scored positions (N, K), best first.

    Holes come last; where there are fewer than K candidates they fill the slots, and show nothing.
    """
    return scores.topk(n_slots, dim=1).indices


def exact(worth: Worth) -> Tensor:
    """Scores v (q - L), where L is what the best slate is worth; (N, C), -inf at holes."""
    n_slots = len(worth.attention)
    slate = best_slate(top_k(worth), n_slots)
    level = slate_value(worth, slate)
    for _ in range(ITERATIONS):
        scores = _above(worth, level)
        better = slate_value(worth, best_slate(scores, n_slots))
        gains = better > level + ROUNDING * level.abs()
        if not bool(gains.any()):
            return scores
        level = torch.where(gains, better, level)  # a row that is done stays as it is, whoever is beside it
    return _above(worth, level)


def greedy(worth: Worth) -> Tensor:
    """Scores -1, -2, ... in the order in which a greedy slate takes candidates; (N, C), -inf at holes.

    After K are taken the others follow by what each would add, which ranks all of them.
    """
    top, mass = worth.null_v * worth.null_q, worth.null_v
    scores = torch.full_like(worth.q, -torch.inf)
    left = worth.here.clone()
    for slot, attention in enumerate(worth.attention):
        v = worth.v * attention
        value = ((top[:, None] + v * worth.q) / (mass[:, None] + v)).masked_fill(~left, -torch.inf)
        chosen = value.argmax(dim=1, keepdim=True)
        some = left.gather(1, chosen)
        taken = v.gather(1, chosen) * some
        scores.scatter_(1, chosen, torch.where(some, -1.0 - slot, scores.gather(1, chosen)))
        top = top + (taken * worth.q.gather(1, chosen)).squeeze(1)
        mass = mass + taken.squeeze(1)
        left = left.scatter(1, chosen, False)
    v = worth.v * worth.attention[-1]
    rest = ((top[:, None] + v * worth.q) / (mass[:, None] + v)).masked_fill(~left, -torch.inf)
    rank = rest.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return torch.where(left, -1.0 - len(worth.attention) - rank, scores)


def top_k(worth: Worth) -> Tensor:
    """Scores v q; (N, C), -inf at holes."""
    return (worth.v * worth.q).masked_fill(~worth.here, -torch.inf)


def _above(worth: Worth, level: Tensor) -> Tensor:
    return (worth.v * (worth.q - level[:, None])).masked_fill(~worth.here, -torch.inf)


OPTIMISERS: dict[str, Callable[[Worth], Tensor]] = {"optimal": exact, "greedy": greedy, "top-k": top_k}


def optimiser(name: str) -> Callable[[Worth], Tensor]:
    """The optimiser of that name.

    Raises:
        UserError: for a name that is not in OPTIMISERS.
    """
    if name not in OPTIMISERS:
        raise unknown_name("slate optimiser", name, OPTIMISERS)
    return OPTIMISERS[name]

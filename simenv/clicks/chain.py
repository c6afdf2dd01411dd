"""Reading from the top: the recursions that cascade, dependent click and dynamic Bayesian networks share.

The first slot is examined. An examined item is clicked with its attraction a[k]. After a slot without a click the
shopper goes on to the next with probability `after_skip[k]`, after a click with `after_click[k]`; whoever stops sees
nothing more. Everything here is (N, K), loops over slots and runs in double precision.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simenv.clicks.model import Bools, Floats

F64 = npt.NDArray[np.float64]


def chain_sample(attractive: Bools, u_examine: Floats, after_skip: Floats, after_click: Floats) -> tuple[Bools, Bools]:
    """Examined and clicked slots.

    Args:
        attractive: (N, K) whether the item draws a click once it is seen.
        u_examine: (N, K) uniforms; slot k's decides whether the shopper goes on to slot k. The first is unused.
        after_skip: (N, K) chance to go on from slot k to k + 1 without a click at k.
        after_click: (N, K) the same after a click.
    """
    goes_on = np.where(attractive, after_click, after_skip)
    examined = np.ones(attractive.shape, dtype=bool)
    for k in range(1, attractive.shape[1]):
        examined[:, k] = examined[:, k - 1] & (u_examine[:, k] < goes_on[:, k - 1])
    return examined, examined & attractive


def chain_click_probability(attraction: Floats, after_skip: Floats, after_click: Floats) -> F64:
    """Probability of a click at each slot: P(examined at k + 1) = P(examined at k) * (a * click + (1 - a) * skip)."""
    a = attraction.astype(np.float64)
    goes_on = a * after_click + (1.0 - a) * after_skip
    examined = np.cumprod(np.concatenate([np.ones_like(a[:, :1]), goes_on[:, :-1]], axis=1), axis=1)
    probability: F64 = examined * a
    return probability


def chain_log_prob(attraction: Floats, after_skip: Floats, after_click: Floats, clicks: Bools) -> F64:
    """Log-probability of click patterns, (N,).

    Down to the last click every slot is known to be examined. Below it, the chance of no more clicks from slot k on,
    given that k is examined, is nothing[k] = (1 - a[k]) * (1 - skip[k] + skip[k] * nothing[k + 1]).
    """
    a = attraction.astype(np.float64)
    skip, click = np.broadcast_to(after_skip, a.shape), np.broadcast_to(after_click, a.shape)
    n_rows, n_slots = a.shape
    logp, nothing, more = np.zeros(n_rows), np.ones(n_rows), np.zeros(n_rows, dtype=bool)
    with np.errstate(divide="ignore"):
        for k in range(n_slots - 1, -1, -1):
            on = np.where(more, click[:, k], 1.0 - click[:, k] + click[:, k] * nothing)
            passed = np.where(more, (1.0 - a[:, k]) * skip[:, k], 1.0)
            logp += np.log(np.where(clicks[:, k], a[:, k] * on, passed))
            nothing = (1.0 - a[:, k]) * (1.0 - skip[:, k] + skip[:, k] * nothing)
            more |= clicks[:, k]
        return np.where(more, logp, np.log(nothing))

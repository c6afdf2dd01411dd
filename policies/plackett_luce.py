"""The one definition that turns scores into slates and slates into probabilities.

Scores become weights, `w = (1 - floor) * softmax(score / temperature) + floor / n`, over the n candidates that exist;
a slate is drawn by taking candidates one after another with probability proportional to their weights among those
left. The floor acts on the weights, before the draw, so a floored policy is still Plackett-Luce and every propensity
below is exact. Holes have score -inf and are never shown. All sums are in float64 and in logarithms, so any scale of
scores is fine.

Luce, "Individual choice behavior", 1959; Plackett, "The analysis of permutations", 1975. Drawn with the Gumbel top-k
trick: Kool, van Hoof and Welling, "Stochastic beams and where to find them", 2019.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.propensity import Conditional, Marginal

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

STEP = 0.25  # of the quadrature in log time
SURELY = 3.6  # log of the expected arrivals after which one is missing with probability exp(-36)
ROUNDING = 1e-11  # what is left of the error where the rule has converged
CELLS = 8_000_000  # numbers that the quadrature holds at most
CHUNK = 128  # rows of the quadrature at once: few enough to stay in the cache


def log_weights(scores: npt.NDArray[np.floating], temperature: float, floor: float) -> F64:
    """Log of the Plackett-Luce weights; they sum to one in each row.

    Args:
        scores: (N, C); -inf at holes. A row of nothing but holes shows nothing, for certain.
        temperature: > 0.
        floor: in [0, 1), the share of the weight that is spread evenly.

    Returns:
        (N, C) float64 log-weights, -inf at holes.
    """
    logit = scores.astype(np.float64) / temperature
    peak = logit.max(axis=1, keepdims=True)
    empty = np.isneginf(peak)  # (N, 1) rows without a candidate
    logit -= np.where(empty, 0.0, peak)
    logit -= np.log(np.exp(logit).sum(axis=1, keepdims=True) + empty)
    if floor == 0.0:
        return logit
    here = np.isfinite(scores)
    even = np.log(floor) - np.log(here.sum(axis=1, keepdims=True) + empty)
    floored = np.logaddexp(np.log1p(-floor) + logit, even)
    floored[~here] = -np.inf
    return floored  # type: ignore[no-any-return]


def draw(logw: F64, n_slots: int, keys: hashing.Keys, names: npt.NDArray[np.integer]) -> I32:
    """Draw a slate for each row.

    Args:
        logw: (N, C) log-weights.
        n_slots: K.
        keys: (N,) uint64, the row's luck.
        names: (N, C) what each candidate's luck is named by (its item id), so that the order of the candidates and
            their number do not matter.

    Returns:
        (N, K) int32 positions, best first; -1 where fewer than K candidates exist.
    """
    u = hashing.uniform_open(hashing.absorb(keys[:, None], names))
    return top(logw - np.log(-np.log(u)), n_slots)


def top(scores: npt.NDArray[np.floating], n_slots: int) -> I32:
    """The K best positions of each row, best first, ties to the earlier position; -1 for what is -inf."""
    n_candidates = scores.shape[1]
    k = min(n_slots, n_candidates)
    slate = np.full((len(scores), n_slots), -1, dtype=np.int32)
    if k < n_candidates:
        # argpartition may split ties anyhow; a stable order needs every candidate that ties with the last one.
        cut = np.partition(scores, n_candidates - k, axis=1)[:, n_candidates - k]
        above = scores > cut[:, None]
        tied = scores == cut[:, None]
        room = k - above.sum(axis=1)
        chosen = above | (tied & (np.cumsum(tied, axis=1) <= room[:, None]))
        position = np.nonzero(chosen)[1].reshape(len(scores), k)
    else:
        position = np.broadcast_to(np.arange(n_candidates), scores.shape)
    value = np.take_along_axis(scores, position, axis=1)
    order = np.argsort(-value, axis=1, kind="stable")
    slate[:, :k] = np.take_along_axis(position, order, axis=1)
    slate[:, :k][np.isneginf(np.take_along_axis(value, order, axis=1))] = -1
    return slate


def conditional(logw: F64, slate: I32) -> Conditional:
    """Log-probability of each slot's item given those above it.

    Args:
        logw: (N, C) log-weights.
        slate: (N, K) positions; -1 for an empty slot, which has log-probability 0.

    Returns:
        Conditional log-probabilities; -inf for an item that the policy can never show there: a hole, or one that
        stands above already.
    """
    empty = slate < 0
    safe = np.where(empty, 0, slate).astype(np.int64)
    chosen = np.where(empty | _stands_above(slate), -np.inf, np.take_along_axis(logw, safe, axis=1))  # (N, K)
    rest = logw.copy()
    row, slot = np.nonzero(~empty)
    rest[row, slate[row, slot]] = -np.inf
    peak = rest.max(axis=1, keepdims=True)
    peak[np.isneginf(peak)] = 0.0
    with np.errstate(divide="ignore"):
        left = np.log(np.exp(rest - peak).sum(axis=1, keepdims=True)) + peak
    # The mass left at slot k is what is never chosen plus what is chosen from k on.
    tail = np.concatenate([left, chosen[:, ::-1]], axis=1)
    mass = np.logaddexp.accumulate(tail, axis=1)[:, :0:-1]
    with np.errstate(invalid="ignore"):
        logp = np.where(np.isneginf(chosen), -np.inf, chosen - mass)
    logp[empty] = 0.0
    return Conditional(np.minimum(logp, 0.0))


def _stands_above(slate: I32) -> npt.NDArray[np.bool_]:
    """Whether each slot's item stands at a slot above, (N, K); no ranking repeats an item."""
    repeated = np.zeros(slate.shape, dtype=bool)
    for k in range(1, slate.shape[1]):
        repeated[:, k] = (slate[:, :k] == slate[:, k : k + 1]).any(axis=1) & (slate[:, k] >= 0)
    return repeated


def marginal(logw: F64, slate: I32) -> Marginal:
    """Log-probability of each item at its slot, whatever stands above it, by race quadrature.

    Item i arrives at an exponential time with rate w_i; a slate is the order of arrival. So P(i at slot k) is the
    integral over i's arrival time of the chance that exactly k - 1 others came first, taken by the double exponential
    rule (Takahasi and Mori, 1974). That rule doubles its correct digits when its step is halved, so the error stated
    is the square of the largest difference to the same rule with twice the step.

    Args:
        logw: (N, C) log-weights.
        slate: (N, K) positions, -1 for an empty slot (log-probability 0).
    """
    chance, error = _chances(logw, slate, lambda before, k: before[k])
    with np.errstate(divide="ignore"):
        return Marginal(np.minimum(np.log(chance), 0.0), error)


def inclusion(logw: F64, slate: I32) -> F64:
    """Chance that each item of the slate stands at any of its K slots, (N, K), 1 at empty ones; as `marginal`."""
    return np.minimum(_chances(logw, slate, lambda before, k: before.sum(axis=0))[0], 1.0)


def _chances(logw: F64, slate: I32, which: Callable[[F64, int], F64]) -> tuple[F64, float]:
    """The race's integral for each item of the slate, (N, K), and its stated error.

    `which` takes the chances that exactly m others came first, (K, n, G), and the item's slot, to (n, G).
    """
    n_slots = slate.shape[1]
    chance, error = np.empty(slate.shape), 0.0
    rows = _rows_at_once(logw, n_slots)
    for first in range(0, len(slate), rows):
        part = slice(first, first + rows)
        empty = slate[part] < 0
        safe = np.where(empty, 0, slate[part]).astype(np.int64)
        log_rate, spread = _race(logw[part], n_slots)
        arrived = _arrived(log_rate)
        row, slot = np.nonzero(~empty)
        unlisted = arrived.copy()
        unlisted[safe[row, slot], row] = 0.0
        count = _counts(unlisted, n_slots)  # arrivals among items that are not on the slate
        every = np.arange(len(safe))
        listed = [arrived[safe[:, k], every] * ~empty[:, k, None] for k in range(n_slots)]
        fine, coarse = np.ones(safe.shape), np.ones(safe.shape)
        for k in range(n_slots):
            before = count.copy()
            for other in range(n_slots):
                if other != k:
                    _add_arrival(before, listed[other])
            fine[:, k], coarse[:, k] = _integrate(which(before, k), log_rate[safe[:, k], every], spread)
        fine[empty] = coarse[empty] = 1.0
        error = max(error, ROUNDING + float(np.abs(fine - coarse).max(initial=0.0)) ** 2)
        chance[part] = fine
    return chance, error


def marginal_table(logw: F64, n_slots: int) -> tuple[F64, float]:
    """P(candidate c at slot k) for every candidate, (N, C, K) float64, and its stated error; for small N.

    Each column sums to one where at least K candidates exist.
    """
    n, n_candidates = logw.shape
    table, error = np.empty((n, n_candidates, n_slots)), 0.0
    log_rate, spread = _race(logw, n_slots)
    arrived = _arrived(log_rate)
    for c in range(n_candidates):
        count = _counts(np.delete(arrived, c, axis=0), n_slots)
        for k in range(n_slots):
            table[:, c, k], coarse = _integrate(count[k], log_rate[c], spread)
            error = max(error, ROUNDING + float(np.abs(table[:, c, k] - coarse).max()) ** 2)
    return table, error


def _rows_at_once(logw: F64, n_slots: int) -> int:
    """CHUNK, or fewer rows where scores of a huge scale need so many nodes that memory would grow with them."""
    n_nodes = len(_nodes(logw, n_slots))
    return max(1, min(CHUNK, CELLS // (int(logw.shape[1]) * n_nodes)))


def _nodes(logw: F64, n_slots: int) -> F64:
    """The nodes x, up to where more than K items have surely arrived in every row."""
    rank = max(0, logw.shape[1] - n_slots - 1)
    enough = np.partition(logw, rank, axis=1)[:, rank]
    last = np.where(np.isneginf(enough), np.where(np.isneginf(logw), np.inf, logw).min(axis=1), enough)
    return np.arange(-3.0, 1.0 + SURELY - float(last.min(initial=0.0)), STEP)


def _race(logw: F64, n_slots: int) -> tuple[F64, F64]:
    """Log of rate times node time, (C, n, G), and the spread of the nodes dt / (t dx), (G,).

    t = exp(x - exp(-x) - 1): weights sum to one, so arrivals begin at about t = 1, where the nodes are already evenly
    spread in log t.
    """
    x = _nodes(logw, n_slots)
    return logw.T[:, :, None] + (x - np.exp(-x) - 1.0), 1.0 + np.exp(-x)


def _arrived(log_rate: F64) -> F64:
    """P(arrived by the node's time)."""
    return -np.expm1(-np.exp(np.minimum(log_rate, 6.5)))


def _counts(arrived: F64, n_slots: int) -> F64:
    """P(exactly m of the items have arrived), m < K, at each node: (C, n, G) -> (K, n, G)."""
    count = np.zeros((n_slots, *arrived.shape[1:]))
    count[0] = 1.0
    for p in arrived:
        _add_arrival(count, p)
    return count


def _add_arrival(count: F64, p: F64) -> None:
    for m in range(len(count) - 1, 0, -1):
        count[m] += p * (count[m - 1] - count[m])
    count[0] -= p * count[0]


def _integrate(before: F64, log_rate: F64, spread: F64) -> tuple[F64, F64]:
    """The integral over the item's own arrival time, with all nodes and with every second one."""
    capped = np.minimum(log_rate, 6.5)  # by then it has surely arrived
    density = np.exp(capped - np.exp(capped)) * spread
    value = before * density  # (n, G)
    return STEP * value.sum(axis=1), 2.0 * STEP * value[:, ::2].sum(axis=1)

"""Weights of the pseudoinverse estimator: uniform loggers in closed form, small Plackett-Luce loggers by enumeration.

Let 1_s be the indicators of "item a stands at slot k" of a slate s, Gamma = E_logger[1 1^T] and theta = E_target[1].
The weight of a logged slate is theta^T pinv(Gamma) 1_s, and the estimate the mean of weight times total reward.
Unbiased where the expected total reward is a sum over slots, sum_k phi(x, s_k, k), and the logger could show whatever
the target shows; it need not be known which slot earned what. Else it estimates the value of the nearest such sum.

Gamma holds the chances of *pairs* of slots. The product of the marginals in its place, E[1] E[1]^T, has rank one, and
gives every target the logger's own value.

Swaminathan, Krishnamurthy, Agarwal, Dudik, Langford, Jose and Zitouni, "Off-policy evaluation for slate
recommendation" (2017).
"""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_SLATES = 1_000  # of a page, that Gamma is enumerated over
_CUTOFF = 1e-11  # of eigenvalues of Gamma against the largest: below they are the directions that no slate has
_CELLS = 4_000_000  # numbers held at once


def uniform_weights(n_candidates: Ints, n_shown: Ints, at_slot: Floats, anywhere: Floats) -> Floats:
    """Weights where the logger drew its slates uniformly without replacement.

    With m candidates, l slots, q_k(a) the target's chance of item a at slot k, and Q(a) its sum over slots:
    w = sum_k [(m - 1) q_k(s_k) + ((m - 1) Q(s_k) - (l - 1)) / (m - l)] - (l - 1); where m = l the fraction is 1 / m.
    (Solve Gamma z = q with the blocks I / m and (1 - I) / (m (m - 1)), sum z over the slate.)

    Args:
        n_candidates: m of each row, (N,).
        n_shown: l of each row, (N,).
        at_slot: The target's chance of each logged item at its slot, (N, K); whatever at empty slots.
        anywhere: The target's chance of it at any slot, (N, K); whatever at empty slots.

    Returns:
        (N,); 1 for rows without a slate or with one candidate.
    """
    m, n = n_candidates[:, None].astype(np.float64), n_shown[:, None].astype(np.float64)
    shown = np.arange(at_slot.shape[1]) < n
    left = np.maximum(m - n, 1.0)
    spread = np.where(m > n, ((m - 1.0) * anywhere - (n - 1.0)) / left, 1.0 / np.maximum(m, 1.0))
    made = (np.where(shown, (m - 1.0) * at_slot + spread, 0.0)).sum(axis=1) - (n[:, 0] - 1.0)
    return np.where((n[:, 0] == 0) | (m[:, 0] == 1), 1.0, made)


def plackett_luce_weights(logger: Floats, target: Floats, slate: npt.NDArray[np.integer]) -> Floats:
    """Weights where the logger is Plackett-Luce, from every slate of every page.

    Args:
        logger: Its weights of the candidates, (N, C), positive; 0 at holes.
        target: The chance of each slate under the target, by its Plackett-Luce weights (N, C), 0 at holes.
        slate: Logged positions, (N, K), -1 for an empty slot.

    Returns:
        (N,).

    Raises:
        UserError: If a page has more than MAX_SLATES slates.
    """
    made = np.ones(len(slate))
    n_here = (logger > 0.0).sum(axis=1)
    for m in np.unique(n_here[n_here > 0]):
        depth = min(slate.shape[1], int(m))
        _refuse_many(int(m), depth)
        slates = np.array(list(permutations(range(m), depth)))  # (S, l)
        rows = np.flatnonzero(n_here == m)
        at_once = max(1, _CELLS // (len(slates) * m * depth))
        for first in range(0, len(rows), at_once):
            part = rows[first : first + at_once]
            here = np.argsort(logger[part] <= 0.0, axis=1, kind="stable")[:, :m]  # (n, m) positions of candidates
            chances = [slate_chances(np.take_along_axis(p[part], here, axis=1), slates) for p in (logger, target)]
            every = moment_weights(chances[0], chances[1], slates, int(m))  # (n, S)
            place = (here[:, :, None] == slate[part][:, None, :depth]).argmax(axis=1)  # (n, l)
            which = (slates[None] == place[:, None, :]).all(axis=2).argmax(axis=1)
            made[part] = every[np.arange(len(part)), which]
    return made


def slate_chances(weight: Floats, slates: Ints) -> Floats:
    """P(slate) of all slates (S, l) under Plackett-Luce weights (n, m), (n, S)."""
    chance = np.ones((len(weight), len(slates)))
    left = np.ones((len(slates), weight.shape[1]))
    every = np.arange(len(slates))
    for k in range(slates.shape[1]):
        chance *= weight[:, slates[:, k]] / np.maximum(weight @ left.T, 1e-300)
        left[every, slates[:, k]] = 0.0
    return chance


def moment_weights(logger: Floats, target: Floats, slates: Ints, n_candidates: int) -> Floats:
    """theta^T pinv(Gamma) 1_s of every slate, for any two policies over them.

    Args:
        logger: P(slate) under the logger, (n, S).
        target: P(slate) under the target, (n, S).
        slates: (S, l) items 0 to m - 1.
        n_candidates: m.

    Returns:
        (n, S).
    """
    n_slates, depth = slates.shape
    shown = np.zeros((n_slates, depth * n_candidates))
    shown[np.arange(n_slates)[:, None], slates + n_candidates * np.arange(depth)] = 1.0
    gamma = np.einsum("ns,si,sj->nij", logger, shown, shown, optimize=True)
    inverse = np.linalg.pinv(gamma, rcond=_CUTOFF, hermitian=True)
    made: Floats = np.einsum("ni,nij,sj->ns", target @ shown, inverse, shown, optimize=True)
    return made


def _refuse_many(n_candidates: int, depth: int) -> None:
    count = math.perm(n_candidates, depth)
    if count > MAX_SLATES:
        raise UserError(
            f"the pseudoinverse of a Plackett-Luce logger needs the chances of all pairs of slots, here by going "
            f"through every slate of a page; a page of {n_candidates} candidates and {depth} slots has {count:,}, "
            f"expected at most {MAX_SLATES:,}. Log uniformly (any size is exact there), or use 'cascade-dr' or "
            "'dr-item'."
        )

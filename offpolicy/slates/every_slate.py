"""Every slate of a page: the chances that two Plackett-Luce policies give to each, where a page has few enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]

MAX_SLATES = 1_000  # of a page
_CELLS = 4_000_000  # numbers held at once


def of_logged_slates(
    logger: Floats,
    target: Floats,
    slate: npt.NDArray[np.integer],
    weigh: Callable[[Floats, Floats, Ints, Rows, Rows], Floats],
    need: str,
    instead: str,
) -> Floats:
    """A weight of each logged slate that takes all slates of its page to compute.

    Args:
        logger: Its Plackett-Luce weights of the candidates, (N, C), positive; 0 at holes.
        target: The same of the target.
        slate: Logged positions, (N, K), -1 for an empty slot.
        weigh: Weights of every slate of some pages, (n, S), from P(slate) under the logger (n, S), under the target
            (n, S), the slates (S, l) as numbers 0 to m - 1, the rows of these pages (n,), and the positions of their
            candidates (n, m) to which those numbers point.
        need: What the sum over slates is for, of the message where a page has too many.
        instead: What to do there.

    Returns:
        (N,); 1 where a page has no candidates.

    Raises:
        UserError: If a page has more than MAX_SLATES slates.
    """
    made = np.ones(len(slate))
    n_here = (logger > 0.0).sum(axis=1)
    for m in np.unique(n_here[n_here > 0]).tolist():
        depth = min(slate.shape[1], m)
        if math.perm(m, depth) > MAX_SLATES:
            raise UserError(
                f"{need}; a page of {m} candidates and {depth} slots has {math.perm(m, depth):,}, expected at most "
                f"{MAX_SLATES:,}. {instead}"
            )
        slates = np.array(list(permutations(range(m), depth)))
        rows = np.flatnonzero(n_here == m)
        at_once = max(1, _CELLS // (len(slates) * m * depth))
        for first in range(0, len(rows), at_once):
            part = rows[first : first + at_once]
            here = np.argsort(logger[part] <= 0.0, axis=1, kind="stable")[:, :m]
            of_logger, of_target = (
                slate_chances(np.take_along_axis(p[part], here, axis=1), slates) for p in (logger, target)
            )
            every = weigh(of_logger, of_target, slates, part, here)
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

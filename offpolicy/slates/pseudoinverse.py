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

import numpy as np
import numpy.typing as npt

from offpolicy.slates.every_slate import Rows, of_logged_slates

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CUTOFF = 1e-11  # of eigenvalues of Gamma against the largest: below they are the directions that no slate has


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
        UserError: If a page has more than `every_slate.MAX_SLATES` slates.
    """

    def weigh(of_logger: Floats, of_target: Floats, slates: Ints, _: Rows, here: Rows) -> Floats:
        return moment_weights(of_logger, of_target, slates, here.shape[1])

    return of_logged_slates(
        logger,
        target,
        slate,
        weigh,
        "the pseudoinverse of a Plackett-Luce logger needs the chances of all pairs of slots, here by going through "
        "every slate of a page",
        "Log uniformly (any size is exact there), or use 'cascade-dr' or 'dr-item'.",
    )


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

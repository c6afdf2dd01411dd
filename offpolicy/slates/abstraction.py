"""Abstractions of slates: what a page is about in place of which items stand where.

Let phi(s) be an abstraction of a slate, such as how many items of each category it shows. The weight of a logged slate
is P_target(phi) / P_logger(phi), far smaller than that of the slate itself, since many slates share a phi. Right where
the reward depends on the slate through phi alone. Else the estimate is the value of a policy that chooses phi as the
target does and the slate of that phi as the logger does,

    E[V] = sum_phi P_target(phi) E_logger[r | phi],

so what the target does better inside of phi is lost, and the log cannot tell how much that is. Kiyohara, Nomura and
Saito, "Off-policy evaluation of slate bandit policies via optimizing abstraction" (2024), who learn phi by a network;
here it is given.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.slates.every_slate import Rows, of_logged_slates

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def abstraction_weights(logger: Floats, target: Floats, group: Ints) -> Floats:
    """P_target(phi) / P_logger(phi) of every slate, for any two policies over them.

    Args:
        logger: P(slate) under the logger, (n, S).
        target: P(slate) under the target, (n, S).
        group: phi of each slate as a number from 0, (n, S).

    Returns:
        (n, S); 0 where the logger never shows phi.
    """
    n, size = len(group), int(group.max()) + 1
    flat = (group + size * np.arange(n)[:, None]).ravel()
    of_logger, of_target = (
        np.bincount(flat, weights=chance.ravel(), minlength=n * size)[flat].reshape(group.shape)
        for chance in (logger, target)
    )
    made: Floats = np.divide(of_target, of_logger, out=np.zeros_like(of_target), where=of_logger > 0.0)
    return made


def labels_shown(label: Ints, slates: Ints) -> Ints:
    """How many items of each label a slate shows, as a number from 0: equal where slates show alike; (n, S).

    Args:
        label: Of each candidate, (n, m); any integers.
        slates: (S, l) candidates.
    """
    _, codes = np.unique(label, return_inverse=True)
    sorted_codes = np.sort(codes.reshape(label.shape)[:, slates], axis=2)  # (n, S, l)
    made = np.zeros(sorted_codes.shape[:2], dtype=np.int64)
    for k in range(slates.shape[1]):  # after each slot numbers are made dense again, so that they cannot overflow
        _, made = np.unique(made * (int(codes.max()) + 1) + sorted_codes[:, :, k], return_inverse=True)
        made = made.reshape(sorted_codes.shape[:2])
    return made


def plackett_luce_abstractions(logger: Floats, target: Floats, slate: npt.NDArray[np.integer], label: Ints) -> Floats:
    """Weights of logged slates where both policies are Plackett-Luce and phi is how many of each label are shown.

    Args:
        logger: Its weights of the candidates, (N, C), positive; 0 at holes.
        target: The same of the target.
        slate: Logged positions, (N, K), -1 for an empty slot.
        label: Of each candidate, such as its category, (N, C).

    Returns:
        (N,).

    Raises:
        UserError: If a page has more than `every_slate.MAX_SLATES` slates.
    """

    def weigh(of_logger: Floats, of_target: Floats, slates: Ints, part: Rows, here: Rows) -> Floats:
        group = labels_shown(np.take_along_axis(label[part], here, axis=1), slates)
        return abstraction_weights(of_logger, of_target, group)

    return of_logged_slates(
        logger,
        target,
        slate,
        weigh,
        "the chance of what a page is about is summed over all of its slates",
        "Use 'cascade-dr' or 'dr-item', or give the ratio yourself as the column `abstraction` of the evidence.",
    )

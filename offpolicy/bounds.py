"""The largest importance weight that two policies allow, from their floors: a fact about them, not about a log.

A Plackett-Luce ranker with floor f over C candidates gives every candidate at least f / C of the weight. With k items
taken, each of which had at least that, what is left is at most 1 - k f / C, so the item at slot k (from 0) had

    p(slot k | above) >= (f / C) / (1 - k f / C) = f / (C - k f),

and a whole slate's weight is at most prod_k (C - k f) / f, whatever the target policy does. At f = 1 (uniform logging)
that is C (C - 1) ... exactly. A target with a floor of its own is never certain, which lowers the bound a little; then
a page of few candidates can allow more than one of many, so the bound is that of the worst page of at most C.
"""

from __future__ import annotations

from simenv.errors import UserError


def max_weight_from_floors(floor: float, n_candidates: int, n_slots: int, target_floor: float = 0.0) -> float:
    """The largest weight of a slate drawn by a Plackett-Luce logger with a floor.

    Args:
        floor: Of the logger, in (0, 1].
        n_candidates: C, the most candidates of any row.
        n_slots: K, at most C.
        target_floor: Of the target where it is a Plackett-Luce ranker too; 0 for any other.

    Raises:
        UserError: If a floor is out of range or 0 (weights then have no bound), or K exceeds C.
    """
    if not 0.0 < floor <= 1.0 or not 0.0 <= target_floor <= 1.0:
        raise UserError(
            f"floors are {floor:g} and {target_floor:g}; expected 0 < floor <= 1 for the logger, since without one a "
            "weight can be as large as it likes, and 0 to 1 for the target. Else declare max_weight, if it is known."
        )
    if not 1 <= n_slots <= n_candidates:
        raise UserError(f"n_slots is {n_slots} for {n_candidates} candidates; expected 1 to that many.")
    return max(_of_page(floor, m, min(n_slots, m), target_floor) for m in range(1, n_candidates + 1))


def _of_page(floor: float, n_candidates: int, n_slots: int, target_floor: float) -> float:
    """The same for a page of just so many candidates."""
    bound = 1.0
    for k in range(min(n_slots, n_candidates - 1)):  # the last candidate left is shown for certain, by both
        rest = n_candidates - k - 1  # candidates that neither stand above nor here
        most = 1.0 - rest * target_floor / (n_candidates - k * target_floor)
        bound *= most * (n_candidates - k * floor) / floor
    return bound

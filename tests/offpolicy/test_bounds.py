"""The largest weight that floors allow: never passed by enumeration, and reached where it should be."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from offpolicy.bounds import max_weight_from_floors
from simenv.errors import UserError


def slate_probabilities(strength: np.ndarray[tuple[int], np.dtype[np.float64]], n_slots: int) -> list[float]:
    made = []
    for slate in permutations(range(len(strength)), n_slots):
        p, left = 1.0, 1.0
        for item in slate:
            p, left = p * strength[item] / max(left, 1e-9), left - strength[item]
        made.append(p)
    return made


@pytest.mark.parametrize("target_floor", [0.0, 0.3])
@pytest.mark.parametrize("floor", [0.1, 0.5])
def test_no_enumerated_slate_passes_the_bound(floor: float, target_floor: float) -> None:
    rng = np.random.default_rng(0)
    bound, largest = max_weight_from_floors(floor, 5, 3, target_floor), 0.0
    for _ in range(60):
        logger = (1 - floor) * rng.dirichlet(np.full(5, 0.05)) + floor / 5
        target = (1 - target_floor) * rng.dirichlet(np.full(5, 0.05)) + target_floor / 5
        ratio = np.divide(slate_probabilities(target, 3), slate_probabilities(logger, 3))
        largest = max(largest, float(ratio.max()))
    assert largest <= bound * (1 + 1e-12)
    assert largest > bound / 50  # not idle either


def test_uniform_logging_is_bounded_by_the_number_of_slates() -> None:
    assert max_weight_from_floors(1.0, 8, 3) == pytest.approx(336.0)
    assert max_weight_from_floors(0.5, 4, 1) == pytest.approx(8.0)
    assert max_weight_from_floors(1.0, 4, 2, target_floor=1.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("floor", "n", "k", "told"), [(0.0, 5, 2, "without one"), (0.1, 2, 3, "n_slots is 3")])
def test_no_floor_is_no_bound(floor: float, n: int, k: int, told: str) -> None:
    with pytest.raises(UserError, match=told):
        max_weight_from_floors(floor, n, k)


def test_a_page_of_fewer_candidates_does_not_pass_the_bound() -> None:
    """With floors on both sides the worst page has 4 of at most 10 candidates: 2.7e6, where pages of 10 allow 1.8e6."""
    floor, target_floor, n_here = 0.01, 0.99, 4
    logger, target = np.full(n_here, floor / n_here), np.full(n_here, target_floor / n_here)
    logger[3] += 1 - floor
    target[0] += 1 - target_floor
    ratio = np.divide(slate_probabilities(target, 3), slate_probabilities(logger, 3))
    assert ratio.max() > 2.7e6
    assert ratio.max() <= max_weight_from_floors(floor, 10, 3, target_floor) * (1 + 1e-12)


def test_the_last_candidate_is_shown_for_certain() -> None:
    assert max_weight_from_floors(0.1, 2, 2) == max_weight_from_floors(0.1, 2, 1) == pytest.approx(20.0)

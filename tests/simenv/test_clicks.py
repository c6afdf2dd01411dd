"""Click models agree with enumeration of everything that can happen on a page."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simenv.clicks import Cascade, PositionBased

attractions = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5)


def patterns(n_slots: int) -> np.ndarray:
    return np.array(list(itertools.product([False, True], repeat=n_slots)))


@given(attractions, st.floats(0.0, 1.0))
def test_a_position_based_page_is_independent_coins(attraction: list[float], steepness: float) -> None:
    n = len(attraction)
    examination = tuple((k + 1.0) ** -steepness for k in range(n))
    model, every = PositionBased(examination), patterns(n)
    p = np.array(attraction) * examination
    expected = np.prod(np.where(every, p, 1 - p), axis=1)
    got = np.exp(model.log_prob(np.tile(attraction, (len(every), 1)), every))
    np.testing.assert_allclose(got, expected, atol=1e-12)
    np.testing.assert_allclose(model.click_probability(np.array([attraction]))[0], p, atol=1e-15)


@given(attractions, st.floats(0.0, 1.0))
def test_a_cascade_is_the_walk_that_its_docstring_tells(attraction: list[float], continuation: float) -> None:
    """Every walk is enumerated: at each slot attracted or not, then on or not."""
    n, model = len(attraction), Cascade(continuation)
    expected = {tuple(pattern): 0.0 for pattern in patterns(n).tolist()}

    def walk(slot: int, chance: float) -> None:
        none = [False] * n
        if slot == n:
            expected[tuple(none)] += chance
            return
        clicked = none.copy()
        clicked[slot] = True
        expected[tuple(clicked)] += chance * attraction[slot]
        passed = chance * (1 - attraction[slot])
        if slot + 1 < n:
            expected[tuple(none)] += passed * (1 - continuation)
            walk(slot + 1, passed * continuation)
        else:
            expected[tuple(none)] += passed

    walk(0, 1.0)
    every = patterns(n)
    got = np.exp(model.log_prob(np.tile(attraction, (len(every), 1)), every))
    np.testing.assert_allclose(got, [expected[tuple(pattern)] for pattern in every.tolist()], atol=1e-12)
    marginal = (got[:, None] * every).sum(axis=0)
    np.testing.assert_allclose(model.click_probability(np.array([attraction]))[0], marginal, atol=1e-12)


@given(attractions, st.integers(0, 2**32 - 1))
def test_a_cascade_reads_from_the_top_and_stops_at_its_click(attraction: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiled = np.tile(attraction, (50, 1))
    examined, clicked = Cascade(0.9).sample(tiled, rng.random(tiled.shape), rng.random(tiled.shape))
    assert (clicked.sum(axis=1) <= 1).all()
    assert (examined[:, 1:] <= examined[:, :-1]).all()
    assert not (clicked[:, :-1] & examined[:, 1:]).any()
    assert examined[:, 0].all()


def test_two_clicks_are_impossible_under_a_cascade() -> None:
    assert Cascade().log_prob(np.array([[0.5, 0.5]]), np.array([[True, True]]))[0] == -np.inf


def test_a_page_longer_than_the_examination_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="the slate has 3 slots and examination is given for 2"):
        PositionBased((1.0, 0.5)).click_probability(np.ones((1, 3)))


@pytest.mark.parametrize("model", [PositionBased((1.0, 0.5, 0.2)), Cascade(0.9)], ids=lambda model: model.name)
def test_single_precision_attractions_give_probabilities(model: PositionBased | Cascade) -> None:
    attraction = np.random.default_rng(0).random((500, 3)).astype(np.float32)
    p = model.click_probability(attraction)
    assert ((p >= 0) & (p <= 1)).all()

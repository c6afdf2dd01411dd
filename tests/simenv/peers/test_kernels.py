"""The compiled market is the numpy one: bits where they are promised, a few ulp elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from simenv import hashing
from simenv.peers.check import check_peer_world
from simenv.peers.interest_evolution import Draw, InterestEvolution, State, page_key
from simenv.peers.peer_world import filled_slots
from simenv.peers.play import play
from simenv.peers.worlds import PEER_WORLDS

pytest.importorskip("numba", reason="compiled markets need numba")

NEAR = 1e-6  # from its threshold, where an event may fall either way
ULPS = 8


def nearness(world: InterestEvolution, state: State, slate: np.ndarray) -> np.ndarray:
    """How far the choice and the flip of each row are from their next thresholds, as uniforms."""
    key, row = page_key(state), np.arange(len(state.user))[:, None]
    topic = world.observe(state)["topic"][row, np.where(slate < 0, 0, slate)]
    interest = state.interest[row, topic].astype(float)
    reach = np.cumsum(np.where(filled_slots(slate, world.n_candidates), interest + 1.0, 0.0), axis=1)
    choice = hashing.uniform(hashing.absorb(key, Draw.CHOICE))[:, None] - reach / (reach[:, -1:] + 2.0)
    flip = hashing.uniform(hashing.absorb(key, Draw.FLIP))[:, None] - (interest + 1.0) / 2.0
    return np.minimum(np.abs(choice).min(axis=1), np.abs(flip).min(axis=1))


@pytest.mark.parametrize("sizes", [(10, 3), (100, 10), (5, 5)])
def test_every_page_is_played_alike(sizes: tuple[int, int]) -> None:
    """Both backends step from the same states; slates hold repeats and empty slots too."""
    world = InterestEvolution(*sizes)
    compiled = world.fastest()
    assert compiled is not world
    rng = np.random.default_rng(0)
    state, n_near, n_differ = world.begin(5, np.arange(2000)), 0, 0
    for _ in range(60):
        one, two = world.observe(state), compiled.observe(state)
        assert all(np.array_equal(one[name], two[name]) and one[name].dtype == two[name].dtype for name in one)
        slate = rng.integers(-1, world.n_candidates, (2000, world.n_slots))
        (after, outcome), (other_after, other) = world.step(state, slate), compiled.step(state, slate)
        near = nearness(world, state, slate) < NEAR
        differ = (outcome.told["clicked"] != other.told["clicked"]).any(axis=1)
        differ |= np.abs(after.interest - other_after.interest).max(axis=1) > 1e-6
        differ |= outcome.terminated != other.terminated
        assert not (differ & ~near & (np.abs(after.budget) > NEAR)).any()
        n_near, n_differ = n_near + near.sum(), n_differ + differ.sum()
        same = ~differ
        for a, b in (
            (after.budget, other_after.budget), (after.interest, other_after.interest), (outcome.reward, other.reward),
            (outcome.expected, other.expected), (outcome.told["quality"], other.told["quality"]),
        ):  # fmt: skip
            np.testing.assert_array_max_ulp(np.nan_to_num(a[same]), np.nan_to_num(b[same]), maxulp=ULPS)
        assert np.array_equal(outcome.told["topic"][same], other.told["topic"][same])
        assert np.array_equal(after.step, other_after.step)
        state = after
    # K + 1 thresholds a page, each with a neighbourhood of 2e-6; ten times that is more than chance gives.
    assert n_near <= 10 * (1 + 120_000 * (world.n_slots + 1) * 2 * NEAR)
    assert n_differ <= n_near


def test_the_compiled_market_keeps_the_contract() -> None:
    check_peer_world(InterestEvolution(20, 4).fastest())


@pytest.mark.parametrize("ranker", ["random", "topic-quality"])
def test_whole_lives_are_alike(ranker: str) -> None:
    """A life that met a threshold may go another way; of 500 with this seed none does."""
    world, by = InterestEvolution(), PEER_WORLDS["interest-evolution"].rankers[ranker]
    one, two = play(world, by, 0, np.arange(500)), play(world.fastest(), by, 0, np.arange(500))
    np.testing.assert_allclose(one.returns, two.returns, rtol=1e-12)
    assert np.array_equal(one.steps, two.steps)

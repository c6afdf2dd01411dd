"""Long-term satisfaction: RecSim's returns, and the trade-off that its defaults lack."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simenv.errors import UserError
from simenv.peers.check import check_peer_world
from simenv.peers.long_term_satisfaction import LongTermSatisfaction
from simenv.peers.play import play
from simenv.peers.rankers import LEAST_CLICKBAIT, MOST_CLICKBAIT, ORACLE, at_random


def test_the_market_keeps_the_contract() -> None:
    check_peer_world(LongTermSatisfaction())


@pytest.mark.parametrize(("sizes", "recsim"), [((20, 2), (944, 24)), ((50, 3), (941, 23))])
def test_random_returns_are_those_measured_on_recsim(sizes: tuple[int, int], recsim: tuple[float, float]) -> None:
    """RecSim 0.2.4, 200 users and the half-width of the 95% interval; the difference lies within its own."""
    lives = play(LongTermSatisfaction(*sizes), at_random(sizes[0]), 0, np.arange(2000))
    assert abs(lives.mean - recsim[0]) < math.hypot(recsim[1], 1.96 * lives.stderr)
    assert (lives.steps == 60).all()


def test_clickbait_pays_until_users_are_sensitive_to_it() -> None:
    """Differences of twins, many standard errors wide: the sign turns between sensitivities 0.01 and 0.1."""
    users = np.arange(500)
    for sensitivity, sign in ((0.01, 1.0), (0.1, -1.0)):
        world = LongTermSatisfaction(sensitivity=sensitivity)
        most, least = play(world, MOST_CLICKBAIT, 0, users), play(world, LEAST_CLICKBAIT, 0, users)
        gain = sign * (most.returns - least.returns)
        assert gain.mean() > 5 * gain.std() / math.sqrt(len(users))
        assert np.array_equal(most.returns, play(world, ORACLE, 0, users).returns)


def test_clickbait_sours_and_its_opposite_sweetens() -> None:
    world = LongTermSatisfaction(n_candidates=100, n_slots=1, innovation_sd=0.0)
    state = world.begin(0, np.arange(50))
    bait = world.observe(state)["clickbait"]
    for slate, sign in ((bait.argmax(axis=1), -1), (bait.argmin(axis=1), 1)):
        after, _ = world.step(state, slate[:, None])
        shown = np.take_along_axis(bait, slate[:, None], axis=1)[:, 0]
        assert np.array_equal(after.last_clickbait, shown)
        np.testing.assert_allclose(after.exposure - 0.7 * state.exposure, -2 * (shown.astype(float) - 0.5), atol=1e-12)
        assert (np.sign(after.exposure - 0.7 * state.exposure) == sign).all()


def test_the_first_filled_slot_is_consumed() -> None:
    world = LongTermSatisfaction()
    state = world.begin(0, np.arange(20))
    one, two = world.step(state, np.tile([-1, 5], (20, 1)))[1], world.step(state, np.tile([5, 3], (20, 1)))[1]
    assert np.array_equal(one.reward, two.reward)
    assert one.told["clicked"].tolist() == [[False, True]] * 20
    assert two.told["clicked"].tolist() == [[True, False]] * 20


def test_a_memory_that_never_fades_is_refused() -> None:
    with pytest.raises(UserError, match="memory 1"):
        LongTermSatisfaction(memory=1.0)

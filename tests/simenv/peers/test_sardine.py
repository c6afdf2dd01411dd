"""SARDINE with its mistakes put right: influence per axis, an anti-oracle that is one, truncation at the horizon."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from simenv.errors import UserError
from simenv.peers.check import check_peer_world
from simenv.peers.play import play
from simenv.peers.rankers import ANTI_ORACLE, ORACLE, at_random, best, sparing_oracle
from simenv.peers.sardine import Sardine

SMALL = Sardine(n_candidates=80, n_slots=6, horizon=30)


@pytest.mark.parametrize(
    "world",
    [
        SMALL,
        Sardine(n_candidates=30, n_slots=10, boredom="topic", bored_penalty=True, horizon=20),
        Sardine(n_candidates=10, offset=0.3, slope=5.0, decay=0.7, mixed_examination=True, same_topic_penalty=2.0),
    ],
)
def test_the_market_keeps_the_contract(world: Sardine) -> None:
    check_peer_world(world)


def test_one_item_a_page_without_dynamics_is_known_exactly() -> None:
    """As measured on the peer: the greedy oracle gets a click a page. Its anti-oracle did too; ours gets none."""
    world = Sardine(n_slots=1, inertia=1.0, boredom_clicks=11)
    assert play(world, ORACLE, 0, np.arange(20)).returns.tolist() == [100.0] * 20
    assert play(world, ANTI_ORACLE, 0, np.arange(20)).returns.tolist() == [0.0] * 20


def test_sparing_users_beats_showing_them_the_best() -> None:
    """Twins, 60 users: the sparing oracle ahead of the greedy one, that ahead of random, by five standard errors."""
    world, users = Sardine(), np.arange(60)
    sparing, greedy, anyhow = (
        play(world, ranker, 0, users).returns
        for ranker in (sparing_oracle(world.item_topic, world.boredom_clicks), ORACLE, at_random(1000))
    )
    for more, less in ((sparing, greedy), (greedy, anyhow)):
        gain = more - less
        assert gain.mean() > 5 * gain.std() / np.sqrt(len(users))


def test_users_and_items_are_made_as_published() -> None:
    world = Sardine()
    topics = (world.items > 0).sum(axis=1)
    assert set(topics) == {2, 3}
    assert abs((topics == 2).mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)
    np.testing.assert_allclose(np.linalg.norm(world.items, axis=1), 1.0, rtol=1e-6)
    taste = Sardine(n_candidates=20, inertia=1.0).begin(0, np.arange(3000)).taste
    count = np.bincount((taste > 0).sum(axis=1), minlength=6)
    assert count[:3].sum() == 0
    assert len(count) == 6
    # Given three to five of ten topics with chance 0.4 each: 0.322, 0.376, 0.301.
    np.testing.assert_allclose(count[3:] / 3000, [0.3223, 0.3760, 0.3008], atol=5 * 0.5 / np.sqrt(3000))


def test_a_click_draws_taste_toward_what_was_clicked() -> None:
    """The new direction is the published formula with the mean per axis, and turns toward that mean."""
    world = Sardine(boredom_clicks=11)
    state = world.begin(0, np.arange(300))
    slate = best(world.truth(state), world.n_slots)
    after, outcome = world.step(state, slate)
    turned = 0
    for row in range(300):
        clicked = slate[row, outcome.told["clicked"][row]]
        if not len(clicked):
            assert np.array_equal(after.taste[row], state.taste[row])
            continue
        mean = world.items[clicked].astype(float).mean(axis=0)
        expected = 0.95 * state.taste[row] + 0.05 * mean
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(after.taste[row], expected, atol=1e-6)
        turned += after.taste[row] @ mean >= state.taste[row] @ mean - 1e-6
    assert turned > 250


def test_boredom_is_that_of_a_queue_in_plain_python() -> None:
    """One user at a time with queues and timers, as the peer tells it, given the clicks that the market drew."""
    world = Sardine(n_slots=8, boredom_clicks=3, memory=7, boredom="topic")
    users, rng = np.arange(30), np.random.default_rng(0)
    state = world.begin(0, users)
    recent: list[deque[tuple[int, int]]] = [deque(maxlen=7) for _ in users]
    bored, left = np.zeros((30, 10), bool), np.full((30, 10), 5)
    n_bored = 0
    for t in range(60):
        # The market's own first page is already played.
        shown, clicked, step = state.last_slate, state.last_clicked, t
        for user in users:
            for item in shown[user, clicked[user]]:
                recent[user].append((int(world.item_topic[item]), step))
            while recent[user] and recent[user][0][1] < step + 1 - 5:
                recent[user].popleft()
            left[user] -= bored[user]
            bored[user] &= left[user] != 0
            left[user, ~bored[user]] = 5
            counts = np.bincount([topic for topic, _ in recent[user]], minlength=10)
            bored[user, counts >= 3] = True
            np.testing.assert_allclose(world.observe(state)["history"][user], np.minimum(counts / 3, 1), rtol=1e-6)
        assert np.array_equal(state.bored_left > 0, bored)
        assert np.array_equal(state.bored_left[bored], left[bored])
        n_bored += bored.sum()
        mix = best(world.truth(state) * (rng.random((30, 1)) < 0.7) + 0.1 * rng.random((30, 1000)), 8)
        state, _ = world.step(state, mix)
    assert n_bored > 100


def test_the_horizon_truncates_and_never_terminates() -> None:
    state = SMALL.begin(0, np.arange(5))
    for page in range(30):
        state, outcome = SMALL.step(state, np.tile(np.arange(6), (5, 1)))
        assert not outcome.terminated.any()
        assert (outcome.truncated == (page == 29)).all()


def test_the_first_slate_has_no_repeats() -> None:
    first = SMALL.begin(0, np.arange(200)).last_slate
    assert all(len(set(slate)) == 6 for slate in first.tolist())


def test_a_kind_of_boredom_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="expected 'everything' or 'topic'"):
        Sardine(boredom="nothing")  # type: ignore[arg-type]

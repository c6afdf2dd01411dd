"""Interest evolution is RecSim's market: its measured returns, and a plain-Python user written from its description."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable

import numpy as np
import pytest

from simenv.errors import UserError
from simenv.peers.check import check_peer_world
from simenv.peers.interest_evolution import InterestEvolution
from simenv.peers.play import play
from simenv.peers.rankers import BY_TOPIC, Ranker, at_random
from simenv.peers.worlds import PEER_WORLDS

N = 4000
RANKERS = PEER_WORLDS["interest-evolution"].rankers

# Mean return and half-width of its 95% interval, measured on RecSim 0.2.4 at 10 candidates and 3 slots: 1,000 users,
# for the oracle 500.
RECSIM = {"random": (160.04, 0.73), "myopic": (167.97, 1.35), "topic-quality": (264.69, 2.26), "oracle": (266.06, 3.15)}

Order = Callable[[random.Random, list[int]], list[int]]


def plain_life(rng: random.Random, n_candidates: int, n_slots: int, order: Order) -> float:
    """One user of the market, told in plain Python with a generator of its own; minutes watched."""
    means = [-3 + 3 * i / 13 for i in range(14)] + [3 * i / 5 for i in range(6)]
    interest = [rng.uniform(-1, 1) for _ in range(20)]
    budget, watched = 200.0, 0.0
    while budget > 0:
        topics = [rng.randrange(20) for _ in range(n_candidates)]
        slate = [topics[position] for position in order(rng, topics)[:n_slots]]
        chosen = rng.choices([*slate, None], weights=[*(interest[topic] + 1 for topic in slate), 2.0])[0]
        if chosen is None:
            budget -= 0.5
            continue
        minutes = min(budget, 4.0)
        watched += minutes
        budget += -minutes + 0.9 / 3.4 * minutes * rng.gauss(means[chosen], 0.1)
        x = interest[chosen]
        move = 0.3 * (1 - abs(x)) * (1 - x)
        x += move if rng.random() < (x + 1) / 2 else -move
        interest[chosen] = max(-1.0, min(1.0, x))
    return watched


def anyhow(rng: random.Random, topics: list[int]) -> list[int]:
    return rng.sample(range(len(topics)), len(topics))


def by_topic(rng: random.Random, topics: list[int]) -> list[int]:
    return sorted(range(len(topics)), key=lambda position: -topics[position])


@pytest.mark.parametrize("ranker", RECSIM)
def test_returns_are_those_measured_on_recsim(ranker: str) -> None:
    """The difference of two independent means lies within its own 95% interval, from users' standard errors."""
    lives = play(InterestEvolution(), RANKERS[ranker], 0, np.arange(N))
    mean, half_width = RECSIM[ranker]
    assert abs(lives.mean - mean) < math.hypot(half_width, 1.96 * lives.stderr)


@pytest.mark.parametrize(
    ("sizes", "n_plain", "order", "ranker"),
    [
        ((10, 3), 500, anyhow, at_random(10)),
        ((10, 3), 300, by_topic, BY_TOPIC),
        ((100, 10), 200, anyhow, at_random(100)),
        ((100, 10), 80, by_topic, BY_TOPIC),
        ((7, 7), 200, anyhow, at_random(7)),
    ],
)
def test_returns_are_those_of_a_user_in_plain_python(
    sizes: tuple[int, int], n_plain: int, order: Order, ranker: Ranker
) -> None:
    """Means and spreads of two independent samples of users within four standard errors."""
    rng = random.Random(0)
    plain = np.array([plain_life(rng, *sizes, order) for _ in range(n_plain)])
    lives = play(InterestEvolution(*sizes), ranker, 1, np.arange(2000))
    error = math.hypot(plain.std() / math.sqrt(n_plain), lives.stderr)
    assert abs(lives.mean - plain.mean()) < 4 * error
    # The standard error of log(sd) is 1 / sqrt(2 n) for normal samples; returns have lighter tails.
    assert abs(math.log(lives.returns.std() / plain.std())) < 4 * math.sqrt(0.5 / n_plain + 0.5 / len(lives.returns))


@pytest.mark.parametrize("sizes", [(10, 3), (100, 10), (3, 1)])
def test_the_market_keeps_the_contract(sizes: tuple[int, int]) -> None:
    check_peer_world(InterestEvolution(*sizes))


def test_topics_are_even_and_qualities_follow_them() -> None:
    """Chi-square of 20 cells stays below 55, its 1 - 2e-5 quantile; means within five standard errors of 0.1."""
    world = InterestEvolution(n_candidates=100)
    state = world.begin(3, np.arange(1000))
    topic, quality = world.observe(state)["topic"].astype(int), world.truth(state)
    count = np.bincount(topic.ravel(), minlength=20)
    assert ((count - 5000) ** 2 / 5000).sum() < 55
    left = quality - world.topic_quality[topic]
    assert abs(left.mean()) < 5 * 0.1 / math.sqrt(left.size)
    assert abs(left.std() - 0.1) < 5 * 0.1 / math.sqrt(2 * left.size)
    assert world.topic_quality[[0, 13, 14, 19]].tolist() == [-3, 0, 0, 3]


def test_what_is_told_is_what_happened() -> None:
    world = InterestEvolution()
    state = world.begin(0, np.arange(500))
    page, quality = world.observe(state), world.truth(state)
    slate = np.tile([4, 0, 7], (500, 1))
    after, outcome = world.step(state, slate)
    watched = outcome.told["clicked"].any(axis=1)
    assert 0.4 < watched.mean() < 0.8
    position = slate[watched, outcome.told["clicked"][watched].argmax(axis=1)]
    rows = np.flatnonzero(watched)
    assert np.array_equal(outcome.told["topic"][rows], page["topic"][rows, position])
    assert np.array_equal(outcome.told["quality"][rows], quality[rows, position])
    assert np.isnan(outcome.told["quality"][~watched]).all()
    assert (outcome.told["topic"][~watched] == -1).all()
    assert np.array_equal(outcome.reward, np.where(watched, 4.0, 0.0))
    changed = after.interest != state.interest
    assert np.array_equal(changed[~watched], np.zeros_like(changed[~watched]))
    assert np.array_equal(changed[rows].argmax(axis=1), page["topic"][rows, position])


@pytest.mark.parametrize(
    ("sizes", "said"),
    [({"n_slots": 11}, "1 <= n_slots <= n_candidates"), ({"n_topics": 200}, "1 to 127"), ({"budget": 0.0}, "positive")],
)
def test_a_market_that_cannot_be_played_is_refused(sizes: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        InterestEvolution(**sizes)  # type: ignore[arg-type]


def test_without_numba_the_fastest_market_is_the_numpy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "simenv.peers.kernels", raising=False)
    world = InterestEvolution()
    assert world.fastest() is world

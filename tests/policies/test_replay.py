"""What is kept of the past: a bounded, even sample by name, whatever the order and the batches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from policies.examples import Examples
from policies.replay import Replay
from simenv import hashing
from simenv.columns import take


def searches(n: int) -> Examples:
    """Searches whose only feature is their number."""
    number = np.arange(n)
    return Examples(
        number.astype(np.float32).reshape(n, 1, 1),
        np.zeros((n, 1), dtype=np.float32),
        np.ones((n, 1), dtype=bool),
        id=hashing.absorb(3, number),
    )


def numbers(replay: Replay) -> np.ndarray:
    kept = replay.kept()
    assert kept is not None
    return kept.features.reshape(-1)


@pytest.mark.parametrize("memory", [100, 10_000])
def test_order_batches_and_repeats_do_not_matter(memory: int) -> None:
    every = searches(1000)
    orders = {"whole": [every], "backwards": [take(every, np.arange(1000)[::-1])],
              "one by one": [take(every, slice(i, i + 1)) for i in range(1000)],
              "twice": [every, take(every, slice(100, 300)), every]}  # fmt: skip
    made = {}
    for name, batches in orders.items():
        replay = Replay(memory, seed=0)
        for batch in batches:
            replay.add(batch)
        made[name] = numbers(replay)
        assert replay.n_seen == 1000
        assert len(made[name]) == min(memory, 1000)
        assert replay.scale() == pytest.approx(max(1.0, 1000 / memory))
    assert all(np.array_equal(made["whole"], other) for other in made.values())
    assert not np.array_equal(np.sort(made["whole"]), made["whole"])


def test_the_sample_is_even() -> None:
    """Of 40,000 searches 4,000 are kept: the mean within five standard errors of the middle, none twice."""
    replay = Replay(4_000, seed=1)
    every = searches(40_000)
    for first in range(0, 40_000, 700):
        replay.add(take(every, slice(first, first + 700)))
    kept = numbers(replay)
    assert abs(kept.mean() - 20_000) < 5 * 40_000 / np.sqrt(12 * 4_000)
    assert len(np.unique(kept)) == 4_000
    other = Replay(4_000, seed=2)
    other.add(every)
    assert 200 < np.isin(numbers(other), kept).sum() < 600


def test_searches_without_names_all_count() -> None:
    replay, nameless = Replay(50, seed=0), dataclasses.replace(searches(40), id=None)
    for _ in range(2):
        replay.add(nameless)
    assert replay.n_seen == 80
    assert len(numbers(replay)) == 50


def test_nothing_seen_is_nothing_kept() -> None:
    assert Replay(5, seed=0).kept() is None

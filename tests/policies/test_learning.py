"""Learning from a log and in the market: halves that never meet, and a past that the future cannot change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.learning import in_half, log_examples
from policies.plackett_luce import conditional
from policies.registry import named_policy, new_learner
from policies.training import Market, Plan, Watch, train
from simenv.catalogue import PublicCatalogue
from simenv.columns import join
from simenv.log import Log, write_log
from simenv.play import play, shopper_range
from simenv.vector_env import SearchVectorEnv
from simenv.world import World
from simenv.worlds import world_params

HALF = [1, 4, 5, 7, 8, 9, 11, 14]  # of the first sixteen shoppers, those of half 0


@pytest.fixture(scope="module")
def log(tiny: World, catalogue: PublicCatalogue, tmp_path_factory: pytest.TempPathFactory) -> Log:
    out = tmp_path_factory.mktemp("logs") / "log"
    return Log.open(write_log(tiny, "tiny", named_policy("production", catalogue), 11, shopper_range(200), out))


def test_halves_part_the_shoppers_evenly_and_forever() -> None:
    """Half of 100,000 within five standard errors; a saved model names its half, so the ids are part of its format."""
    shopper = np.arange(100_000)
    first, second = in_half(shopper, 0), in_half(shopper, 1)
    assert (first ^ second).all()
    assert abs(first.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(shopper))
    assert np.flatnonzero(first[:16]).tolist() == HALF


def test_examples_of_a_log_are_those_of_the_play(log: Log, tiny: World, catalogue: PublicCatalogue) -> None:
    """Same shoppers, same features, same clicks, whichever half is asked for."""
    feature_map = new_learner("linear", catalogue, 3, 0).feature_map
    whole = join(list(log_examples(feature_map, log, None)))
    halves = [join(list(log_examples(feature_map, log, half))) for half in (0, 1)]
    assert len(halves[0]) + len(halves[1]) == len(whole) == log.n_rows
    steps = join(list(play(tiny, named_policy("production", catalogue), 11, shopper_range(200))))
    assert whole.reward.sum() == steps.outcome.clicked.sum()
    assert np.isclose(whole.features.sum(), sum(float(half.features.sum()) for half in halves), rtol=1e-4)
    assert whole.logw is not None
    assert whole.slate is not None
    assert np.allclose(conditional(whole.logw, whole.slate).logp, whole.logp, atol=1e-9)


class Watched(SearchVectorEnv):
    """An environment that remembers what was shown and, from some step on, reports every click as none and back."""

    def __init__(self, lies_from: int) -> None:
        super().__init__(32, world_params("tiny"))
        self.lies_from = lies_from
        self.shown: list[np.ndarray] = []

    def step(self, actions: Any) -> Any:
        self.shown.append(actions.copy())
        *rest, info = super().step(actions)
        if len(self.shown) > self.lies_from:
            info = info | {"clicked": ~info["clicked"]}
        return (*rest, info)


@pytest.mark.parametrize("name", ["linear", "neural-linear"])
def test_future_rewards_cannot_change_past_slates(name: str, catalogue: PublicCatalogue) -> None:
    """Two online runs whose clicks differ from the sixth page on show the same until then, and not for ever."""
    shown = []
    for lies_from in (5, 1000):
        env = Watched(lies_from)
        learner = new_learner(name, catalogue, 3, 0)
        train(learner, Market(learner, env, 3, (0.05, 0.01)), Plan(300, finish_every=200))
        shown.append(env.shown)
    same = [bool((a == b).all()) for a, b in zip(*shown, strict=False)]
    assert all(same[:6])
    assert not all(same)


def test_learning_online_tells_how_far_it_is(catalogue: PublicCatalogue) -> None:
    learner, told = new_learner("linear", catalogue, 3, 0), list[int]()
    env = SearchVectorEnv(32, world_params("tiny"))
    watch = Watch(on_round=lambda now: told.append(now.searches))
    train(learner, Market(learner, env, 3, (0.1, 0.01)), Plan(1000, finish_every=300), watch)
    assert told == sorted(told)
    assert told[-1] == learner.n_searches
    assert 1000 <= learner.n_searches < 1000 + 32
    assert len(told) == 4

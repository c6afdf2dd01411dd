"""Learning curves: what a bandit is worth after so many logged searches, over training seeds.

A training seed draws its own order of the learning half's shoppers and its own start of the network; the value is the
exact expectation over the logger's contexts, on shoppers of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.examples import Examples, batch_examples, in_features_of
from policies.features import FeatureMap
from policies.learning import in_half, learn
from policies.ranking import RankingPolicy, reads_query
from policies.registry import new_learner
from scenarios.candidates import default_exploration, population, seed_of
from scenarios.config import Learning, Scenario
from scenarios.folder import Row
from scenarios.progress import Progress
from simenv import hashing
from simenv.columns import join, take
from simenv.log import Log
from simenv.truth import on_logger_contexts
from simenv.world import World

BATCH = 4096


@dataclass(frozen=True)
class _Pool:
    """Everything that the learning half taught: examples and whose they are."""

    examples: Examples
    shopper: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Point:
    policy: str
    seed: int
    searches: int
    learned: RankingPolicy


def learning_curves(scenario: Scenario, world: World, logger: RankingPolicy, log: Log, progress: Progress) -> list[Row]:
    """The table learning.csv; empty where no learner asks for a curve."""
    asked = [learner for learner in scenario.learners if learner.curve]
    if not asked:
        return []
    catalogue, n_slots = world.catalogue.public(), world.params.n_slots
    untrained = [new_learner(each.policy, catalogue, n_slots, 0, settings=each.settings) for each in asked]
    reads = any(map(reads_query, untrained))
    pool = _pool(log, reads)
    total = sum(learner.curve_seeds * (len(learner.curve) + 1) for learner in asked)
    advance = progress.task("draw learning curves", total)
    points: list[_Point] = []
    for learner in asked:
        for seed in range(learner.curve_seeds):
            order = _order(pool, seed_of(scenario, "training"), seed)
            for size in [n for n in learner.curve if n < len(order)] + [len(order)]:
                points.append(_train(learner, world, pool, order[:size], seed))
                advance(1)
    targets = {f"{place}": point.learned for place, point in enumerate(points)}
    shoppers = population(scenario, world, scenario.truth.curve_shoppers)
    worth = on_logger_contexts(world, logger, targets, seed_of(scenario, "curve"), shoppers, n_draws=1)
    return [
        {
            "policy": point.policy,
            "seed": point.seed,
            "searches": point.searches,
            "value": worth[f"{place}"].value,
            "logger_value": worth[logger.name].value,
        }
        for place, point in enumerate(points)
    ]


def _pool(log: Log, want_query: bool) -> _Pool:
    feature_map = FeatureMap(log.catalogue())
    parts = [
        _Pool(batch_examples(feature_map, batch), batch.page.shopper)
        for batch in log.batches(lambda shopper: in_half(shopper, 0), want_query=want_query)
    ]
    return join(parts)


def _order(pool: _Pool, training_seed: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows by shopper, shoppers in the seed's own order."""
    key = hashing.absorb(hashing.absorb(hashing.stream(training_seed, "order"), seed), pool.shopper)
    return np.argsort(key, kind="stable")


def _train(learner: Learning, world: World, pool: _Pool, rows: npt.NDArray[np.int64], seed: int) -> _Point:
    made = new_learner(learner.policy, world.catalogue.public(), world.params.n_slots, seed, settings=learner.settings)
    own = in_features_of(made.feature_map, pool.examples)
    learn(made, (take(own, rows[first : first + BATCH]) for first in range(0, len(rows), BATCH)))
    policy = RankingPolicy(learner.title, made, *default_exploration(learner))
    return _Point(learner.title, seed, len(rows), policy)

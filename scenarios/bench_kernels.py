"""Speed of the kernels, and of learners from ids: decisions, slates, gradients.

Beside them stand Vowpal Wabbit and mabwiser (`scenarios.bench_peers`): measured in the same run where they are
installed, and otherwise the figures that another machine gave.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from scenarios.bench_peers import PARSED
from scenarios.benchmark import Benchmark
from scenarios.mechanisms import C, K, N
from simenv.worlds import world_params


def _slates() -> float:
    """Draw slates of 10 of 100 from given scores, with their exact log-probabilities."""
    from policies import plackett_luce
    from simenv import hashing

    scores = np.random.default_rng(0).normal(size=(N, C)).astype(np.float32)
    names, keys = np.tile(np.arange(C), (N, 1)), hashing.absorb(0, np.arange(N))
    start = time.process_time()
    logw = plackett_luce.log_weights(scores, 1.0, 0.02)
    plackett_luce.conditional(logw, plackett_luce.draw(logw, K, keys, names))
    return N / (time.process_time() - start)


def _named_slates() -> float:
    """As `_slates`, by the kernel that draws the same slates from the same names."""
    from policies.kernels.slates import draw_named
    from simenv import hashing

    scores = np.random.default_rng(0).normal(size=(N, C)).astype(np.float32)
    names, keys = np.tile(np.arange(C), (N, 1)), hashing.absorb(0, np.arange(N))
    draw_named(scores[:64], (1.0, 0.02), K, keys[:64], names[:64])  # loads torch
    start = time.process_time()
    draw_named(scores, (1.0, 0.02), K, keys, names)
    return N / (time.process_time() - start)


def _kernel(job: str) -> Callable[[], float]:
    """A job of `policies.kernels.jobs` over 4,096 contexts of 100 candidates; its inputs are made before the clock."""

    def rate() -> float:
        from policies.kernels.jobs import JOBS

        work = JOBS[job](N, C)
        start = time.process_time()
        work()
        return N / (time.process_time() - start)

    return rate


def _marginals() -> float:
    """Marginal propensities of logged slates of 5 of 50, by race quadrature."""
    from policies import plackett_luce
    from simenv import hashing

    scores = np.random.default_rng(0).normal(size=(2048, 50)).astype(np.float32)
    logw = plackett_luce.log_weights(scores, 1.0, 0.02)
    slate = plackett_luce.draw(logw, 5, hashing.absorb(0, np.arange(2048)), np.tile(np.arange(50), (2048, 1)))
    start = time.process_time()
    plackett_luce.marginal(logw, slate)
    return 2048 / (time.process_time() - start)


def _learner(name: str) -> Callable[[], float]:
    """Score 50 candidates of each search end to end from ids, with an untrained learner of that name."""

    def rate() -> float:
        from policies.registry import new_learner
        from simenv.world import begin, make_world, observe

        world = make_world(world_params("default"))
        learner = new_learner(name, world.catalogue.public(), world.params.n_slots, 0)
        page = observe(world, begin(world, 0, np.arange(2048, dtype=np.int64)))
        start = time.process_time()
        learner.score(page, None)
        return len(page) / (time.process_time() - start)

    return rate


_VOWPAL = ("Vowpal Wabbit 9.11.9 squarecb, 100 actions, parsed before", 10_400.0, PARSED)

KERNELS: dict[str, Benchmark] = {
    "Plackett-Luce slates of 10 of 100: draw and log-probability": Benchmark("slates/CPU-s", _slates),
    "marginal propensities of slates of 5 of 50": Benchmark("slates/CPU-s", _marginals),
    "linear bandit, 50 candidates, from ids": Benchmark("searches/CPU-s", _learner("linear")),
    "neural-linear bandit, 50 candidates, from ids": Benchmark("searches/CPU-s", _learner("neural-linear")),
    "linear Thompson sampling, mixture of 8 draws, 50 candidates, from ids": Benchmark(
        "searches/CPU-s", _learner("linear-ts")
    ),
    "Plackett-Luce slates of 10 of 100, the same from names by the fast kernel": Benchmark(
        "slates/CPU-s", _named_slates
    ),
    "Plackett-Luce slates of 10 of 100, float32 and a generator's luck": Benchmark("slates/CPU-s", _kernel("slates")),
    "LinUCB on given features, 100 candidates of 32": Benchmark("decisions/CPU-s", _kernel("linucb"), *_VOWPAL),
    "LinTS on given features, 100 candidates of 32": Benchmark("decisions/CPU-s", _kernel("lints"), *_VOWPAL),
    "LinTS from ids, 100 candidates of 32 features, 20,000 items": Benchmark(
        "decisions/CPU-s", _kernel("lints-from-ids"), *_VOWPAL
    ),
    "NeuralLinear on given features, network 32-64-32, 100 candidates of 32": Benchmark(
        "decisions/CPU-s", _kernel("neural-linear"), *_VOWPAL
    ),
    "NeuralLinear by Thompson sampling, the same": Benchmark("decisions/CPU-s", _kernel("neural-linear-ts")),
    "NeuralUCB diagonal on given features, network 32-64-32, 100 candidates of 32": Benchmark(
        "decisions/CPU-s", _kernel("neural-ucb"), *_VOWPAL
    ),
    "ensemble of 10 networks 32-64-32, 100 candidates of 32": Benchmark(
        "decisions/CPU-s", _kernel("ensemble"), "Vowpal Wabbit 9.11.9 bag 5, 100 actions, parsed before", 2_900.0
    ),
    "ensemble of 10 networks 32-64-32, updates of 512 examples": Benchmark(
        "examples/CPU-s", _kernel("ensemble-update")
    ),
    "NeuralUCB bandit, 50 candidates, from ids": Benchmark("searches/CPU-s", _learner("neural-ucb")),
    "neural Thompson sampling, mixture of 8 draws, 50 candidates, from ids": Benchmark(
        "searches/CPU-s", _learner("neural-ts")
    ),
    "neural ensemble of 10, 50 candidates, from ids": Benchmark("searches/CPU-s", _learner("ensemble")),
    "PL-Rank gradients, 100 candidates, slates of 10, 10 samples, drawing included": Benchmark(
        "queries/CPU-s", _kernel("pl-rank"), "PL-Rank-3, its author's code in numpy, the same", 3_890.0
    ),
}

"""Speed on this machine, next to what was measured of the peers.

Every figure is a rate per CPU-second on one core, the median of a few rounds in this very process, so that a busy
machine does not change it much. Peers' figures were measured on another machine with their own code (sources beside
each); a ratio of two figures of one run is exact, a ratio to a peer is a scale.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from scenarios.mechanisms import FULL, C, K, N, searches_per_second, sized
from simenv.compiled.backend import Backend
from simenv.errors import UserError
from simenv.peers.interest_evolution import InterestEvolution
from simenv.peers.vector_env import Backend as PeerBackend
from simenv.peers.vector_env import PeerVectorEnv
from simenv.peers.worlds import load_peer
from simenv.vector_env import SearchVectorEnv
from simenv.worlds import world_params

ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A measurement: what one round does, and the peer's figure for the like.

    Attributes:
        unit: Of the rate.
        rate: Runs one round and returns units per CPU-second.
        peer: Whose figure stands beside, with the version; "" where nobody does the like.
        peer_value: Their figure in the same unit.
    """

    unit: str
    rate: Callable[[], float]
    peer: str = ""
    peer_value: float | None = None


def benchmarks(names: list[str] | None) -> list[dict[str, Any]]:
    """Run benchmarks.

    Args:
        names: Which, from BENCHMARKS: whole names, or parts of them that stand for all they are part of; all where
            None.

    Returns:
        A record each: name, value, unit, peer, peer_value, ratio (None where there is no peer).

    Raises:
        UserError: for a name that no benchmark's holds.
    """
    chosen = [each for each in BENCHMARKS if names is None or any(each in _named(name) for name in names)]
    records = []
    for name in chosen:
        one = BENCHMARKS[name]
        value = statistics.median(one.rate() for _ in range(ROUNDS))
        ratio = None if one.peer_value is None else value / one.peer_value
        records.append(
            {"name": name, "value": value, "unit": one.unit, "peer": one.peer, "peer_value": one.peer_value,
             "ratio": ratio}
        )  # fmt: skip
    return records


def _named(name: str) -> list[str]:
    """The benchmarks that a name stands for: its own, or all whose names hold it in capitals or not."""
    found = [name] if name in BENCHMARKS else [each for each in BENCHMARKS if name.lower() in each.lower()]
    if not found:
        raise UserError(f"no benchmark has '{name}' in its name. Known: {'; '.join(BENCHMARKS)}.")
    return found


def _vector_env(backend: Backend, world: str = "default") -> Callable[[], float]:
    """Random slates, whole lives of shoppers, rows that reset not counted."""
    return lambda: searches_per_second(SearchVectorEnv(N, sized(world_params(world)), "shopper", backend=backend))


def _single_env(backend: Backend, world: str = "default") -> Callable[[], float]:
    """One shopper at a time, 100 candidates."""

    def rate() -> float:
        env = SearchVectorEnv(1, sized(world_params(world)), backend=backend)
        env.reset(seed=0)
        slate = np.arange(K)[None]
        for _ in range(20):  # compiles
            env.step(slate)
        start = time.process_time()
        for _ in range(500):
            env.step(slate)
        return 500 / (time.process_time() - start)

    return rate


def _peer(name: str, size: tuple[int, int] | None = None, backend: PeerBackend = "auto") -> Callable[[], float]:
    """4,096 users of a peer's market with random slates; observations are made, rows that reset are not counted."""

    def rate() -> float:
        world = load_peer(name) if size is None else InterestEvolution(*size)
        env = PeerVectorEnv(N, world, backend)
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        slates = [np.argsort(rng.random((N, world.n_candidates)), axis=1)[:, : world.n_slots].copy() for _ in range(4)]
        env.step(slates[0])  # compiles
        played, over = 0, np.zeros(N, dtype=bool)
        start = time.process_time()
        for turn in range(100):
            played += int((~over).sum())
            _, _, terminated, truncated, _ = env.step(slates[turn % 4])
            over = terminated | truncated
        return played / (time.process_time() - start)

    return rate


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


def _estimators() -> float:
    """IPS, SNIPS, DM and DR with intervals, lifts, diagnostics and verdicts, checks included; 1,000,000 rows."""
    from offpolicy import Evidence, evaluate
    from simenv.propensity import Conditional

    rng, n = np.random.default_rng(0), 1_000_000
    logger = np.log(rng.uniform(0.05, 1.0, (n, 1)))
    target = np.log(rng.uniform(0.05, 1.0, (n, 1)))
    reward = (rng.random((n, 1)) < 0.1).astype(np.float64)
    start = time.process_time()
    evidence = Evidence(
        reward=reward, logger=Conditional(logger), target=Conditional(target), cluster=np.arange(n), cluster_name="row",
        q_logged=np.full((n, 1), 0.1), q_target=np.full(n, 0.1),
    )  # fmt: skip
    evaluate(evidence, ["ips", "snips", "dm", "dr"])
    return n / (time.process_time() - start)


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


_RECSIM = "RecSim 0.2.4 interest evolution, 100 candidates, slate 10"

BENCHMARKS: dict[str, Benchmark] = {
    "vector env, 4,096 shoppers, 100 candidates, 10 slots": Benchmark(
        "searches/CPU-s", _vector_env("auto"), _RECSIM, 1476.0
    ),
    "vector env, 4,096 shoppers, 100 candidates, 10 slots, numpy": Benchmark(
        "searches/CPU-s", _vector_env("numpy"), _RECSIM, 1476.0
    ),
    "vector env of one shopper, 100 candidates, 10 slots": Benchmark(
        "searches/CPU-s", _single_env("auto"), _RECSIM, 1476.0
    ),
    "vector env of one shopper, 100 candidates, 10 slots, numpy": Benchmark(
        "searches/CPU-s", _single_env("numpy"), _RECSIM, 1476.0
    ),
    f"vector env, {FULL}, 4,096 shoppers, 100 candidates, 10 slots": Benchmark(
        "searches/CPU-s",
        _vector_env("auto", "full"),
        _RECSIM,
        1476.0,
    ),
    f"vector env, {FULL}, 4,096 shoppers, 100 candidates, 10 slots, numpy": Benchmark(
        "searches/CPU-s",
        _vector_env("numpy", "full"),
        _RECSIM,
        1476.0,
    ),
    f"vector env of one shopper, {FULL}, 100 candidates, 10 slots": Benchmark(
        "searches/CPU-s",
        _single_env("auto", "full"),
        _RECSIM,
        1476.0,
    ),
    "interest evolution, 100 candidates, 10 slots": Benchmark(
        "searches/CPU-s", _peer("interest-evolution", (100, 10)), "RecSim 0.2.4 interest evolution, the same", 1476.0
    ),
    "interest evolution, 100 candidates, 10 slots, numpy": Benchmark(
        "searches/CPU-s",
        _peer("interest-evolution", (100, 10), "numpy"),
        "RecSim 0.2.4 interest evolution, the same",
        1476.0,
    ),
    "interest evolution, 10 candidates, 3 slots": Benchmark(
        "searches/CPU-s", _peer("interest-evolution", (10, 3)), "RecSim 0.2.4 interest evolution, the same", 7750.0
    ),
    "interest evolution, 10 candidates, 3 slots, numpy": Benchmark(
        "searches/CPU-s",
        _peer("interest-evolution", (10, 3), "numpy"),
        "RecSim 0.2.4 interest evolution, the same",
        7750.0,
    ),
    "long-term satisfaction, 20 candidates, 2 slots": Benchmark(
        "searches/CPU-s",
        _peer("long-term-satisfaction"),
        "RecSim 0.2.4 long-term satisfaction, 10 candidates, slate 3",
        11522.0,
    ),
    "SARDINE, 1,000 items, 10 slots, boredom and influence": Benchmark(
        "searches/CPU-s", _peer("sardine"), "SARDINE 1.0.8 SlateTopK-BoredInf-v0, the better of two runs", 9272.0
    ),
    "RecoGym, 10 products": Benchmark("ads/CPU-s", _peer("recogym"), "RecoGym 0.1.3.0 reco-gym-v1, the same", 6247.0),
    "Plackett-Luce slates of 10 of 100: draw and log-probability": Benchmark("slates/CPU-s", _slates),
    "marginal propensities of slates of 5 of 50": Benchmark("slates/CPU-s", _marginals),
    "IPS, SNIPS, DM, DR over 1,000,000 rows": Benchmark(
        "rows/CPU-s", _estimators, "obp 0.5.7: point estimates only of IPS, DM, DR, DRos and SNIPS", 1e6 / 0.933
    ),
    "linear bandit, 50 candidates, from ids": Benchmark("searches/CPU-s", _learner("linear")),
    "neural-linear bandit, 50 candidates, from ids": Benchmark("searches/CPU-s", _learner("neural-linear")),
    "linear Thompson sampling, mixture of 8 draws, 50 candidates, from ids": Benchmark(
        "searches/CPU-s", _learner("linear-ts")
    ),
    "Plackett-Luce slates of 10 of 100, the same from names by the fast kernel": Benchmark(
        "slates/CPU-s", _named_slates
    ),
    "Plackett-Luce slates of 10 of 100, float32 and a generator's luck": Benchmark("slates/CPU-s", _kernel("slates")),
    "LinUCB on given features, 100 candidates of 32": Benchmark(
        "decisions/CPU-s", _kernel("linucb"), "Vowpal Wabbit 9.11.9 squarecb, 100 actions, parsed before", 10_400.0
    ),
    "LinTS on given features, 100 candidates of 32": Benchmark(
        "decisions/CPU-s", _kernel("lints"), "Vowpal Wabbit 9.11.9 squarecb, 100 actions, parsed before", 10_400.0
    ),
    "LinTS from ids, 100 candidates of 32 features, 20,000 items": Benchmark(
        "decisions/CPU-s",
        _kernel("lints-from-ids"),
        "Vowpal Wabbit 9.11.9 squarecb, 100 actions, parsed before",
        10_400.0,
    ),
    "NeuralLinear on given features, network 32-64-32, 100 candidates of 32": Benchmark(
        "decisions/CPU-s",
        _kernel("neural-linear"),
        "Vowpal Wabbit 9.11.9 squarecb, 100 actions, parsed before",
        10_400.0,
    ),
    "NeuralLinear by Thompson sampling, the same": Benchmark("decisions/CPU-s", _kernel("neural-linear-ts")),
    "NeuralUCB diagonal on given features, network 32-64-32, 100 candidates of 32": Benchmark(
        "decisions/CPU-s", _kernel("neural-ucb"), "Vowpal Wabbit 9.11.9 squarecb, 100 actions, parsed before", 10_400.0
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

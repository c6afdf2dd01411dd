"""Speed on this machine, next to what was measured of the peers.

Every figure is a rate per CPU-second on one core, the median of a few rounds in this very process, so that a busy
machine does not change it much. Peers that are installed are measured in the same run; the figures of others were
measured on another machine with their own code (sources beside each): a ratio to those is a scale.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from scenarios.bench_kernels import KERNELS
from scenarios.bench_offline import OFFLINE
from scenarios.bench_offpolicy import OFFPOLICY
from scenarios.bench_peers import PEERS
from scenarios.bench_rllib import RLLIB
from scenarios.bench_slates import SLATE_ESTIMATORS
from scenarios.bench_stream import STREAM
from scenarios.benchmark import Benchmark
from scenarios.mechanisms import FULL, K, N, searches_per_second, sized
from simenv.compiled.backend import Backend
from simenv.errors import UserError
from simenv.peers.interest_evolution import InterestEvolution
from simenv.peers.vector_env import Backend as PeerBackend
from simenv.peers.vector_env import PeerVectorEnv
from simenv.peers.worlds import load_peer
from simenv.vector_env import SearchVectorEnv
from simenv.worlds import world_params

ROUNDS = 3


def benchmarks(names: list[str] | None) -> list[dict[str, Any]]:
    """Run benchmarks; those of packages that are not installed are left out (`skipped`).

    Args:
        names: Which, from BENCHMARKS: whole names, or parts of them that stand for all they are part of; all where
            None.

    Returns:
        A record each: name, value, unit, peer, peer_value, ratio (None where there is no peer). A peer that was
        measured, too, stands beside with what it did in this run.

    Raises:
        UserError: for a name that no benchmark's holds.
    """
    chosen = {name: BENCHMARKS[name] for name in _chosen(names) if BENCHMARKS[name].can_run}
    rates: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(ROUNDS):  # by turns, so that a busy minute falls on all of them
        for name, one in chosen.items():
            rates[name].append(one.rate())
    values = {name: statistics.median(rates[name]) for name in chosen}
    records = []
    for name, one in chosen.items():
        peer = f"{one.beside} (this run)" if one.beside in values else one.peer
        peer_value = values.get(one.beside, one.peer_value)
        ratio = None if peer_value is None else values[name] / peer_value
        records.append(
            {"name": name, "value": values[name], "unit": one.unit, "peer": peer, "peer_value": peer_value,
             "ratio": ratio}
        )  # fmt: skip
    return records


def skipped(names: list[str] | None) -> list[str]:
    """What `benchmarks` leaves out of these, each with the package that is missing."""
    return [
        f"{name} ({one.needs} is not installed)" for name in _chosen(names) if not (one := BENCHMARKS[name]).can_run
    ]


def _chosen(names: list[str] | None) -> list[str]:
    """The benchmarks that names stand for, in their order in BENCHMARKS."""
    return [each for each in BENCHMARKS if names is None or any(each in _named(name) for name in names)]


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
    "IPS, SNIPS, DM, DR over 1,000,000 rows": Benchmark(
        "rows/CPU-s", _estimators, "obp 0.5.7: point estimates only of IPS, DM, DR, DRos and SNIPS", 1e6 / 0.933
    ),
    **OFFPOLICY,
    **SLATE_ESTIMATORS,
    **KERNELS,
    **OFFLINE,
    **PEERS,
    **RLLIB,
    **STREAM,
}

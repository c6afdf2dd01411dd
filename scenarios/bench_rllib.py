"""Speed of RLlib's sampling, by its own runner and by ours; measured in turns, on the same market and network."""

from __future__ import annotations

from collections.abc import Callable

from scenarios.benchmark import Benchmark


def _sampling(kind: str) -> Callable[[], float]:
    def rate() -> float:
        from policies.rllib.speed import pages_per_second

        return pages_per_second(kind)()

    return rate


def _share() -> float:
    from policies.rllib.speed import share_of_market

    return share_of_market()


SYNC = "RLlib sampling, 256 shoppers, its own runner over one environment each (SYNC)"
RLLIB: dict[str, Benchmark] = {
    SYNC: Benchmark("searches/CPU-s", _sampling("sync")),
    "RLlib sampling, 256 shoppers, its own runner over the native vector environment": Benchmark(
        "searches/CPU-s", _sampling("native"), beside=SYNC
    ),
    "RLlib sampling, 256 shoppers, batched runner over the native vector environment": Benchmark(
        "searches/CPU-s", _sampling("batched"), beside=SYNC
    ),
    "RLlib sampling, 256 shoppers, batched: the market's share of the CPU time": Benchmark("share", _share),
}

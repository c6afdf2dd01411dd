"""What each mechanism of a market costs: the default world with that one alone switched on, less the default world.

In microseconds of CPU a search, by both backends. Rounds of all worlds take turns, so that what else the machine does
meets them alike.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from scenarios.progress import Advance
from simenv.compiled.backend import Backend
from simenv.habits import Boredom, Habits, Influence, Loyalty, Satiation, Trust
from simenv.market import LIVELY, Market
from simenv.params import WorldParams
from simenv.vector_env import SearchVectorEnv
from simenv.worlds import WORLDS

N, C, K = 4096, 100, 10
TURNS, ROUNDS = 16, 3
FULL = "full world, all dynamics on"
_FULL = WORLDS["full"]

# Each mechanism alone: the fields of `WorldParams` that switch it on.
MECHANISMS: dict[str, Mapping[str, Any]] = {
    "influence": {"habits": Habits(influence=Influence())},
    "satiation": {"habits": Habits(satiation=Satiation())},
    "boredom": {"habits": Habits(boredom=Boredom())},
    "loyalty": {"habits": Habits(loyalty=Loyalty())},
    "trust": {"habits": Habits(trust=Trust())},
    "churn": {"market": Market(churn=LIVELY.churn)},
    "stock": {"market": Market(stock=LIVELY.stock)},
    "prices": {"market": Market(prices=LIVELY.prices)},
    "seasons": {"market": Market(seasons=LIVELY.seasons)},
    "trends": {"market": Market(trends=LIVELY.trends)},
    "shocks": {"market": Market(shocks=LIVELY.shocks)},
    "house slots": {"house": _FULL.house},
    "dwell": {"post_click": dataclasses.replace(_FULL.post_click, returns=0.0)},
    "returns": {"post_click": dataclasses.replace(_FULL.post_click, dwell=0.0)},
    "abandonment": {"abandonment": _FULL.abandonment},
    "filters": {"filters": _FULL.filters},
}


def sized(params: WorldParams) -> WorldParams:
    """A world with the candidates and slots of the measurements."""
    return dataclasses.replace(params, n_candidates=C, n_slots=K)


def mechanism_costs(advance: Advance | None = None) -> list[dict[str, Any]]:
    """A record for each mechanism and backend, with the default world ("none") first and the full one last.

    Each has mechanism, backend, microseconds (CPU a search), added (to the default world's) and share (of it added).
    """
    worlds = {"none": WORLDS["default"]}
    worlds |= {name: dataclasses.replace(WORLDS["default"], **on) for name, on in MECHANISMS.items()}
    worlds |= {FULL: _FULL}
    records: list[dict[str, Any]] = []
    for backend in _backends():
        envs = {name: SearchVectorEnv(N, sized(each), "shopper", backend=backend) for name, each in worlds.items()}
        times: dict[str, list[float]] = {name: [] for name in envs}
        for _ in range(ROUNDS):
            for name, env in envs.items():
                times[name].append(1e6 / searches_per_second(env))
                if advance is not None:
                    advance()
        none = statistics.median(times["none"])
        for name, each in times.items():
            cost = statistics.median(each)
            records.append(
                {"mechanism": name, "backend": backend, "microseconds": cost, "added": cost - none,
                 "share": cost / none - 1.0}
            )  # fmt: skip
    return records


def n_rounds() -> int:
    """Rounds that `mechanism_costs` plays."""
    return ROUNDS * (len(MECHANISMS) + 2) * len(_backends())


def searches_per_second(env: SearchVectorEnv) -> float:
    """Random slates, whole lives of shoppers; searches a CPU-second, rows that start anew not counted."""
    rng = np.random.default_rng(0)
    slates = [np.argsort(rng.random((N, C)), axis=1)[:, :K] for _ in range(4)]
    env.reset(seed=0)
    env.step(slates[0])  # compiles
    env.reset(seed=0)
    played, over = 0, np.zeros(N, dtype=bool)
    start = time.process_time()
    for turn in range(TURNS):
        played += int((~over).sum())
        _, _, terminated, truncated, _ = env.step(slates[turn % 4])
        over = terminated | truncated
    return played / (time.process_time() - start)


def _backends() -> list[Backend]:
    """The compiled one, where it is installed, and the definition."""
    has_numba = SearchVectorEnv(1, "tiny").world.backend == "numba"
    return [each for each in reversed(get_args(Backend)) if each != "auto" and (each != "numba" or has_numba)]

"""Summaries over seeds and joins between tables: the numbers that figures and tables both show, computed once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

MOST_POINTS = 300
SIMULATED = "simulated"
OWN_CONTEXTS = "value per search over its own contexts"
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class Curve:
    """A policy's learning curve over training seeds.

    Attributes:
        policy: Its name.
        searches: Where it was measured, at most `MOST_POINTS`.  # (T,)
        mean: Mean over seeds.  # (T,)
        low: Lower end of the 95% t-interval over seeds; NaN with one seed.  # (T,)
        high: Upper end.  # (T,)
        n_seeds: How many seeds.
    """

    policy: str
    searches: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_seeds: int


def mean_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over the first axis with its 95% Student-t interval.

    Args:
        values: One row a seed, finite.  # (S, ...)

    Returns:
        Mean, low, high, each of shape (...); low and high are NaN with a single seed, which says nothing of spread.
    """
    n_seeds = values.shape[0]
    mean = values.mean(axis=0)
    if n_seeds < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = stdtrit(n_seeds - 1, 0.975) * values.std(axis=0, ddof=1) / math.sqrt(n_seeds)
    return mean, mean - half, mean + half


def learning_curves(learning: pd.DataFrame) -> list[Curve]:
    """One curve a policy, in the order of the table.

    Seeds are read at common points (linear between measurements, over the range all seeds share), so that the mean
    never jumps because a seed is missing; long curves are thinned to `MOST_POINTS`.
    """
    finite = learning[np.isfinite(learning["value"]) & np.isfinite(learning["searches"])]
    curves = []
    for policy, rows in finite.groupby("policy", sort=False):
        seeds = [seed.sort_values("searches") for _, seed in rows.groupby("seed", sort=False)]
        first = max(float(seed["searches"].iloc[0]) for seed in seeds)
        last = min(float(seed["searches"].iloc[-1]) for seed in seeds)
        points = np.unique(rows["searches"].to_numpy())
        points = thin(points[(points >= first) & (points <= last)])
        if len(points) == 0:
            continue
        values = np.stack([np.interp(points, seed["searches"].to_numpy(), seed["value"].to_numpy()) for seed in seeds])
        mean, low, high = mean_interval(values)
        curves.append(Curve(str(policy), points, mean, low, high, len(seeds)))
    return curves


def thin(points: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """At most that many points, evenly by rank, the first and the last among them."""
    if len(points) <= most:
        return points
    kept: np.ndarray = points[np.unique(np.linspace(0, len(points) - 1, most).round().astype(int))]
    return kept


def cell_summary(cells: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95% t-interval over seeds of each (metric, scenario, policy), in the order of the table."""
    finite = cells[np.isfinite(cells["value"])]
    rows = []
    for (metric, scenario, policy), group in finite.groupby(["metric", "scenario", "policy"], sort=False):
        mean, low, high = mean_interval(group["value"].to_numpy())
        rows.append((metric, scenario, policy, float(mean), float(low), float(high), len(group)))
    return pd.DataFrame(rows, columns=["metric", "scenario", "policy", "mean", "low", "high", "seeds"])


def with_truth(estimates: pd.DataFrame, truth: pd.DataFrame | None) -> pd.DataFrame:
    """Estimates with columns `truth` and `truth_stderr`: the same policy's true value of the same estimand, else NaN.

    Only simulated logs have a truth; an estimate of anything else never gets one, whatever the policy is called.
    """
    joined = estimates.reset_index(drop=True)
    if truth is None:
        return joined.assign(truth=math.nan, truth_stderr=math.nan)
    known = truth.drop_duplicates(["policy", "estimand"]).rename(columns={"value": "truth", "stderr": "truth_stderr"})
    joined = joined.merge(known[["policy", "estimand", "truth", "truth_stderr"]], on=["policy", "estimand"], how="left")
    unknown = joined["source"] != SIMULATED
    joined.loc[unknown, ["truth", "truth_stderr"]] = math.nan
    return joined


def holds_truth(estimates: pd.DataFrame) -> pd.Series[bool]:
    """Whether each interval of `with_truth` holds the truth; False where an end or the truth is unknown."""
    return (estimates["low"] <= estimates["truth"]) & (estimates["truth"] <= estimates["high"])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries by column."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def unique(column: pd.Series[str]) -> list[str]:
    """The different values in the order they come."""
    return [str(value) for value in column.drop_duplicates()]

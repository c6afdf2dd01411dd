"""The bootstrap over clusters: shoppers are drawn again, whole, and the estimate is made of every draw.

Each replicate weighs clusters by Poisson(1) counts, which is drawing with replacement as logs grow, and needs no
number of clusters in advance (Chamandy, Muralidharan, Najmi and Naidu, "Estimating uncertainty for massive data
streams", 2012). Every replicate divides by its own summed weights, in the ratios of self-normalised estimators as in
the number of rows: a frozen denominator makes an interval twice as wide as it should be.

The count of a cluster is a hash of (seed, replicate, cluster), so replicates depend on no order and no chunking. All
replicates are one product of counts with the clusters' sums of the statistics' columns.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from offpolicy.inference import Clusters, Interval, standard_error
from offpolicy.intervals.case import Asked, Case
from offpolicy.statistics import Statistics, value_of
from simenv.errors import UserError
from simenv.hashing import absorb, stream

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

LANES = 4  # replicates whose counts one hash of 64 bits gives

_AT_ONCE = 1 << 20  # counts in memory


def bootstrap(case: Case, asked: Asked) -> Interval:
    """The percentile interval. Efron, "Bootstrap methods: another look at the jackknife" (1979).

    It collapses where a log has few effective positives, as all intervals by the sample alone: what was never logged
    cannot be drawn again. The verdict says so.

    Raises:
        UserError: If replicates are undefined: too few rows carry weight.
    """
    alpha = (1.0 - asked.level) / 2.0
    return _between(case, replicates(case.statistics, case.by, asked), alpha, 1.0 - alpha)


def bca(case: Case, asked: Asked) -> Interval:
    """The percentile interval corrected for bias and skewness (acceleration by the jackknife over clusters).

    Efron, "Better bootstrap confidence intervals" (1987).

    Raises:
        UserError: As `bootstrap`.
    """
    drawn = replicates(case.statistics, case.by, asked)
    normal = NormalDist()
    below = np.count_nonzero(drawn < case.scores.value) + 0.5 * np.count_nonzero(drawn == case.scores.value)
    share = min(max(float(below) / len(drawn), 0.5 / len(drawn)), 1.0 - 0.5 / len(drawn))
    shift, speed = normal.inv_cdf(share), acceleration(case.scores.influence, case.by)
    alpha = (1.0 - asked.level) / 2.0

    def corrected(p: float) -> float:
        z = shift + normal.inv_cdf(p)
        room = 1.0 - speed * z
        return normal.cdf(shift + z / room) if room > 0.0 else float(p > 0.5)

    return _between(case, drawn, corrected(alpha), corrected(1.0 - alpha))


def replicates(statistics: Statistics, by: Clusters, asked: Asked) -> Floats:
    """The estimate of each replicate, (B,).

    Args:
        statistics: What the formula made of each row.
        by: Clusters of the same rows.
        asked: How many, and their seed.
    """
    columns = statistics.columns()
    used = np.flatnonzero(columns.any(axis=0))  # a column of zeros stays one
    sums = np.stack([by.sums(columns[:, i]) for i in used] + [by.sums(np.ones(len(columns)))], axis=1)  # (G, 1 + used)
    drawn = weighted_sums(sums, asked.replicates, asked.seed)  # (B, 1 + used)
    means = np.zeros((asked.replicates, columns.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        means[:, used] = drawn[:, :-1] / drawn[:, -1:]
    return value_of(means)


def weighted_sums(sums: Floats, n_replicates: int, seed: int) -> Floats:
    """Poisson(1)-weighted sums over clusters, (G, M) to (B, M)."""
    return weighted_sums_of(sums, np.arange(len(sums)), n_replicates, seed)


def weighted_sums_of(sums: Floats, cluster: npt.NDArray[np.int64], n_replicates: int, seed: int) -> Floats:
    """As `weighted_sums`, of clusters with these ids, (G,): of parts of a log, which add up to those of the whole."""
    lanes = -(-n_replicates // LANES)
    block = max(_AT_ONCE // (lanes * LANES), 1)
    made = np.zeros((lanes * LANES, sums.shape[1]))
    for first in range(0, len(sums), block):
        part = slice(first, first + block)
        made += counts(cluster[part], range(lanes), seed) @ sums[part]
    return made[:n_replicates]


def counts(cluster: npt.NDArray[np.int64], lanes: range, seed: int) -> Floats:
    """Poisson(1) counts of clusters (n,) in the replicates 4 * lanes.start to 4 * lanes.stop, (4 * len(lanes), n)."""
    key = absorb(stream(seed, "bootstrap"), cluster)
    hashed = absorb(key[None, :], np.arange(lanes.start, lanes.stop)[:, None])  # (lanes, n), of 64 bits each
    bits = hashed.view(np.uint16).reshape(len(lanes), len(cluster), LANES)
    return _COUNT_OF[bits].transpose(0, 2, 1).reshape(-1, len(cluster))


def acceleration(influence: Floats, by: Clusters) -> float:
    """A sixth of the skewness of the clusters' influences: how the standard error moves with the value."""
    sums = by.sums(influence)
    size = float((sums**2).sum()) ** 1.5
    return float((sums**3).sum()) / (6.0 * size) if size > 0.0 else 0.0


def _between(case: Case, drawn: Floats, low: float, high: float) -> Interval:
    undefined = int(np.count_nonzero(~np.isfinite(drawn)))
    if undefined:
        raise UserError(
            f"{undefined} of {len(drawn)} bootstrap replicates of '{case.estimator.name}' have no weight at all; the "
            "log holds too little of what the target policy shows. Ask for the interval 'betting'."
        )
    ends = np.quantile(drawn, [low, high])
    return Interval(case.scores.value, standard_error(case.scores.influence, case.by), float(ends[0]), float(ends[1]))


def _count_table() -> Floats:
    """The Poisson(1) count of each 16-bit number, (65536,): mean 1 and variance 1 to 1e-4."""
    edges = np.rint(65536 * np.cumsum([math.exp(-1.0) / math.factorial(k) for k in range(12)])).astype(np.int64)
    return np.searchsorted(edges, np.arange(65536), side="right").astype(np.float64)


_COUNT_OF = _count_table()

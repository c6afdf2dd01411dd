"""From influences to standard errors and intervals: the one piece that all estimators share.

Rows of one shopper are not independent, so the influences are summed within a shopper first, and what is counted is
shoppers: se^2 = G/(G-1) sum_g (sum_{i in g} influence_i)^2 / N^2, with a Student t of G - 1 degrees of freedom
(Liang and Zeger, "Longitudinal data analysis using generalized linear models", 1986).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.estimators import Scores
from offpolicy.evidence import Evidence
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    """Which rows belong together.

    Attributes:
        codes: Cluster of each row as an integer in [0, size), (N,); None where every row is its own.
        size: Length of the vector of cluster sums; may count clusters that have no row.
        count: G, the number of clusters that have rows.
    """

    codes: npt.NDArray[np.int64] | None
    size: int
    count: int

    @property
    def effective(self) -> float:
        """(sum n)^2 / sum n^2 over the clusters' numbers of rows: G where all are alike, few where a few have most."""
        if self.codes is None:
            return float(self.count)
        n = np.bincount(self.codes, minlength=self.size).astype(np.float64)
        return float(n.sum() ** 2 / (n @ n))

    def sums(self, column: Floats) -> Floats:
        """The sum of a column (N,) within each cluster."""
        if self.codes is None:
            return column
        return np.bincount(self.codes, weights=column, minlength=self.size).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Interval:
    """A value with its standard error and the interval at the asked level."""

    value: float
    stderr: float
    low: float
    high: float


def clusters(evidence: Evidence) -> Clusters:
    """The clusters of the evidence, found once and used by every estimator.

    Raises:
        UserError: If there are fewer than two: nothing can then be said about uncertainty.
    """
    codes, size, count = _codes(evidence)
    if count < 2:
        raise UserError(
            f"all rows belong to one {evidence.cluster_name}; a standard error needs at least two. "
            "Log more of them, or name the right column as the cluster."
        )
    return Clusters(codes, size, count)


def standard_error(influence: Floats, by: Clusters) -> float:
    """Clustered standard error of an estimate from its influences (N,)."""
    sums = by.sums(influence)
    return math.sqrt(by.count / (by.count - 1) * float(sums @ sums)) / len(influence)


def interval(scores: Scores, by: Clusters, level: float) -> Interval:
    """Value, clustered standard error and two-sided interval.

    Args:
        scores: Value and influences of an estimator.
        by: Clusters of the same rows.
        level: Confidence level in (0, 1).

    Raises:
        UserError: If the level is out of range.
    """
    if not 0.0 < level < 1.0:
        raise UserError(f"level is {level}; expected a number between 0 and 1, such as 0.95.")
    from scipy.special import stdtrit  # deferred: importing it costs more than answering `--help`

    stderr = standard_error(scores.influence, by)
    half = float(stdtrit(by.count - 1, 0.5 + level / 2.0)) * stderr
    return Interval(scores.value, stderr, scores.value - half, scores.value + half)


def lift(scores: Scores, evidence: Evidence) -> Scores:
    """The difference to the logger's mean reward on the same rows, paired row by row."""
    total = evidence.reward.sum(axis=1)
    mean = float(total.mean())
    return Scores(scores.value - mean, scores.influence - (total - mean))


def _codes(evidence: Evidence) -> tuple[npt.NDArray[np.int64] | None, int, int]:
    if evidence.cluster_name == "row":
        return None, evidence.n_rows, evidence.n_rows
    low, high = int(evidence.cluster.min()), int(evidence.cluster.max())
    if low >= 0 and high < 4 * evidence.n_rows:  # small ids are codes already, and sorting a million of them is slow
        size = high + 1
        return evidence.cluster, size, int(np.count_nonzero(np.bincount(evidence.cluster, minlength=size)))
    ids, codes = np.unique(evidence.cluster, return_inverse=True)
    return codes.astype(np.int64), len(ids), len(ids)

"""From influences to standard errors and intervals: the one piece that all estimators share.

Rows of one shopper are not independent, so the influences are summed within a shopper first, and what is counted is
shoppers: se^2 = G/(G-1) sum_g (sum_{i in g} influence_i)^2 / N^2, with a Student t of G - 1 degrees of freedom
(Liang and Zeger, "Longitudinal data analysis using generalized linear models", 1986).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.statistics import Scores, Statistics
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


def student(scores: Scores, by: Clusters, level: float) -> Interval:
    """Value, clustered standard error and the two-sided interval of Student's t with G - 1 degrees of freedom.

    Args:
        scores: Value and influences of an estimator.
        by: Clusters of the same rows.
        level: Confidence level in (0, 1).

    Raises:
        UserError: If the level is out of range.
    """
    from scipy.special import stdtrit  # deferred: importing it costs more than answering `--help`

    return _around(scores, by, float(stdtrit(by.count - 1, _upper(level))))


def normal(scores: Scores, by: Clusters, level: float) -> Interval:
    """As `student`, by the normal distribution: narrower where clusters are few.

    Raises:
        UserError: If the level is out of range.
    """
    return _around(scores, by, NormalDist().inv_cdf(_upper(level)))


def _upper(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise UserError(f"level is {level}; expected a number between 0 and 1, such as 0.95.")
    return 0.5 + level / 2.0


def _around(scores: Scores, by: Clusters, quantile: float) -> Interval:
    stderr = standard_error(scores.influence, by)
    return Interval(scores.value, stderr, scores.value - quantile * stderr, scores.value + quantile * stderr)


def lift(statistics: Statistics, evidence: Evidence) -> Statistics:
    """Statistics of the difference to the logger's mean reward on the same rows, paired row by row."""
    return replace(statistics, plain=statistics.plain - evidence.reward.sum(axis=1))


def lift_per_search(statistics: Statistics, evidence: Evidence) -> Statistics:
    """Statistics of the difference to the logger's reward per search, for evidence whose rows are sequences.

    Raises:
        UserError: If the evidence is not of sequences.
    """
    if evidence.length is None:
        raise UserError("length is absent; lay searches side by side with offpolicy.sequences.sessions first.")
    above = np.column_stack([statistics.above, -evidence.reward.sum(axis=1)])
    return replace(statistics, above=above, below=np.column_stack([statistics.below, evidence.length]))


def _codes(evidence: Evidence) -> tuple[npt.NDArray[np.int64] | None, int, int]:
    if evidence.cluster_name == "row":
        return None, evidence.n_rows, evidence.n_rows
    low, high = int(evidence.cluster.min()), int(evidence.cluster.max())
    if low >= 0 and high < 4 * evidence.n_rows:  # small ids are codes already, and sorting a million of them is slow
        size = high + 1
        return evidence.cluster, size, int(np.count_nonzero(np.bincount(evidence.cluster, minlength=size)))
    ids, codes = np.unique(evidence.cluster, return_inverse=True)
    return codes.astype(np.int64), len(ids), len(ids)

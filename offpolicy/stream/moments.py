"""Moments: everything that value, clustered standard error and covariance need, of a part of a log, in constant memory.

Estimators are functions of means, and clustered standard errors of sums within clusters. So a part of a log is told by
its sums, by the products of its clusters' sums, and by the clusters at its two ends, which may go on in the parts
beside it. Parts merge: the moments of two neighbours are those of both together. Rows of a cluster must stand together,
and clusters in the order of their ids, as SlateLab writes its logs; where they do not, moments are *loose*, of rows
alone, and `offpolicy.stream.scattered` puts the clusters together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class End:
    """A cluster at an end of a part: its rows so far.

    Attributes:
        cluster: Its id, as an integer whose order is that of the ids.
        sums: Of P columns, and its number of rows; (P + 1,).
    """

    cluster: int
    sums: Floats


@dataclass(frozen=True)
class Moments:
    """Of P columns over a part of a log.

    Attributes:
        rows: N.
        sums: Of the columns, (P,).
        closed: Number of clusters that lie wholly inside.
        cross: Sum over them of s s^T, s being a cluster's sums and its number of rows; (P + 1, P + 1).
        first: The cluster of the first row; None in loose moments, which know no clusters.
        last: That of the last row; None where it is the same.
    """

    rows: int
    sums: Floats
    closed: int
    cross: Floats
    first: End | None
    last: End | None

    @property
    def ends(self) -> list[End]:
        """The clusters at both ends, none to two."""
        return [end for end in (self.first, self.last) if end is not None]

    @property
    def clusters(self) -> int:
        """G, with the clusters at both ends."""
        return self.closed + len(self.ends)

    @property
    def means(self) -> Floats:
        """Of the columns over rows, (P,)."""
        return self.sums / self.rows

    def products(self) -> Floats:
        """Sum over all clusters of s s^T, the ends taken for whole; (P + 1, P + 1)."""
        return self.cross + sum(np.outer(end.sums, end.sums) for end in self.ends)

    def covariance(self) -> Floats:
        """Clustered covariance of the columns' means, (P, P): G/(G-1) sum_g e_g e_g^T / N^2, e_g = s_g - n_g mean.

        Raises:
            UserError: If there are fewer than two clusters.
        """
        if self.clusters < 2:
            raise UserError("all rows belong to one cluster; a standard error needs at least two. Log more of them.")
        whole, means = self.products(), self.means
        s, n, nn = whole[:-1, :-1], whole[:-1, -1], whole[-1, -1]
        centred = s - np.outer(n, means) - np.outer(means, n) + nn * np.outer(means, means)
        made: Floats = centred * (self.clusters / (self.clusters - 1.0) / self.rows**2)
        return made

    @property
    def effective_clusters(self) -> float:
        """(sum n)^2 / sum n^2 over the clusters' numbers of rows."""
        return float(self.rows**2 / self.products()[-1, -1])


def moments_of(columns: Floats, cluster: Ints, ends: tuple[int, int] | None = None) -> Moments:
    """Moments of some rows.

    Args:
        columns: (n, P), at least one row; fastest where it is the transpose of a contiguous array.
        cluster: Of each row, (n,), never falling.
        ends: Ids of the first and the last cluster, where `cluster` only counts them.

    Raises:
        UserError: If clusters fall.
    """
    return moments_of_runs(run_sums(columns, cluster), ends or (int(cluster[0]), int(cluster[-1])))


def moments_of_runs(runs: Floats, ends: tuple[int, int]) -> Moments:
    """As `moments_of`, of the sums of neighbouring clusters, (P + 1, g), with the ids of the first and the last."""
    inner, total = runs[:, 1:-1], runs.sum(axis=1)
    return Moments(
        rows=int(total[-1]),
        sums=total[:-1],
        closed=inner.shape[1],
        cross=inner @ inner.T,
        first=End(ends[0], runs[:, 0].copy()),
        last=End(ends[1], runs[:, -1].copy()) if runs.shape[1] > 1 else None,
    )


def loose_moments(sums: Floats, n_rows: int) -> Moments:
    """Moments that know no clusters, of the columns' sums (P,)."""
    return Moments(n_rows, sums, 0, np.zeros((len(sums) + 1, len(sums) + 1)), None, None)


def run_starts(cluster: Ints) -> npt.NDArray[np.intp]:
    """The first row of each cluster, (g,), of clusters (n,) that never fall.

    Raises:
        UserError: If they fall.
    """
    steps = np.diff(cluster)
    if len(steps) and steps.min() < 0:
        row = int((steps < 0).argmax()) + 1
        raise UserError(
            f"cluster {cluster[row]} stands after {cluster[row - 1]}; one pass needs rows of a cluster together and "
            "clusters in ascending order. Sort the log by its shoppers, or name rows as clusters."
        )
    return np.concatenate([[0], np.flatnonzero(steps) + 1])


def run_sums(columns: Floats, cluster: Ints) -> Floats:
    """Sums of the columns within each cluster, and its number of rows, (P + 1, g).

    Raises:
        UserError: If clusters fall.
    """
    starts = run_starts(cluster)
    made = np.empty((columns.shape[1] + 1, len(starts)))
    made[-1] = np.diff(np.concatenate([starts, [len(cluster)]]))
    if len(starts) == len(cluster):
        made[:-1] = columns.T
    else:
        np.add.reduceat(columns.T, starts, axis=1, out=made[:-1])
    return made


def merge(one: Moments, other: Moments) -> Moments:
    """Moments of two neighbouring parts together, `one` standing before `other`.

    Raises:
        UserError: If `other` begins with an earlier cluster than `one` ends with.
    """
    if one.first is None or other.first is None:
        return loose_moments(one.sums + other.sums, one.rows + other.rows)
    chain, right = one.ends, other.first
    if right.cluster < chain[-1].cluster:
        raise UserError(
            f"a part of the log begins with cluster {right.cluster} after one that ended with {chain[-1].cluster}; "
            "expected ascending order over all parts. Sort the log by its shoppers."
        )
    if right.cluster == chain[-1].cluster:
        chain[-1] = End(right.cluster, chain[-1].sums + right.sums)
    else:
        chain.append(right)
    chain += [other.last] if other.last else []
    inner = np.array([end.sums for end in chain[1:-1]]).reshape(-1, len(right.sums))
    return Moments(
        one.rows + other.rows,
        one.sums + other.sums,
        one.closed + other.closed + len(inner),
        one.cross + other.cross + inner.T @ inner,
        chain[0],
        chain[-1] if len(chain) > 1 else None,
    )


def merge_all(parts: list[Moments]) -> Moments:
    """Moments of neighbouring parts in their order, at least one."""
    return reduce(merge, parts)

"""The clusters that move estimates most, kept of a part of a log: how far a standard error hangs on one of them.

Which cluster moves an estimate most is known only when all means are; so of every estimator a few are kept that do by
the means so far, with all their columns, and they are measured again at the end. Clusters at the ends of a part may go
on in the next and are kept by its moments.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offpolicy.statistics import gradient_of
from offpolicy.stream import columns
from offpolicy.stream.moments import Moments
from offpolicy.stream.plan import Plan

Floats = npt.NDArray[np.float64]

KEPT = 8  # of each estimator; where one cluster has much of the variance it is among these by any means
_SOME = 512  # clusters that say how much is much


def slopes_of(layout: tuple[tuple[str, int], ...], means: Floats, plan: Plan) -> Floats:
    """How the influence of a cluster is made of its sums and its rows, for every estimator, (estimators, P + 1)."""
    made, first = np.zeros((len(plan.members), len(means) + 1)), 0
    names = {columns.of_estimator(one): at for at, one in enumerate(plan.members)}
    for name, width in layout:
        if name in names:
            own = slice(first, first + width)
            made[names[name], own] = gradient_of(means[own])
            made[names[name], -1] = -float(made[names[name], own] @ means[own])
        first += width
    return made


def largest(clusters: Floats, layout: tuple[tuple[str, int], ...], means: Floats, plan: Plan) -> Floats:
    """Of clusters' sums and numbers of rows, (g, P + 1), those that move an estimate most by these means."""
    if len(clusters) <= KEPT:
        return clusters
    influence = np.abs(slopes_of(layout, means, plan) @ clusters.T)  # (estimators, g); NaN where not defined
    influence = np.where(np.isnan(influence), -1.0, influence)
    # Few clusters of many are above the eighth of a few: only those are put in order.
    some = np.partition(influence[:, :: max(len(clusters) // _SOME, 1)], -KEPT, axis=1)[:, -KEPT]
    near = np.flatnonzero((influence >= some[:, None]).any(axis=0))
    found = np.argpartition(influence[:, near], -KEPT, axis=1)[:, -KEPT:]
    return np.ascontiguousarray(clusters[near[np.unique(found)]])


def newly_closed(one: Moments, other: Moments) -> Floats:
    """Sums of the clusters that two neighbouring parts close by standing side by side, (0 to 2, P + 1)."""
    chain = [(end.cluster, end.sums) for end in (*one.ends, *other.ends)]
    merged: list[tuple[int, Floats]] = []
    for cluster, sums in chain:
        if merged and merged[-1][0] == cluster:
            merged[-1] = cluster, merged[-1][1] + sums
        else:
            merged.append((cluster, sums))
    return np.array([sums for _, sums in merged[1:-1]]).reshape(-1, len(one.sums) + 1)

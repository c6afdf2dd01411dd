"""Are rows what they are taken for: one draw of the logger each, with all of its reward?

Rows that were delivered twice, under other shoppers' names, halve nothing but the interval. Rewards that come late, a
purchase days after the search, are missing from the last rows. Neither moves a weight, so no other check sees them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.audit.finding import Finding, Outcome, missing, outcome_of
from offpolicy.diagnostics import standardised
from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters, standard_error
from offpolicy.terms import Terms

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REPEATS_Z = 3.0  # below it repeats are chance
REPEATS = (1.25, 1.5)  # variance over that of independent rows, as for neighbouring rows
ARRIVAL_Z = (3.0, 5.0)  # chance alone passes 3 on this side in .13% of sound logs
ARRIVAL = (0.1, 0.25)  # share of the reward; both must be passed, since seasons move huge logs beyond chance
_ODD = np.uint64(0x9E3779B97F4A7C15)


def repeats(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """Rows of one context and of unlike clusters show the same action as often as independent draws would.

    Two draws with the same table p agree with probability sum_a p_a^2. More agreeing pairs than that are rows that were
    not drawn: logged twice, or answered from a cache. An excess of D pairs among N rows makes the variance of a mean
    1 + 2 D / N times what independent rows have. Looked at among rows of the same tables and features, and again among
    those of the same time too; a context-free logger without times cannot be asked. What a reward model expects tells
    contexts apart only where there are no features: cross-fitted, it expects two things of a row and of its copy under
    another name.
    """
    table = evidence.actions
    if table is None:
        return missing("repeats", "the propensities of all actions")
    tables = (table.logger, table.target)
    told = [tables if evidence.features is None else (*tables, evidence.features)]
    if evidence.features is None and table.q is not None:
        told.append((*tables, table.q))
    contexts = [_codes(_hashed(columns)) for columns in told]
    if evidence.time is not None:
        contexts += [_codes(_pairs(context, _codes(evidence.time))) for context in contexts]
    cluster = np.arange(evidence.n_rows) if by.codes is None else _codes(by.codes)
    return repeats_found([_excess(one, cluster, table) for one in contexts], evidence.n_rows)


def repeats_found(excess: list[Floats], n_rows: int) -> Finding:
    """What the agreeing pairs beyond chance, by context and in each of several ways to tell contexts, say."""
    inflation = [1.0]
    for each in excess:
        spread = math.sqrt(float(each @ each))
        if spread > 0.0 and float(each.sum()) > REPEATS_Z * spread:
            inflation.append(1.0 + 2.0 * float(each.sum()) / n_rows)
    worst = max(inflation)
    said = "rows of the same context are drawn anew"
    if worst > 1.0:
        said = (
            f"rows repeat each other under other names: sums of them vary {worst:.1f} times as much as if each had "
            "been drawn. Was the log delivered twice, or answered from a cache?"
        )
    return Finding("repeats", outcome_of(worst, REPEATS), worst, said)


def arrival(evidence: Evidence, terms: Terms, by: Clusters) -> Finding:
    """Rewards of the last eighth of the time, beyond what the model expects, against those of the eighth before.

    A season that ends with the log looks the same; leaving the last rows out settles both. Where rewards are costs,
    short is what is nearer to 0.
    """
    if evidence.time is None:
        return missing("arrival", "the time of each row")
    start, end = np.quantile(evidence.time, [0.75, 0.875])
    last, before = evidence.time > end, (evidence.time > start) & (evidence.time <= end)
    if not last.any() or not before.any():
        return Finding("arrival", "not checked", None, "not checked: too few different times")
    total = evidence.reward.sum(axis=1)
    rest = total if evidence.q_logged is None else total - evidence.q_logged.sum(axis=1)
    fall = _share_of(rest, before) - _share_of(rest, last)  # (N,)
    usual = float(total[before].mean())
    lost = float(fall.mean()) / usual if usual != 0.0 else 0.0
    centred = _share_of(rest - rest[before].mean(), before) - _share_of(rest - rest[last].mean(), last)
    z = math.copysign(1.0, usual) * standardised(float(fall.mean()), standard_error(centred, by))
    rank = min(int(z > ARRIVAL_Z[0]) + int(z > ARRIVAL_Z[1]), int(lost > ARRIVAL[0]) + int(lost > ARRIVAL[1]))
    outcomes: tuple[Outcome, ...] = ("passed", "strained", "failed")
    side = "short of" if lost >= 0.0 else "above"
    said = f"rewards of the last eighth of the time are {abs(lost):.1%} {side} the eighth before (z = {z:.1f})"
    asked = ". Had they all arrived when the log was closed? Leave the last rows out" if rank else ""
    return Finding("arrival", outcomes[rank], lost, said + asked)


def _share_of(column: Floats, rows: npt.NDArray[np.bool_]) -> Floats:
    """A column whose mean is that of some rows."""
    return np.where(rows, column, 0.0) / float(rows.mean())


def _excess(context: Ints, cluster: Ints, table: ActionTable) -> Floats:
    """Agreeing pairs of unlike clusters beyond those of independent draws, by context that has any pair."""
    sizes = np.bincount(context)
    kept = sizes[context] > 1
    if not kept.any():
        return np.zeros(0)
    context, cluster, action = _codes(context[kept]), cluster[kept], table.action[kept]
    logger = table.logger[kept]
    agreeing = _unlike(context, _pairs(context, action), cluster)
    among = _unlike(context, context, cluster)
    first = np.unique(context, return_index=True)[1]  # the table is that of all rows of a context
    chance = np.einsum("na,na->n", logger[first], logger[first])
    made: Floats = agreeing - chance * among
    return made


def _unlike(context: Ints, group: Ints, cluster: Ints) -> Floats:
    """Pairs of rows of one group and of two clusters, summed by context."""
    made = np.zeros(int(context.max()) + 1)
    for codes, sign in ((group, 1.0), (_pairs(group, cluster), -1.0)):
        _, first, count = np.unique(codes, return_index=True, return_counts=True)
        made += sign * np.bincount(context[first], weights=count * (count - 1) / 2.0, minlength=len(made))
    return made


def _pairs(one: Ints, other: Ints) -> Ints:
    """One code for two, both at least 0."""
    return one * (int(other.max()) + 1) + other


def _codes(column: npt.NDArray[np.generic]) -> Ints:
    made: Ints = np.unique(column, return_inverse=True)[1].astype(np.int64)
    return made


def _hashed(columns: tuple[Floats, ...]) -> npt.NDArray[np.uint64]:
    """A number for each row that is the same where its columns, (N, any), are, to the bit."""
    made = np.zeros(len(columns[0]), dtype=np.uint64)
    for part in columns:
        bits = np.ascontiguousarray(part, dtype=np.float64).view(np.uint64)
        for column in bits.T:
            made = (made ^ column ^ (made >> np.uint64(29))) * _ODD  # wraps around, as a hash does
    return made

"""Gathering: what one pass keeps of a log, for any number of estimators, in memory that does not grow.

A chunk of evidence becomes one matrix of columns (`offpolicy.stream.columns`). Their moments give values, clustered
errors, lifts and the errors of all differences; sums of weights give the diagnostics. All of it adds up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.audit.calibration import BINS, played
from offpolicy.evidence import ClusterName, Evidence, PropensityKind
from offpolicy.intervals.bootstrap import weighted_sums_of
from offpolicy.readers.reading import Caveat
from offpolicy.stream import moments
from offpolicy.stream.columns import blocks_of
from offpolicy.stream.largest import largest, newly_closed
from offpolicy.stream.moments import Moments, loose_moments, moments_of, moments_of_runs, run_starts, run_sums
from offpolicy.stream.plan import Family, Plan
from offpolicy.stream.scattered import Lines, lines_of
from offpolicy.stream.weight_sums import WeightSums, merge_weights, weight_sums_of
from offpolicy.terms import Terms
from offpolicy.warrant import BLOCK, foreseen_of, foreseen_square_of
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """Some rows of a log, whole clusters or not, in the log's order.

    Attributes:
        evidence: The rows.
        ends: Ids of the first and the last cluster, where `evidence.cluster` only counts them.
        keys: What the bootstrap knows clusters by, (n,); `evidence.cluster` where None.
        caveats: What a reader should know of these rows.
        falls: Where a cluster comes up again, or clusters fall, in words; empty where they do not.
    """

    evidence: Evidence
    ends: tuple[int, int] | None = None
    keys: Ints | None = None
    caveats: tuple[Caveat, ...] = ()
    falls: str = ""


@dataclass(frozen=True)
class Facts:
    """What is true of all rows of a log, as a verdict asks for it.

    Attributes:
        n_slots: K.
        cluster_name, propensity_kind, propensity_error, unit: As in `Evidence`.
        absent: Columns of the plan's audit that some rows lack.
        has_actions: Whether every row has a table of all actions.
        is_random: Whether the logger left anything to chance.
    """

    n_slots: int
    cluster_name: ClusterName
    propensity_kind: PropensityKind
    propensity_error: float | None
    unit: str
    absent: tuple[str, ...]
    has_actions: bool
    is_random: bool


@dataclass(frozen=True)
class Gathered:
    """What one pass keeps of the rows seen so far.

    Attributes:
        facts: What is true of all of them.
        layout: Names of the blocks of columns, and the number of columns in each.
        moments: Of all columns.
        weights: By family of weights, in the plan's order.
        moved: By pair of families: sums of |w - w'| |r| and of its square, (pairs, 2); NaN where the two cut rows
            into different pieces.
        beyond: Sum over rows of the target's probability of what the logger never plays.
        extent: Least and largest of each feature, (2, F).
        foreseen: By family of weights, sums of the mean weight of what the target shows and of its mean square,
            (families, 2); NaN where not known.
        expected: Sums over rows of the probability of all actions of a bin, and of its square, (2, BINS).
        largest: Sums of all columns and of rows of the clusters inside that move an estimate most, (m, P + 1).
        blocks: As `moments`, of neighbouring rows in place of clusters, where rows are taken for independent.
        drawn: Sums of all columns and of rows in each replicate of the bootstrap, (B, P + 1).
        caveats: What a reader should know.
    """

    facts: Facts
    layout: tuple[tuple[str, int], ...]
    moments: Moments
    weights: tuple[WeightSums, ...]
    moved: Floats
    beyond: float
    extent: Floats
    foreseen: Floats
    expected: Floats
    largest: Floats
    blocks: Moments | None
    drawn: Floats
    caveats: tuple[Caveat, ...]


def gather(
    chunk: Chunk, plan: Plan, before: Gathered | None = None, write: Callable[[Lines], None] | None = None
) -> Gathered:
    """What is kept of a chunk, and of the rows before it.

    Args:
        chunk: The rows.
        plan: What to sum up.
        before: Of the rows before, in this part of the log.
        write: Keeps the sums of clusters where a plan is of a log whose clusters stand anywhere.

    Raises:
        UserError: If a column is missing that the first rows had, or clusters are out of order.
    """
    evidence = chunk.evidence
    for one in plan.members:
        one.require(evidence)
    terms = _cut(evidence, plan)
    blocks = blocks_of(evidence, plan, terms)
    columns = np.concatenate(list(blocks.values()))  # (P, n)
    cuts = [one.cut for one in before.weights] if before else [-np.inf] * len(terms)
    layout = tuple((name, len(block)) for name, block in blocks.items())
    own, inner, drawn = _summed(columns, chunk, plan, write)
    made = Gathered(
        facts=_facts(evidence, plan),
        layout=layout,
        moments=own,
        weights=tuple(weight_sums_of(one, cut) for one, cut in zip(terms.values(), cuts, strict=True)),
        moved=_moved(plan, terms),
        beyond=0.0 if evidence.actions is None else evidence.actions.beyond_support() * evidence.n_rows,
        extent=_extent(evidence, plan),
        foreseen=_foreseen(evidence, plan),
        expected=_expected(evidence),
        largest=largest(inner, layout, own.means if before is None else _means(before.moments, own), plan),
        blocks=_blocks(columns, chunk),
        drawn=drawn,
        caveats=chunk.caveats,
    )
    return made if before is None else merge(before, made, plan)


def merge(one: Gathered, other: Gathered, plan: Plan) -> Gathered:
    """What is kept of two neighbouring parts of a log together.

    Raises:
        UserError: If they are of different kinds, or clusters are out of order.
    """
    if one.layout != other.layout or one.facts.n_slots != other.facts.n_slots:
        raise UserError(
            f"rows have {one.facts.n_slots} slots in one part of the log and {other.facts.n_slots} in the next; "
            "expected one number of slots in a log."
        )
    whole = moments.merge(one.moments, other.moments)
    clusters = np.concatenate([one.largest, other.largest, newly_closed(one.moments, other.moments)])
    return Gathered(
        facts=_both(one.facts, other.facts),
        layout=one.layout,
        moments=whole,
        weights=tuple(merge_weights(a, b) for a, b in zip(one.weights, other.weights, strict=True)),
        moved=one.moved + other.moved,
        beyond=one.beyond + other.beyond,
        extent=np.stack([np.minimum(one.extent[0], other.extent[0]), np.maximum(one.extent[1], other.extent[1])]),
        foreseen=one.foreseen + other.foreseen,
        expected=one.expected + other.expected,
        largest=largest(clusters, one.layout, whole.means, plan),
        blocks=None if one.blocks is None or other.blocks is None else moments.merge(one.blocks, other.blocks),
        drawn=one.drawn + other.drawn,
        caveats=_told_once((*one.caveats, *other.caveats)),
    )


def _cut(evidence: Evidence, plan: Plan) -> dict[Family, Terms]:
    """The terms of every family of weights, each cut made once."""
    cuts: dict[object, Terms] = {}
    made: dict[Family, Terms] = {}
    for key, one in plan.families.items():
        if one.terms not in cuts:
            cuts[one.terms] = one.terms(evidence)
        made[key] = one.reshaped(cuts[one.terms])
    return made


def _moved(plan: Plan, terms: dict[Family, Terms]) -> Floats:
    made = np.full((len(plan.pairs), 2), np.nan)
    for place, (own, rival) in enumerate(plan.pairs):
        weight, other, reward = terms[own].weight, terms[rival].weight, terms[own].reward
        if weight.shape == other.shape:
            moved = np.abs(weight - other) * np.abs(reward)
            made[place] = moved.sum(), np.vdot(moved, moved)
    return made


def _extent(evidence: Evidence, plan: Plan) -> Floats:
    if evidence.features is None:
        return np.zeros((2, len(plan.features)))
    return np.stack([evidence.features.min(axis=0), evidence.features.max(axis=0)])


def _means(one: Moments, other: Moments) -> Floats:
    return (one.sums + other.sums) / (one.rows + other.rows)


def _foreseen(evidence: Evidence, plan: Plan) -> Floats:
    made: dict[str, list[float]] = {}
    for name in dict.fromkeys(one.terms.__name__ for one in plan.families.values()):
        found = foreseen_of(evidence, name), foreseen_square_of(evidence, name)
        made[name] = [math.nan if column is None else float(column.sum()) for column in found]
    return np.array([made[one.terms.__name__] for one in plan.families.values()])


def _blocks(columns: Floats, chunk: Chunk) -> Moments | None:
    if chunk.evidence.cluster_name != "row":
        return None
    rows = chunk.evidence.cluster if chunk.keys is None else chunk.keys
    return moments_of(columns.T, rows // BLOCK)


def _expected(evidence: Evidence) -> Floats:
    if evidence.actions is None:
        return np.zeros((2, BINS))
    expected = played(evidence.actions).expected
    return np.stack([expected.sum(axis=0), (expected**2).sum(axis=0)])


def _summed(
    columns: Floats, chunk: Chunk, plan: Plan, write: Callable[[Lines], None] | None
) -> tuple[Moments, Floats, Floats]:
    """Moments, the sums of clusters that lie wholly inside, (g, P + 1), and those of each replicate, (B, P + 1)."""
    cluster = chunk.evidence.cluster
    keys = cluster if chunk.keys is None else chunk.keys
    if plan.survey.is_sorted:
        if chunk.falls:
            raise UserError(chunk.falls)
        runs, of_run = run_sums(columns.T, cluster), run_starts(cluster)
        own = moments_of_runs(runs, chunk.ends or (int(cluster[0]), int(cluster[-1])))
        inner = runs[:, 1:-1].T
    else:
        assert write is not None
        lines = lines_of(columns, keys)
        write(lines)
        runs, of_run = lines.sums.T, lines.first
        own, inner = loose_moments(runs[:-1].sum(axis=1), len(keys)), np.empty((0, len(runs)))
    drawn = np.empty((0, len(runs)))
    if plan.replicates:
        drawn = weighted_sums_of(runs.T, keys[of_run], plan.replicates, plan.seed)
    return own, inner, drawn


def _facts(evidence: Evidence, plan: Plan) -> Facts:
    return Facts(
        evidence.n_slots,
        evidence.cluster_name,
        evidence.propensity_kind,
        evidence.propensity_error,
        evidence.unit,
        tuple(name for name in plan.beside if getattr(evidence, name) is None),
        evidence.actions is not None,
        bool(evidence.logger.logp.any()),
    )


def _both(one: Facts, other: Facts) -> Facts:
    errors = [error for error in (one.propensity_error, other.propensity_error) if error is not None]
    is_estimated = "estimated" in (one.propensity_kind, other.propensity_kind)
    return Facts(
        one.n_slots,
        one.cluster_name,
        "estimated" if is_estimated else "exact",
        max(errors, default=None),
        one.unit,
        tuple(dict.fromkeys((*one.absent, *other.absent))),
        one.has_actions and other.has_actions,
        one.is_random or other.is_random,
    )


def _told_once(caveats: tuple[Caveat, ...]) -> tuple[Caveat, ...]:
    """Each once; of those that differ in their numbers alone the first, the gravest."""
    found: dict[str, Caveat] = {}
    for one in sorted(caveats, key=lambda each: -each.rank):
        found.setdefault("".join(letter for letter in one.text.partition("(first")[0] if letter.isalpha()), one)
    return tuple(found.values())

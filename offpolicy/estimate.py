"""Evaluate: evidence in, estimates out, each with its interval, its lift, its diagnostics and a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from offpolicy.diagnostics import Diagnostics, diagnose, disagreement, effective, interference_z, upward_z
from offpolicy.estimator import Estimator
from offpolicy.estimators import BY_SLOT, ESTIMATORS, estimator
from offpolicy.evidence import Evidence
from offpolicy.formulas import dm
from offpolicy.inference import Clusters, Interval, clusters, standard_error
from offpolicy.intervals.case import Asked, Case
from offpolicy.intervals.registry import IntervalRule, interval_rule
from offpolicy.single.cuts import embedded
from offpolicy.statistics import Scores, scores, value_of
from offpolicy.terms import Terms
from offpolicy.tuning import tuned
from offpolicy.verdict import THRESHOLDS, WORDS, Verdict, judge
from simenv.errors import UserError


@dataclass(frozen=True)
class Estimate:
    """An estimate and everything a reader needs to judge it.

    Attributes:
        estimator: Name in `ESTIMATORS`.
        estimand: What is estimated, in words.
        interval: Value, clustered standard error, low and high.
        lift: The absolute difference to the logger's mean on the same rows, with a paired interval.
        rule: Name of the interval's rule in `offpolicy.intervals.registry.INTERVALS`.
        level: Confidence level of both intervals.
        rows: N.
        diagnostics: What the estimate rests on.
        cluster: What was taken for independent.
        verdict: Whether to believe it, with reasons.
    """

    estimator: str
    estimand: str
    interval: Interval
    lift: Interval
    rule: str
    level: float
    rows: int
    diagnostics: Diagnostics
    cluster: str
    verdict: Verdict

    def record(self) -> dict[str, str | float | int | list[str] | None]:
        """The estimate as one flat JSON object; a number that is not finite becomes None."""
        return {
            "estimator": self.estimator,
            "estimand": self.estimand,
            "value": _finite(self.interval.value),
            "stderr": _finite(self.interval.stderr),
            "low": _finite(self.interval.low),
            "high": _finite(self.interval.high),
            "interval": self.rule,
            "level": self.level,
            "lift": _finite(self.lift.value),
            "lift_low": _finite(self.lift.low),
            "lift_high": _finite(self.lift.high),
            "rows": self.rows,
            "effective_rows": _finite(self.diagnostics.effective_rows),
            "effective_positives": _finite(self.diagnostics.effective_positives),
            "mean_weight": _finite(self.diagnostics.mean_weight),
            "mean_weight_z": _finite(self.diagnostics.mean_weight_z),
            "max_weight_share": _finite(self.diagnostics.max_weight_share),
            "cluster": self.cluster,
            "verdict": self.verdict.word,
            "reasons": list(self.verdict.reasons),
        }


def evaluate(
    evidence: Evidence,
    estimators: Sequence[str] | None = None,
    level: float = 0.95,
    interval: str = "t",
    seed: int = 0,
    replicates: int = 1000,
) -> list[Estimate]:
    """Estimate the value of the target policy.

    Args:
        evidence: The columns.
        estimators: Names in `ESTIMATORS`, maybe with a strength (`clipped-ips:30`); None takes those that are computed
            by default and that the evidence can feed (on single-action logs without those that weigh slots, which
            coincide with the others there). `dros:slope` has the strength chosen on the evidence.
        level: Confidence level of the intervals, in (0, 1).
        interval: Name in `offpolicy.intervals.registry.INTERVALS`. Where no estimators are named, one that it cannot be
            made for keeps its value, without an interval, and its verdict says why. An end that a one-sided interval
            lacks is infinite.
        seed: Of intervals that resample.
        replicates: B, of a bootstrap.

    Returns:
        One estimate a name, in the order asked.

    Raises:
        UserError: If a name is unknown, a named estimator lacks a column or what its interval needs, no estimator has
            that interval, the level is out of range, or all rows belong to one cluster.
    """
    chosen = _applicable(evidence) if estimators is None else [estimator(name) for name in estimators]
    for one in chosen:
        one.require(evidence)
    rule, asked = interval_rule(interval), Asked(level, seed, replicates)
    by = clusters(evidence)
    chosen = [tuned(one, evidence, by, level) for one in chosen]
    beyond_support = 0.0 if evidence.actions is None else evidence.actions.beyond_support()
    bench = _Bench(evidence, by, {}, {}, interference_z(evidence, by), upward_z(evidence, by), beyond_support)
    made = []
    refused: list[UserError] = []
    for one in chosen:
        value, paired = _cases(one, bench)
        try:
            ends = rule.make(value, asked), rule.make(paired, asked)
            why = ""
        except UserError as error:
            if estimators is not None:
                raise
            refused.append(error)
            ends, why = (_without_ends(value), _without_ends(paired)), f"no interval '{rule.name}': {error}"
        made.append(_estimate(value, ends, why, bench, rule, asked))
    if made and len(refused) == len(made):
        raise refused[0]
    return made


def values(evidence: Evidence, estimators: Sequence[str]) -> dict[str, float]:
    """Point estimates alone, with nothing that says whether to believe them: for loops that judge that themselves.

    Args:
        evidence: The columns.
        estimators: Names in `ESTIMATORS`, maybe with a strength.

    Returns:
        Values by name, NaN where one is not defined.

    Raises:
        UserError: If a name is unknown or a named estimator lacks a column.
    """
    cuts: dict[Callable[[Evidence], Terms], Terms] = {}
    found = {}
    for name in estimators:
        one = estimator(name)
        one.require(evidence)
        if one.tuning:
            one = tuned(one, evidence, clusters(evidence))
        if one.terms not in cuts:
            cuts[one.terms] = one.terms(evidence)
        found[name] = float(value_of(one.formula(one.reshaped(cuts[one.terms])).means()))
    return found


@dataclass(frozen=True)
class _Bench:
    """What the estimates of one evaluation share: each family of weights is made and measured once."""

    evidence: Evidence
    by: Clusters
    cuts: dict[Callable[[Evidence], Terms], Terms]
    measured: dict[tuple[object, ...], tuple[Terms, Diagnostics]]
    interference_z: float | None
    upward_z: float | None
    beyond_support: float

    def cut(self, one: Estimator) -> tuple[Terms, Diagnostics]:
        key = (one.terms, one.strength, None if one.strength is None else one.at)
        if key not in self.measured:
            if one.terms not in self.cuts:
                self.cuts[one.terms] = one.terms(self.evidence)
            terms = one.reshaped(self.cuts[one.terms])
            seen = diagnose(terms, self.by)
            if one.strength is not None:
                seen = self._as_they_were(one, seen)
            if self.evidence.actions is not None and one.formula is not dm and one.terms is not embedded:
                seen = replace(seen, beyond_support=self.beyond_support)
            self.measured[key] = terms, seen
        return self.measured[key]

    def _as_they_were(self, one: Estimator, seen: Diagnostics) -> Diagnostics:
        """Only weights that nobody reshaped have mean 1 and tell of propensities and support."""
        _, plain = self.cut(replace(one, strength=None))
        return replace(
            seen,
            mean_weight=plain.mean_weight,
            mean_weight_z=plain.mean_weight_z,
            unsupported=plain.unsupported,
            lost_weight=1.0 - seen.mean_weight / plain.mean_weight if plain.mean_weight > 0.0 else 0.0,
        )


def _applicable(evidence: Evidence) -> list[Estimator]:
    return [
        one
        for one in ESTIMATORS.values()
        if one.by_default and not one.missing(evidence) and not (one.terms in BY_SLOT and evidence.n_slots == 1)
    ]


def _cases(one: Estimator, bench: _Bench) -> tuple[Case, Case]:
    """What the intervals of the value and of the lift are made from."""
    terms, _ = bench.cut(one)
    statistics = one.formula(terms)
    paired = one.against(statistics, bench.evidence)
    return (
        Case(one, bench.evidence, terms, statistics, scores(statistics), bench.by),
        Case(one, bench.evidence, terms, paired, scores(paired), bench.by, is_lift=True),
    )


def _without_ends(case: Case) -> Interval:
    nan = float("nan")
    return Interval(case.scores.value, standard_error(case.scores.influence, case.by), nan, nan)


def _estimate(
    value: Case, ends: tuple[Interval, Interval], why: str, bench: _Bench, rule: IntervalRule, asked: Asked
) -> Estimate:
    one, evidence = value.estimator, bench.evidence
    _, diagnostics = bench.cut(one)
    rival, rival_z = _strongest_rival(one, value.scores, bench)
    moved = bench.upward_z if one.prefixwise else bench.interference_z
    verdict = judge(replace(one, rival=rival), evidence, diagnostics, bench.by.effective, rival_z, moved)
    if why:
        first = verdict.reasons if verdict.word != WORDS[0] else ()
        verdict = Verdict(WORDS[max(WORDS.index(verdict.word), 1)], (*first, why))
    return Estimate(
        estimator=one.name,
        estimand=one.estimand.format(unit=evidence.unit),
        interval=ends[0],
        lift=ends[1],
        rule=rule.name,
        level=asked.level,
        rows=evidence.n_rows,
        diagnostics=diagnostics,
        cluster=evidence.cluster_name,
        verdict=replace(verdict, reasons=(*verdict.reasons, *_shift(one, value.scores, bench))),
    )


def _strongest_rival(one: Estimator, own: Scores, bench: _Bench) -> tuple[str, float]:
    """Of the estimators that assume less, and less again, the one that disagrees most: its name and z."""
    found, name = (one.rival, 0.0), one.rival
    while name:
        rival = ESTIMATORS[name]
        if not rival.missing(bench.evidence):
            terms, diagnostics = bench.cut(rival)
            # One with too little left contradicts nobody.
            is_usable = judge(rival, bench.evidence, diagnostics, bench.by.effective).word != WORDS[2]
            if is_usable and not _is_thin(one, rival, bench):
                other = scores(rival.formula(terms))
                z = 0.0 if _is_small(one, own, other, bench.by) else disagreement(own, other, bench.by)
                found = max(found, (name, z), key=lambda pair: abs(pair[1]))
        name = rival.rival
    return found


def _is_small(one: Estimator, own: Scores, other: Scores, by: Clusters) -> bool:
    """Whether reshaping moved an estimate by less than its own standard error, which is what it was asked to do.

    Clipping takes from every large weight alike, so what it moves is soon far from 0 by chance, however little it is.
    """
    return one.strength is not None and abs(own.value - other.value) <= standard_error(own.influence, by)


def _shift(one: Estimator, own: Scores, bench: _Bench) -> tuple[str, ...]:
    """What is biased by design says how far it stands from what is not: an estimate of its bias."""
    if not one.never_trust or not one.rival:
        return ()
    rival = ESTIMATORS[one.rival]
    if rival.missing(bench.evidence):
        return ()
    other = scores(rival.formula(bench.cut(rival)[0]))
    difference, stderr = own.value - other.value, standard_error(own.influence - other.influence, bench.by)
    if not math.isfinite(difference):
        return ()
    chance = (
        "too few positives to say by chance or not" if _is_thin(one, rival, bench) else f"standard error {stderr:.2g}"
    )
    return (f"it is {difference:+.3g} ({chance}) from '{one.rival}', which assumes less",)


def _is_thin(one: Estimator, rival: Estimator, bench: _Bench) -> bool:
    """Whether two estimates differ by the weights of so few rewarded rows that their difference has no standard error.

    Where no reward happened to fall among the rows that one of them weighs otherwise, the difference does not vary at
    all in the log, and would seem certain.
    """
    terms, other = bench.cut(one)[0], bench.cut(rival)[0]
    if one.formula is dm or terms.weight.shape != other.weight.shape:
        return False
    moved = effective(np.abs(terms.weight - other.weight) * np.abs(terms.reward))
    return moved < THRESHOLDS.effective_positives[1]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

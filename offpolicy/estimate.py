"""Evaluate: evidence in, estimates out, each with its interval, its lift, its diagnostics and a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from offpolicy.audit.finding import Finding
from offpolicy.diagnostics import Diagnostics
from offpolicy.estimator import Estimator
from offpolicy.estimators import BY_SLOT, ESTIMATORS, estimator
from offpolicy.evidence import Evidence
from offpolicy.inference import Interval, clusters, standard_error, student
from offpolicy.intervals.case import Asked, Case
from offpolicy.intervals.registry import IntervalRule, interval_rule
from offpolicy.rivals import Bench, bench_of, shift, strongest_rival, warranted
from offpolicy.statistics import scores, value_of
from offpolicy.terms import Terms, direct
from offpolicy.tuning import tuned
from offpolicy.verdict import WORDS, Verdict, judge
from offpolicy.warrant import narrower
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
        findings: What the audit of the log and of its weights found.
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
    findings: tuple[Finding, ...] = ()

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
    return evaluate_by(evidence, estimators, interval_rule(interval), Asked(level, seed, replicates))


def evaluate_by(
    evidence: Evidence,
    estimators: Sequence[str] | None,
    rule: IntervalRule,
    asked: Asked,
    instead: Mapping[str, IntervalRule] = MappingProxyType({}),
) -> list[Estimate]:
    """As `evaluate`, by rules of one's own.

    Args:
        evidence: The columns.
        estimators: As for `evaluate`.
        rule: How intervals are made.
        asked: Level, seed and replicates.
        instead: Rules in its place, by name of the estimator; what such a rule promises takes the place of why an
            estimate may never be trusted.

    Raises:
        UserError: As `evaluate`.
    """
    chosen = _applicable(evidence) if estimators is None else [estimator(name) for name in estimators]
    for one in chosen:
        one.require(evidence)
        if _misses_the_first(one, evidence):
            raise UserError(
                f"'{one.name}' averages what a reward model expects, and one of the past alone expects the least there "
                "is of the first shoppers; name 'dr', or have the model cross-fitted."
            )
    by = clusters(evidence)
    chosen = [tuned(one, evidence, by, asked.level) for one in chosen]
    bench = bench_of(evidence, by)
    made = []
    refused: list[UserError] = []
    for one in chosen:
        if one.name in instead:
            one = replace(one, never_trust=instead[one.name].promise)
        value, paired = _cases(one, bench)
        its = instead.get(one.name, rule)
        try:
            ends = its.make(value, asked), its.make(paired, asked)
            why = ""
        except UserError as error:
            if estimators is not None:
                raise
            refused.append(error)
            ends, why = (_without_ends(value), _without_ends(paired)), f"no interval '{its.name}': {error}"
        made.append(_estimate((value, paired), ends, why, bench, its, asked))
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


def _applicable(evidence: Evidence) -> list[Estimator]:
    return [
        one
        for one in ESTIMATORS.values()
        if one.by_default
        and not one.missing(evidence)
        and not (one.terms in BY_SLOT and evidence.n_slots == 1)
        and not _misses_the_first(one, evidence)
    ]


def _misses_the_first(one: Estimator, evidence: Evidence) -> bool:
    return one.terms is direct and evidence.q_is_past_only


def _cases(one: Estimator, bench: Bench) -> tuple[Case, Case]:
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


def _room(case: Case, ends: Interval, level: float) -> Interval:
    """The interval that a bias is held against: Student's t where the rule made none, or left an end open."""
    return ends if math.isfinite(ends.high - ends.low) else student(case.scores, case.by, level)


def _estimate(
    cases: tuple[Case, Case], ends: tuple[Interval, Interval], why: str, bench: Bench, rule: IntervalRule, asked: Asked
) -> Estimate:
    value, evidence = cases[0], bench.evidence
    one, level = value.estimator, asked.level
    room = narrower(*(_room(case, own, level) for case, own in zip(cases, ends, strict=True)))
    diagnostics = warranted(one, value.scores, bench, room)
    rival, rival_z = strongest_rival(one, value.scores, bench)
    moved = bench.upward_z if one.prefixwise else bench.interference_z
    found = bench.findings(one)
    verdict = judge(replace(one, rival=rival), evidence, diagnostics, bench.by.effective, rival_z, moved, found)
    if why:
        first = verdict.reasons if verdict.word != WORDS[0] else ()
        verdict = Verdict(WORDS[max(WORDS.index(verdict.word), 1)], (*first, why))
    return Estimate(
        estimator=one.name,
        estimand=one.estimand.format(unit=evidence.unit),
        interval=ends[0],
        lift=ends[1],
        rule=rule.name,
        level=level,
        rows=evidence.n_rows,
        diagnostics=diagnostics,
        cluster=evidence.cluster_name,
        verdict=replace(verdict, reasons=(*verdict.reasons, *shift(one, value.scores, bench))),
        findings=found,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

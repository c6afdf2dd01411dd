"""What the estimates of one evaluation share, and what they say of each other.

Weights are made and measured once a family, the log is audited once, and an estimate is held against those that assume
less: where a usable one disagrees, what it does without is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from offpolicy.audit.checks import CHECKS, of_the_log
from offpolicy.audit.finding import Finding
from offpolicy.diagnostics import Diagnostics, diagnose, disagreement, effective, interference_z, upward_z
from offpolicy.estimator import Estimator
from offpolicy.estimators import ESTIMATORS
from offpolicy.evidence import Evidence
from offpolicy.formulas import dm
from offpolicy.inference import Clusters, standard_error
from offpolicy.single.cuts import embedded, within
from offpolicy.statistics import Scores, scores
from offpolicy.terms import Terms, direct
from offpolicy.verdict import THRESHOLDS, WORDS, judge
from offpolicy.warrant import foreseen_carriers, foreseen_rows, neighbours, unseen_bias, variance_share

OF_KINDS = (embedded, within)  # cuts that need the logger to show every kind of action, not every action


@dataclass(frozen=True)
class Bench:
    """What the estimates of one evaluation share: each family of weights is made and measured once.

    Attributes:
        evidence: The columns.
        by: Clusters of the rows.
        interference_z, upward_z: What the log says of slots that touch each other; see `offpolicy.diagnostics`.
        beyond_support: Probability that the target plays what the logger never plays.
        log: What the audit found of the log, whoever weighs it.
    """

    evidence: Evidence
    by: Clusters
    interference_z: float | None
    upward_z: float | None
    beyond_support: float
    log: tuple[Finding, ...]
    cuts: dict[Callable[[Evidence], Terms], Terms] = field(default_factory=dict)
    measured: dict[tuple[object, ...], tuple[Terms, Diagnostics]] = field(default_factory=dict)
    audited: dict[Callable[[Evidence], Terms], tuple[Finding, ...]] = field(default_factory=dict)

    def findings(self, one: Estimator) -> tuple[Finding, ...]:
        """What the audit found that bears on an estimator: nothing for one without weights."""
        if one.formula is dm:
            return ()
        if one.terms not in self.audited:
            terms, _ = self.cut(replace(one, strength=None))
            looks = [check.look for check in CHECKS.values() if check.weighs]
            self.audited[one.terms] = tuple(look(self.evidence, terms, self.by) for look in looks)
        return self.log + self.audited[one.terms]

    def cut(self, one: Estimator) -> tuple[Terms, Diagnostics]:
        """The evidence as an estimator cuts it, weights reshaped, and what those weights look like."""
        key = (one.terms, one.strength, None if one.strength is None else one.at)
        if key not in self.measured:
            if one.terms not in self.cuts:
                self.cuts[one.terms] = one.terms(self.evidence)
            terms = one.reshaped(self.cuts[one.terms])
            seen = diagnose(terms, self.by)
            if one.strength is not None:
                seen = self._as_they_were(one, seen)
            if self.evidence.actions is not None and one.formula is not dm and one.terms not in OF_KINDS:
                seen = replace(seen, beyond_support=self.beyond_support)
            self.measured[key] = terms, seen
        return self.measured[key]

    def _as_they_were(self, one: Estimator, seen: Diagnostics) -> Diagnostics:
        """Only weights that nobody reshaped have mean 1 and tell of propensities and support."""
        _, plain = self.cut(replace(one, strength=None))
        # Rows that count more or less shift the mean weight by chance; nothing is taken away.
        is_less = one.strength is not None and one.strength.remake is None and plain.mean_weight > 0.0
        return replace(
            seen,
            mean_weight=plain.mean_weight,
            mean_weight_z=plain.mean_weight_z,
            unsupported=plain.unsupported,
            lost_weight=1.0 - seen.mean_weight / plain.mean_weight if is_less else 0.0,
        )


def bench_of(evidence: Evidence, by: Clusters) -> Bench:
    """A bench with what is measured once a log."""
    return Bench(
        evidence,
        by,
        interference_z(evidence, by),
        upward_z(evidence, by),
        0.0 if evidence.actions is None else evidence.actions.beyond_support(),
        of_the_log(evidence, direct(evidence), by),
    )


def warranted(one: Estimator, own: Scores, bench: Bench, half_width: float = math.nan) -> Diagnostics:
    """The diagnostics of an estimator, with what its interval leaves out as far as the log can tell.

    Args:
        one: The estimator.
        own: Its scores.
        bench: What estimates share.
        half_width: Of the narrower of its intervals; where it is not given, the bias by design is not asked for.
    """
    terms, seen = bench.cut(one)
    # Reshaped weights are smaller than the policies foretell, and a model needs none.
    is_plain = one.strength is None and one.formula is not dm
    family = one.terms.__name__
    foreseen = foreseen_rows(bench.evidence, family, terms.share) if is_plain else None
    carried = foreseen_carriers(bench.evidence, family, terms.reward, terms.share) if is_plain else None
    return replace(
        seen,
        variance_share=variance_share(own.influence, bench.by),
        neighbours=neighbours(own.influence) if bench.evidence.cluster_name == "row" else 1.0,
        foreseen_rows=math.inf if foreseen is None else foreseen,
        foreseen_carriers=math.inf if carried is None else carried,
        unseen_bias=0.0 if math.isnan(half_width) else _unseen(one, own, bench, half_width),
    )


def _unseen(one: Estimator, own: Scores, bench: Bench, half_width: float) -> float:
    """How large an untested bias may be, in half-widths; inf where its rival is itself refused.

    0 where there is none to ask: also where the logger left nothing to chance, so that all weights are 1 and mean
    nothing.
    """
    if not one.is_untested or not one.rival or ESTIMATORS[one.rival].missing(bench.evidence):
        return 0.0
    if not bench.evidence.logger.logp.any():
        return 0.0
    rival = ESTIMATORS[one.rival]
    other = scores(rival.formula(bench.cut(rival)[0]))
    verdict = judge(rival, bench.evidence, warranted(rival, other, bench), bench.by.effective)
    return math.inf if verdict.word == WORDS[2] else unseen_bias(own, other, bench.by, half_width)


def strongest_rival(one: Estimator, own: Scores, bench: Bench) -> tuple[str, float]:
    """Of the estimators that assume less, and less again, the one that disagrees most: its name and z.

    None does where the logger left nothing to chance: all weights are 1 then, and what weighs is the logger's mean.
    """
    found, name = (one.rival, 0.0), one.rival
    if not bench.evidence.logger.logp.any():
        return found
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


def shift(one: Estimator, own: Scores, bench: Bench) -> tuple[str, ...]:
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


def _is_thin(one: Estimator, rival: Estimator, bench: Bench) -> bool:
    """Whether two estimates differ by the weights of so few rewarded rows that their difference has no standard error.

    Where no reward happened to fall among the rows that one of them weighs otherwise, the difference does not vary at
    all in the log, and would seem certain.
    """
    terms, other = bench.cut(one)[0], bench.cut(rival)[0]
    if one.formula is dm or terms.weight.shape != other.weight.shape:
        return False
    moved = effective(np.abs(terms.weight - other.weight) * np.abs(terms.reward))
    return moved < THRESHOLDS.effective_positives[1]

"""From what a pass gathered to estimates: the same records, to rounding, as `offpolicy.evaluate` makes of all rows.

Every estimate is a function of the columns' means, and to first order a sum of columns; so its standard error, that of
its lift and that of its difference to any other come from one covariance matrix. Verdicts are `offpolicy.verdict`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from offpolicy.audit.finding import single_look
from offpolicy.diagnostics import Diagnostics, standardised
from offpolicy.estimate import Estimate
from offpolicy.estimators import Estimator
from offpolicy.evidence import Evidence
from offpolicy.formulas import dm
from offpolicy.inference import Interval
from offpolicy.readers.reading import with_caveats
from offpolicy.single.cuts import embedded
from offpolicy.statistics import gradient_of, value_of
from offpolicy.stream.gather import Gathered
from offpolicy.stream.plan import Plan, check_names, family
from offpolicy.stream.weight_sums import WeightSums
from offpolicy.verdict import THRESHOLDS, WORDS, judge
from simenv.errors import UserError
from simenv.propensity import Conditional

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-13  # of a variance, relative to the products that it is the difference of


def finish(gathered: Gathered, plan: Plan, level: float = 0.95, interval: str = "t") -> list[Estimate]:
    """The estimates.

    Args:
        gathered: What was kept of all rows.
        plan: What was summed up.
        level: Of the intervals, in (0, 1).
        interval: "t", "normal" or "bootstrap" (of a plan with replicates).

    Returns:
        One a name asked for, in that order.

    Raises:
        UserError: If the interval or the level is out of range, or all rows belong to one cluster.
    """
    check_names(None, interval)
    if not 0.0 < level < 1.0:
        raise UserError(f"level is {level}; expected a number between 0 and 1, such as 0.95.")
    if interval == "bootstrap" and not plan.replicates:
        raise UserError("the pass drew no replicates; ask for some (at least 100, and 1,000 for a 95% interval).")
    sums = _sums_of(gathered, plan)
    made = [_estimate(name, sums, level, interval) for name in plan.asked]
    return with_caveats(made, gathered.caveats)


@dataclass(frozen=True)
class _Point:
    """An estimate as a function of the columns.

    Attributes:
        value: NaN where it is not defined.
        slope: How it moves with each column's mean, (P,).
    """

    value: float
    slope: Floats


@dataclass(frozen=True)
class _Sums:
    """All that estimates are made from, once for all of them."""

    gathered: Gathered
    plan: Plan
    covariance: Floats  # (P, P)
    rounding: Floats  # (P,) variance of each column's mean below which it is rounding
    points: dict[str, _Point]
    diagnostics: dict[object, Diagnostics]
    interference_z: float | None
    upward_z: float | None
    example: Evidence

    def stderr(self, slope: Floats) -> float:
        """Clustered standard error of a function of the means."""
        variance = float(slope @ self.covariance @ slope)
        return 0.0 if variance <= float((slope * slope) @ self.rounding) else math.sqrt(variance)

    def seen(self, one: Estimator) -> Diagnostics:
        """What an estimator's weights rest on."""
        made = self.diagnostics[family(one)]
        if one.strength is not None:
            plain = self.diagnostics[family(replace(one, strength=None))]
            made = replace(
                made,
                mean_weight=plain.mean_weight,
                mean_weight_z=plain.mean_weight_z,
                unsupported=plain.unsupported,
                lost_weight=1.0 - made.mean_weight / plain.mean_weight if plain.mean_weight > 0.0 else 0.0,
            )
        if self.gathered.facts.has_actions and one.formula is not dm and one.terms is not embedded:
            made = replace(made, beyond_support=self.gathered.beyond / self.gathered.moments.rows)
        return made

    def n_clusters(self) -> float:
        """Effective number of clusters."""
        return self.gathered.moments.effective_clusters


def _sums_of(gathered: Gathered, plan: Plan) -> _Sums:
    moments = gathered.moments
    covariance, means = moments.covariance(), moments.means
    rounding = _ROUNDING * moments.products().diagonal()[:-1] / moments.rows**2
    points = {}
    for one, first, width in _places(gathered, plan):
        own = slice(first, first + width)
        slope = np.zeros(len(means))
        slope[own] = gradient_of(means[own])
        points[one.name] = _Point(float(value_of(means[own])), slope)
    made = _Sums(gathered, plan, covariance, rounding, points, {}, None, None, _example(gathered))
    at = 1 + sum(gathered.widths)
    for (key, one), sums in zip(plan.families.items(), gathered.weights, strict=True):
        error = math.nan
        if one.strength is None:
            error, at = made.stderr(_unit(at, len(means))), at + 1
        made.diagnostics[key] = _diagnosed(sums, error)
    looks = _looks(made, at)
    return replace(made, interference_z=_strongest([*looks[0], *looks[1]]), upward_z=_strongest(looks[0]))


def _places(gathered: Gathered, plan: Plan) -> Iterator[tuple[Estimator, int, int]]:
    """Each member with the place of its first column and their number; column 0 is the total reward."""
    first = 1
    for one, width in zip(plan.members, gathered.widths, strict=True):
        yield one, first, width
        first += width


def _unit(place: int, size: int) -> Floats:
    made = np.zeros(size)
    made[place] = 1.0
    return made


def _diagnosed(sums: WeightSums, error: float) -> Diagnostics:
    mean = sums.row_sum / sums.rows
    return Diagnostics(
        effective_rows=sums.effective_rows(),
        effective_positives=sums.effective_positives(),
        mean_weight=mean,
        mean_weight_z=standardised(mean - 1.0, error),
        max_weight_share=sums.row_max / sums.row_sum if mean > 0.0 else math.nan,
        weight_error=sums.error / sums.rows,
        unsupported=sums.pieces - int(np.count_nonzero(sums.seen)),
    )


def _looks(sums: _Sums, at: int) -> tuple[list[float], list[float]]:
    """|z| of the products of placebo and rewards, above and below each slot; none where there is no placebo."""
    facts, means = sums.gathered.facts, sums.gathered.moments.means
    if not facts.has_placebo or not sums.plan.looks or facts.n_slots < 2:
        return [], []
    made = []
    for first in (at, at + facts.n_slots - 1):
        units = [_unit(first + k, len(means)) for k in range(facts.n_slots - 1)]
        slopes = [*units, np.sum(units, axis=0)]
        made.append([abs(standardised(float(slope @ means), sums.stderr(slope))) for slope in slopes])
    return made[0], made[1]


def _strongest(looks: list[float]) -> float | None:
    return single_look(max(looks), len(looks)) if looks else None


def _example(gathered: Gathered) -> Evidence:
    """A row that says what a verdict asks of evidence beside its numbers."""
    facts = gathered.facts
    nothing = np.zeros((1, facts.n_slots))
    return Evidence(
        reward=nothing,
        logger=Conditional(nothing),
        target=Conditional(nothing),
        cluster=np.zeros(1, dtype=np.int64),
        cluster_name=facts.cluster_name,
        propensity_kind=facts.propensity_kind,
        propensity_error=facts.propensity_error,
        unit=facts.unit,
    )


def _estimate(name: str, sums: _Sums, level: float, interval: str) -> Estimate:
    one = next(each for each in sums.plan.members if each.name == name)
    point, facts = sums.points[name], sums.gathered.facts
    lift = _Point(point.value - float(sums.gathered.moments.means[0]), point.slope - _unit(0, len(point.slope)))
    diagnostics = sums.seen(one)
    rival, rival_z = _strongest_rival(one, sums)
    moved = sums.upward_z if one.prefixwise else sums.interference_z
    verdict = judge(replace(one, rival=rival), sums.example, diagnostics, sums.n_clusters(), rival_z, moved)
    return Estimate(
        estimator=name,
        estimand=one.estimand.format(unit=facts.unit),
        interval=_interval(one, point, sums, level, interval, is_lift=False),
        lift=_interval(one, lift, sums, level, interval, is_lift=True),
        rule=interval,
        level=level,
        rows=sums.gathered.moments.rows,
        diagnostics=diagnostics,
        cluster=facts.cluster_name,
        verdict=replace(verdict, reasons=(*verdict.reasons, *_shift(one, sums))),
    )


def _interval(one: Estimator, point: _Point, sums: _Sums, level: float, rule: str, *, is_lift: bool) -> Interval:
    stderr, upper = sums.stderr(point.slope), 0.5 + level / 2.0
    if rule == "bootstrap":
        low, high = np.quantile(_replicates(one, sums, is_lift=is_lift), [1.0 - upper, upper])
        return Interval(point.value, stderr, float(low), float(high))
    if rule == "t":
        from scipy.special import stdtrit  # deferred: importing it costs more than answering `--help`

        quantile = float(stdtrit(sums.gathered.moments.clusters - 1, upper))
    else:
        quantile = NormalDist().inv_cdf(upper)
    return Interval(point.value, stderr, point.value - quantile * stderr, point.value + quantile * stderr)


def _replicates(one: Estimator, sums: _Sums, *, is_lift: bool) -> Floats:
    """The estimate of each replicate, divided by the replicate's own sums, (B,)."""
    drawn = sums.gathered.drawn
    first, width = next((first, width) for other, first, width in _places(sums.gathered, sums.plan) if other == one)
    means = drawn[:, :-1] / drawn[:, -1:]
    made = value_of(means[:, first : first + width])
    undefined = int(np.count_nonzero(~np.isfinite(made)))
    if undefined:
        raise UserError(
            f"{undefined} of {len(made)} bootstrap replicates of '{one.name}' have no weight at all; the log holds too "
            "little of what the target policy shows. Leave the estimator out."
        )
    return made - means[:, 0] if is_lift else made


def _strongest_rival(one: Estimator, sums: _Sums) -> tuple[str, float]:
    """Of the usable estimators that assume less, the one that disagrees most: its name and z."""
    found = (one.rival, 0.0)
    for rival in sums.plan.rivals_of(one):
        is_usable = judge(rival, sums.example, sums.seen(rival), sums.n_clusters()).word != WORDS[2]
        if is_usable and not _is_thin(one, rival, sums):
            difference, stderr = _difference(one, rival, sums)
            # What reshaping moves by less than the standard error is what it was asked to do.
            is_small = one.strength is not None and abs(difference) <= sums.stderr(sums.points[one.name].slope)
            z = 0.0 if is_small else standardised(difference, stderr)
            found = max(found, (rival.name, z), key=lambda pair: abs(pair[1]))
    return found


def _difference(one: Estimator, rival: Estimator, sums: _Sums) -> tuple[float, float]:
    own, other = sums.points[one.name], sums.points[rival.name]
    return own.value - other.value, sums.stderr(own.slope - other.slope)


def _shift(one: Estimator, sums: _Sums) -> tuple[str, ...]:
    """What is biased by design says how far it stands from what is not."""
    rivals = [rival for rival in sums.plan.rivals_of(one) if rival.name == one.rival]
    if not one.never_trust or not rivals:
        return ()
    difference, stderr = _difference(one, rivals[0], sums)
    if not math.isfinite(difference):
        return ()
    chance = (
        "too few positives to say by chance or not"
        if _is_thin(one, rivals[0], sums)
        else f"standard error {stderr:.2g}"
    )
    return (f"it is {difference:+.3g} ({chance}) from '{one.rival}', which assumes less",)


def _is_thin(one: Estimator, rival: Estimator, sums: _Sums) -> bool:
    """Whether two estimates differ by the weights of too few rewarded rows for a standard error."""
    if one.formula is dm:
        return False
    moved, squared = sums.gathered.moved[sums.plan.pairs.index((family(one), family(rival)))]
    if math.isnan(moved):
        return False
    effective = moved**2 / squared if squared > 0.0 else 0.0
    return bool(effective < THRESHOLDS.effective_positives[1])

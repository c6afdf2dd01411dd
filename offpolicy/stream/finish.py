"""From what a pass gathered to estimates: the same records, to rounding, as `offpolicy.evaluate` makes of all rows.

Every estimate is a function of the columns' means, and to first order a sum of columns; so its standard error, that of
its lift and that of its difference to any other come from one covariance matrix. Verdicts are `offpolicy.verdict`'s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from offpolicy.audit.checks import CHECKS
from offpolicy.audit.finding import Finding, single_look
from offpolicy.diagnostics import Diagnostics, standardised
from offpolicy.estimate import Estimate
from offpolicy.estimator import Estimator
from offpolicy.evidence import Evidence
from offpolicy.formulas import dm
from offpolicy.inference import Interval
from offpolicy.readers.reading import with_caveats
from offpolicy.single.cuts import embedded
from offpolicy.statistics import gradient_of, value_of
from offpolicy.stream import columns
from offpolicy.stream.findings import Sheet, of_log, of_weights
from offpolicy.stream.gather import Gathered
from offpolicy.stream.plan import Family, Plan, check_names, family
from offpolicy.stream.weight_sums import WeightSums
from offpolicy.terms import joint
from offpolicy.verdict import THRESHOLDS, WORDS, judge
from offpolicy.warrant import BLOCK, alike, carriers, in_half_widths
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
    places: dict[str, slice]
    points: dict[str, _Point]
    diagnostics: dict[object, Diagnostics]
    log: tuple[Finding, ...]
    looks: tuple[list[float], list[float]]  # |z| of what moves rewards above a slot, and below
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

    def z(self, slope: Floats, constant: float = 0.0) -> float:
        """A function of the means over its standard error."""
        return standardised(float(slope @ self.gathered.moments.means) + constant, self.stderr(slope))

    def n_clusters(self) -> float:
        """Effective number of clusters."""
        return self.gathered.moments.effective_clusters

    def findings(self, one: Estimator) -> tuple[Finding, ...]:
        """What the audit found that bears on an estimator: nothing for one without weights."""
        if one.formula is dm:
            return ()
        return self.log + _of_family(self, family(replace(one, strength=None)))


def _sums_of(gathered: Gathered, plan: Plan) -> _Sums:
    moments = gathered.moments
    covariance, means = moments.covariance(), moments.means
    rounding = _ROUNDING * moments.products().diagonal()[:-1] / moments.rows**2
    places = Sheet(gathered.layout, means, lambda slope, constant: 0.0).places
    points = {}
    for one in plan.members:
        own = places[columns.of_estimator(one)]
        slope = np.zeros(len(means))
        slope[own] = gradient_of(means[own])
        points[one.name] = _Point(float(value_of(means[own])), slope)
    made = _Sums(gathered, plan, covariance, rounding, places, points, {}, (), ([], []), _example(gathered))
    for at, ((key, one), sums) in enumerate(zip(plan.families.items(), gathered.weights, strict=True)):
        is_plain = one.strength is None
        error = made.stderr(_unit(places[columns.of_weight(at)].start, len(means))) if is_plain else math.nan
        made.diagnostics[key] = _diagnosed(sums, error)
    facts = gathered.facts
    lost = gathered.beyond / moments.rows if facts.has_actions else None
    return replace(made, log=of_log(_sheet(made), facts.absent, lost), looks=_looks(made))


def audit(gathered: Gathered, plan: Plan) -> tuple[Finding, ...]:
    """What the audit found of the log, and of the weights of whole slates where they were summed.

    Args:
        gathered: What was kept of all rows.
        plan: What was summed up.
    """
    sums = _sums_of(gathered, plan)
    whole = [key for key, one in plan.families.items() if one.terms is joint and one.strength is None]
    if not whole:
        return sums.log
    facts = gathered.facts
    lost = gathered.beyond / gathered.moments.rows if facts.has_actions else None
    found = (*of_log(_sheet(sums), facts.absent, lost, is_weighted=True), *_of_family(sums, whole[0]))
    return tuple(sorted(found, key=lambda finding: list(CHECKS).index(finding.check)))


def _of_family(sums: _Sums, key: Family) -> tuple[Finding, ...]:
    """What the audit found of one family of weights, as nobody reshaped them."""
    at = list(sums.plan.families).index(key)
    gathered = sums.gathered
    low, high = gathered.extent
    varies = tuple((name, bool(low[f] < high[f])) for f, name in enumerate(sums.plan.features))
    has_features = "features" not in gathered.facts.absent
    return of_weights(_sheet(sums), at, gathered.weights[at].pareto_k(), varies, has_features=has_features)


def _sheet(sums: _Sums) -> Sheet:
    return Sheet(sums.gathered.layout, sums.gathered.moments.means, sums.z)


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


def _looks(sums: _Sums) -> tuple[list[float], list[float]]:
    """|z| of the products of placebo and rewards, above and below each slot; none where there is no placebo."""
    if columns.LOOKS not in sums.places or "placebo" in sums.gathered.facts.absent:
        return [], []
    slopes = _sheet(sums).slopes(columns.LOOKS)
    half = len(slopes) // 2
    above, below = slopes[:half], slopes[half:]
    return (
        [abs(sums.z(slope)) for slope in [*above, np.sum(above, axis=0)]],
        [abs(sums.z(slope)) for slope in [*below, np.sum(below, axis=0)]],
    )


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
    ends = _interval(one, point, sums, level, interval, is_lift=False)
    diagnostics = _warranted(one, sums, (ends.high - ends.low) / 2.0)
    rival, rival_z = _strongest_rival(one, sums)
    moved = _strongest(sums.looks[0] if one.prefixwise else [*sums.looks[0], *sums.looks[1]])
    found = sums.findings(one)
    verdict = judge(replace(one, rival=rival), sums.example, diagnostics, sums.n_clusters(), rival_z, moved, found)
    return Estimate(
        estimator=name,
        estimand=one.estimand.format(unit=facts.unit),
        interval=ends,
        lift=_interval(one, lift, sums, level, interval, is_lift=True),
        rule=interval,
        level=level,
        rows=sums.gathered.moments.rows,
        diagnostics=diagnostics,
        cluster=facts.cluster_name,
        verdict=replace(verdict, reasons=(*verdict.reasons, *_shift(one, sums))),
        findings=found,
    )


def _warranted(one: Estimator, sums: _Sums, half_width: float = math.nan) -> Diagnostics:
    """The diagnostics of an estimator, with what its interval leaves out; see `offpolicy.rivals.warranted`."""
    gathered, seen = sums.gathered, sums.seen(one)
    is_plain = one.strength is None and one.formula is not dm
    foreseen = square = math.nan
    at = list(sums.plan.families).index(family(one))
    if is_plain:
        foreseen, square = (float(found) / gathered.moments.rows for found in gathered.foreseen[at])
    rows, earned = gathered.moments.rows / foreseen if foreseen > 0.0 else 0.0, gathered.weights[at]
    carried = math.inf if math.isnan(square) else carriers(foreseen, square, earned.squared, earned.cubed)
    return replace(
        seen,
        variance_share=_variance_share(one, sums),
        neighbours=_neighbours(one, sums),
        foreseen_rows=math.inf if math.isnan(foreseen) else rows,
        foreseen_carriers=carried,
        unseen_bias=0.0 if math.isnan(half_width) else _unseen(one, sums, half_width),
    )


def _variance_share(one: Estimator, sums: _Sums) -> float:
    """The largest share of one cluster in the squared influences."""
    moments = sums.gathered.moments
    ends = [end.sums for end in (moments.first, moments.last) if end is not None]
    slope = sums.points[one.name].slope
    weights = np.append(slope, -float(slope @ moments.means))
    most = float(((np.array([*sums.gathered.largest, *ends]) @ weights) ** 2).max())
    total = sums.stderr(slope) ** 2 * moments.rows**2 * (moments.clusters - 1.0) / moments.clusters
    return most / total if total > 0.0 else total  # not a number where the estimate is none


def _neighbours(one: Estimator, sums: _Sums) -> float:
    """How many times as large the variance of rows side by side is as that of independent rows."""
    blocks, moments = sums.gathered.blocks, sums.gathered.moments
    if blocks is None:
        return 1.0
    slope = sums.points[one.name].slope
    weights = np.append(slope, -float(slope @ moments.means))
    whole = [end.sums for end in (blocks.first, blocks.last) if end is not None and end.sums[-1] == BLOCK]
    together = float(weights @ blocks.cross @ weights) + sum(float(weights @ end) ** 2 for end in whole)
    alone = sums.stderr(slope) ** 2 * moments.rows**2 * (moments.clusters - 1.0) / moments.clusters
    return alike(together, alone, blocks.closed + len(whole))


def _unseen(one: Estimator, sums: _Sums, half_width: float) -> float:
    """How large the bias by design may be, in half-widths; inf where its rival is itself refused."""
    rivals = [rival for rival in sums.plan.rivals_of(one) if rival.name == one.rival]
    if not one.is_untested or not rivals or not sums.gathered.facts.is_random:
        return 0.0
    verdict = judge(rivals[0], sums.example, _warranted(rivals[0], sums), sums.n_clusters())
    return math.inf if verdict.word == WORDS[2] else in_half_widths(*_difference(one, rivals[0], sums), half_width)


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
    means = drawn[:, :-1] / drawn[:, -1:]
    made = value_of(means[:, sums.places[columns.of_estimator(one)]])
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

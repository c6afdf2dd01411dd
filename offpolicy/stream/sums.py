"""Sums: a gathered log as all estimates of it see it, made once: covariance, points, diagnostics, findings.

Every estimate is a function of the columns' means, and to first order a sum of columns; so its standard error, that of
its lift and that of its difference to any other come from one covariance matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy.audit.finding import Finding
from offpolicy.diagnostics import Diagnostics, standardised
from offpolicy.estimator import Estimator
from offpolicy.evidence import Evidence
from offpolicy.formulas import dm
from offpolicy.rivals import OF_KINDS
from offpolicy.statistics import gradient_of, value_of
from offpolicy.stream import columns
from offpolicy.stream.findings import Sheet, of_log, of_weights
from offpolicy.stream.gather import Gathered
from offpolicy.stream.plan import Family, Plan, family
from offpolicy.stream.weight_sums import WeightSums
from simenv.propensity import Conditional

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-13  # of a variance, relative to the products that it is the difference of


@dataclass(frozen=True)
class Point:
    """An estimate as a function of the columns.

    Attributes:
        value: NaN where it is not defined.
        slope: How it moves with each column's mean, (P,).
    """

    value: float
    slope: Floats


@dataclass(frozen=True)
class Sums:
    """All that estimates are made from, once for all of them.

    Attributes:
        gathered, plan: What was kept, and what was summed up.
        sheet: Means of the columns, with standard errors.
        points: Estimates by name.
        diagnostics: By family of weights.
        log: What the audit found of the log, whoever weighs it.
        looks: |z| of what moves rewards above a slot, and below.
        example: A row that says what a verdict asks of evidence beside its numbers.
    """

    gathered: Gathered
    plan: Plan
    sheet: Sheet
    points: dict[str, Point]
    diagnostics: dict[object, Diagnostics]
    log: tuple[Finding, ...]
    looks: tuple[list[float], list[float]]
    example: Evidence

    def stderr(self, slope: Floats) -> float:
        """Clustered standard error of a function of the means."""
        return self.sheet.stderr(slope)

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
        if self.gathered.facts.has_actions and one.formula is not dm and one.terms not in OF_KINDS:
            made = replace(made, beyond_support=self.gathered.beyond / self.gathered.moments.rows)
        return made

    def n_clusters(self) -> float:
        """Effective number of clusters."""
        return self.gathered.moments.effective_clusters

    def findings(self, one: Estimator) -> tuple[Finding, ...]:
        """What the audit found that bears on an estimator: nothing for one without weights."""
        if one.formula is dm:
            return ()
        return self.log + found_of(self, family(replace(one, strength=None)))


def sums_of(gathered: Gathered, plan: Plan) -> Sums:
    """Of what a pass gathered.

    Raises:
        UserError: If all rows belong to one cluster.
    """
    moments = gathered.moments
    means, size = moments.means, len(moments.sums)
    rounding = _ROUNDING * moments.products().diagonal()[:-1] / moments.rows**2
    ends = np.cumsum([width for _, width in gathered.layout])
    places = {name: slice(int(end) - width, int(end)) for (name, width), end in zip(gathered.layout, ends, strict=True)}
    sheet = Sheet(places, means, moments.covariance(), rounding)
    points = {}
    for one in plan.members:
        own = places[columns.of_estimator(one)]
        slope = np.zeros(size)
        slope[own] = gradient_of(means[own])
        points[one.name] = Point(float(value_of(means[own])), slope)
    diagnostics: dict[object, Diagnostics] = {}
    for at, ((key, one), sums) in enumerate(zip(plan.families.items(), gathered.weights, strict=True)):
        is_plain = one.strength is None
        error = sheet.stderr(unit(places[columns.of_weight(at)].start, size)) if is_plain else math.nan
        diagnostics[key] = _diagnosed(sums, error)
    looks = _looks(sheet, gathered)
    return Sums(gathered, plan, sheet, points, diagnostics, of_log(sheet, gathered), looks, _example(gathered))


def found_of(sums: Sums, key: Family) -> tuple[Finding, ...]:
    """What the audit found of one family of weights, as nobody reshaped them."""
    return of_weights(sums.sheet, list(sums.plan.families).index(key), sums.gathered, sums.plan)


def unit(place: int, size: int) -> Floats:
    """The slope of one column alone, (size,)."""
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


def _looks(sheet: Sheet, gathered: Gathered) -> tuple[list[float], list[float]]:
    """|z| of the products of placebo and rewards, above and below each slot; none where there is no placebo."""
    if not sheet.has(columns.LOOKS) or "placebo" in gathered.facts.absent:
        return [], []
    slopes = sheet.slopes(columns.LOOKS)
    half = len(slopes) // 2
    above, below = slopes[:half], slopes[half:]
    return (
        [abs(sheet.z(slope)) for slope in [*above, np.sum(above, axis=0)]],
        [abs(sheet.z(slope)) for slope in [*below, np.sum(below, axis=0)]],
    )


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

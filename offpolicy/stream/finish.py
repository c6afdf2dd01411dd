"""From what a pass gathered to estimates: the same records, to rounding, as `offpolicy.evaluate` makes of all rows.

What they share is made once (`offpolicy.stream.sums`); verdicts are `offpolicy.verdict`'s.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from offpolicy.audit.checks import CHECKS
from offpolicy.audit.finding import Finding, single_look
from offpolicy.estimate import Estimate
from offpolicy.estimator import Estimator
from offpolicy.inference import Interval
from offpolicy.readers.reading import with_caveats
from offpolicy.statistics import value_of
from offpolicy.stream import columns
from offpolicy.stream.findings import of_log
from offpolicy.stream.gather import Gathered
from offpolicy.stream.plan import Plan, check_names
from offpolicy.stream.rivals import shift, strongest_rival, warranted
from offpolicy.stream.sums import Point, Sums, found_of, sums_of, unit
from offpolicy.terms import joint
from offpolicy.verdict import judge
from offpolicy.warrant import narrower
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]


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
    sums = sums_of(gathered, plan)
    made = [_estimate(name, sums, level, interval) for name in plan.asked]
    return with_caveats(made, gathered.caveats)


def audit(gathered: Gathered, plan: Plan) -> tuple[Finding, ...]:
    """What the audit found of the log, and of the weights of whole slates where they were summed.

    Args:
        gathered: What was kept of all rows.
        plan: What was summed up.
    """
    sums = sums_of(gathered, plan)
    whole = [key for key, one in plan.families.items() if one.terms is joint and one.strength is None]
    if not whole:
        return sums.log
    found = (*of_log(sums.sheet, gathered, is_weighted=True), *found_of(sums, whole[0]))
    return tuple(sorted(found, key=lambda finding: list(CHECKS).index(finding.check)))


def _estimate(name: str, sums: Sums, level: float, interval: str) -> Estimate:
    one = next(each for each in sums.plan.members if each.name == name)
    point, facts = sums.points[name], sums.gathered.facts
    lift = Point(point.value - float(sums.gathered.moments.means[0]), point.slope - unit(0, len(point.slope)))
    ends = _interval(one, point, sums, level, interval, is_lift=False)
    paired = _interval(one, lift, sums, level, interval, is_lift=True)
    diagnostics = warranted(one, sums, narrower(ends, paired))
    rival, rival_z = strongest_rival(one, sums)
    moved = _strongest(sums.looks[0] if one.prefixwise else [*sums.looks[0], *sums.looks[1]])
    found = sums.findings(one)
    verdict = judge(replace(one, rival=rival), sums.example, diagnostics, sums.n_clusters(), rival_z, moved, found)
    return Estimate(
        estimator=name,
        estimand=one.estimand.format(unit=facts.unit),
        interval=ends,
        lift=paired,
        rule=interval,
        level=level,
        rows=sums.gathered.moments.rows,
        diagnostics=diagnostics,
        cluster=facts.cluster_name,
        verdict=replace(verdict, reasons=(*verdict.reasons, *shift(one, sums))),
        findings=found,
    )


def _interval(one: Estimator, point: Point, sums: Sums, level: float, rule: str, *, is_lift: bool) -> Interval:
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


def _replicates(one: Estimator, sums: Sums, *, is_lift: bool) -> Floats:
    """The estimate of each replicate, divided by the replicate's own sums, (B,)."""
    drawn = sums.gathered.drawn
    means = drawn[:, :-1] / drawn[:, -1:]
    made = value_of(means[:, sums.sheet.places[columns.of_estimator(one)]])
    undefined = int(np.count_nonzero(~np.isfinite(made)))
    if undefined:
        raise UserError(
            f"{undefined} of {len(made)} bootstrap replicates of '{one.name}' have no weight at all; the log holds too "
            "little of what the target policy shows. Leave the estimator out."
        )
    return made - means[:, 0] if is_lift else made


def _strongest(looks: list[float]) -> float | None:
    return single_look(max(looks), len(looks)) if looks else None

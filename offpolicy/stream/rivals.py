"""What the estimates of a log in parts say of each other, and what their intervals leave out: as `offpolicy.rivals`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from offpolicy.diagnostics import Diagnostics, standardised
from offpolicy.estimator import Estimator
from offpolicy.formulas import dm
from offpolicy.stream.plan import family
from offpolicy.stream.sums import Sums
from offpolicy.verdict import THRESHOLDS, WORDS, judge
from offpolicy.warrant import BLOCK, alike, carriers, in_half_widths


def warranted(one: Estimator, sums: Sums, half_width: float = math.nan) -> Diagnostics:
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


def _variance_share(one: Estimator, sums: Sums) -> float:
    """The largest share of one cluster in the squared influences."""
    moments = sums.gathered.moments
    ends = [end.sums for end in moments.ends]
    slope = sums.points[one.name].slope
    weights = np.append(slope, -float(slope @ moments.means))
    most = float(((np.array([*sums.gathered.largest, *ends]) @ weights) ** 2).max())
    total = sums.stderr(slope) ** 2 * moments.rows**2 * (moments.clusters - 1.0) / moments.clusters
    return most / total if total > 0.0 else total  # not a number where the estimate is none


def _neighbours(one: Estimator, sums: Sums) -> float:
    """How many times as large the variance of rows side by side is as that of independent rows."""
    blocks, moments = sums.gathered.blocks, sums.gathered.moments
    if blocks is None:
        return 1.0
    slope = sums.points[one.name].slope
    weights = np.append(slope, -float(slope @ moments.means))
    whole = [end.sums for end in blocks.ends if end.sums[-1] == BLOCK]
    together = float(weights @ blocks.cross @ weights) + sum(float(weights @ end) ** 2 for end in whole)
    alone = sums.stderr(slope) ** 2 * moments.rows**2 * (moments.clusters - 1.0) / moments.clusters
    return alike(together, alone, blocks.closed + len(whole))


def _unseen(one: Estimator, sums: Sums, half_width: float) -> float:
    """How large the bias by design may be, in half-widths; inf where its rival is itself refused."""
    rivals = [rival for rival in sums.plan.rivals_of(one) if rival.name == one.rival]
    if not one.is_untested or not rivals or not sums.gathered.facts.is_random:
        return 0.0
    verdict = judge(rivals[0], sums.example, warranted(rivals[0], sums), sums.n_clusters())
    return math.inf if verdict.word == WORDS[2] else in_half_widths(*_apart(one, rivals[0], sums), half_width)


def strongest_rival(one: Estimator, sums: Sums) -> tuple[str, float]:
    """Of the usable estimators that assume less, the one that disagrees most: its name and z."""
    found = (one.rival, 0.0)
    for rival in sums.plan.rivals_of(one):
        is_usable = judge(rival, sums.example, sums.seen(rival), sums.n_clusters()).word != WORDS[2]
        if is_usable and not _is_thin(one, rival, sums):
            difference, stderr = _apart(one, rival, sums)
            # What reshaping moves by less than the standard error is what it was asked to do.
            is_small = one.strength is not None and abs(difference) <= sums.stderr(sums.points[one.name].slope)
            z = 0.0 if is_small else standardised(difference, stderr, _size(one, rival, sums))
            found = max(found, (rival.name, z), key=lambda pair: abs(pair[1]))
    return found


def _apart(one: Estimator, rival: Estimator, sums: Sums) -> tuple[float, float]:
    """The difference of two estimates, and its standard error."""
    own, other = sums.points[one.name], sums.points[rival.name]
    return own.value - other.value, sums.stderr(own.slope - other.slope)


def _size(one: Estimator, rival: Estimator, sums: Sums) -> float:
    """Of two estimates, which the rounding of their difference is a share of."""
    own, other = sums.points[one.name], sums.points[rival.name]
    return max(abs(own.value), abs(other.value), sums.stderr(own.slope))


def shift(one: Estimator, sums: Sums) -> tuple[str, ...]:
    """What is biased by design says how far it stands from what is not."""
    rivals = [rival for rival in sums.plan.rivals_of(one) if rival.name == one.rival]
    if not one.never_trust or not rivals:
        return ()
    difference, stderr = _apart(one, rivals[0], sums)
    if not math.isfinite(difference):
        return ()
    chance = (
        "too few positives to say by chance or not"
        if _is_thin(one, rivals[0], sums)
        else f"standard error {stderr:.2g}"
    )
    return (f"it is {difference:+.3g} ({chance}) from '{one.rival}', which assumes less",)


def _is_thin(one: Estimator, rival: Estimator, sums: Sums) -> bool:
    """Whether two estimates differ by the weights of too few rewarded rows for a standard error."""
    if one.formula is dm:
        return False
    moved, squared = sums.gathered.moved[sums.plan.pairs.index((family(one), family(rival)))]
    if math.isnan(moved):
        return False
    effective = moved**2 / squared if squared > 0.0 else 0.0
    return bool(effective < THRESHOLDS.effective_positives[1])

"""Tuning: how strongly weights are reshaped, chosen on the log itself.

A strength trades bias for variance, and the log shows only the variance. SLOPE needs no more than that: strengths are
ordered from the least biased to the most, and as long as all intervals so far still share a point, bias has not shown.
Su, Srinath and Krishnamurthy, "Adaptive estimator selection for off-policy evaluation" (2020).

What was chosen on a log is not fixed on it: the interval of a tuned estimator does not know of the choice, and its
verdict says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from offpolicy.diagnostics import diagnose
from offpolicy.estimator import Estimator, Strength
from offpolicy.estimators import at_strength
from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters, student
from offpolicy.statistics import scores
from offpolicy.verdict import THRESHOLDS
from simenv.errors import UserError

PSEUDO_LOGS = 20
# Passes that a choice adds: the whole grid is estimated in one of the log, or in one of each pseudo-log.
PASSES = {"slope": 1, "pas-if": PSEUDO_LOGS}


@dataclass(frozen=True)
class Candidate:
    """One strength of the grid.

    Attributes:
        at: The strength.
        value: The estimate.
        width: Half the width of its interval at the level that all of the grid hold together; inf where the rows are
            too few for an interval (see `choose_by_slope`).
    """

    at: float
    value: float
    width: float


def choose_by_slope(candidates: list[Candidate]) -> int:
    """The last candidate up to which all intervals value ± 2 width share a point; the first where none has a width.

    Args:
        candidates: From the least biased to the most; their intervals hold simultaneously.

    Returns:
        Its number. With probability of the level, its error is at most a constant times that of the best of the grid.
    """
    low, high = -math.inf, math.inf
    if all(math.isinf(one.width) for one in candidates):
        return 0
    for number, one in enumerate(candidates):
        low, high = max(low, one.value - 2.0 * one.width), min(high, one.value + 2.0 * one.width)
        if low > high:
            return number - 1
    return len(candidates) - 1


def slope_candidates(one: Estimator, evidence: Evidence, by: Clusters, level: float = 0.95) -> list[Candidate]:
    """The estimates along the grid, from weights as they are to the strongest reshaping.

    The intervals are Student's, clustered, at a level that all hold together by Bonferroni. An estimate that rests on
    fewer effective positives or rows than any verdict lets pass has no interval to be believed: a narrow one would be
    an accident of what was not sampled. Its width is inf, so that it rules nothing out.

    Args:
        one: An estimator that takes a strength.
        evidence: The columns.
        by: Their clusters.
        level: Of all intervals together.

    Raises:
        UserError: If the estimator takes no strength or lacks a column.
    """
    if one.strength is None:
        raise UserError(f"estimator '{one.name}' takes no strength, so there is nothing to tune.")
    one.require(evidence)
    terms = one.terms(evidence)
    grid = _grid(one.strength)
    each = 1.0 - (1.0 - level) / len(grid)
    found = []
    for at in grid:
        point = at_strength(one, at)
        cut = point.reshaped(terms)
        seen, interval = diagnose(cut, by), student(scores(point.formula(cut)), by, each)
        is_enough = (
            seen.effective_positives >= THRESHOLDS.effective_positives[1]
            and seen.effective_rows >= THRESHOLDS.effective_rows[1]
        )
        width = (interval.high - interval.low) / 2.0 if is_enough else math.inf
        found.append(Candidate(at, interval.value, width))
    return found


def _grid(strength: Strength) -> tuple[float, ...]:
    """All strengths that are compared, from the least biased to the most."""
    return strength.grid if strength.none in strength.grid else (strength.none, *strength.grid)


def _slope(one: Estimator, evidence: Evidence, by: Clusters, level: float) -> float:
    candidates = slope_candidates(one, evidence, by, level)
    return candidates[choose_by_slope(candidates)].at


def _pas_if(one: Estimator, evidence: Evidence, by: Clusters, level: float) -> float:
    """The strength that errs least on pseudo-logs (`offpolicy.single.choosing`), of whatever level."""
    from offpolicy.single.choosing import choose  # deferred: it estimates, which this module is a part of

    assert one.strength is not None
    grid = _grid(one.strength)
    names = [at_strength(one, at).name for at in grid]
    return grid[names.index(choose(evidence, names, PSEUDO_LOGS).estimator)]


RULES: dict[str, Callable[[Estimator, Evidence, Clusters, float], float]] = {"slope": _slope, "pas-if": _pas_if}


def tuned(one: Estimator, evidence: Evidence, by: Clusters, level: float = 0.95) -> Estimator:
    """The estimator with the strength that its rule chooses; as it is where it has one.

    Args:
        one: An estimator, maybe with a rule in place of a strength (`dros:slope`).
        evidence: The columns to choose on.
        by: Their clusters.
        level: Of the intervals that choose.

    Raises:
        UserError: If it lacks a column.
    """
    if not one.tuning or one.strength is None:
        return one
    at = RULES[one.tuning](one, evidence, by, level)
    passes = one.passes + PASSES[one.tuning]
    told = (
        f"{one.never_trust}; its strength, {at:g}, was chosen by {one.tuning.upper()} among "
        f"{len(_grid(one.strength))} on these very rows ({passes} passes over the log), and the interval takes it "
        "as given"
    )
    return replace(one, at=at, never_trust=told, passes=passes)

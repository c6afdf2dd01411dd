"""What an interval leaves out, as far as the log itself can tell.

A standard error knows how far the rows in hand scatter. It does not know of the one row that would have doubled it, of
rows that are alike because one shopper made them, of a bias that reshaping or a model brought in, nor of what the
logger hardly ever shows and this log happens not to hold. Each of these can be asked of the evidence.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters, Interval, standard_error
from offpolicy.single.kinds import FAMILIES
from offpolicy.statistics import Scores

Floats = npt.NDArray[np.float64]

BLOCK = 40  # rows side by side that are looked at as one
_MIXED = "mixture"  # of whose loggers the table of all actions knows that of each row alone
_ROUNDING = 1e-9  # of a width, beside another
_SURE = 4.0  # standard errors of a ratio of variances before it counts


def variance_share(influence: Floats, by: Clusters) -> float:
    """The largest share of one cluster in the squared influences, 0 to 1: how far the standard error hangs on it.

    Where it is large, others of its kind that the log does not hold would move value and interval alike.
    """
    squared = by.sums(influence) ** 2
    total = float(squared.sum())
    return float(squared.max()) / total if total > 0.0 else 0.0


def neighbours(influence: Floats) -> float:
    """Variance of the sums of blocks of neighbouring rows over that of independent rows; 1 where they are.

    Where rows of one shopper or one page stand side by side and are alike, a standard error by rows is too small by
    the square root of it. Chance makes the ratio of B blocks scatter by sqrt(2 / B); what is not beyond four times
    that counts as 1.

    Args:
        influence: (N,), rows in the order of the log.
    """
    n_blocks = len(influence) // BLOCK
    if n_blocks < 2:
        return 1.0
    rows = influence[: n_blocks * BLOCK]
    sums = rows.reshape(n_blocks, BLOCK).sum(axis=1)
    return alike(float(sums @ sums), float(rows @ rows), n_blocks)


def alike(together: float, alone: float, n_blocks: int) -> float:
    """The ratio of summed squares of blocks and of rows; 1 where chance alone could have made it, or nothing varies."""
    if n_blocks < 2 or alone <= 0.0:
        return 1.0
    ratio = together / alone
    return ratio if ratio > 1.0 + _SURE * math.sqrt(2.0 / n_blocks) else 1.0


def narrower(value: Interval, lift: Interval) -> float:
    """Half the width of the narrower of two intervals that a bias would spoil alike; 0 is of an interval of no width.

    What the logger earned is not biased, so a lift has its value's bias, and where the target shows much of what the
    logger shows the interval of the lift is the one with less room for it. A width that is rounding beside the other
    does not count: weights that are all 1 leave a lift nothing but that.
    """
    of_value, of_lift = (value.high - value.low) / 2.0, (lift.high - lift.low) / 2.0
    return of_lift if _ROUNDING * of_value < of_lift < of_value else of_value


def unseen_bias(own: Scores, other: Scores, by: Clusters, half_width: float) -> float:
    """How large the bias of an estimate may be, in half-widths of its interval, by one that is not biased like it.

    The difference of the two is the bias, but for chance: |difference| + standard error of the difference. Above 1 the
    interval may miss the truth by its bias alone. An interval of no width counts as inf unless the two are equal.
    """
    return in_half_widths(own.value - other.value, standard_error(own.influence - other.influence, by), half_width)


def in_half_widths(difference: float, stderr: float, half_width: float) -> float:
    """A difference and its standard error, together, in half-widths of an interval."""
    reach = abs(difference) + stderr
    if half_width > 0.0:
        return reach / half_width
    return math.inf if reach > 0.0 else 0.0


def foreseen_rows(evidence: Evidence, family: str, share: Floats | None = None) -> float | None:
    """Effective rows that the policies themselves foretell, whatever the log happens to hold: N / E_target[w].

    (sum w)^2 / sum w^2 of a log tends to N / E_logger[w^2], and E_logger[w^2] = E_target[w], the mean weight of what
    the *target* shows. Slates that the logger hardly ever shows count here in full, though the log lacks them; of what
    it never shows the weight is infinite and no row is left.

    Args:
        evidence: The columns.
        family: "joint", "prefix" or "item_position", as the cuts are called.
        share: How much each row counts beside its weight, (N, 1), mean 1; None where all count alike.

    Returns:
        None where nobody computed it.
    """
    column = foreseen_of(evidence, family)
    if column is None:
        return None
    mean = float(column.mean() if share is None else (column * share[:, 0] ** 2).mean())
    return evidence.n_rows / mean if mean > 0.0 else 0.0


def foreseen_carriers(evidence: Evidence, family: str, reward: Floats, share: Floats | None = None) -> float | None:
    """Rewarded rows that the policies foretell to carry the variance, N (E c^2)^3 / (E c^3)^2 with c = w r.

    It is 1 / skewness^2 of the mean: where rows that are a share s of the log carry all of the variance, N s. A
    symmetric 95% interval loses about .25 / carriers of its coverage, all of it on one side (Hall, "The bootstrap and
    Edgeworth expansion", 1992), and of the logs a share exp(-carriers) hold no such row, with nothing to tell.
    E_logger[w^2] = E_target[w] and E_logger[w^3] = E_target[w^2] come from the policies, moments of rewards from the
    log; rewards are taken for independent of weights.

    Args:
        evidence: The columns.
        family: As of `foreseen_rows`.
        reward: Of the pieces that are weighed, (N, J).
        share: As of `foreseen_rows`.

    Returns:
        None where nobody computed it.
    """
    first, second = foreseen_of(evidence, family), foreseen_square_of(evidence, family)
    if first is None or second is None:
        return None
    if share is not None:
        first, second = first * share[:, 0] ** 2, second * share[:, 0] ** 3
    squared = reward * reward
    cubed = float(np.abs(reward * squared).sum())
    return carriers(float(first.mean()), float(second.mean()), float(squared.sum()), cubed)


def carriers(weight: float, square: float, squared: float, cubed: float) -> float:
    """E_target[w], E_target[w^2] and the rewards' sums of squares and of absolute cubes to a number of rows."""
    if cubed == 0.0 or not math.isfinite(square):
        return 0.0
    return squared * (squared / cubed) ** 2 * weight * (weight / square) ** 2


def foreseen_of(evidence: Evidence, family: str) -> Floats | None:
    """E_target[w | context] of each row, (N,); None where nobody computed it."""
    column = evidence.foreseen.get("joint" if family == "robust" else family)
    return _over_actions(evidence, family, 1) if column is None else column


def foreseen_square_of(evidence: Evidence, family: str) -> Floats | None:
    """E_target[w^2 | context] of each row, (N,); None where nobody computed it."""
    column = evidence.foreseen_square.get("joint" if family == "robust" else family)
    return _over_actions(evidence, family, 2) if column is None else column


def _over_actions(evidence: Evidence, family: str, power: int) -> Floats | None:
    if evidence.actions is None or family in FAMILIES or family == _MIXED:
        return None
    made: Floats = np.einsum("na,na->n", evidence.actions.target, evidence.actions.weights() ** power)
    return made

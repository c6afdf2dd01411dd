"""How much of the log an estimate really rests on.

Ten thousand rows of which five carry the weighted clicks are five rows. These numbers say so, beside every estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.inference import Clusters, standard_error
from offpolicy.statistics import Scores
from offpolicy.terms import Terms

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Diagnostics:
    """Weight diagnostics of one estimate.

    For item-position weights a row is K row-slots; sums run over row-slots, and effective rows are divided by K so
    that they stay in the unit of rows. An estimator without weights (the direct method) weighs every row 1.

    Attributes:
        effective_rows: (sum w)^2 / sum w^2, between 0 and N (Kish, "Survey Sampling", 1965).
        effective_positives: (sum w |r|)^2 / sum (w r)^2: the number of equally weighted rewarded rows (row-slots for
            item-position weights) that would be as informative; 0 where nothing was rewarded.
        mean_weight: Mean weight; 1 in expectation where the propensities are right and the logger has full support.
        mean_weight_z: (mean weight - 1) over its clustered standard error; the mean over slots for row-slots.
        max_weight_share: Largest share of one row in the sum of all weights; NaN where all weights are 0.
        weight_error: Mean relative error of the weights that their marginals state.
        beyond_support: Probability that the target plays what the logger never plays, where all actions are known.
        lost_weight: Share of all weight that reshaping took away.
        variance_share: The largest share of one cluster in the squared influences.
        neighbours: How many times as large the variance of rows side by side is as that of independent rows.
        unseen_bias: How large the bias of what is biased by design may be, in half-widths of its narrower interval,
            the value's or the lift's.
        foreseen_rows: Effective rows that the policies foretell whatever the log holds; inf where not known.
        foreseen_carriers: Rewarded rows that the policies foretell to carry the variance; inf where not known.
        unsupported: Pieces (whole slates, or slots) that have weight 0 in every row.
    """

    effective_rows: float
    effective_positives: float
    mean_weight: float
    mean_weight_z: float
    max_weight_share: float
    weight_error: float = 0.0
    unsupported: int = 0
    beyond_support: float = 0.0
    lost_weight: float = 0.0
    variance_share: float = 0.0
    neighbours: float = 1.0
    unseen_bias: float = 0.0
    foreseen_rows: float = float("inf")
    foreseen_carriers: float = float("inf")


def diagnose(terms: Terms, by: Clusters) -> Diagnostics:
    """Measure the weights of one family on the evidence they were made from.

    Args:
        terms: Weights and rewards, (N, J).
        by: Clusters of the same rows.
    """
    n_rows, n_pieces = terms.weight.shape
    earned = terms.weight * np.abs(terms.reward)
    row_weight = terms.weight[:, 0] if n_pieces == 1 else terms.weight.mean(axis=1)  # (N,)
    mean = float(row_weight.mean())
    return Diagnostics(
        effective_rows=effective(terms.weight) / n_pieces,
        effective_positives=effective(earned),
        mean_weight=mean,
        mean_weight_z=standardised(mean - 1.0, standard_error(row_weight - mean, by)),
        max_weight_share=float(row_weight.max()) / (n_rows * mean) if mean > 0.0 else float("nan"),
        weight_error=terms.error,
        unsupported=n_pieces - int(np.count_nonzero(terms.weight.max(axis=0))),
    )


def disagreement(one: Scores, other: Scores, by: Clusters) -> float:
    """Standardised z of the paired difference of two estimates of one value on the same rows (Hausman, 1978)."""
    size = max(abs(one.value), abs(other.value), standard_error(one.influence, by))
    return standardised(one.value - other.value, standard_error(one.influence - other.influence, by), size)


def interference_z(evidence: Evidence, by: Clusters) -> float | None:
    """Does what stands in one slot move the rewards of others? |z| of the strongest sign, corrected for all the looks.

    Given the context and the rest of the slate, chance alone decides which item stands at a slot, so under a
    position-based model placebo times reward elsewhere has mean zero whatever shoppers like: exactly, with no model to
    be right or wrong. The reward model's expectation is taken off to gain power and cannot bias it. Looked at are each
    slot against all below and all above it, and the two sums over slots; the smallest p is corrected by Bonferroni and
    told as the |z| of a single look. None where there is no placebo.
    """
    upward, downward = placebo_products(evidence)
    return _of_a_single_look([*_looks(upward, by), *_looks(downward, by)])


def upward_z(evidence: Evidence, by: Clusters) -> float | None:
    """As `interference_z`, of rewards above the slot alone: they do not move where people read from the top."""
    return _of_a_single_look(_looks(placebo_products(evidence)[0], by))


def placebo_products(evidence: Evidence) -> tuple[Floats, Floats]:
    """Placebo of each slot times the rewards above it, and times those below it, (N, K - 1) both; else (N, 0)."""
    if evidence.placebo is None or evidence.n_slots < 2:
        return np.empty((evidence.n_rows, 0)), np.empty((evidence.n_rows, 0))
    rest = evidence.reward if evidence.q_logged is None else evidence.reward - evidence.q_logged
    above = np.cumsum(rest, axis=1) - rest
    below = rest.sum(axis=1, keepdims=True) - rest - above
    return (evidence.placebo * above)[:, 1:], (evidence.placebo * below)[:, :-1]


def _looks(products: Floats, by: Clusters) -> list[float]:
    """|z| of the mean of each column, and of their sum over columns; none where there is no column."""
    looks = [*products.T, products.sum(axis=1)] if products.shape[1] else []
    return [abs(standardised(float(look.mean()), standard_error(look - look.mean(), by))) for look in looks]


def _of_a_single_look(looks: list[float]) -> float | None:
    """The largest |z| of several as that of a single one."""
    if not looks:
        return None
    strongest, normal = max(looks), NormalDist()
    p = len(looks) * 2.0 * normal.cdf(-strongest)
    if p >= 1.0:
        return 0.0
    return strongest if p < 1e-280 else -normal.inv_cdf(p / 2.0)


def effective(column: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """(sum c)^2 / sum c^2 of numbers that are not negative: how many equal ones would be as informative; 0 for none."""
    flat = column.ravel()
    top = float(flat.max())
    if top <= 0.0:
        return 0.0
    if top < 1e-100:  # squares would underflow
        flat = flat / top
    return float(flat.sum()) ** 2 / float(flat @ flat)


def standardised(difference: float, stderr: float, size: float = 1.0) -> float:
    """A difference in standard errors; 0 where it is but rounding, infinite where nothing varies.

    Args:
        difference: Of two numbers.
        stderr: Of the difference.
        size: Of these numbers, which their rounding is a share of; 1 for weights.
    """
    if abs(difference) <= 1e-9 * max(size, stderr):
        return 0.0
    return difference / stderr if stderr > 0.0 else math.copysign(math.inf, difference)

"""Quantiles and tail means of what a row earns under the target policy.

A mean of euros hides that most searches earn nothing and a few earn much. The distribution of a row's total reward
under the target is estimated by self-normalised weights, F(y) = sum_i w_i 1[r_i <= y] / sum_i w_i, and asked for its
quantile or for the mean beyond it (CVaR). Where many rows earn exactly the same, a quantile sits on that atom and tells
nothing of how two policies differ; such questions are refused. Chandak, Niekum, da Silva, Learned-Miller, Brunskill and
Thomas, "Universal off-policy evaluation" (2021); the quantile's interval inverts that of F (Woodruff, "Confidence
intervals for medians and other position measures", 1952); CVaR as in Rockafellar and Uryasev, "Optimization of
conditional value-at-risk" (2000).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from offpolicy.inference import Interval, clusters, student
from offpolicy.statistics import Scores, ratios_of, scores
from offpolicy.terms import joint
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]

ATOM = 0.01  # the largest share of weight that may sit exactly on a quantile


@dataclass(frozen=True)
class Distribution:
    """The estimated distribution of a row's total reward under the target policy.

    Attributes:
        reward: Distinct totals, ascending, (M,).
        share: Of all weight at or below each, (M,); the last is 1.
    """

    reward: Floats  # (M,)
    share: Floats  # (M,)

    def quantile(self, p: float) -> float:
        """The smallest total at or below which lies a share of at least p."""
        return float(self.reward[min(int(np.searchsorted(self.share, p - 1e-12)), len(self.reward) - 1)])

    def atom(self, total: float) -> float:
        """Share of all weight that sits exactly on a total."""
        i = int(np.searchsorted(self.reward, total))
        if i == len(self.reward) or self.reward[i] != total:
            return 0.0
        return float(self.share[i] - (self.share[i - 1] if i else 0.0))


def distribution(evidence: Evidence) -> Distribution:
    """Estimate the distribution of a row's total reward.

    Raises:
        UserError: If no row has any weight.
    """
    weight, total = _weights(evidence)
    reward, code = np.unique(total, return_inverse=True)
    mass = np.bincount(code, weights=weight, minlength=len(reward))
    return Distribution(reward, np.cumsum(mass) / mass.sum())


def quantile(evidence: Evidence, p: float, level: float = 0.95) -> Interval:
    """The p-quantile of a row's total reward under the target policy, with an interval.

    Args:
        evidence: The columns.
        p: In (0, 1).
        level: Confidence level.

    Returns:
        Value and interval. An end beyond what was seen is that of `reward_range`, or infinite: the largest total of a
        log is no upper limit of a quantile that may lie above it. The standard error is that of the half width within
        the log.

    Raises:
        UserError: If p is out of range, no row has weight, or the quantile sits on an atom.
    """
    check_share(p)
    weight, total = _weights(evidence)
    known, by = distribution(evidence), clusters(evidence)
    value = known.quantile(p)
    _refuse_atom(known, value, f"the {100 * p:g}% quantile")
    at = student(_indicator(weight, total, value), by, level)
    reach = at.high - at.value  # how far the estimate of F may be off there
    low, high = known.quantile(max(p - reach, 0.0)), known.quantile(min(p + reach, 1.0))
    stderr = (high - low) / 2.0 * (at.stderr / reach if reach > 0.0 else 0.0)
    least, most = (-math.inf, math.inf) if evidence.reward_range is None else evidence.reward_range
    return Interval(value, stderr, least if p <= reach else low, most if p + reach >= 1.0 else high)


def tail_mean(evidence: Evidence, p: float, level: float = 0.95) -> Interval:
    """The mean total reward of the best share 1 - p of rows under the target policy (upper CVaR), with an interval.

    Args:
        evidence: The columns.
        p: In (0, 1): .9 asks for the mean of the best tenth.
        level: Confidence level.

    Raises:
        UserError: As `quantile`.
    """
    check_share(p)
    weight, total = _weights(evidence)
    known = distribution(evidence)
    at = known.quantile(p)
    _refuse_atom(known, at, f"the border of the best {100 * (1.0 - p):.3g}%")
    beyond = at + np.maximum(total - at, 0.0) / (1.0 - p)
    return student(scores(ratios_of((weight * beyond)[:, None], weight[:, None])), clusters(evidence), level)


def _indicator(weight: Floats, total: Floats, value: float) -> Scores:
    below = (weight * (total <= value))[:, None]
    return scores(ratios_of(below, weight[:, None]))


def _weights(evidence: Evidence) -> tuple[Floats, Floats]:
    terms = joint(evidence)
    weight = terms.weight[:, 0]
    if not weight.any():
        raise UserError("no row has any weight: the target policy could never have shown what the logger showed.")
    return weight, terms.reward[:, 0]


def check_share(p: float) -> None:
    """Raise a `UserError` where p is no share between 0 and 1."""
    if not 0.0 < p < 1.0:
        raise UserError(f"the share is {p}; expected a number between 0 and 1, such as 0.9.")


def _refuse_atom(known: Distribution, value: float, what: str) -> None:
    share = known.atom(value)
    if share > ATOM:
        raise UserError(
            f"{what} is {value:g}, and {share:.1%} of all weight sits exactly there: many policies share it, so it "
            f"tells none apart (at most {ATOM:.0%} may). Ask for the mean, or for a share beyond that many equal rows."
        )

"""The value of a policy now, from a log in which values drift: what is long ago counts less.

    V = sum_i h_i s_i / sum_i h_i,   h_i = 2^(-age_i / half-life),

where s_i is what a row adds to an estimate that knows of no time (`ips`, `dr`, by slot or by prefix). The half-life is
a share of the time that the log spans: at .25 rows a quarter of the log ago count half. Plain means say what the
policy would have earned on average over the log; this says what it earns where the log ends, with

* bias: a value that moves by b over the span lags by about b * half-life / ln 2 (less where that is no longer short
  beside the log), which older rows alone cannot tell apart from the value;
* variance: that of (sum h)^2 / sum h^2 rows, about 2 * half-life / ln 2 of the log, with unequal weights beside.

As the half-life grows, the one falls and the other rises; `NAME:slope` lets the log choose. It speaks of contexts as
they are at the end, too. Recency weights for drifting logs are as old as exponential smoothing; as a non-stationary
off-policy estimate: Thomas, Theocharous, Ghavamzadeh, Durugkar and Brunskill, "Predictive off-policy policy evaluation
for nonstationary decision problems, with applications to digital marketing" (2017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from offpolicy.estimator import Estimator, Strength
from offpolicy.evidence import Evidence
from offpolicy.formulas import dr, ips
from offpolicy.slates.cuts import prefix
from offpolicy.statistics import Statistics, ratios_of
from offpolicy.terms import Terms, item_position, joint
from offpolicy.weights import as_they_are
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]

_HALF_LIVES = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, np.inf)
_THOMAS = "Thomas, Theocharous, Ghavamzadeh, Durugkar and Brunskill 2017"
_LAGS = "what is older than the end of the log counts too, so it lags behind a value that moves"


def at_the_end(named: Mapping[str, Estimator]) -> tuple[Estimator, ...]:
    """The registry's lines of the value now, made of those of the value on average by their names."""
    return (
        _now(whole_now, ips_now, named["ips"]),
        _now(whole_now, dr_now, named["dr"]),
        _now(prefix_now, dr_now, named["cascade-dr"]),
        _now(slots_now, dr_now, named["dr-item"]),
    )


def whole_now(evidence: Evidence) -> Terms:
    """Whole slates with their age."""
    return _aged(joint, evidence)


def prefix_now(evidence: Evidence) -> Terms:
    """Prefixes with their age."""
    return _aged(prefix, evidence)


def slots_now(evidence: Evidence) -> Terms:
    """Slots with their age."""
    return _aged(item_position, evidence)


def fade(terms: Terms, half_life: float) -> Terms:
    """Terms whose rows count less the older they are; all alike at a half-life of inf.

    Raises:
        UserError: If they have no age.
    """
    if terms.age is None:
        raise UserError("these terms have no age; cut the evidence with offpolicy.recency.")
    count = np.exp2(-terms.age / half_life)
    count /= count.mean()
    return replace(
        terms,
        weight=terms.weight * count[:, None],
        q_target=None if terms.q_target is None else terms.q_target * count,
        share=count[:, None],
    )


def ips_now(terms: Terms) -> Statistics:
    """V = sum_i h_i (sum_j w_ij r_ij) / sum_i h_i."""
    return _over_shares(ips, terms)


def dr_now(terms: Terms) -> Statistics:
    """V = sum_i h_i [q_target_i + sum_j w_ij (r_ij - q_logged_ij)] / sum_i h_i."""
    return _over_shares(dr, terms)


def lift_now(statistics: Statistics, evidence: Evidence) -> Statistics:
    """Statistics of the difference to what the logger earns now, by the same counts."""
    earned = statistics.below * evidence.reward.sum(axis=1, keepdims=True)
    return replace(statistics, above=statistics.above - earned)


def _now(terms: Callable[[Evidence], Terms], formula: Callable[[Terms], Statistics], of: Estimator) -> Estimator:
    """An estimator of the value where the log ends."""
    half_life = Strength(
        as_they_are, 0.25, np.inf, 0.001, np.inf, _HALF_LIVES, remake=fade,
        does="a row counts half as much for each quarter of the log's time that it is older",
    )  # fmt: skip
    return replace(
        of,
        name=f"recent-{of.name}",
        terms=terms,
        formula=formula,
        needs=("time", *of.needs),
        assumption=f"{of.assumption}; values move little within a half-life of the end of the log",
        paper=f"{_THOMAS}; {of.paper}",
        estimand="value per {unit} now: over the logger's contexts at the end of the log",
        never_trust=_LAGS,
        rival="",
        against=lift_now,
        strength=half_life,
        at=half_life.default,
        by_default=False,
    )


def _over_shares(formula: Callable[[Terms], Statistics], terms: Terms) -> Statistics:
    share = np.ones((len(terms.weight), 1)) if terms.share is None else terms.share
    return ratios_of(formula(terms).plain[:, None], share)


def _aged(cut: Callable[[Evidence], Terms], evidence: Evidence) -> Terms:
    if evidence.time is None:
        raise UserError("time is absent; the value now needs to know when each row was logged.")
    span = float(evidence.time.max() - evidence.time.min())
    if span == 0.0:
        raise UserError("all rows have one time, so none is more recent than another; leave out the value now.")
    return replace(cut(evidence), age=(evidence.time.max() - evidence.time) / span)

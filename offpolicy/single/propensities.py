"""Propensities for a log that has none: a multinomial model of the logger, cross-fitted and calibrated.

They stand in for what should have been logged. What moved the logger and is not in the context stays hidden, so no
verdict on them is `trust`; and an estimate divides by them, so a model that ranks actions well is not enough: its
numbers must be right. So they are calibrated on rows that the model never saw (Niculescu-Mizil and Caruana,
"Predicting good probabilities with supervised learning", 2005), and the calibration error on further rows is stated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy.reward_model import folds
from offpolicy.single.arrays import SingleActionLog
from offpolicy.single.multinomial import check_folds, fit_multinomial
from simenv.errors import unknown_name

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BINS = 10
_HITS = 10  # logged actions
_LEAST = 1e-12  # keeps logarithms finite


@dataclass(frozen=True)
class LearnedPropensities:
    """Fitted propensities and how far they are off.

    Attributes:
        log: The log with the propensities of all actions, (N, A), of kind "estimated".
        error: Their calibration error, see `calibration_error`, on rows that no fit saw.
        uncalibrated_error: The same of the model's own probabilities.
        lifted: Share of the logged actions whose propensity had to be lifted to the floor.
    """

    log: SingleActionLog
    error: float
    uncalibrated_error: float
    lifted: float


def learned(
    log: SingleActionLog, n_actions: int, how: str = "isotonic", n_folds: int = 5, seed: int = 0
) -> LearnedPropensities:
    """Fit the logger's propensities on the log itself.

    Clusters fall into folds. A fold's propensities come from a multinomial model of all folds but it and the next one,
    calibrated action by action on the next one, so that neither the model nor its calibration saw the fold.

    Args:
        log: The log, with a context; propensities that it has are left aside.
        n_actions: A.
        how: Name in `CALIBRATIONS`: "isotonic", "platt" or "none".
        n_folds: At least 3.
        seed: Names the split.

    Raises:
        UserError: If there is no context, too few clusters for the folds, or no calibration of that name.
    """
    if how not in CALIBRATIONS:
        raise unknown_name("calibration", how, CALIBRATIONS)
    context, cluster = log.needed_context(), log.clusters
    check_folds(cluster, n_folds, 3)
    fold = folds(cluster, n_folds, seed)
    plain, made, lowest = (np.empty((log.n_rows, n_actions)) for _ in range(3))
    for held in range(n_folds):
        mine, beside = fold == held, fold == (held + 1) % n_folds
        if not mine.any():
            continue
        model = fit_multinomial(context[~mine & ~beside], log.action[~mine & ~beside], n_actions)
        plain[mine] = model.probabilities(context[mine])
        known = (model.probabilities(context[beside]), log.action[beside])
        raw = CALIBRATIONS[how](*known, plain[mine])
        # Rows that never happened among n are put at half a row: a propensity of 0 would say that they cannot.
        floor = 0.5 / (beside.sum() + 1.0)
        lowest[mine] = raw < floor
        lifted = np.maximum(raw, floor)
        made[mine] = lifted / lifted.sum(axis=1, keepdims=True)
    error = calibration_error(made, log.action)
    return LearnedPropensities(
        replace(log, propensity=made, propensity_kind="estimated", propensity_error=error),
        error,
        calibration_error(plain, log.action),
        float(lowest[np.arange(log.n_rows), log.action].mean()),
    )


def calibration_error(p: Floats, action: Ints, n_bins: int = _BINS) -> float:
    """Share of the logged actions that propensities put at the wrong probability.

    The pairs of row and action are sorted by p and cut into bins in which equally many logged actions are expected; the
    error is the sum over bins of |expected - logged| over the number of rows: between 0 and 1 or little more. Chance
    alone makes it about 0.8 * sqrt(bins / N).

    Args:
        p: Propensities of all actions, (N, A), by a model that did not see the rows.
        action: The logged actions, (N,).
        n_bins: Number of bins.
    """
    hit = np.zeros(p.shape)
    hit[np.arange(len(p)), action] = 1.0
    pairs = p.ravel()
    ascending = np.sort(pairs)
    share = np.cumsum(ascending) / ascending.sum()
    edges = ascending[np.searchsorted(share, np.arange(1, n_bins) / n_bins)]
    place = np.searchsorted(edges, pairs)  # by value, so that pairs of one p stay together
    gap = np.bincount(place, pairs, n_bins) - np.bincount(place, hit.ravel(), n_bins)
    return float(np.abs(gap).sum()) / len(p)


def _isotonic(known: Floats, action: Ints, p: Floats) -> Floats:
    """The monotone step function of each action's probability that fits best (Zadrozny and Elkan, 2002).

    The lowest steps of such a function are 0, which nothing may be divided by, and a step of h logged actions is off
    by a share of 1 / sqrt(h), which goes into every weight there: so steps are joined until each holds `_HITS`.
    """
    from sklearn.isotonic import IsotonicRegression  # deferred: heavy, and needed by this function only

    made = np.empty(p.shape)
    for one in range(p.shape[1]):
        order = np.argsort(known[:, one], kind="stable")
        ascending, hit = known[order, one], (action[order] == one).astype(np.float64)
        height = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(ascending, hit)
        first = _joined(np.flatnonzero(np.diff(height, prepend=-1.0) > 0.0), hit)
        hits, n_rows = np.add.reduceat(hit, first), np.diff(first, append=len(hit))
        step = hits / n_rows if hits.min() > 0.0 else (hits + 0.5) / (n_rows + 1.0)
        made[:, one] = step[np.maximum(np.searchsorted(ascending[first], p[:, one], side="right") - 1, 0)]
    return made


def _joined(first: Ints, hit: Floats) -> Ints:
    """Where steps begin when each but the last is joined with the next until it holds enough hits."""
    kept, before = [0], np.concatenate([[0.0], np.cumsum(hit)])
    for start in first[1:]:
        if before[start] - before[kept[-1]] >= _HITS and before[-1] - before[start] >= _HITS:
            kept.append(int(start))
    return np.array(kept)


def _platt(known: Floats, action: Ints, p: Floats) -> Floats:
    """A logistic curve through each action's log-odds (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression  # deferred: heavy, and needed by this function only

    made = np.empty(p.shape)
    for one in range(p.shape[1]):
        hit = action == one
        if hit.all() or not hit.any():
            made[:, one] = (hit.sum() + 0.5) / (len(hit) + 1.0)
            continue
        fitted = LogisticRegression(C=1e3).fit(_log_odds(known[:, one]), hit)
        made[:, one] = fitted.predict_proba(_log_odds(p[:, one]))[:, 1]
    return made


def _log_odds(p: Floats) -> Floats:
    within = np.clip(p, _LEAST, 1.0 - _LEAST)
    return (np.log(within) - np.log1p(-within))[:, None]


CALIBRATIONS: dict[str, Callable[[Floats, Ints, Floats], Floats]] = {
    "isotonic": _isotonic,
    "platt": _platt,
    "none": lambda known, action, p: p,
}

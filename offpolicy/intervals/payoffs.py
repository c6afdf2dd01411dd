"""Payoffs: what may be bet on about a value, with the bounds that hold whatever is logged.

Finite-sample intervals rest on facts known before the log: the range of a reward (`Evidence.reward_range`) and the
largest weight that the policies allow (`Evidence.max_weight`, see `offpolicy.bounds`). Neither is ever taken from the
sample: the weight that ruins an interval is the one that did not happen to be logged.

A payoff is one column a cluster, X(theta) = a - theta * b, whose mean is 0 at the true theta. With rewards scaled to
[0, 1] and E[w] = 1,

    a value from below:       a = w r                 mean V
    from above, any weights:  a = w (1 - r)           mean 1 - V: needs no largest weight
    from above, w <= W:       a = -w r                mean -V, and X >= -(W + theta)
    self-normalised, w <= W:  a = w r,  b = w         E[w (r - theta)] = 0
    doubly robust, w <= W:    a = q_target + w (r - q_logged) >= -W where the model stays in [0, 1] (and plain weights)
    the lift over the logger: a = (w - 1) r           mean V - V_logger, at least -1

and slot by slot the same with the range of one slot (`slot_range`).

Rows of one cluster are added up first, so the value per row, E[sum of w r] / E[rows], is bet on as E[sum of (w r -
theta)] = 0, whatever the sizes of clusters have to do with their worth. What has to be bounded then is the number of
rows of a cluster: the largest of the log is taken for a fact of how it was made, as the window of a log is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.formulas import dr, ips, snips
from offpolicy.inference import Clusters, lift
from offpolicy.intervals.case import Case
from offpolicy.loggers import mixture
from offpolicy.single.cuts import balanced, robust, within
from offpolicy.slates.behaviour import adaptive
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-6  # relative, of weights against their bound

# Cuts whose weighted rewards do not have the value as their mean row by row, given all rows before.
_NOT_BY_ROW = {
    mixture: "weights by the mixture of all loggers are right over all loggers together, not for the rows of one",
    balanced: "its weights are a classifier's that was fitted on these rows",
    robust: "its reward model was fitted on folds of these rows, which know the rows to come",
    within: "its reward model was fitted on folds of these rows, which know the rows to come",
}


@dataclass(frozen=True)
class Payoff:
    """What may be bet on: X(theta) = a - theta * b, a column a cluster, mean 0 at the true theta.

    Attributes:
        a, b: (G,), clusters in the order in which they first appear.
        floor: (m0, m1): X(theta) >= -(m0 + m1 * theta).
        spread: Width of the range of X; infinite where weights have no bound.
        range: Where theta lies; the upper end may be infinite.
        sign, offset: The (scaled) value is offset + sign * theta.
        has_scale: Whether rewards were scaled to [0, 1], so that the size of a payoff is known before the first.
    """

    a: Floats  # (G,)
    b: Floats  # (G,)
    floor: tuple[float, float]
    spread: float
    range: tuple[float, float]
    sign: float = 1.0
    offset: float = 0.0
    has_scale: bool = True

    def value(self, theta: float) -> float:
        """The scaled value that belongs to theta."""
        return self.offset + self.sign * theta


@dataclass(frozen=True)
class Payoffs:
    """All that may be bet on about one value: `below` excludes small values, `above` large ones; either may be empty.

    Attributes:
        below, above: Payoffs whose theta grows with the value, and falls with it.
        low, scale: The value in its own unit is low + scale * (scaled value).
    """

    below: tuple[Payoff, ...]
    above: tuple[Payoff, ...]
    low: float
    scale: float


@dataclass(frozen=True)
class _Rows:
    """The case row by row: rewards scaled, weights with their bound."""

    case: Case
    weight: Floats  # (N, J)
    reward: Floats  # (N, J)
    low: float
    scale: float  # infinite where the reward has no known upper end
    bound: float  # of the weights; infinite where not known
    most: float  # rows of a cluster

    @property
    def is_bounded(self) -> bool:
        return math.isfinite(self.scale)

    @property
    def paired(self) -> float:
        return 1.0 if self.case.is_lift else 0.0

    def sums(self, column: Floats) -> Floats:
        return first_seen(self.case.by, column)

    @property
    def n(self) -> Floats:
        return self.sums(np.ones(len(self.weight)))


def payoffs(case: Case) -> Payoffs:
    """What may be bet on about the value of a case.

    Raises:
        UserError: If nothing may: the estimator is none of those that the payoffs are made for, or a bound is missing.
    """
    rows = _rows(case)
    low = 0.0 if case.is_lift else rows.low
    scale = rows.scale if rows.is_bounded else 1.0
    if case.estimator.formula is dr:
        below, above = _doubly_robust(rows)
    elif rows.weight.shape[1] > 1:
        below, above = _slots(rows)
    else:
        below, above = _weighted(rows)
    return Payoffs(below, above, low, scale)


def first_seen(by: Clusters, column: Floats) -> Floats:
    """Sums of a column (N,) within clusters, (G,), in the order in which clusters first appear in the log."""
    if by.codes is None:
        return column
    return by.sums(column)[_order(by)]


def _order(by: Clusters) -> npt.NDArray[np.int64]:
    assert by.codes is not None
    first = np.full(by.size, len(by.codes), dtype=np.int64)
    first[by.codes[::-1]] = np.arange(len(by.codes))[::-1]  # the last to write is the first to appear
    order = np.argsort(first, kind="stable")
    return order[: by.count]


def _rows(case: Case) -> _Rows:
    one, evidence, terms = case.estimator, case.evidence, case.terms
    n_pieces = terms.weight.shape[1]
    if one.formula not in (ips, snips, dr) or (n_pieces > 1 and one.formula is not ips):
        raise UserError(
            f"estimator '{one.name}' has no interval that holds in small logs: it is not a mean of weighted rewards. "
            "Ask for ips, snips, rips or ips-item, or for the interval 't', 'bootstrap' or 'bca'."
        )
    if one.terms in _NOT_BY_ROW:
        raise UserError(
            f"estimator '{one.name}' has no interval that holds in small logs: {_NOT_BY_ROW[one.terms]}. Ask for ips "
            "or snips, or for the interval 't', 'bootstrap' or 'bca'."
        )
    if one.terms is adaptive and evidence.behaviour is None:
        raise UserError(
            f"how shoppers read was learned by '{one.name}' from these very rows, so a bet with it knows the rows to "
            "come. Declare the column `behaviour`, or ask for the interval 't'."
        )
    if one.tuning:
        raise UserError(
            f"the strength of '{one.name}' was chosen on these very rows, so a bet with it knows the rows to come. "
            f"Name a number ('{one.name.partition(':')[0]}:10'), or ask for the interval 't'."
        )
    if case.is_lift and one.against is not lift:
        raise UserError(f"the lift of '{one.name}' is not over the logger on the same rows; ask for the interval 't'.")
    if terms.weight.min() < 0.0:
        raise UserError(f"estimator '{one.name}' has weights below 0; betting needs weights of at least 0.")
    low, high = _range(case)
    scale = high - low
    reward = terms.reward - low if math.isinf(scale) else (terms.reward - low) / scale
    if n_pieces > 1:  # the range is that of the row's total, so slots are scaled and not moved
        reward = terms.reward if math.isinf(scale) else terms.reward / scale
    sizes = case.by.sums(np.ones(evidence.n_rows))
    return _Rows(case, terms.weight, reward, low, scale, _bound(case), float(sizes.max()))


def _range(case: Case) -> tuple[float, float]:
    given = case.evidence.reward_range
    low, high = (0.0, math.inf) if given is None else given
    if (given is None or case.terms.weight.shape[1] > 1) and float(case.evidence.reward.min()) < 0.0:
        raise UserError(
            "rewards below 0 and no known range: even a lower limit then needs the least reward that can occur. "
            "Declare reward_range (on the command line --reward-range LOW,HIGH)."
        )
    if case.terms.weight.shape[1] > 1 and low != 0.0:
        raise UserError(f"slot by slot, betting needs rewards of at least 0; reward_range starts at {low:g}.")
    return low, high


def _bound(case: Case) -> float:
    """The largest weight of a row that can occur, reshaped where the estimator reshapes; infinite if not known."""
    given = case.evidence.max_weight
    if case.terms.weight.shape[1] > 1:
        return math.inf  # max_weight is about whole rows
    bound = math.inf if given is None else given
    strength, at = case.estimator.strength, case.estimator.at
    if strength is not None:
        grid = np.append(np.geomspace(1e-6, min(bound, 1e12), 20_001), min(at, bound))
        reshaped = strength.reshape(grid, at)
        if (reshaped > grid * (1.0 + _ROUNDING)).any():
            raise UserError(
                f"estimator '{case.estimator.name}' makes some weights larger, so it bounds the value from neither "
                "side; ask for ips, clipped-ips or the interval 't'."
            )
        bound = min(bound, float(reshaped.max()) * (1.0 + 1e-5))  # the grid is that fine
    if float(case.terms.weight.max()) > bound * (1.0 + _ROUNDING):
        row = int(case.terms.weight[:, 0].argmax())
        raise UserError(
            f"log row {row} has a weight of {case.terms.weight[row, 0]:g}, above max_weight {bound:g}: expected a "
            "bound that no row can pass. Derive it from the logger's floor, or declare a larger one."
        )
    return bound


def _weighted(rows: _Rows) -> tuple[tuple[Payoff, ...], tuple[Payoff, ...]]:
    """IPS and SNIPS on whole rows. Clipped weights (w' <= w) bound the value from both sides as well."""
    weight, reward, n, c = rows.weight[:, 0], rows.reward[:, 0], rows.n, rows.paired
    top = 1.0 + c if rows.is_bounded else math.inf
    spread = rows.bound * rows.most
    if not rows.is_bounded:
        if c:
            return (), ()  # what the logger earned has no upper end
        return (Payoff(rows.sums(weight * reward), n, (0.0, rows.most), math.inf, (0.0, top), has_scale=False),), ()
    gain, miss = rows.sums((weight - c) * reward), rows.sums((weight - c) * (1.0 - reward))
    plain = (0.0, rows.most)
    below = Payoff(gain + c * n, n, plain, spread, (0.0, top), 1.0, -c)
    around = Payoff(miss + c * n, n, plain, spread, (0.0, top), -1.0, 1.0)
    if math.isinf(rows.bound) or rows.case.estimator.strength is not None:
        return (below,), (around,)
    if rows.case.estimator.formula is snips and not c:
        total, own = rows.sums(weight), (0.0, spread)
        return (
            (Payoff(gain, total, own, spread, (0.0, 1.0)), below),
            (Payoff(miss, total, own, spread, (0.0, 1.0), -1.0, 1.0), around),
        )
    above = Payoff(-gain, n, ((rows.bound - c) * rows.most, rows.most), spread, (-1.0, c), -1.0)
    return (below,), (above, around)


def _slots(rows: _Rows) -> tuple[tuple[Payoff, ...], tuple[Payoff, ...]]:
    """Slot by slot: as whole rows, E[sum of w_k (m - r_k)] = K m - V, with m the largest reward of one slot."""
    weight, reward, n, c = rows.weight, rows.reward, rows.n, rows.paired
    if c and not rows.is_bounded:
        return (), ()
    gain = rows.sums(((weight - c) * reward).sum(axis=1) + c)
    top = 1.0 + c if rows.is_bounded else math.inf
    below = Payoff(gain, n, (0.0, rows.most), math.inf, (0.0, top), 1.0, -c, rows.is_bounded)
    given = rows.case.evidence.slot_range
    if given is None or not rows.is_bounded or math.isinf(given[1]) or weight.shape[1] != rows.case.evidence.n_slots:
        return (below,), ()
    most = given[1] / rows.scale
    whole = most * weight.shape[1]
    miss = rows.sums(((weight - c) * (most - reward)).sum(axis=1) + c * whole)
    return (below,), (Payoff(miss, n, (0.0, rows.most), math.inf, (0.0, whole * (1.0 + c)), -1.0, whole),)


def _doubly_robust(rows: _Rows) -> tuple[tuple[Payoff, ...], tuple[Payoff, ...]]:
    case, c, most = rows.case, rows.paired, rows.most
    if not case.evidence.q_is_past_only:
        raise UserError(
            f"estimator '{case.estimator.name}' needs a reward model that was fitted on earlier rows only: "
            "cross-fitted folds know the rows to come, and a bet must not. On the command line add --reward-model past "
            "(in Python offpolicy.intervals.past.past_only), or ask for ips or snips."
        )
    if case.estimator.strength is not None or not rows.is_bounded or math.isinf(rows.bound):
        missing = [
            name
            for name, is_missing in (("reward_range", not rows.is_bounded), ("max_weight", math.isinf(rows.bound)))
            if is_missing
        ]
        raise UserError(
            f"estimator '{case.estimator.name}' cannot be bounded: "
            + (f"{' and '.join(missing)} not known." if missing else "its weights are reshaped.")
            + " Declare what the policies allow, or ask for ips."
        )
    q_logged, q_target = case.terms.model()
    logged, target = (q_logged[:, 0] - rows.low) / rows.scale, (q_target - rows.low) / rows.scale
    if min(logged.min(), target.min()) < 0.0 or max(logged.max(), target.max()) > 1.0:
        raise UserError("the reward model leaves reward_range; clip its expectations to the range first.")
    gain = rows.sums(target + rows.weight[:, 0] * (rows.reward[:, 0] - logged) - c * rows.reward[:, 0])
    spread = (1.0 + 2.0 * rows.bound + c) * most
    below = Payoff(gain, rows.n, ((rows.bound + c) * most, most), spread, (-c, 1.0))
    above = Payoff(-gain, rows.n, ((1.0 + rows.bound) * most, most), spread, (-1.0, c), -1.0)
    # The least payoff with a model is that of the largest weight there may be, so that where it is huge next to nothing
    # may be staked; plain weights bet on the same value and have no such floor, so the money is split.
    plain_below, plain_above = _weighted(rows)
    return (below, *plain_below), (above, *plain_above)

"""The refit bootstrap: how much a direct-method value moves when its reward model is fitted again on other shoppers.

The direct method averages what a model expects, so an interval that holds the model fixed has almost no width and
covers nothing. Fitting the model again on every resampled log shows its variance. It shows nothing of its bias: a
model that cannot say what the target policy earns says the same wrong thing every time, so this interval is of the
variance only, and says so in its name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from offpolicy.inference import Clusters, Interval
from offpolicy.intervals.bootstrap import LANES, counts
from offpolicy.intervals.case import Asked
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Refit = Callable[[Floats], Floats]

VARIANCE_ONLY = "the interval is of the refitted model's variance only: it knows nothing of the model's bias"


def refit_bootstrap(refit: Refit, by: Clusters, logged: Floats, asked: Asked) -> tuple[Interval, Interval]:
    """Percentile intervals of a direct-method value and of its lift, the model fitted again in each replicate.

    Args:
        refit: From weights of rows (N,), whole numbers from 0, to the total reward of each row under the target policy
            (N,) as a model expects it that was fitted with those weights.
        by: Clusters of the rows.
        logged: Total reward of each row, (N,).
        asked: Level, replicates (each is one fit) and seed.

    Returns:
        The value with all weights 1, and the difference of that and the mean of what was logged; standard errors are
        those of the replicates. See `VARIANCE_ONLY`.

    Raises:
        UserError: If `refit` does not give one number a row, or one that is not finite.
    """
    n_rows = len(logged)
    codes = np.arange(n_rows) if by.codes is None else by.codes
    drawn = np.empty((asked.replicates, 2))
    for b in range(asked.replicates):
        if b % LANES == 0:
            times = counts(np.arange(by.size), range(b // LANES, b // LANES + 1), asked.seed)  # (LANES, G)
        drawn[b] = _means(refit, logged, times[b % LANES][codes])
    value, lift = _means(refit, logged, np.ones(n_rows))
    return _interval(value, drawn[:, 0], asked), _interval(lift, drawn[:, 1], asked)


def _means(refit: Refit, logged: Floats, weight: Floats) -> tuple[float, float]:
    """The value of one weighting of the log, and its lift."""
    total = float(weight.sum())
    value = float(weight @ _expected(refit, weight)) / total
    return value, value - float(weight @ logged) / total


def _interval(value: float, drawn: Floats, asked: Asked) -> Interval:
    alpha = (1.0 - asked.level) / 2.0
    low, high = np.quantile(drawn, [alpha, 1.0 - alpha])
    return Interval(value, float(drawn.std(ddof=1)), float(low), float(high))


def _expected(refit: Refit, weight: Floats) -> Floats:
    made = refit(weight)
    if made.shape != weight.shape or not np.isfinite(made).all():
        raise UserError(f"refit gave {made.shape}; expected one finite number for each of {len(weight)} rows.")
    return made

"""How far an estimate moves when its assumptions are bent: large weights, and a logger that knew more than the log.

Both ask for no new data. Clipping says whether a few rows carry the number. The hidden confounder is the marginal
sensitivity model: the odds of what was shown, given everything the logger knew, differ from the logged ones by at most
a factor `gamma`; so each weight is known up to that factor, and the self-normalised estimate is known up to an
interval. Zhao, Small and Bhattacharya, "Sensitivity analysis for inverse probability weighting estimators" (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.terms import Terms

Floats = npt.NDArray[np.float64]

SHARES = (0.001, 0.01, 0.05)  # of rows with the largest weights, that clipping touches
_STEPS = 40  # halvings when looking for the weakest confounder


@dataclass(frozen=True)
class Clipped:
    """The self-normalised estimate with the largest weights cut down to the smallest of them.

    Attributes:
        share: Of rows whose weights were cut.
        at: The weight they were cut to.
        value: The estimate then.
    """

    share: float
    at: float
    value: float


def clipping(terms: Terms) -> tuple[Clipped, ...]:
    """The self-normalised estimate with ever more of the largest weights clipped; the first has none clipped."""
    made = [Clipped(0.0, float(terms.weight.max()), _ratio(terms.weight, terms.reward))]
    for share in SHARES:
        at = float(np.quantile(terms.weight, 1.0 - share))
        made.append(Clipped(share, at, _ratio(np.minimum(terms.weight, at), terms.reward)))
    return tuple(made)


def confounded(terms: Terms, gamma: float) -> tuple[float, float]:
    """The least and the largest self-normalised estimate that weights known up to a factor gamma allow.

    Args:
        terms: Weights and rewards, (N, J).
        gamma: At least 1; 1 gives the estimate itself, twice.
    """
    return -_largest(_sorted(terms, -1.0), gamma), _largest(_sorted(terms, 1.0), gamma)


def weakest_confounder(terms: Terms, baseline: float, most: float = 20.0) -> float:
    """The smallest gamma at which a hidden confounder could explain the whole lift over `baseline`.

    Returns:
        gamma, 1 where there is no lift to explain; infinity where even `most` does not explain it.
    """
    value = _ratio(terms.weight, terms.reward)
    side = -1.0 if value > baseline else 1.0
    once = _sorted(terms, side)  # which does not depend on gamma

    def explains(gamma: float) -> bool:
        return _largest(once, gamma) >= side * baseline

    if value == baseline or not np.isfinite(value):
        return 1.0
    if not explains(most):
        return float("inf")
    low, high = 1.0, most
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if explains(middle) else (middle, high)
    return high


def _sorted(terms: Terms, side: float) -> list[tuple[Floats, Floats]]:
    """For each piece the sums of weights and of weighted rewards times `side`, from the largest reward down."""
    made = []
    for weight, reward in zip(terms.weight.T, side * terms.reward.T, strict=True):
        order = np.argsort(-reward, kind="stable")
        sums = [np.concatenate([[0.0], np.cumsum(column[order])]) for column in (weight, weight * reward)]
        made.append((sums[0], sums[1]))
    return made


def _largest(pieces: list[tuple[Floats, Floats]], gamma: float) -> float:
    """Largest sum over pieces of sum(z w r) / sum(z w), 1/gamma <= z <= gamma: large rewards get gamma."""
    total = 0.0
    for weight, earned in pieces:
        if weight[-1] == 0.0:
            return float("nan")
        mass = gamma * weight + (weight[-1] - weight) / gamma
        total += float(((gamma * earned + (earned[-1] - earned) / gamma) / mass).max())
    return total


def _ratio(weight: Floats, reward: Floats) -> float:
    total = weight.sum(axis=0)
    if (total == 0.0).any():
        return float("nan")
    return float(((weight * reward).sum(axis=0) / total).sum())

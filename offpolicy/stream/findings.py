"""The audit of a log that was read in one pass: the checks that are made of sums, in the words of those of all rows.

Where nothing is known of the whole log beforehand (`offpolicy.stream.survey`), its parts in time and its segments are
not looked at: drift is then told as not checked, and balance is that of features alone. Repeats compare rows
wherever they stand, and arrival the last of them with those before; both are told as not checked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offpolicy.audit import calibration, checks
from offpolicy.audit.finding import Finding, missing
from offpolicy.diagnostics import standardised
from offpolicy.stream import columns
from offpolicy.stream.gather import Gathered
from offpolicy.stream.plan import Plan

Floats = npt.NDArray[np.float64]

TOGETHER = "not checked in one pass: it compares rows wherever they stand; evaluate a part without streaming"
LATE = "not checked in one pass: it sets the last rows of the log against those before; evaluate them without streaming"
NO_SURVEY = "not checked: where the parts of the log's time begin was not looked up before the pass"


@dataclass(frozen=True)
class Sheet:
    """Means of named blocks of columns, and the standard error of any sum of them.

    Attributes:
        places: Where the columns of each block stand.
        means: Of all columns, (P,).
        covariance: Of the means, clustered, (P, P).
        rounding: Variance of each column's mean below which it is rounding, (P,).
    """

    places: dict[str, slice]
    means: Floats
    covariance: Floats
    rounding: Floats

    def has(self, name: str) -> bool:
        """Whether there is such a block."""
        return name in self.places

    def block(self, name: str) -> Floats:
        """Means of a block's columns."""
        return self.means[self.places[name]]

    def slopes(self, name: str) -> list[Floats]:
        """One slope a column of a block."""
        made = np.zeros((self.block(name).size, len(self.means)))
        made[:, self.places[name]] = np.eye(len(made))
        return list(made)

    def stderr(self, slope: Floats) -> float:
        """Clustered standard error of a function of the means that moves with them by `slope`, (P,)."""
        variance = float(slope @ self.covariance @ slope)
        return 0.0 if variance <= float((slope * slope) @ self.rounding) else float(np.sqrt(variance))

    def errors(self, name: str) -> list[float]:
        """Standard errors of a block's columns."""
        return [self.stderr(slope) for slope in self.slopes(name)]

    def z(self, slope: Floats, constant: float = 0.0) -> float:
        """Of the mean of a sum of columns and a constant."""
        return standardised(float(slope @ self.means) + constant, self.stderr(slope))


def of_log(sheet: Sheet, gathered: Gathered, *, is_weighted: bool = False) -> tuple[Finding, ...]:
    """What the log says of itself, whoever weighs it.

    Args:
        sheet: The columns.
        gathered: What was kept beside them.
        is_weighted: Whether the model's error is told as the weights of whole slates correct it.
    """
    absent, table = gathered.facts.absent, "the propensities of all actions"
    lost = gathered.beyond / gathered.moments.rows if gathered.facts.has_actions else None
    residual = missing("score residual", "the scores (or all actions' propensities) of the logger")
    if sheet.has(columns.RESIDUAL) and "score_residual" not in absent:
        mean, square = sheet.block(columns.RESIDUAL)
        residual = checks.residual_found(sheet.z(sheet.slopes(columns.RESIDUAL)[0]), float(mean), float(square))
    placebo = missing("placebo", "a reward model's liking of all candidates")
    if sheet.has(columns.PLACEBO) and "placebo" not in absent:
        placebo = checks.placebo_found([sheet.z(slope) for slope in sheet.slopes(columns.PLACEBO)])
    return (
        missing("support", table) if lost is None else checks.support_found(lost),
        residual,
        missing("calibration", table) if lost is None else _calibration(sheet, gathered),
        placebo,
        missing("repeats", table) if lost is None else Finding("repeats", "not checked", None, TOGETHER),
        Finding("arrival", "not checked", None, LATE),
        _model(sheet, absent, is_weighted=is_weighted),
    )


def _calibration(sheet: Sheet, gathered: Gathered) -> Finding:
    rows = gathered.moments.rows
    expected, squared = gathered.expected / rows
    chance = calibration.chance_of(expected, squared, rows)
    errors = np.array(sheet.errors(columns.CALIBRATION))
    return checks.calibration_found(calibration.gaps(sheet.block(columns.CALIBRATION), errors, expected, chance))


def _model(sheet: Sheet, absent: tuple[str, ...], *, is_weighted: bool) -> Finding:
    if not sheet.has(columns.MODEL) or "q_logged" in absent:
        return missing("reward model", "a reward model")
    squared, missed, plain, weighed = (float(mean) for mean in sheet.block(columns.MODEL))
    spread = squared - float(sheet.block(columns.TOTAL)[0]) ** 2
    return checks.model_found(spread if spread > 1e-13 * squared else 0.0, missed, weighed if is_weighted else plain)


def of_weights(sheet: Sheet, family: int, gathered: Gathered, plan: Plan) -> tuple[Finding, ...]:
    """What the log says of one family of weights.

    Args:
        sheet: The columns.
        family: Its number in the plan.
        gathered: What was kept beside the columns.
        plan: What was summed up.
    """
    return (
        checks.balance_found(_balance(sheet, family, gathered, plan)),
        _drift(sheet, family, plan),
        checks.tail_found(gathered.weights[family].pareto_k()),
    )


def _balance(sheet: Sheet, family: int, gathered: Gathered, plan: Plan) -> list[tuple[str, float]]:
    """The z of the mean of (w - 1) (phi - mean phi), by name."""
    if not sheet.has(columns.of_weight(family)):
        return []
    weight = sheet.slopes(columns.of_weight(family))[0]
    looked: list[tuple[str, Floats, float]] = []
    if sheet.has(columns.of_balance(family)) and "features" not in gathered.facts.absent:
        low, high = gathered.extent
        products, means = sheet.slopes(columns.of_balance(family)), sheet.block(columns.FEATURES)
        every = zip(plan.features, products, means, low < high, strict=True)
        looked += [(f"the mean of {name}", slope, float(mean)) for name, slope, mean, varies in every if varies]
    if sheet.has(columns.of_segments(family)):
        of_each = zip(plan.survey.segments, sheet.slopes(columns.of_segments(family)), strict=True)
        for (name, value, rows), slope in of_each:
            looked.append((f"the share of {name} = {value}", slope, rows / gathered.moments.rows))
    return [(name, sheet.z(slope - mean * weight, mean)) for name, slope, mean in looked]


def _drift(sheet: Sheet, family: int, plan: Plan) -> Finding:
    if not plan.survey.has_time:
        return missing("drift", "the time of each row") if plan.survey.is_made else _unsurveyed()
    name = columns.of_drift(family)
    if not sheet.has(name):
        return checks.drift_found([], [], [])
    return checks.drift_found(sheet.block(name).tolist(), sheet.errors(name), plan.survey.shares)


def _unsurveyed() -> Finding:
    return Finding("drift", "not checked", None, NO_SURVEY)

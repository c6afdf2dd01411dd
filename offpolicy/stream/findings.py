"""The audit of a log that was read in one pass: the checks that are made of sums, in the words of those of all rows.

Calibration, drift and arrival cut a log at quantiles, of propensities and of time, and repeats compare rows wherever
they stand: only a pass of their own would know. They are told as not checked, and so is balance over segments: features
alone are looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from offpolicy.audit import checks
from offpolicy.audit.finding import Finding, missing
from offpolicy.stream import columns

Floats = npt.NDArray[np.float64]
Z = Callable[[Floats, float], float]  # of a constant and the columns' means times a slope, (P,)

ONE_PASS = "not checked in one pass: it cuts the log at quantiles of all rows; evaluate a part without streaming"
TOGETHER = "not checked in one pass: it compares rows wherever they stand; evaluate a part without streaming"


class Sheet:
    """Means of named blocks of columns, and the z of any sum of them."""

    def __init__(self, layout: tuple[tuple[str, int], ...], means: Floats, z: Z) -> None:
        """Take the blocks' names and widths, the means of all columns, (P,), and what makes a z of a slope."""
        ends = np.cumsum([width for _, width in layout])
        self.places = {name: slice(int(end) - width, int(end)) for (name, width), end in zip(layout, ends, strict=True)}
        self.means, self._z = means, z

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

    def z(self, slope: Floats, constant: float = 0.0) -> float:
        """Of the mean of a sum of columns and a constant."""
        return self._z(slope, constant)


def of_log(
    sheet: Sheet, absent: tuple[str, ...], lost: float | None, *, is_weighted: bool = False
) -> tuple[Finding, ...]:
    """What the log says of itself, whoever weighs it.

    Args:
        sheet: The columns.
        absent: Columns of evidence that some rows lack.
        lost: The target's probability of what the logger never plays; None where nobody knows.
        is_weighted: Whether the model's error is told as the weights of whole slates correct it.
    """
    table = "the propensities of all actions"
    residual = missing("score residual", "the scores (or all actions' propensities) of the logger")
    if sheet.has(columns.RESIDUAL) and "score_residual" not in absent:
        mean, square = sheet.block(columns.RESIDUAL)
        residual = checks.residual_found(sheet.z(sheet.slopes(columns.RESIDUAL)[0]), float(mean), float(square))
    placebo = missing("placebo", "a reward model's liking of all candidates")
    if sheet.has(columns.PLACEBO) and "placebo" not in absent:
        placebo = checks.placebo_found([sheet.z(slope) for slope in sheet.slopes(columns.PLACEBO)])
    model = missing("reward model", "a reward model")
    if sheet.has(columns.MODEL) and "q_logged" not in absent:
        squared, missed, plain, weighed = (float(mean) for mean in sheet.block(columns.MODEL))
        mean = float(sheet.block(columns.TOTAL)[0])
        spread = squared - mean**2
        model = checks.model_found(
            spread if spread > 1e-13 * squared else 0.0, missed, weighed if is_weighted else plain
        )
    return (
        missing("support", table) if lost is None else checks.support_found(lost),
        residual,
        missing("calibration", table) if lost is None else Finding("calibration", "not checked", None, ONE_PASS),
        placebo,
        missing("repeats", table) if lost is None else Finding("repeats", "not checked", None, TOGETHER),
        Finding("arrival", "not checked", None, ONE_PASS),
        model,
    )


def of_weights(
    sheet: Sheet, family: int, k: float, features: tuple[tuple[str, bool], ...], *, has_features: bool
) -> tuple[Finding, ...]:
    """What the log says of one family of weights.

    Args:
        sheet: The columns.
        family: Its number in the plan.
        k: Shape of the tail of its weights; NaN for none.
        features: Names, and whether a feature varies.
        has_features: Whether all rows have them.
    """
    looks = []
    if sheet.has(columns.of_balance(family)) and has_features:
        weight = sheet.slopes(columns.of_weight(family))[0]
        products, means = sheet.slopes(columns.of_balance(family)), sheet.block(columns.FEATURES)
        for (name, varies), slope, mean in zip(features, products, means, strict=True):
            if varies:  # the mean of (w - 1) (phi - mean)
                looks.append((f"the mean of {name}", sheet.z(slope - float(mean) * weight, float(mean))))
    return (
        checks.balance_found(looks),
        Finding("drift", "not checked", None, ONE_PASS),
        checks.tail_found(k),
    )

"""What the rows of a log must hold: the ranges of docs/log-schema.md, and what cannot be together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simenv.catalogue import I32
from simenv.errors import UserError
from simenv.log.batch import LogBatch


def check(made: LogBatch) -> None:
    """The ranges of docs/log-schema.md.

    Raises:
        UserError: naming the first row that breaks one.
    """
    n_candidates = made.page.candidates.shape[1]
    shown = made.slate >= 0
    safe = np.maximum(made.slate, 0).clip(max=n_candidates - 1).astype(np.int64)
    at = np.take_along_axis(made.page.candidates, safe, axis=1)
    logp = made.logp.logp
    _refuse(made, (logp > 1e-9).any(axis=1), "logp_conditional is above 0",
            "logarithms of probabilities, so at most 0. Was a probability written? Take its logarithm.")  # fmt: skip
    _refuse(made, ~np.isfinite(logp).all(axis=1), "logp_conditional is not finite",
            "the logging policy's own probability of what it showed, which is above 0.")  # fmt: skip
    _refuse(made, (made.page.candidates < -1).any(axis=1), "candidates are out of range",
            "item ids, or -1 for a hole.")  # fmt: skip
    _refuse(made, ((made.slate >= n_candidates) | (made.slate < -1)).any(axis=1), "slate is out of range",
            f"positions in [0, {n_candidates}) or -1 for an empty slot.")  # fmt: skip
    _refuse(made, (shown & (at < 0)).any(axis=1), "slate shows a hole of the candidates",
            "positions whose candidate is an item id.")  # fmt: skip
    _refuse(made, _repeats(made.slate), "slate shows a candidate twice", "each candidate once at most.")
    _refuse(made, (made.clicked & ~shown).any(axis=1), "an empty slot is clicked", "clicks where something is shown.")
    _refuse(made, ((logp != 0) & ~shown).any(axis=1), "an empty slot has a logp_conditional", "0 at empty slots.")
    _refuse(made, _repeats(made.page.candidates), "candidates hold an item twice", "each item once at most.")
    _refuse(made, (np.isnan(made.scores) | np.isposinf(made.scores)).any(axis=1), "scores are NaN or infinite",
            "finite scores, or -inf for a candidate that cannot be shown.")  # fmt: skip
    _refuse(made, ~np.isfinite(made.page.discount).all(axis=1), "discount is not finite", "logarithms of price ratios.")
    _refuse(made, (made.carted & ~made.clicked).any(axis=1), "carted without a click", "carts from clicked slots.")
    _refuse(made, (made.purchased & ~made.carted).any(axis=1), "purchased without a cart", "purchases from carts.")
    _refuse(made, (made.returned & ~made.purchased).any(axis=1), "returned without a purchase",
            "returns of what was bought.")  # fmt: skip
    _refuse(made, ~((made.dwell >= 0) & np.isfinite(made.dwell)).all(axis=1), "dwell is below 0 or not finite",
            "seconds, at least 0.")  # fmt: skip
    _refuse(
        made, ((made.dwell > 0) & ~made.clicked).any(axis=1), "dwell without a click", "0 where nothing is clicked."
    )
    _refuse(made, (made.page.filters < -1).any(axis=1), "filters are out of range", "values, or -1 for none.")
    _check_house(made)
    _check_recent(made)
    _refuse(made, ~((made.revenue >= 0) & np.isfinite(made.revenue)).all(axis=1), "revenue is below 0 or not finite",
            "euros, at least 0.")  # fmt: skip
    _refuse(made, ~np.isfinite(made.reward).all(axis=1), "reward is not finite", "finite numbers.")
    _refuse(made, (made.temperature < 0) | ~np.isfinite(made.temperature), "temperature is below 0 or not finite",
            "0 for greedy, else above 0.")  # fmt: skip
    _refuse(made, ~((made.floor >= 0) & (made.floor < 1)), "floor is out of range", "0 <= floor < 1.")


def _check_house(made: LogBatch) -> None:
    house, empty = made.page.house, made.page.house < 0
    if not house.shape[1]:
        return
    _refuse(made, (house < -1).any(axis=1), "house is out of range", "item ids, or -1 for an empty place.")
    _refuse(made, _repeats(np.concatenate([house, made.page.candidates], axis=1)),
            "house shows an item twice or one of the candidates", "each item in one place.")  # fmt: skip
    _refuse(made, (made.house_clicked & empty).any(axis=1), "an empty place of the house is clicked",
            "clicks where something is shown.")  # fmt: skip
    _refuse(made, (made.house_purchased & ~made.house_clicked).any(axis=1), "house_purchased without a click",
            "purchases of what was clicked.")  # fmt: skip
    _refuse(made, ~((made.ad_revenue >= 0) & np.isfinite(made.ad_revenue)).all(axis=1),
            "ad_revenue is below 0 or not finite", "euros, at least 0.")  # fmt: skip


def _check_recent(made: LogBatch) -> None:
    recent, age, none = made.page.recent, made.page.recent_age, made.page.recent < 0
    if not recent.shape[1]:
        return
    _refuse(made, (recent < -1).any(axis=1), "recent is out of range", "item ids, or -1 for none.")
    _refuse(made, (none[:, :-1] & ~none[:, 1:]).any(axis=1), "recent has a hole", "clicks, latest first, then -1.")
    _refuse(made, (made.page.recent_bought & none).any(axis=1), "recent_bought without an item",
            "purchases of what was clicked.")  # fmt: skip
    _refuse(made, ((age < 0) != none).any(axis=1) | (age < -1).any(axis=1), "recent_age is out of range",
            "days, at least 0, and -1 exactly where recent is -1.")  # fmt: skip
    older = age[:, 1:] >= age[:, :-1]
    _refuse(made, ~(older | none[:, 1:]).all(axis=1), "recent_age falls", "the latest clicks first.")


def _refuse(made: LogBatch, bad: npt.NDArray[np.bool_] | np.bool_, what: str, expected: str) -> None:
    if bad.any():
        raise UserError(f"log row {made.row[np.argmax(bad)]}: {what}; expected {expected}")


def _repeats(slate: I32) -> npt.NDArray[np.bool_]:
    ranked = np.sort(slate, axis=1)
    twice: npt.NDArray[np.bool_] = ((ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] >= 0)).any(axis=1)
    return twice

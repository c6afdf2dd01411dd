"""The path for logs without propensities: what a click model expects of a target, and how little to believe it.

The model's expectations become the columns of a reward model, from which the estimators `pbm` and `dm` are made.
Nothing here can be trusted: there is no weight by which the model could be corrected.
"""

from __future__ import annotations

import numpy as np

from offpolicy.clickmodel import ClickLog, fit
from offpolicy.evidence import Evidence
from offpolicy.readers.reading import Caveat, Reading
from offpolicy.reward_model import folds
from simenv.errors import UserError
from simenv.propensity import Conditional

N_FOLDS = 5
ASSUMPTION = (
    "The click model is right: a click needs a look, which depends on the slot alone, and a liking, which depends on "
    "the query and the item alone; and the logger put items where it did for no reason that also moved clicks. No "
    "data of this log can check it."
)


def modelled(reading: Reading, seed: int = 0) -> tuple[Evidence, tuple[Caveat, ...]]:
    """Evidence for the direct method alone, from a click model fitted across folds of shoppers.

    Args:
        reading: A log with clicks, and the target's rankings.
        seed: Of the folds.

    Returns:
        The evidence, whose weights mean nothing and must not be used, and what a reader must know.

    Raises:
        UserError: If the log has no clicks to fit, the target does not say what it would show, or the log cannot tell
            slots from items.
    """
    clicks, ranking = reading.clicks, reading.ranking
    if clicks is None:
        raise UserError(
            "a click model needs the query (columns.query), the item at each slot (columns.action) and clicks of 0 or "
            "1 as the first reward. Map them, or log propensities."
        )
    if ranking is None:
        raise UserError(
            "a click model needs to know what the target would show: give --policy module:function, a function of the "
            "columns that returns {'ranking': item names by slot}."
        )
    n_slots = max(clicks.item.shape[1], ranking.shape[1])
    clicks = _widened(clicks, n_slots)
    ranking = np.pad(ranking, ((0, 0), (0, n_slots - ranking.shape[1])), constant_values=-1)
    known_looks = np.array(reading.examination) if reading.examination else None
    fold = folds(clicks.cluster, N_FOLDS, seed)
    q_logged, q_target = np.zeros(clicks.item.shape), np.zeros(ranking.shape)
    new = n_seen = 0
    if (fold == fold[0]).all():
        raise UserError(
            "all shoppers fell into one fold: a click model must not be asked of those it learned from. Log more."
        )
    for held in np.unique(fold):
        out = fold == held
        model = fit(_rows(clicks, ~out), known_looks)
        q_logged[out], _ = model.expect(clicks.query[out], clicks.item[out])
        q_target[out], seen = model.expect(clicks.query[out], ranking[out])
        new, n_seen = new + int((~seen).sum()), n_seen + int((ranking[out] >= 0).sum())
    share = new / max(n_seen, 1)
    caveats = [Caveat("it is what a click model expects; no weight exists that could correct it", 1)]
    if share > 0.0:
        text = f"{share:.0%} of what the target shows was never shown for its query (to others); the mean stands in"
        caveats.append(Caveat(text, 2 if share > 0.5 else 1))
    nothing = Conditional(np.zeros(clicks.item.shape))
    return Evidence(
        reward=clicks.click,
        logger=nothing,
        target=nothing,
        q_logged=q_logged,
        q_target=q_target.sum(axis=1),
        q_click=q_target.sum(axis=1),
        cluster=clicks.cluster,
        unit=reading.unit,
    ), tuple(caveats)


def _rows(log: ClickLog, rows: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> ClickLog:
    return ClickLog(log.query[rows], log.item[rows], log.click[rows], log.cluster[rows], log.names)


def _widened(log: ClickLog, n_slots: int) -> ClickLog:
    more = ((0, 0), (0, n_slots - log.item.shape[1]))
    item, click = np.pad(log.item, more, constant_values=-1), np.pad(log.click, more)
    return ClickLog(log.query, item, click, log.cluster, log.names)

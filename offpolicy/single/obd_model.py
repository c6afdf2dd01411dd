"""A reward model for Open Bandit logs: smoothed click rates of items at positions, by rows of other folds.

With it the direct method and doubly robust estimates can be asked for, and with a uniform logger, whose probabilities
of all items are known, the switch estimator.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offpolicy.actions import ActionTable
from offpolicy.evidence import Evidence
from offpolicy.obd import UNIFORM, Impressions, find_csv, read_impressions, read_table
from offpolicy.reward_model import folds
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]

_PRIOR = 10.0  # rows at the mean click rate that every item and position starts with
_FOLDS = 5
_SAME = 1e-9


def with_click_rates(
    evidence: Evidence, log: Path, target_table: Path | str, campaign: str | None = None, *, want_table: bool = False
) -> Evidence:
    """Evidence of `read_obd` with the reward model's columns.

    Args:
        evidence: As `read_obd(log, target_table, campaign=campaign)` made it.
        log: The same log.
        target_table: The same table, or "uniform".
        campaign: The same campaign.
        want_table: Also fill `actions`, (N, items), which needs a uniform logger.

    Raises:
        UserError: If a table of all items is wanted and the log holds the propensity of the shown one alone.
    """
    table = None if target_table == UNIFORM else read_table(Path(target_table))
    seen = read_impressions(find_csv(log, "random", campaign, None if table is None else len(table)))
    n_items, n_positions = seen.campaign_items, int(seen.position.max())
    if table is None:
        table = np.full((n_items, n_positions), 1.0 / n_items)
    elif want_table and len(table) != n_items:
        raise UserError(f"the target table has {len(table)} items, the campaign {n_items}; expected as many.")
    place, fold = seen.position - 1, folds(evidence.cluster, _FOLDS, 0)
    rates = [_rates(seen, fold != held, table.shape) for held in range(_FOLDS)]  # (items, positions) each
    q = np.stack([rate.T for rate in rates])[fold, place] if want_table else None  # (N, items)
    return replace(
        evidence,
        q_logged=np.stack(rates)[fold, seen.item, place][:, None],
        q_target=np.stack([(table * rate).sum(axis=0) for rate in rates])[fold, place],
        actions=None if q is None else ActionTable(seen.item, _uniform(seen), _normalised(table)[place], q),
    )


def _rates(seen: Impressions, rows: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> Floats:
    """(clicks + 10 m) / (rows + 10) by item and position, m the mean click; of some rows."""
    cell = (seen.item[rows], seen.position[rows] - 1)
    clicked, shown = np.zeros(shape), np.zeros(shape)
    np.add.at(clicked, cell, seen.click[rows])
    np.add.at(shown, cell, 1.0)
    mean: float = float(seen.click[rows].mean())
    made: Floats = (clicked + _PRIOR * mean) / (shown + _PRIOR)
    return made


def _uniform(seen: Impressions) -> Floats:
    chance = 1.0 / seen.campaign_items
    if np.abs(seen.propensity - chance).max() > _SAME:
        raise UserError(
            f"{seen.source.name} holds the propensity of the item that was shown, and the estimator needs those of all "
            "items, which are known of the uniform logger alone. Take the log of the random policy, or an estimator "
            "that does without, such as switch-dr."
        )
    return np.full((len(seen.item), seen.campaign_items), chance)


def _normalised(table: Floats) -> Floats:
    """Positions as rows that sum to 1 exactly: tables are written with six decimals."""
    made: Floats = (table / table.sum(axis=0)).T
    return made

"""Open Bandit logs as evidence: Saito, Aihara, Matsutani and Narita, "Open Bandit Dataset and Pipeline" (2021).

A file has one row for each impression of one item in one of three slots, with the propensity of the item at that
position. Pages cannot be put together again from the small files and shoppers are not identified, so an impression is
a slate of one slot, rows are declared to be independent, and no verdict on such a log is `trust`.

The target policy is a table of probabilities, item by position, or the uniform choice among the campaign's items.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Behaviour = Literal["random", "bts"]

CAMPAIGN_ITEMS = {"all": 80, "men": 34, "women": 46}
PROPENSITY_COLUMNS = ("propensity_score", "action_prob")  # the files say the first, their README the second
UNIFORM = "uniform"

_SUM = 1e-4  # a column of a table written with six decimals sums to 1 within half a unit of the last a row


@dataclass(frozen=True)
class Impressions:
    """The columns of an Open Bandit file that estimators need, one row an impression.

    Attributes:
        item: Item shown, (N,), from 0.
        position: Its position, (N,), from 1.
        click: 0 or 1, (N,).
        propensity: Probability of the item at the position under the policy that showed it, (N,), in (0, 1].
        source: The file they came from.
        campaign_items: Number of items that the campaign could show.
    """

    item: Ints
    position: Ints
    click: Floats
    propensity: Floats
    source: Path
    campaign_items: int


def read_obd(
    log: Path, target_table: Path | str, behaviour: Behaviour = "random", campaign: str | None = None
) -> Evidence:
    """An Open Bandit log and a target table as evidence.

    Args:
        log: A csv file, a folder that holds one, or the data set's folder ({random,bts}/{campaign}/{campaign}.csv).
        target_table: A csv with columns item_id, position_1, position_2, position_3, each position summing to 1; or
            the word "uniform".
        behaviour: Whose log, where `log` holds both.
        campaign: Which campaign, where `log` holds several; None takes the one that has as many items as the table.

    Returns:
        Evidence with one slot, clusters of one row, and item propensities that are conditional and marginal alike.

    Raises:
        UserError: If a file, column, row or table is not what it should be; the message names it.
    """
    table = None if target_table == UNIFORM else read_table(Path(target_table))
    impressions = read_impressions(find_csv(log, behaviour, campaign, None if table is None else len(table)))
    if table is None:
        target = np.full(len(impressions.item), 1.0 / impressions.campaign_items)
    else:
        target = _look_up(table, impressions)
    with np.errstate(divide="ignore"):  # the target may never show an item: log 0 is -inf
        logp_target = np.log(target)[:, None]
    logp_logger = np.log(impressions.propensity)[:, None]
    return Evidence(
        reward=impressions.click[:, None],
        logger=Conditional(logp_logger),
        target=Conditional(logp_target),
        logger_marginal=Marginal(logp_logger),
        target_marginal=Marginal(logp_target),
        cluster=np.arange(len(impressions.item)),
        cluster_name="row",
        unit="impression",
    )


def find_csv(
    log: Path, behaviour: Behaviour = "random", campaign: str | None = None, n_items: int | None = None
) -> Path:
    """The log's csv file.

    Args:
        log: A csv file, a folder that holds one, or a folder of the data set above it.
        behaviour: Preferred where both policies' logs are there.
        campaign: Name of the campaign; None where there is one, or where `n_items` tells.
        n_items: Number of items of the target table.

    Raises:
        UserError: If there is no such file, or several.
    """
    if log.is_file():
        return log
    if not log.is_dir():
        raise UserError(f"{log} does not exist; expected an Open Bandit csv or a folder that holds one.")
    here = sorted(path for path in log.glob("*.csv") if path.name != "item_context.csv")
    found = here or sorted(path for path in log.rglob("*.csv") if path.stem == path.parent.name)
    by_policy = [path for path in found if path.parent.parent.name == behaviour]
    chosen = by_policy or found
    if campaign is not None:
        chosen = [path for path in chosen if path.stem == campaign]
    elif len(chosen) > 1 and n_items is not None:
        chosen = [path for path in chosen if CAMPAIGN_ITEMS.get(path.stem) == n_items]
    if len(chosen) == 1:
        return chosen[0]
    listed = ", ".join(str(path.relative_to(log)) for path in found[:8]) or "none"
    raise UserError(
        f"{log} does not say which log of campaign {campaign or 'unnamed'} to read (csv files there: {listed}). "
        "Name the file itself, or a folder with one csv."
    )


def read_impressions(path: Path) -> Impressions:
    """Stream an Open Bandit csv, keep the columns that estimators need, and check every row.

    Raises:
        UserError: Naming the column, or the row and its line in the file (rows from 0, as in the file's own index).
    """
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    propensity = _propensity_column(path)
    kinds = {"item_id": pa.int64(), "position": pa.int64(), "click": pa.float64(), propensity: pa.float64()}
    convert = pa_csv.ConvertOptions(column_types=kinds, include_columns=list(kinds), null_values=[])
    read = pa_csv.ReadOptions(use_threads=False, block_size=1 << 22)
    parts: list[list[npt.NDArray[Any]]] = [[] for _ in kinds]
    try:
        with pa_csv.open_csv(path, read_options=read, convert_options=convert) as reader:
            for batch in reader:
                for part, column in zip(parts, batch.columns, strict=True):
                    part.append(column.to_numpy())
    except pa.ArrowInvalid as problem:
        raise UserError(f"{path.name}: {problem}. Expected numbers in {', '.join(kinds)}.") from problem
    if sum(map(len, parts[0])) == 0:
        raise UserError(f"{path} has a header and no row; expected one row an impression.")
    item, position, click, probability = (np.concatenate(part) for part in parts)
    _check_rows(path, item >= 0, "item_id", item, "an integer from 0")
    _check_rows(path, position >= 1, "position", position, "an integer from 1")
    _check_rows(path, (click == 0) | (click == 1), "click", click, "0 or 1")
    wanted = "0 < p <= 1. Was log-probability written instead? Convert with exp()"
    _check_rows(path, (probability > 0) & (probability <= 1), "propensity", probability, wanted)
    return Impressions(item, position, click, probability, path, _campaign_items(path, item))


def read_table(path: Path) -> Floats:
    """A target policy as probabilities, (I, positions): row i is item i.

    Raises:
        UserError: If a column, item or probability is wrong, or a position does not sum to 1; names the line.
    """
    if not path.is_file():
        raise UserError(f"target table {path} does not exist; give a csv with item_id, position_1 ... or 'uniform'.")
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if line]
    positions = [name for name in (lines[0] if lines else []) if name != "item_id"]
    expected = [f"position_{k + 1}" for k in range(len(positions))]
    if not positions or lines[0] != ["item_id", *expected]:
        raise UserError(f"{path.name} has columns {lines[:1]}; expected item_id, position_1, position_2 ... in order.")
    table = np.full((len(lines) - 1, len(positions)), np.nan)
    for number, line in enumerate(lines[1:], start=2):
        place = f"{path.name}, line {number}"
        try:
            item, values = int(line[0]), [float(value) for value in line[1:]]
        except ValueError as problem:
            raise UserError(f"{place}: {problem}; expected an item and {len(positions)} numbers.") from None
        if len(values) != len(positions) or not all(0.0 <= value <= 1.0 for value in values):
            raise UserError(f"{place}: {line[1:]}; expected {len(positions)} probabilities in [0, 1].")
        if not 0 <= item < len(table) or not np.isnan(table[item]).all():
            raise UserError(f"{place}: item {item}; expected each item 0 to {len(table) - 1} once.")
        table[item] = values
    for k, total in enumerate(table.sum(axis=0)):
        if abs(total - 1.0) > _SUM:
            raise UserError(f"{path.name}: position_{k + 1} sums to {total:.6g}; expected 1, one choice a position.")
    return table


def _look_up(table: Floats, impressions: Impressions) -> Floats:
    n_items, n_positions = table.shape
    path = impressions.source
    wanted = f"an item of the target table, 0 to {n_items - 1}"
    _check_rows(path, impressions.item < n_items, "item_id", impressions.item, wanted)
    wanted = f"a position of the target table, 1 to {n_positions}"
    _check_rows(path, impressions.position <= n_positions, "position", impressions.position, wanted)
    return table[impressions.item, impressions.position - 1]


def _propensity_column(path: Path) -> str:
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file), [])
    propensity = next((name for name in PROPENSITY_COLUMNS if name in header), "")
    missing = [name for name in ("item_id", "position", "click") if name not in header]
    missing += [] if propensity else [PROPENSITY_COLUMNS[0]]
    if missing:
        raise UserError(
            f"{path.name} has no column {', '.join(missing)} (its columns: {', '.join(header[:8]) or 'none'} ...); "
            "expected an Open Bandit log with item_id, position, click and propensity_score."
        )
    return propensity


def _campaign_items(path: Path, item: Ints) -> int:
    context = path.parent / "item_context.csv"
    if context.is_file():
        with context.open(encoding="utf-8") as file:
            return sum(1 for line in file if line.strip()) - 1
    return CAMPAIGN_ITEMS.get(path.stem, int(item.max()) + 1)


def _check_rows(
    path: Path, good: npt.NDArray[np.bool_], name: str, column: npt.NDArray[np.float64] | Ints, wanted: str
) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise UserError(f"log row {row}: {name} is {column[row]}; expected {wanted}. ({path.name}, line {row + 2})")

"""Tables of measurements: speed, cost, regret on test beds, and what readers read and bring."""

from __future__ import annotations

import pandas as pd

from reports.numbers import MISSING, count, fixed, number, signed
from reports.summaries import records, unique
from reports.table import Table, table_of


def speed_table(speed: pd.DataFrame) -> Table:
    """Rates and other measurements, with the peer's figure where there is one."""
    return table_of(
        "Measurements, and the peer's figure where there is one",
        [
            ("measurement", list(speed["name"]), False),
            ("value", [number(value) for value in speed["value"]], True),
            ("unit", list(speed["unit"]), False),
            ("peer", list(speed["peer"]), False),
            ("peer's figure", [number(value) for value in speed["peer_value"]], True),
            ("ratio", [number(value, 3) for value in speed["ratio"]], True),
        ],
        "speed",
    )


def mechanisms_table(mechanisms: pd.DataFrame) -> Table:
    """What each mechanism adds to the CPU time of a search, by backend."""
    return table_of(
        "CPU time of a search with each mechanism alone on",
        [
            ("mechanism", list(mechanisms["mechanism"]), False),
            ("backend", list(mechanisms["backend"]), False),
            ("microseconds", [fixed(value, 2) for value in mechanisms["microseconds"]], True),
            ("added", [fixed(value, 2) for value in mechanisms["added"]], True),
            ("share added", [f"{100 * value:.0f}%" for value in mechanisms["share"]], True),
        ],
        "mechanisms",
    )


def bandits_table(bandits: pd.DataFrame) -> Table:
    """Regret on published test beds beside what others report."""
    return table_of(
        "Regret of bandits on published test beds",
        [
            ("bed", list(bandits["bed"]), False),
            ("policy", list(bandits["policy"]), False),
            ("rounds", [number(value) for value in bandits["rounds"]], True),
            ("runs", [number(value) for value in bandits["runs"]], True),
            ("regret", [fixed(value, 1) for value in bandits["regret"]], True),
            ("standard error", [fixed(value, 1) for value in bandits["error"]], True),
            ("published", [number(value) for value in bandits["published"]], True),
            ("by", list(bandits["by"]), False),
        ],
        "bandits",
    )


def slateq_table(slateq: pd.DataFrame) -> Table:
    """Returns of SlateQ's variants beside the paper's."""
    return table_of(
        "SlateQ on interest evolution",
        [
            ("ranked by", list(slateq["row"]), False),
            ("seeds", [number(value) for value in slateq["seeds"]], True),
            ("minutes", [fixed(value, 1) for value in slateq["value"]], True),
            ("low", [fixed(value, 1) for value in slateq["low"]], True),
            ("high", [fixed(value, 1) for value in slateq["high"]], True),
            ("over myopic", [fixed(value, 1) for value in slateq["gain"]], True),
            ("gain low", [fixed(value, 1) for value in slateq["gain_low"]], True),
            ("gain high", [fixed(value, 1) for value in slateq["gain_high"]], True),
            ("published", [fixed(value, 1) for value in slateq["published"]], True),
            ("CPU s of training", [fixed(value, 0) for value in slateq["seconds"]], True),
        ],
        "slateq",
    )


def reading_table(reading: pd.DataFrame, by: str) -> Table:
    """How many queries each reader reads right, by rate of misspelling and group: a column for each kind of term."""
    of_kind = reading[reading["by"] == by]
    terms = unique(of_kind["term"])
    cells = {
        (row["misspelling_rate"], row["group"], row["reader"], row["term"]): f"{row['value']:.3f} ± {row['stderr']:.3f}"
        for row in records(of_kind)
    }
    keys = list(dict.fromkeys((rate, group, reader) for rate, group, reader, _ in cells))
    return table_of(
        "Share of queries that are read right, silence included, ± standard error by shopper",
        [
            ("misspelling rate", [number(rate) for rate, _, _ in keys], True),
            (by, [str(group) for _, group, _ in keys], False),
            ("reader", [str(reader) for _, _, reader in keys], False),
            *((str(term), [cells.get((*key, term), MISSING) for key in keys], True) for term in terms),
        ],
        "reading",
    )


def gains_table(gains: pd.DataFrame) -> Table:
    """What ranking gains from each reader."""
    return table_of(
        "True value per search over the logger's contexts, and the gain over no reader, paired by seed of training",
        [
            ("misspelling rate", [number(value) for value in gains["misspelling_rate"]], True),
            ("learner", list(gains["learner"]), False),
            ("reader", list(gains["reader"]), False),
            ("value", [fixed(value, 4) for value in gains["value"]], True),
            ("gain", [signed(value, 4) for value in gains["gain"]], True),
            (
                "95% interval",
                [f"{signed(row['gain_low'], 4)} to {signed(row['gain_high'], 4)}" for row in records(gains)],
                True,
            ),
            ("seeds", [count(value) for value in gains["seeds"]], True),
        ],
        "gains",
    )


def scaling_table(scaling: pd.DataFrame) -> Table:
    """CPU time of a step by size."""
    return table_of(
        "CPU time of a step where one size grows alone",
        [
            ("what grows", list(scaling["meaning"]), False),
            ("size", [count(value) for value in scaling["size"]], True),
            ("milliseconds", [number(value) for value in scaling["milliseconds"]], True),
            ("of the line", [number(value) for value in scaling["fitted"]], True),
            ("R squared", [fixed(value, 4) for value in scaling["r_squared"]], True),
        ],
        "scaling",
    )

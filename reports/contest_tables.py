"""The tables of a contest for readers."""

from __future__ import annotations

import pandas as pd

from reports.numbers import MISSING, count, decimals_for, fixed, interval, percent, signed
from reports.summaries import records, unique
from reports.table import Cell, Table, table_of
from reports.verdicts import OUTCOMES


def worlds_table(worlds: pd.DataFrame) -> Table:
    """What there is to win: by the best public ranking, by what shoppers clicked, by hidden taste."""
    lines = records(worlds)
    decimals = decimals_for(worlds["logger_value"])

    def share(row: dict[str, float], low: str, high: str) -> str:
        gap = row["best_public"] - row["logger_value"]
        return percent((row[high] - row[low]) / gap) if gap > 0 else MISSING

    return table_of(
        "What there is to win: value per search; shares are of the gap from the logger to the best public ranking",
        [
            ("world", list(worlds["world"]), False),
            ("counts", list(worlds["reward"]), False),
            ("clicks follow", list(worlds["click_model"]), False),
            ("logger", list(worlds["logger"]), False),
            ("its value", [fixed(row["logger_value"], decimals) for row in lines], True),
            ("best public", [fixed(row["best_public"], decimals) for row in lines], True),
            ("of it by what shoppers clicked", [share(row, "best_impersonal", "best_public") for row in lines], True),
            ("oracle", [fixed(row["oracle"], decimals) for row in lines], True),
            ("further gap to the oracle", [share(row, "best_public", "oracle") for row in lines], True),
        ],
        "contest_worlds",
    )


def gaps_table(gaps: pd.DataFrame) -> Table:
    """Everybody's value and share of the gap, with intervals over seeds."""
    lines = records(gaps)
    decimals = decimals_for(gaps["value"])
    return table_of(
        "Value per search and share of the gap closed, means over training seeds",
        [
            ("world", list(gaps["world"]), False),
            ("policy", list(gaps["policy"]), False),
            ("role", list(gaps["role"]), False),
            ("played", list(gaps["play"]), False),
            ("seeds", [count(row["seeds"]) for row in lines], True),
            ("value", [fixed(row["value"], decimals) for row in lines], True),
            ("gap closed", [_percent_point(row["share"]) for row in lines], True),
            ("95% over seeds", [_percents(row["low"], row["high"]) for row in lines], True),
        ],
        "contest_gaps",
    )


def matrix_table(pairs: pd.DataFrame) -> Table:
    """One line a world, one column a comparison: the verdict at a glance."""
    contests = list(dict.fromkeys(zip(pairs["policy"], pairs["rival"], strict=True)))
    words = {(row["world"], row["policy"], row["rival"]): str(row["verdict"]) for row in records(pairs)}
    worlds = unique(pairs["world"])
    return table_of(
        "Is the first of the two better than the second?",
        [
            ("world", worlds, False),
            *(
                (f"{policy} than {rival}", [_outcome(words.get((world, policy, rival), "")) for world in worlds], False)
                for policy, rival in contests
            ),
        ],
        "contest_pairs",
    )


def misses_table(pairs: pd.DataFrame) -> Table:
    """Where a policy does not beat its rival, and what the run itself can say about why."""
    return table_of(
        "Where it is not better, and what speaks to why",
        [
            ("world", list(pairs["world"]), False),
            ("policy", list(pairs["policy"]), False),
            ("rival", list(pairs["rival"]), False),
            ("verdict", [_outcome(str(word)) for word in pairs["verdict"]], False),
            ("what the run knows of it", list(pairs["why"]), False),
        ],
        "contest_pairs",
    )


def pairs_table(pairs: pd.DataFrame, caption: str) -> Table:
    """Every difference with its paired interval."""
    lines = records(pairs)
    decimals = decimals_for(pairs["difference"], 3)
    return table_of(
        caption,
        [
            ("world", list(pairs["world"]), False),
            ("policy", list(pairs["policy"]), False),
            ("rival", list(pairs["rival"]), False),
            ("seeds", [count(row["seeds"]) for row in lines], True),
            ("difference", [signed(row["difference"], decimals) for row in lines], True),
            ("95% paired interval", [interval(row["low"], row["high"], decimals) for row in lines], True),
            ("verdict", [_outcome(str(word)) for word in pairs["verdict"]], False),
        ],
        "contest_pairs",
    )


def _outcome(word: str) -> Cell:
    return Cell(word, OUTCOMES[word]) if word in OUTCOMES else Cell("")


def _percent_point(share: float) -> str:
    return MISSING if share != share else f"{fixed(100 * share, 1)}%"


def _percents(low: float, high: float) -> str:
    return MISSING if low != low else f"[{fixed(100 * low, 1)}%, {fixed(100 * high, 1)}%]"

"""The few numbers on top of a page, each with the words that make it mean something."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from reports.folder import Run
from reports.numbers import count, fixed, number, percent, signed
from reports.summaries import SIMULATED, holds_truth, records, unique


@dataclass(frozen=True)
class KeyNumber:
    """A number, what it is, and what it compares with."""

    label: str
    value: str
    detail: str


def key_numbers(run: Run, estimates: pd.DataFrame | None) -> list[KeyNumber]:
    """What a reader takes away if they read nothing else.

    Args:
        run: The run.
        estimates: As made by `summaries.with_truth`, or None.
    """
    found = []
    if "policies" in run.tables:
        found += _of_policies(run.tables["policies"])
    if estimates is not None:
        found += _of_estimates(estimates)
    if "cells" in run.tables:
        found += _of_cells(run.tables["cells"])
    return found


def _of_policies(policies: pd.DataFrame) -> list[KeyNumber]:
    """The logger, the best learned policy, the oracle."""
    found = []
    known = policies[policies["value_search"].notna()].sort_values("value_search", ascending=False, kind="stable")
    by_role = {role: records(known[known["role"] == role]) for role in ("logger", "learned", "oracle")}
    logger = by_role["logger"][0]["value_search"] if by_role["logger"] else math.nan
    if by_role["logger"]:
        found.append(
            KeyNumber("the logger today", number(logger, 3), f"value per search of “{by_role['logger'][0]['policy']}”")
        )
    if by_role["learned"]:
        best = by_role["learned"][0]
        lift = f", {signed(100 * (best['value_search'] / logger - 1), 1)}% over the logger" if logger > 0 else ""
        found.append(KeyNumber("the best learned policy", number(best["value_search"], 3), f"“{best['policy']}”{lift}"))
        if math.isfinite(best["gap_closed"]):
            is_known = math.isfinite(best["gap_low"] + best["gap_high"])
            spread = f", 95%: {percent(best['gap_low'])} to {percent(best['gap_high'])}" if is_known else ""
            found.append(
                KeyNumber(
                    "gap closed", percent(best["gap_closed"]), f"from the logger to the best public policy{spread}"
                )
            )
    if by_role["oracle"]:
        found.append(
            KeyNumber("the oracle", number(by_role["oracle"][0]["value_search"], 3), "sees hidden taste: no policy can")
        )
    return found


def _of_estimates(estimates: pd.DataFrame) -> list[KeyNumber]:
    """How large the log was, how many estimates may be believed, how often the believed ones were right."""
    simulated = estimates[estimates["source"] == SIMULATED]
    main = simulated if len(simulated) else estimates
    rows = main["rows"].max()
    found = []
    if not math.isnan(rows):
        estimands = " ".join(main["estimand"].dropna().unique())
        unit = next((unit for unit in ("session", "shopper") if f"value per {unit}" in estimands), "")
        of = f"of the log “{main['source'].iloc[0]}”"
        found.append(KeyNumber(f"{unit or 'searche'}s judged from", count(rows), of if unit else f"rows {of}"))
    tally = [f"{int((estimates['verdict'] == word).sum())} {word}" for word in ("caution", "do not use")]
    n_trusted = int((estimates["verdict"] == "trust").sum())
    found.append(KeyNumber("estimates to trust", f"{n_trusted} of {len(estimates)}", ", ".join(tally)))
    trusted = simulated[(simulated["verdict"] == "trust") & simulated["truth"].notna()]
    if len(trusted):
        held = int(holds_truth(trusted).sum())
        found.append(
            KeyNumber(
                "trusted intervals that hold the truth", f"{held} of {len(trusted)}", "of one log, which share its luck"
            )
        )
    if len(simulated) == 0:
        lines = estimates[estimates["value"].notna() & estimates["lift"].notna()]
        if len(lines):
            mean = float(lines["value"].iloc[0] - lines["lift"].iloc[0])
            found.insert(0, KeyNumber("the logger's mean", number(mean), "reward per row, as logged"))
    return found


def _of_cells(cells: pd.DataFrame) -> list[KeyNumber]:
    """The size of a sweep."""
    names = {column: len(unique(cells[column])) for column in ("scenario", "policy", "seed")}
    n_cells = len(cells.drop_duplicates(["scenario", "policy", "seed"]))
    return [
        KeyNumber("cells", fixed(n_cells, 0), "scenario × policy × seed"),
        KeyNumber("scenarios", str(names["scenario"]), f"{names['policy']} policies, {names['seed']} seeds"),
    ]

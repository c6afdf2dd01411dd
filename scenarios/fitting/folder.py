"""What a fit leaves behind: the world's file, the tables of the check, run.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.fitting.check import finding
from scenarios.fitting.knobs import WANTS
from scenarios.fitting.predict import Predicted, Row
from scenarios.folder import RunSummary, write_run, write_table
from simenv.log import Log
from simenv.params import WorldParams
from simenv.world_file import world_toml

WORLD_FILE = "world.toml"
ASSUMPTIONS = (
    "The log is of shoppers who behave as the mechanisms of this world let them; the check below looks for signs "
    "against it, and cannot find what no public column shows.",
    "What the log does not tell stands as in the default world: hidden taste and its spread, how loyal shoppers are in "
    "number, what satisfies, how moods last. Values of policies that hang on these are the default world's, not the "
    "log's.",
    "A query that leaves something unsaid does not tell whether it is wanted: attributes are fitted by how often they "
    "are wanted, and how often what is wanted is said stays as in the default world. Favourite categories are repeated "
    "as often as there, too; the check says whether shoppers of the log repeat themselves as much.",
    "Popularity: clicks follow past sales, stars and relative price as in the log, and items differ beyond that as "
    "much as in the log. Brands draw clicks by their sales, style, price and loyal shoppers alone.",
    "Intervals of parameters are approximate (normal, on the scale each was moved on) and hold if the mechanisms do.",
    "Statistics that were aimed at agree by construction; the forecasts among them are the test.",
)


@dataclass(frozen=True)
class Found:
    """Everything that a fit tells. Tables are lists of rows; `notes` say what a reader must know."""

    params: WorldParams
    parameters: list[Row]
    click_models: list[Row]
    predicted: Predicted
    notes: list[str]
    n_rows: int
    n_shoppers: int
    config: Mapping[str, Any]
    seed: int
    started: str

    @property
    def statistics(self) -> list[Row]:
        """Rows of the posterior predictive check."""
        return self.predicted.statistics

    @property
    def finding(self) -> str:
        """The page's first sentence."""
        return finding(self.statistics)

    def world(self) -> str:
        """The world's file, with what was estimated behind the keys."""
        return world_toml(self.params, _comments(self.parameters), _head(self))


def write_fit(folder: Path, log: Log, found: Found, wall_seconds: float) -> None:
    """Write the folder of a fit; run.json last."""
    folder.mkdir(parents=True)
    (folder / WORLD_FILE).write_text(found.world(), encoding="utf-8")
    tables = {
        "predictive": found.statistics,
        "parameters": found.parameters,
        "examination": found.predicted.examination,
        "click_models": found.click_models,
    }
    if found.predicted.query_mix:
        tables["query_mix"] = found.predicted.query_mix
    for name, rows in tables.items():
        write_table(folder, name, rows)
    write_run(
        folder,
        RunSummary(
            kind="fit",
            backend="auto",
            name=log.folder.name,
            title=f"A world that imitates the log '{log.folder.name}'",
            question="Does the fitted world make logs like this one, and where does it not?",
            finding=found.finding,
            assumptions=ASSUMPTIONS,
            notes=found.notes,
            config=found.config,
            seeds={"fit": found.seed},
            hashes={"log": log.digest, "world": found.params.digest()},
            started=found.started,
            wall_seconds=wall_seconds,
            extra={"log": {"rows": found.n_rows, "shoppers": found.n_shoppers}},
        ),
    )


def _head(found: Found) -> list[str]:
    return [
        f"Fitted to {found.n_rows:,} pages of {found.n_shoppers:,} shoppers.",
        found.finding,
        "Behind what was estimated stands its approximate 95% interval; everything else is as in the default world.",
    ]


def _comments(rows: list[Row]) -> dict[str, str]:
    """What stands behind a key; entries of one list are told in one comment."""
    said: dict[str, list[str]] = {}
    for row in rows:
        path, _, entry = str(row["parameter"]).partition("[")
        if path.startswith(WANTS):  # no key of its own: one entry of every kind's `wants`
            path, entry = "queries.focused.wants", f"{path.removeprefix(WANTS)}, all kinds of intent together]"
        low, high = float(str(row["low"])), float(str(row["high"]))
        interval = "read off the log" if math.isnan(low) else f"{low:.4g} to {high:.4g}"
        said.setdefault(path, []).append(f"[{entry} {interval}" if entry else f"estimated: {interval}")
    return {path: "; ".join(each) for path, each in said.items()}

"""A run's folder, read and checked: `run.json` and the tidy tables beside it.

Everything the rest of the package knows about a run comes through here, so a file that breaks the contract is named
here (which file, which column, which row), and nothing further on has to check again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from reports.verdicts import OUTCOMES, VERDICTS
from simenv.errors import UserError

SCHEMA = 1
KINDS = ("experiment", "evaluation", "sweep", "benchmark", "fit", "contest", "leaderboard")
ROLES = ("logger", "baseline", "learned", "oracle")
SENSITIVITIES = ("clipping", "confounder", "weakest confounder")
AUDIT_OUTCOMES = ("passed", "strained", "failed", "not checked")
WEIGHT_KINDS = ("joint", "item-position")
PLAYS = ("registered", "greedy")
PREDICTIVE_FLAGS = ("inside", "outside", "far outside")
TRUE_WORDS = ("true", "1", "1.0")
FALSE_WORDS = ("false", "0", "0.0", "")

REQUIRED_FIELDS: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "name": str,
    "title": str,
    "question": str,
    "assumptions": list,
    "config": dict,
    "seeds": (dict, list, int),
    "versions": dict,
    "hashes": dict,
    "backend": str,
    "machine": str,
    "wall_seconds": (int, float),
    "started": str,
    "schema": int,
}

COLUMNS: dict[str, dict[str, str]] = {
    "learning": {"policy": "text", "seed": "text", "searches": "number", "value": "number", "logger_value": "number"},
    "estimates": {
        **dict.fromkeys(("source", "policy", "estimator", "estimand"), "text"),
        **dict.fromkeys(("value", "stderr", "low", "high", "level", "lift", "lift_low", "lift_high"), "number"),
        **dict.fromkeys(("rows", "effective_rows", "effective_positives"), "number"),
        **dict.fromkeys(("mean_weight", "mean_weight_z", "max_weight_share"), "number"),
        **dict.fromkeys(("cluster", "verdict", "reasons", "interval"), "text"),
    },
    "truth": {
        **dict.fromkeys(("policy", "estimand"), "text"),
        **dict.fromkeys(("value", "stderr", "lift", "lift_stderr", "twins_save"), "number"),
    },
    "weights": {
        **dict.fromkeys(("source", "policy", "kind"), "text"),
        **dict.fromkeys(("log10_low", "log10_high", "count"), "number"),
    },
    "audit": {
        **dict.fromkeys(("source", "policy", "check", "outcome", "said"), "text"),
        "figure": "number",
    },
    "by_segment": {
        **dict.fromkeys(("column", "segment", "estimator", "verdict", "reasons"), "text"),
        **dict.fromkeys(("value", "low", "high", "level", "lift", "lift_low", "lift_high", "rows", "p"), "number"),
    },
    "sensitivity": {
        **dict.fromkeys(("reward", "estimator", "asked"), "text"),
        **dict.fromkeys(("share", "at", "gamma", "value", "low", "high", "logger"), "number"),
    },
    "quantiles": {
        **dict.fromkeys(("reward", "what"), "text"),
        **dict.fromkeys(("p", "value", "low", "high", "level", "logger"), "number"),
    },
    "policies": {
        **dict.fromkeys(("policy", "role"), "text"),
        **dict.fromkeys(("value_search", "value_session", "value_shopper", "ndcg", "mrr"), "number"),
        **dict.fromkeys(("clicks", "carts", "purchases", "revenue"), "number"),
        **dict.fromkeys(("gap_closed", "gap_low", "gap_high"), "number"),
    },
    "segments": {
        **dict.fromkeys(("policy", "segment"), "text"),
        **dict.fromkeys(("value", "low", "high", "n"), "number"),
    },
    "sessions": {
        **dict.fromkeys(("session", "step", "locale", "query"), "text"),
        **dict.fromkeys(("slot",), "number"),
        **dict.fromkeys(("title",), "text"),
        **dict.fromkeys(("price",), "number"),
        **dict.fromkeys(("clicked", "bought"), "flag"),
    },
    "speed": {
        **dict.fromkeys(("name", "unit", "peer"), "text"),
        **dict.fromkeys(("value", "peer_value", "ratio"), "number"),
    },
    "scaling": {
        **dict.fromkeys(("axis", "meaning"), "text"),
        **dict.fromkeys(("size", "milliseconds", "fitted", "r_squared"), "number"),
    },
    "mechanisms": {
        **dict.fromkeys(("mechanism", "backend"), "text"),
        **dict.fromkeys(("microseconds", "added", "share"), "number"),
    },
    "bandits": {
        **dict.fromkeys(("bed", "policy", "by"), "text"),
        **dict.fromkeys(("rounds", "runs", "regret", "error", "published"), "number"),
    },
    "slateq": {
        "row": "text",
        **dict.fromkeys(("seeds", "value", "low", "high", "gain", "gain_low", "gain_high"), "number"),
        **dict.fromkeys(("length", "pages", "seconds", "published"), "number"),
    },
    "long_term": {
        "policy": "text",
        **dict.fromkeys(("seeds", "value", "low", "high", "gain", "gain_low", "gain_high", "seconds"), "number"),
        **dict.fromkeys(("visits", "returning", "searches", "clicks", "purchases", "rating"), "number"),
        **dict.fromkeys(("quality", "bait", "categories", "entropy", "seen", "satiation"), "number"),
    },
    "reading": {
        **dict.fromkeys(("reader", "by", "group", "term"), "text"),
        **dict.fromkeys(("misspelling_rate", "value", "stderr", "queries"), "number"),
    },
    "gains": {
        **dict.fromkeys(("learner", "reader"), "text"),
        **dict.fromkeys(("misspelling_rate", "value", "gain", "gain_low", "gain_high", "seeds"), "number"),
    },
    "predictive": {
        **dict.fromkeys(("statistic", "flag"), "text"),
        "aimed_at": "flag",
        **dict.fromkeys(("observed", "mean", "low", "high", "p", "distance"), "number"),
    },
    "examination": {
        **dict.fromkeys(("slot", "examination_log", "examination_mean", "examination_low"), "number"),
        **dict.fromkeys(("examination_high", "click_rate_log", "click_rate_mean"), "number"),
        **dict.fromkeys(("click_rate_low", "click_rate_high"), "number"),
    },
    "parameters": {
        **dict.fromkeys(("parameter", "told_by"), "text"),
        **dict.fromkeys(("estimate", "low", "high"), "number"),
    },
    "click_models": {
        **dict.fromkeys(("model", "note"), "text"),
        **dict.fromkeys(("held_out", "misfit"), "number"),
        "chosen": "flag",
    },
    "query_mix": {
        "category": "text",
        **dict.fromkeys(("log", "mean", "low", "high", "share", "share_low", "share_high"), "number"),
    },
    "contest_values": {
        **dict.fromkeys(("world", "policy", "role", "play", "seed"), "text"),
        **dict.fromkeys(("value", "lift", "lift_stderr"), "number"),
    },
    "contest_worlds": {
        **dict.fromkeys(("world", "reward", "click_model", "logger"), "text"),
        **dict.fromkeys(("logger_value", "best_public", "best_impersonal", "oracle", "searches"), "number"),
    },
    "contest_gaps": {
        **dict.fromkeys(("world", "policy", "role", "play"), "text"),
        **dict.fromkeys(("seeds", "value", "share", "low", "high"), "number"),
    },
    "contest_pairs": {
        **dict.fromkeys(("world", "play", "policy", "rival", "verdict", "why"), "text"),
        **dict.fromkeys(("seeds", "difference", "low", "high"), "number"),
    },
    "leaderboard_bars": {
        **dict.fromkeys(("bar", "meaning"), "text"),
        **dict.fromkeys(("count", "of", "share", "error", "goal"), "number"),
    },
    "leaderboard_beds": {
        **dict.fromkeys(("cell", "kind", "about"), "text"),
        "sound": "flag",
        **dict.fromkeys(("rows", "logs", "targets"), "number"),
    },
    "leaderboard_scores": {
        **dict.fromkeys(("cell", "target", "estimator"), "text"),
        **dict.fromkeys(("sound", "fails"), "flag"),
        **dict.fromkeys(("logs", "truth", "bias", "sd", "rmse", "coverage", "width"), "number"),
        **dict.fromkeys(("trust", "caution", "do_not_use", "trusted", "trusted_right"), "number"),
    },
    "leaderboard_estimators": {
        "estimator": "text",
        **dict.fromkeys(("cells", "failing", "sound_coverage", "relative_rmse", "relative_width"), "number"),
        **dict.fromkeys(("trusted", "trusted_right", "refused", "rank_correlation", "regret"), "number"),
    },
    "leaderboard_chosen": {
        **dict.fromkeys(("rule", "worst_in"), "text"),
        **dict.fromkeys(("logs", "answered", "relative_error", "worst", "coverage"), "number"),
    },
    "cells": {**dict.fromkeys(("scenario", "policy", "seed", "metric"), "text"), "value": "number"},
}

# Columns that came later: numbers that runs made before are read without.
LATER = {("truth", "twins_save"), ("estimates", "interval")}

WORDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("estimates", "verdict"): tuple(VERDICTS),
    ("policies", "role"): ROLES,
    ("contest_values", "role"): ROLES,
    ("contest_values", "play"): PLAYS,
    ("contest_gaps", "role"): ROLES,
    ("contest_gaps", "play"): PLAYS,
    ("contest_pairs", "play"): PLAYS,
    ("contest_pairs", "verdict"): tuple(OUTCOMES),
    ("weights", "kind"): WEIGHT_KINDS,
    ("audit", "outcome"): AUDIT_OUTCOMES,
    ("by_segment", "verdict"): tuple(VERDICTS),
    ("sensitivity", "asked"): SENSITIVITIES,
    ("predictive", "flag"): PREDICTIVE_FLAGS,
}


@dataclass(frozen=True)
class Run:
    """What a run left on disk.

    Attributes:
        folder: Where it lies.
        facts: `run.json`, checked: every field of `REQUIRED_FIELDS`, perhaps `finding` and `notes`.
        tables: The tables that exist and have rows, by name; each has at least the columns of `COLUMNS`, texts as
            strings, numbers as float64 (NaN where undefined), flags as bool.
    """

    folder: Path
    facts: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]


def read_run(folder: Path) -> Run:
    """Read and check a run's folder.

    Raises:
        UserError: The folder is missing or is not a run; `run.json` or a table is unreadable; a column is missing; a
            value is not what its column holds. The message names the file and says what to do.
    """
    if not folder.is_dir():
        raise UserError(
            f"there is no folder '{folder}'; expected the folder of a run. "
            "Give the folder that was named with --out when the run was made."
        )
    facts = read_facts(folder / "run.json")
    tables = {}
    for name in COLUMNS:
        path = folder / "tables" / f"{name}.csv"
        if path.exists():
            table = read_table(path, name)
            if len(table):
                tables[name] = table
    return Run(folder, facts, tables)


def read_facts(path: Path) -> dict[str, Any]:
    """Read and check `run.json`.

    Raises:
        UserError: It is missing, is not JSON, lacks a field, or is of a kind or schema this version does not know.
    """
    if not path.is_file():
        raise UserError(
            f"'{path.parent}' is not a run's folder: it has no run.json. Expected a folder written by "
            "`slatelab run`, `slatelab evaluate`, `slatelab sweep`, `slatelab contest`, `slatelab leaderboard`, "
            "`slatelab fit` or `slatelab bench`; give that folder, or make the run again."
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"cannot read '{path}': {error}. Expected JSON in UTF-8; make the run again.") from error
    if not isinstance(facts, dict):
        raise UserError(f"'{path}' holds a {type(facts).__name__}; expected a JSON object. Make the run again.")
    missing = [name for name in REQUIRED_FIELDS if name not in facts]
    if missing:
        raise UserError(
            f"'{path}' lacks {', '.join(missing)}; a run's folder is complete or it is not a run. Make the run again."
        )
    for name, expected in REQUIRED_FIELDS.items():
        if not isinstance(facts[name], expected):
            raise UserError(
                f"'{path}': field '{name}' is {facts[name]!r}, which is not of its type. Make the run again."
            )
    if facts["schema"] != SCHEMA:
        raise UserError(
            f"'{path}' has schema {facts['schema']}; this version reads schema {SCHEMA}. "
            "Use the version that made the run."
        )
    if facts["kind"] not in KINDS:
        raise UserError(f"'{path}': kind is '{facts['kind']}'; expected one of {', '.join(KINDS)}.")
    return facts


def read_table(path: Path, name: str) -> pd.DataFrame:
    """Read and check one table; unknown further columns stay and are ignored.

    Everything is read as text first, so that a query spelt "NA" stays a query.

    Args:
        path: The CSV file.
        name: Which table of `COLUMNS` it is.

    Raises:
        UserError: The file is unreadable, a column is missing, or a value is not what its column holds.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(
            f"cannot read '{path}': {error}. Expected a CSV file in UTF-8 with a header; make the run again."
        ) from error
    for column in COLUMNS[name]:
        if (name, column) in LATER and column not in table.columns:
            table[column] = ""
    missing = [column for column in COLUMNS[name] if column not in table.columns]
    if missing:
        raise UserError(
            f"'{path}' has no column {', '.join(repr(column) for column in missing)}; "
            f"expected {', '.join(COLUMNS[name])}; found {', '.join(table.columns)}. "
            "Make the run again, or remove the table."
        )
    for column, kind in COLUMNS[name].items():
        if kind == "number":
            table[column] = _numbers(table[column], path)
        elif kind == "flag":
            table[column] = _flags(table[column], path)
    for (owner, column), words in WORDS.items():
        if owner == name:
            _check_words(table[column], words, path)
    return table


def _numbers(column: pd.Series[str], path: Path) -> pd.Series[float]:
    """Texts as float64; an empty cell is NaN, anything else that is no number raises."""
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    said_missing = column.str.strip().str.lower().isin(["", "nan"])
    wrong = numbers.isna() & ~said_missing
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise UserError(
            f"'{path}' row {row + 1}: column '{column.name}' is '{column.iloc[row]}'; expected a number, or nothing."
        )
    return numbers


def _flags(column: pd.Series[str], path: Path) -> pd.Series[bool]:
    """Texts as booleans."""
    words = column.str.strip().str.lower()
    _check_words(words, TRUE_WORDS + FALSE_WORDS, path)
    return words.isin(TRUE_WORDS)


def _check_words(column: pd.Series[str], words: tuple[str, ...], path: Path) -> None:
    """Raise where a cell is none of the words."""
    wrong = ~column.isin(words)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise UserError(
            f"'{path}' row {row + 1}: column '{column.name}' is '{column.iloc[row]}'; "
            f"expected one of {', '.join(repr(word) for word in words)}."
        )

"""What a row of a log holds: one page of one search. The public schema, versioned."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa

from simenv.language.words import TERMS

SCHEMA_VERSION = 4
N_TERMS = len(TERMS)
SESSION_BITS = 16  # session = shopper * 2**16 + visit

LOG_PART = "part-*.parquet"
HIDDEN_FOLDER = "hidden"
CATALOGUE_FILE = "catalogue.parquet"
MANIFEST_FILE = "log.json"


def log_schema(n_candidates: int, n_slots: int, n_style: int, n_house: int = 0, n_recent: int = 0) -> pa.Schema:
    """The columns of a log for C candidates, K slots, D style dimensions, H places of the house and L recent clicks.

    Where H or L is 0 their columns are left out: Parquet has no lists of length 0.
    """
    word = pa.dictionary(pa.int32(), pa.string())
    columns: list[tuple[str, pa.DataType]] = [
        ("session", pa.int64()),
        ("step", pa.int32()),
        ("shopper", pa.int64()),
        ("visit", pa.int32()),
        ("day", pa.int32()),
        ("time", pa.int32()),
        ("search", pa.int32()),
        ("page", pa.int32()),
        ("locale", word),
        ("device", word),
        ("query", pa.string()),
        ("query_terms", pa.list_(pa.int32(), N_TERMS)),
        ("filters", pa.list_(pa.int32(), N_TERMS)),
        ("history", pa.list_(pa.float32(), n_style + 1)),
        ("history_weight", pa.float32()),
        ("last_brand", pa.int32()),
        ("n_candidates", pa.int32()),
        ("candidates", pa.list_(pa.int32(), n_candidates)),
        ("discount", pa.list_(pa.float32(), n_candidates)),
        ("scores", pa.list_(pa.float32(), n_candidates)),
        ("temperature", pa.float64()),
        ("floor", pa.float64()),
        ("slate", pa.list_(pa.int32(), n_slots)),
        ("items", pa.list_(pa.int32(), n_slots)),
        ("logp_conditional", pa.list_(pa.float64(), n_slots)),
        ("policy", word),
        ("propensity_kind", word),
        ("propensity_error", pa.float64()),
        ("clicked", pa.list_(pa.bool_(), n_slots)),
        ("carted", pa.list_(pa.bool_(), n_slots)),
        ("purchased", pa.list_(pa.bool_(), n_slots)),
        ("dwell", pa.list_(pa.float32(), n_slots)),
        ("returned", pa.list_(pa.bool_(), n_slots)),
        ("revenue", pa.list_(pa.float64(), n_slots)),
        ("reward", pa.list_(pa.float64(), n_slots)),
        ("terminated", pa.bool_()),
        ("truncated", pa.bool_()),
    ]
    if n_recent:
        columns += [
            ("recent", pa.list_(pa.int32(), n_recent)),
            ("recent_bought", pa.list_(pa.bool_(), n_recent)),
            ("recent_age", pa.list_(pa.int16(), n_recent)),
        ]
    if n_house:
        columns += [
            ("house", pa.list_(pa.int32(), n_house)),
            ("house_clicked", pa.list_(pa.bool_(), n_house)),
            ("house_purchased", pa.list_(pa.bool_(), n_house)),
            ("ad_revenue", pa.list_(pa.float64(), n_house)),
        ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def hidden_schema(n_slots: int, n_style: int, n_intent: int = N_TERMS) -> pa.Schema:
    """The columns of the hidden truth beside a log, keyed by (session, step)."""
    word = pa.dictionary(pa.int32(), pa.string())
    columns: list[tuple[str, pa.DataType]] = [
        ("session", pa.int64()),
        ("step", pa.int32()),
        ("intent", pa.list_(pa.int32(), n_intent)),
        ("intent_kind", word),
        ("reformulation", word),
        ("said", pa.list_(pa.int32(), N_TERMS)),
        ("misspelt", pa.list_(pa.bool_(), N_TERMS)),
        ("taste", pa.list_(pa.float32(), n_style)),
        ("segment", pa.int32()),
        ("satisfaction", pa.float32()),
        ("favourite_brand", pa.int32()),
        ("trust", pa.float32()),
        ("satiation", pa.list_(pa.float32(), n_slots)),
        ("boredom", pa.list_(pa.float32(), n_slots)),
        ("ending", word),
        ("examined", pa.list_(pa.bool_(), n_slots)),
        ("satisfied", pa.list_(pa.bool_(), n_slots)),
        ("relevance", pa.list_(pa.float32(), n_slots)),
        ("expected_reward", pa.list_(pa.float64(), n_slots)),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def log_digest(folder: Path) -> str:
    """SHA-256 over the parts and the catalogue, in the order of their names."""
    state = hashlib.sha256()
    for path in sorted(folder.glob("*.parquet")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                state.update(block)
    return state.hexdigest()

"""What a row of a log holds: one page of one search. The public schema, versioned."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa

from simenv.language.words import TERMS

SCHEMA_VERSION = 3
N_TERMS = len(TERMS)
SESSION_BITS = 16  # session = shopper * 2**16 + visit

LOG_PART = "part-*.parquet"
HIDDEN_FOLDER = "hidden"
CATALOGUE_FILE = "catalogue.parquet"
MANIFEST_FILE = "log.json"


def log_schema(n_candidates: int, n_slots: int, n_style: int) -> pa.Schema:
    """The columns of a log for C candidates, K slots and D style dimensions."""
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
        ("revenue", pa.list_(pa.float64(), n_slots)),
        ("reward", pa.list_(pa.float64(), n_slots)),
        ("terminated", pa.bool_()),
        ("truncated", pa.bool_()),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def hidden_schema(n_slots: int, n_style: int) -> pa.Schema:
    """The columns of the hidden truth beside a log, keyed by (session, step)."""
    word = pa.dictionary(pa.int32(), pa.string())
    columns: list[tuple[str, pa.DataType]] = [
        ("session", pa.int64()),
        ("step", pa.int32()),
        ("intent", pa.list_(pa.int32(), N_TERMS)),
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
        ("examined", pa.list_(pa.bool_(), n_slots)),
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

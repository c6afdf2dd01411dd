"""Writing a log: play a fixed set of shoppers to their end and stream what a shop would have seen to Parquet.

Memory holds one block of shoppers. Everything is written beside the target and renamed at the end, so a log exists
whole or not at all. Rows are in the order of (shopper, visit, step), whatever the block size.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simenv.abandonment import ENDINGS
from simenv.asking import INTENT_KINDS, REFORMULATIONS
from simenv.catalogue import ATTRIBUTES, I64, PublicCatalogue
from simenv.columns import join
from simenv.decision import Policy
from simenv.errors import UserError
from simenv.log.schema import (
    CATALOGUE_FILE,
    HIDDEN_FOLDER,
    MANIFEST_FILE,
    SCHEMA_VERSION,
    SESSION_BITS,
    hidden_schema,
    log_digest,
    log_schema,
)
from simenv.mind import boredom_of, satiation_of
from simenv.play import BLOCK, Step, play
from simenv.shoppers import DEVICES
from simenv.world import World

BLOCKS_A_PART = 16


def write_log(
    world: World,
    world_name: str,
    policy: Policy,
    seed: int,
    shoppers: I64,
    out: Path,
    advance: Callable[[int], None] = lambda _: None,
) -> Path:
    """Simulate shoppers under a logging policy and write the log.

    Args:
        world: The market.
        world_name: As registered; written down so that the world can be found again.
        policy: Who ranks and says how likely each slate was.
        seed: The shoppers' luck.
        shoppers: (U,) ids; all their sessions are played to the end.
        out: The folder to make. It must not exist.
        advance: Told the number of shoppers done, block by block.

    Returns:
        `out`.

    Raises:
        UserError: where `out` exists, or no shopper is asked for.
    """
    if out.exists():
        raise UserError(f"'{out}' exists already; a log is never overwritten. Choose another --out or remove it.")
    if not len(shoppers):
        raise UserError("a log of no shoppers was asked for; expected at least one.")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}.partial")
    (draft / HIDDEN_FOLDER).mkdir(parents=True)
    try:
        rows = _write_parts(world, policy, seed, shoppers, draft, advance)
        pq.write_table(catalogue_table(world.catalogue.public(), world.catalogue.brands), draft / CATALOGUE_FILE)
        manifest = {
            "schema": SCHEMA_VERSION,
            "world": world_name,
            "world_hash": world.params.digest(),
            "catalogue_hash": world.catalogue.digest(),
            "policy": policy.name,
            "seed": seed,
            "rows": rows,
            "shoppers": len(shoppers),
            "n_candidates": world.params.n_candidates,
            "n_slots": world.params.n_slots,
            "n_style": world.params.n_style,
            "n_house": world.params.house.n,
            "house_places": list(world.params.house.places),
            "reward": world.params.reward,
            "log_hash": log_digest(draft),
        }
        (draft / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return out


def catalogue_table(catalogue: PublicCatalogue, brands: tuple[str, ...]) -> pa.Table:
    """The public catalogue as a table, a row an item; `brand_name` beside the id."""
    columns: dict[str, Any] = {
        "item": np.arange(len(catalogue.category), dtype=np.int32),
        "brand_name": pa.array(np.asarray(brands)[catalogue.brand]).dictionary_encode(),
    }
    for name in ("category", "department", "brand", "colour", *ATTRIBUTES, "price", "price_z", "rating", "popularity"):
        columns[name] = getattr(catalogue, name)
    columns["style"] = _fixed(catalogue.style, pa.float32())
    return pa.table(columns)


def _write_parts(
    world: World, policy: Policy, seed: int, shoppers: I64, draft: Path, advance: Callable[[int], None]
) -> int:
    params = world.params
    public = log_schema(params.n_candidates, params.n_slots, params.n_style, params.house.n).with_metadata(
        {
            "slatelab_schema": str(SCHEMA_VERSION),
            "world_hash": params.digest(),
            "catalogue_hash": world.catalogue.digest(),
        }
    )
    hidden = hidden_schema(params.n_slots, params.n_style, world.demand.n_intent)
    rows = 0
    for part, first_of_part in enumerate(range(0, len(shoppers), BLOCK * BLOCKS_A_PART)):
        name = f"part-{part:05d}.parquet"
        with (
            pq.ParquetWriter(draft / name, public, compression="zstd") as log,
            pq.ParquetWriter(draft / HIDDEN_FOLDER / name, hidden, compression="zstd") as truth,
        ):
            last = min(first_of_part + BLOCK * BLOCKS_A_PART, len(shoppers))
            for first in range(first_of_part, last, BLOCK):
                block = shoppers[first : min(first + BLOCK, last)]
                steps = join(list(play(world, policy, seed, block)))
                order = np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper))
                log.write_batch(_public_rows(world, policy, steps, order, public))
                truth.write_batch(_hidden_rows(world, steps, order, hidden))
                rows += len(order)
                advance(len(block))
    return rows


def _public_rows(
    world: World, policy: Policy, steps: Step, order: npt.NDArray[np.int64], schema: pa.Schema
) -> pa.RecordBatch:
    page, outcome, decision = steps.page, steps.outcome, steps.decision
    n = len(order)
    columns: dict[str, Any] = {
        "session": (page.shopper << SESSION_BITS) + page.visit,
        "step": steps.state.step,
        "locale": _words(page.locale, world.demand.locales),
        "device": _words(page.device, DEVICES),
        "query": np.array(world.demand.strings(steps.state), dtype=object),
        "n_candidates": (page.candidates >= 0).sum(axis=1).astype(np.int32),
        "scores": decision.scores,
        "temperature": np.full(n, policy.temperature),
        "floor": np.full(n, policy.floor),
        "slate": decision.slate,
        "logp_conditional": decision.logp.logp,
        "policy": _words(np.zeros(n, np.int32), (policy.name,)),
        "propensity_kind": _words(np.zeros(n, np.int32), (policy.propensity_kind,)),
        "propensity_error": np.full(n, policy.propensity_error),
        "terminated": outcome.session_over,
        "truncated": outcome.truncated,
    }
    for name in ("shopper", "visit", "day", "time", "search", "page", "query_terms", "filters", "history",
                 "history_weight", "last_brand", "candidates", "house"):  # fmt: skip
        columns[name] = getattr(page, name)
    for name in ("items", "clicked", "carted", "purchased", "dwell", "returned", "revenue", "reward", "house_clicked",
                 "house_purchased", "ad_revenue"):  # fmt: skip
        columns[name] = getattr(outcome, name)
    return _batch(columns, order, schema)


def _hidden_rows(world: World, steps: Step, order: npt.NDArray[np.int64], schema: pa.Schema) -> pa.RecordBatch:
    state, outcome = steps.state, steps.outcome
    kind, reformulation = world.demand.kinds(state)
    said = world.demand.said(state)
    columns: dict[str, Any] = {
        "session": (state.shopper << SESSION_BITS) + state.visit,
        "step": state.step,
        "intent": state.intent,
        "intent_kind": _words(kind, INTENT_KINDS),
        "reformulation": _words(reformulation, REFORMULATIONS),
        "said": said.terms,
        "misspelt": said.misspelt,
        "taste": state.taste,
        "segment": state.traits.segment,
        "satisfaction": state.satisfaction,
        "favourite_brand": state.mind.favourite_brand,
        "trust": state.mind.trust,
        "satiation": satiation_of(state.mind, world.catalogue, outcome.items),
        "boredom": boredom_of(world.params.habits, state.mind, world.catalogue, outcome.items),
        "ending": _words(outcome.ending, ENDINGS),
        "examined": outcome.examined,
        "satisfied": outcome.satisfied,
        "relevance": world.demand.relevance(state.intent, outcome.items),
        "expected_reward": outcome.expected,
    }
    return _batch(columns, order, schema)


def _batch(columns: dict[str, Any], order: npt.NDArray[np.int64], schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        column = columns[field.name]
        if isinstance(column, pa.Array):
            arrays.append(column.take(pa.array(order)))
        elif column.ndim == 2:
            arrays.append(_fixed(column[order], field.type.value_type))
        else:
            arrays.append(pa.array(column[order], type=field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _fixed(column: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(column.reshape(-1), type=kind), column.shape[1])


def _words(index: npt.NDArray[np.integer], words: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(words, type=pa.string()))

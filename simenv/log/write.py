"""Writing a log: play a fixed set of shoppers to their end and stream what a shop would have seen to Parquet.

Memory holds one block of shoppers. Everything is written beside the target and renamed at the end, so a log exists
whole or not at all. Rows are in the order of (shopper, visit, step), whatever the block size, also where shoppers share
stock and are played day by day.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from simenv.decision import Policy, with_query
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
from simenv.log.spill import Spill
from simenv.mind import boredom_of, satiation_of
from simenv.play import BLOCK, Step, play
from simenv.shoppers import DEVICES
from simenv.world import World

BLOCKS_A_PART = 16
ROWS_AT_ONCE = 4 * BLOCK  # that go to disk together where shoppers are played day by day


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
            "n_recent": world.params.n_recent,
            "house_places": list(world.params.house.places),
            "shared_stock": world.params.market.stock is not None,
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
    public = log_schema(
        params.n_candidates, params.n_slots, params.n_style, params.house.n, params.n_recent
    ).with_metadata(
        {
            "slatelab_schema": str(SCHEMA_VERSION),
            "world_hash": params.digest(),
            "catalogue_hash": world.catalogue.digest(),
        }
    )
    hidden = hidden_schema(params.n_slots, params.n_style, world.demand.n_intent)
    blocks = _blocks_apart if world.params.market.stock is None else _blocks_together
    made = blocks(_Logging(world, policy, seed, public, hidden), shoppers, draft, advance)
    rows = 0
    for part in range(-(-len(shoppers) // (BLOCK * BLOCKS_A_PART))):
        name = f"part-{part:05d}.parquet"
        with (
            pq.ParquetWriter(draft / name, public, compression="zstd") as log,
            pq.ParquetWriter(draft / HIDDEN_FOLDER / name, hidden, compression="zstd") as truth,
        ):
            for public_rows, hidden_rows in itertools.islice(made, BLOCKS_A_PART):
                log.write_batch(public_rows)
                truth.write_batch(hidden_rows)
                rows += len(public_rows)
    assert next(made, None) is None
    return rows


@dataclass(frozen=True)
class _Logging:
    """Who plays under whom, and the columns of what is written of it."""

    world: World
    policy: Policy
    seed: int
    public: pa.Schema
    hidden: pa.Schema

    def rows(self, steps: Step, order: npt.NDArray[np.int64]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        return (
            _public_rows(self.world, self.policy, steps, order, self.public),
            _hidden_rows(self.world, steps, order, self.hidden),
        )


def _blocks_apart(
    logging: _Logging, shoppers: I64, draft: Path, advance: Callable[[int], None]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Block after block of shoppers who do not touch each other."""
    for first in range(0, len(shoppers), BLOCK):
        block = shoppers[first : first + BLOCK]
        steps = join(list(play(logging.world, logging.policy, logging.seed, block)))
        yield logging.rows(steps, np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper)))
        advance(len(block))


def _blocks_together(
    logging: _Logging, shoppers: I64, draft: Path, advance: Callable[[int], None]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The same of shoppers who share stock: they are played day by day, and their rows wait on disk."""
    public, hidden = Spill(draft / "public.spill", logging.public), Spill(draft / "hidden.spill", logging.hidden)
    known = np.argsort(shoppers)
    for steps in _gathered(play(logging.world, logging.policy, logging.seed, shoppers)):
        block = known[np.searchsorted(shoppers, steps.state.shopper, sorter=known)] // BLOCK
        order = np.argsort(block, kind="stable")
        for spill, rows in zip((public, hidden), logging.rows(steps, order), strict=True):
            spill.add(rows, block[order])
        advance(int((steps.outcome.gone | steps.outcome.truncated).sum()))
    for number in range(-(-len(shoppers) // BLOCK)):
        yield tuple(spill.rows(number, by=("session", "step")) for spill in (public, hidden))
    public.remove()
    hidden.remove()


def _gathered(steps: Iterator[Step]) -> Iterator[Step]:
    """The same steps, joined until each has at least ROWS_AT_ONCE rows."""
    some: list[Step] = []
    for step in steps:
        some.append(step)
        if sum(len(each.state) for each in some) >= ROWS_AT_ONCE:
            yield join(some)
            some = []
    if some:
        yield join(some)


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
        "query": with_query(world, steps.state, page).query,
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
                 "history_weight", "last_brand", "candidates", "discount", "house",
                 "recent", "recent_bought", "recent_age"):  # fmt: skip
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

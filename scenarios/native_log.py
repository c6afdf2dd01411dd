"""SlateLab's own logs as a source of parts: what `offpolicy.stream` reads, joined to a policy chunk by chunk."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from offpolicy.stream.gather import Chunk
from offpolicy.stream.parts import Part
from offpolicy.stream.survey import Glance, Survey, glance_at, survey
from policies.exploration.slotwise import AnyPolicy
from policies.features import FeatureMap
from scenarios.config import Estimation
from scenarios.evidence import evidence_of_batch
from scenarios.joining import BATCH, keep_half
from scenarios.log_context import category_kind, head_of
from scenarios.slate_models import SlateModels
from simenv.errors import UserError
from simenv.log import Log, RowGroup

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NativeLog:
    """SlateLab's own log in parts, joined to a policy chunk by chunk.

    Attributes:
        log: The log.
        target: The policy.
        half: The shoppers that it may be judged on; all where None.
        models: Reward models that never saw the shoppers they speak of.
        settings, seed: As for `scenarios.evidence.join_log`.
        policy_digest: Of the policy's files or source.
    """

    log: Log
    target: AnyPolicy
    half: int | None
    models: SlateModels
    settings: Estimation
    seed: int
    policy_digest: str

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Row groups."""
        made, in_file = [], dict.fromkeys(self.log.parts, 0)
        for group in self.log.row_groups():
            made.append(Part(group.file, group.number or 0, group.rows, group.first, in_file[group.file]))
            in_file[group.file] += group.rows
        return tuple(made)

    @property
    def digest(self) -> str:
        """Of the log, the policy and all that the models depend on."""
        told = (self.log.digest, self.policy_digest, self.half, self.settings.folds, self.settings.target_slates)
        return hashlib.sha256(repr((*told, self.seed, self.settings.estimators)).encode()).hexdigest()

    def chunks(self, part: Part) -> Iterator[Chunk]:
        """The rows of a row group as evidence."""
        group = RowGroup(part.file, part.group, part.rows, part.first)
        for batch in self.log.rows_of(group, keep_half(self.half), BATCH, self.target.reads_query):
            made = evidence_of_batch(batch, self.target, self._features, self.models, self.settings, self.seed)
            kind = category_kind(batch.page.query_terms[:, 0].astype(np.int64), self._head)
            yield Chunk(replace(made, segments={**made.segments, "category": kind}))

    def survey(self) -> Survey:
        """What is known of the whole log, from a few columns."""
        return survey(self._glances)

    def _glances(self) -> Iterator[tuple[int, Glance]]:
        for columns in few(self.log, self.half, "shopper", "day", "visit", "page", "locale", "device", "query_terms"):
            names = {
                "locale": columns["locale"],
                "device": columns["device"],
                "visitor": np.where(columns["visit"] > 0, "returning", "new"),
                "page": np.where(columns["page"] > 0, "later", "first"),
                "category": category_kind(columns["query_terms"], self._head),
            }
            shopper = columns["shopper"]
            yield len(shopper), glance_at(shopper, columns["day"].astype(np.int64), names)

    @cached_property
    def _head(self) -> I64:
        """The categories that make up half of all searches."""
        counts: Counter[int] = Counter()
        for columns in few(self.log, self.half, "shopper", "query_terms"):
            values, found = np.unique(columns["query_terms"], return_counts=True)
            counts.update(dict(zip(values.tolist(), found.tolist(), strict=True)))
        categories = np.array(sorted(counts), dtype=np.int64)
        return head_of(categories, np.array([counts[one] for one in categories.tolist()], dtype=np.int64))

    @cached_property
    def _features(self) -> FeatureMap:
        return FeatureMap(self.log.catalogue())


def few(log: Log, half: int | None, *names: str) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Some columns of the rows to judge on, in the log's order; of `query_terms` the category alone.

    Args:
        log: The log.
        half: The shoppers to judge on; all where None.
        names: Columns of docs/log-schema.md, the shopper among them.

    Raises:
        UserError: If a file cannot be read or a cell is empty.
    """
    keep, first = keep_half(half), 0
    for file in log.parts:
        try:
            with pq.ParquetFile(file) as opened:
                for batch in opened.iter_batches(BATCH, columns=list(names)):
                    columns = {name: _array(batch.column(name), name, first) for name in names}
                    rows = slice(None) if keep is None else keep(columns["shopper"])
                    if len(columns["shopper"][rows]):
                        yield {name: column[rows] for name, column in columns.items()}
                    first += len(batch)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"'{file}' cannot be read ({error}). It is truncated or corrupt; copy it again.") from error


def first_chunk(source: NativeLog) -> Chunk:
    """The first rows to judge on.

    Raises:
        UserError: If there is none.
    """
    for part in source.parts:
        for chunk in source.chunks(part):
            return chunk
    raise UserError(f"no row of '{source.log.folder}' is left to evaluate on; all of it was learned from.")


def _array(column: pa.Array, name: str, first: int) -> npt.NDArray[Any]:
    """A column (n,): numbers, words as text; of a list the first place."""
    if column.null_count:
        row = first + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise UserError(f"log row {row}: {name} is missing; expected {column.type}.")
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy(zero_copy_only=False)[:: column.type.list_size].astype(np.int64)  # type: ignore[no-any-return]
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=np.str_)
    return column.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

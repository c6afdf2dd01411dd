"""Reading a log: batches of columns in bounded memory, checked as they come.

What is wrong in a log is said with the row it is in. Nothing is repaired and nothing absent becomes 0 or 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simenv.catalogue import ATTRIBUTES, I64, PublicCatalogue
from simenv.errors import UserError
from simenv.language import load_lexicon
from simenv.log.batch import LogBatch
from simenv.log.rules import check
from simenv.log.schema import CATALOGUE_FILE, LOG_PART, MANIFEST_FILE, SCHEMA_VERSION, log_digest, log_schema
from simenv.propensity import Conditional
from simenv.shoppers import DEVICES
from simenv.world import Page

BATCH = 32_768  # rows in memory at once


@dataclass(frozen=True)
class RowGroup:
    """Neighbouring rows of one file of a log.

    Attributes:
        file: Where they are.
        number: Of the row group; None for all rows of the file.
        rows: How many.
        first: Row of the whole log at which they start.
    """

    file: Path
    number: int | None
    rows: int
    first: int


@dataclass(frozen=True)
class Log:
    """A log on disk. Open it with `Log.open`."""

    folder: Path
    parts: tuple[Path, ...]
    manifest: dict[str, Any]

    @staticmethod
    def open(folder: Path) -> Log:
        """Find a log and check what can be checked without reading its rows.

        Raises:
            UserError: where the folder is no log, is of another schema version, or its parts disagree.
        """
        manifest_path = folder / MANIFEST_FILE
        if not manifest_path.is_file():
            raise UserError(
                f"'{folder}' is not a log: it has no {MANIFEST_FILE}. Expected a folder made by 'slatelab simulate' or "
                "one that follows docs/log-schema.md."
            )
        try:
            manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise UserError(f"'{manifest_path}' is not valid JSON ({error}). Write the log again.") from error
        if not isinstance(manifest, dict) or "schema" not in manifest:
            raise UserError(f"'{manifest_path}' names no log schema; see docs/log-schema.md for what it must hold.")
        if manifest["schema"] != SCHEMA_VERSION:
            raise UserError(
                f"'{folder}' has log schema {manifest['schema']}; this version reads {SCHEMA_VERSION}. "
                "Write the log again with this version."
            )
        parts = tuple(sorted(folder.glob(LOG_PART)))
        if not parts:
            raise UserError(f"'{folder}' holds no {LOG_PART}. The log is incomplete; write it again.")
        for name in ("rows", "n_candidates", "n_slots", "n_style"):
            if not isinstance(manifest.get(name), int) or manifest[name] < 1:
                raise UserError(f"'{manifest_path}': {name} is {manifest.get(name)}; expected a whole number above 0.")
        n_house, n_recent = manifest.get("n_house", 0), manifest.get("n_recent", 0)
        for name, value in (("n_house", n_house), ("n_recent", n_recent)):
            if not isinstance(value, int) or value < 0:
                raise UserError(f"'{manifest_path}': {name} is {value}; expected a whole number of at least 0.")
        expected = log_schema(manifest["n_candidates"], manifest["n_slots"], manifest["n_style"], n_house, n_recent)
        rows = sum(_check_schema(part, expected) for part in parts)
        if rows != manifest["rows"]:
            raise UserError(
                f"'{folder}' holds {rows} rows; its {MANIFEST_FILE} says {manifest['rows']}. A part is missing or was "
                "added; copy the log again."
            )
        return Log(folder, parts, manifest)

    @property
    def digest(self) -> str:
        """What the log holds, as a hash: from the manifest, or computed where the manifest has none."""
        return str(self.manifest.get("log_hash") or log_digest(self.folder))

    def verified_digest(self) -> str:
        """The digest, computed from the files as they are (some 1 GB a second).

        Raises:
            UserError: where the manifest tells another one: a part was changed or exchanged since it was written.
        """
        found = log_digest(self.folder)
        if found != self.digest:
            raise UserError(
                f"'{self.folder}' does not hold what its {MANIFEST_FILE} says: log_hash is {self.digest[:12]}..., the "
                f"files have {found[:12]}.... A part or the catalogue was changed; copy or write the log again."
            )
        return found

    def shoppers(self) -> I64:
        """The ids of its shoppers, each once, ascending; only that column is read."""
        parts = [np.unique(pq.read_table(part, columns=["shopper"])["shopper"].to_numpy()) for part in self.parts]
        made: I64 = np.unique(np.concatenate(parts)).astype(np.int64)
        return made

    def n_rows_of(self, keep_shopper: Callable[[I64], npt.NDArray[np.bool_]]) -> int:
        """Rows of the shoppers that `keep_shopper` keeps, see `batches`; only that column is read."""
        parts = (pq.read_table(part, columns=["shopper"])["shopper"].to_numpy() for part in self.parts)
        return sum(int(np.count_nonzero(keep_shopper(shopper))) for shopper in parts)

    @property
    def world_hash(self) -> str:
        """The simulated market it comes from; "" for a log that no simulator wrote."""
        return str(self.manifest.get("world_hash", ""))

    @property
    def seed(self) -> int | None:
        """The luck of its simulated shoppers; None for real ones."""
        return self.manifest.get("seed")

    @property
    def n_rows(self) -> int:
        """Rows (searches) in the log."""
        return int(self.manifest["rows"])

    @property
    def n_house(self) -> int:
        """Places of a page that the shop fills itself, H."""
        return int(self.manifest.get("n_house", 0))

    @property
    def n_recent(self) -> int:
        """Recent clicks that a row tells one by one, L."""
        return int(self.manifest.get("n_recent", 0))

    @property
    def shares_stock(self) -> bool:
        """Whether its shoppers took from the same shelves, so that rows of different shoppers are not independent."""
        return bool(self.manifest.get("shared_stock", False))

    def catalogue(self) -> PublicCatalogue:
        """The public catalogue that the log's item ids refer to."""
        path = self.folder / CATALOGUE_FILE
        if not path.is_file():
            raise UserError(f"'{self.folder}' has no {CATALOGUE_FILE}; features of its items cannot be made.")
        return read_catalogue(path)

    def batches(
        self,
        keep_shopper: Callable[[I64], npt.NDArray[np.bool_]] | None = None,
        batch: int = BATCH,
        want_query: bool = False,
    ) -> Iterator[LogBatch]:
        """Stream the rows in order.

        Args:
            keep_shopper: From shopper ids (N,) which rows to keep; all where None.
            batch: Rows read at once.
            want_query: Whether somebody reads `page.query`; it is None else.

        Raises:
            UserError: naming the first row that breaks the schema's ranges.
        """
        for group in self.files():
            yield from self.rows_of(group, keep_shopper, batch, want_query)

    def files(self) -> list[RowGroup]:
        """Its files, each as one group of all its rows."""
        return self._numbered(lambda file: [(None, file.metadata.num_rows)])

    def row_groups(self) -> list[RowGroup]:
        """The row groups of its files, in order: what can be read alone."""
        return self._numbered(
            lambda file: [(at, file.metadata.row_group(at).num_rows) for at in range(file.num_row_groups)]
        )

    def rows_of(
        self,
        group: RowGroup,
        keep_shopper: Callable[[I64], npt.NDArray[np.bool_]] | None = None,
        batch: int = BATCH,
        want_query: bool = False,
    ) -> Iterator[LogBatch]:
        """Stream the rows of one group; arguments and errors as of `batches`."""
        first = group.first
        try:
            with pq.ParquetFile(group.file) as file:
                for rows in file.iter_batches(batch, None if group.number is None else [group.number]):
                    _refuse_nulls(rows, first)
                    made = _batch(rows, first, self, want_query)
                    check(made)
                    first += len(rows)
                    if keep_shopper is not None:
                        made = _keep(made, keep_shopper(made.page.shopper))
                    if len(made):
                        yield made
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(
                f"'{group.file}' cannot be read ({error}). It is truncated or corrupt; copy it again."
            ) from error

    def _numbered(self, cut: Callable[[pq.ParquetFile], list[tuple[int | None, int]]]) -> list[RowGroup]:
        """Groups of rows of every file, with the row of the whole log at which each starts."""
        made, first = [], 0
        for path in self.parts:
            try:
                with pq.ParquetFile(path) as file:
                    groups = cut(file)
            except (pa.ArrowInvalid, OSError) as error:
                raise UserError(
                    f"'{path}' cannot be read ({error}). It is truncated or corrupt; copy it again."
                ) from error
            for number, n_rows in groups:
                made.append(RowGroup(path, number, n_rows, first))
                first += n_rows
        return made


def _keep(made: LogBatch, rows: npt.NDArray[np.bool_]) -> LogBatch:
    from simenv.columns import take

    return made if rows.all() else take(made, rows)


def _check_schema(part: Path, expected: pa.Schema) -> int:
    """Number of rows of a part whose columns are as expected."""
    try:
        with pq.ParquetFile(part) as file:
            found, n_rows = file.schema_arrow, int(file.metadata.num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"'{part}' is not a readable Parquet file ({error}). Copy or write the log again.") from error
    for field in expected:
        if field.name not in found.names:
            raise UserError(f"'{part}' has no column '{field.name}'; expected {field.type}. See docs/log-schema.md.")
        kind = found.field(field.name).type
        if not _same_type(kind, field.type):
            raise UserError(
                f"'{part}': column '{field.name}' is {kind}; expected {field.type}. See docs/log-schema.md."
            )
    return n_rows


def _same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    plain = expected.value_type if pa.types.is_dictionary(expected) else expected
    own = found.value_type if pa.types.is_dictionary(found) else found
    return bool(own == plain or (pa.types.is_fixed_size_list(own) and pa.types.is_fixed_size_list(plain)
                and own.list_size == plain.list_size and own.value_type == plain.value_type))  # fmt: skip


def _refuse_nulls(rows: pa.RecordBatch, first: int) -> None:
    """Absence is absence: an empty cell, or an empty place in a list, never becomes a number."""
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        bad = column.is_null().to_numpy(zero_copy_only=False)
        if not bad.any() and pa.types.is_fixed_size_list(column.type):
            inner = column.flatten().is_null().to_numpy(zero_copy_only=False)
            bad = inner.reshape(len(column), column.type.list_size).any(axis=1)
        if bad.any():
            raise UserError(f"log row {first + int(np.argmax(bad))}: {name} is missing; expected {column.type}.")


def _batch(rows: pa.RecordBatch, first: int, log: Log, want_query: bool) -> LogBatch:
    def flat(name: str) -> npt.NDArray[Any]:
        return rows[name].to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

    def matrix(name: str) -> npt.NDArray[Any]:
        return _matrix(rows[name])

    def maybe(name: str, kind: type[np.generic], width: int) -> npt.NDArray[Any]:
        return matrix(name) if width else np.zeros((len(rows), 0), dtype=kind)

    page = Page(
        shopper=flat("shopper"),
        visit=flat("visit"),
        day=flat("day"),
        time=flat("time"),
        search=flat("search"),
        page=flat("page"),
        locale=_codes(rows["locale"], load_lexicon().locales, "locale", first),
        device=_codes(rows["device"], DEVICES, "device", first),
        query_terms=matrix("query_terms"),
        filters=matrix("filters"),
        candidates=matrix("candidates"),
        house=maybe("house", np.int32, log.n_house),
        history=matrix("history"),
        history_weight=flat("history_weight"),
        last_brand=flat("last_brand"),
        discount=matrix("discount"),
        recent=maybe("recent", np.int32, log.n_recent),
        recent_bought=maybe("recent_bought", np.bool_, log.n_recent),
        recent_age=maybe("recent_age", np.int16, log.n_recent),
        query=flat("query") if want_query else None,
    )
    return LogBatch(
        row=np.arange(first, first + len(rows), dtype=np.int64),
        session=flat("session"),
        step=flat("step"),
        page=page,
        scores=matrix("scores"),
        temperature=flat("temperature"),
        floor=flat("floor"),
        slate=matrix("slate"),
        logp=Conditional(matrix("logp_conditional")),
        clicked=matrix("clicked"),
        carted=matrix("carted"),
        purchased=matrix("purchased"),
        dwell=matrix("dwell"),
        returned=matrix("returned"),
        revenue=matrix("revenue"),
        reward=matrix("reward"),
        estimated=_codes(rows["propensity_kind"], ("exact", "estimated"), "propensity_kind", first) == 1,
        terminated=flat("terminated"),
        truncated=flat("truncated"),
        house_clicked=maybe("house_clicked", np.bool_, log.n_house),
        house_purchased=maybe("house_purchased", np.bool_, log.n_house),
        ad_revenue=maybe("ad_revenue", np.float64, log.n_house),
    )


def read_catalogue(path: Path) -> PublicCatalogue:
    """The public catalogue in a Parquet file as a log holds it: row i is item i.

    Raises:
        UserError: where it cannot be read, or lacks a column.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"catalogue '{path}' cannot be read ({error}); expected a Parquet file.") from error
    names = ("category", "department", "brand", "colour", *ATTRIBUTES, "price", "price_z", "rating", "popularity")
    lacking = [name for name in (*names, "style") if name not in table.column_names]
    if lacking:
        raise UserError(f"catalogue '{path}' lacks {', '.join(lacking)}; expected the columns of docs/log-schema.md.")
    columns = {name: table[name].combine_chunks().to_numpy(zero_copy_only=False) for name in names}
    return PublicCatalogue(style=_matrix(table["style"].combine_chunks()), **columns)


def _matrix(column: pa.FixedSizeListArray) -> npt.NDArray[Any]:
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), column.type.list_size)  # type: ignore[no-any-return]


def _codes(column: pa.Array, words: tuple[str, ...], name: str, first: int) -> npt.NDArray[np.int8]:
    """The place of each word in `words`, int8."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    known = {word: place for place, word in enumerate(words)}
    place = np.array([known.get(word, -1) for word in column.dictionary.to_pylist()], dtype=np.int8)
    codes: npt.NDArray[np.int8] = place[column.indices.to_numpy(zero_copy_only=False)]
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise UserError(
            f"log row {first + row}: {name} is '{column[row].as_py()}'; expected one of {', '.join(words)}."
        )
    return codes

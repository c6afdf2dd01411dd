"""The queries of a log with their hidden labels, for scoring what understands them. Nothing here is for learners."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simenv.asking import INTENT_KINDS
from simenv.errors import UserError
from simenv.intent_score import LabelledQueries
from simenv.language import load_lexicon
from simenv.log.read import Log
from simenv.log.schema import HIDDEN_FOLDER, N_TERMS

_PUBLIC = ("session", "step", "page", "shopper", "locale", "query", "query_terms")
_HIDDEN = ("session", "step", "intent", "intent_kind", "said", "misspelt")


def read_labels(log: Log) -> LabelledQueries:
    """Every query of a log once (its first page), with what was meant by it. Holds all of them in memory.

    Args:
        log: A log with its hidden folder.

    Raises:
        UserError: where the hidden folder is missing, was written before it said what queries say, or is of other rows
            than the log.
    """
    public, hidden = [], []
    for part in log.parts:
        beside = log.folder / HIDDEN_FOLDER / part.name
        if not beside.is_file():
            raise UserError(
                f"'{beside}' is missing: the log came without its hidden truth. Understanding can be scored on "
                "simulated logs only; write one with 'slatelab simulate'."
            )
        public.append(_columns(part, _PUBLIC))
        hidden.append(_columns(beside, _HIDDEN))
    rows, truth = pa.concat_tables(public), pa.concat_tables(hidden)
    for name in ("session", "step"):
        if len(rows) != len(truth) or not rows[name].equals(truth[name]):
            raise UserError(
                f"the hidden truth of '{log.folder}' is not of the same rows as the log ({name} differs). "
                "Copy both again."
            )
    first = pa.array(_flat(rows["page"]) == 0)
    rows, truth = rows.filter(first), truth.filter(first)
    locales = load_lexicon().locales
    return LabelledQueries(
        query=np.array(rows["query"].to_pylist(), dtype=object),
        locale=_places(rows["locale"], locales),
        shopper=_flat(rows["shopper"]),
        recognised=_matrix(rows["query_terms"]),
        intent=_matrix(truth["intent"])[:, :N_TERMS],  # a real market's intents hold more
        said=_matrix(truth["said"]),
        misspelt=_matrix(truth["misspelt"]),
        kind=_places(truth["intent_kind"], INTENT_KINDS),
        locales=locales,
    )


def _columns(path: Any, names: tuple[str, ...]) -> pa.Table:
    try:
        found = pq.read_schema(path).names
        missing = [name for name in names if name not in found]
        if not missing:
            return pq.read_table(path, columns=list(names)).unify_dictionaries()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"'{path}' cannot be read ({error}). It is truncated or corrupt; copy it again.") from error
    raise UserError(
        f"'{path}' has no column {', '.join(missing)}; see docs/log-schema.md. Write the log again with this version."
    )


def _places(column: pa.ChunkedArray, words: tuple[str, ...]) -> npt.NDArray[np.int64]:
    place = {word: i for i, word in enumerate(words)}
    return np.array([place[word] for word in column.to_pylist()], dtype=np.int64)


def _flat(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    return column.to_numpy()  # type: ignore[no-any-return]


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    lists = column.combine_chunks()
    made: npt.NDArray[Any] = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), lists.type.list_size)
    return made

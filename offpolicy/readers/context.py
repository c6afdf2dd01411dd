"""What surrounds the pages of a mapped log: whose they are, when, in which segment, and with what features."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import ClusterName
from offpolicy.readers.pages import Pages
from offpolicy.readers.reading import Caveat
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NONE_SAID = "(none)"


@dataclass(frozen=True)
class Context:
    """Columns of whole pages.

    Attributes:
        cluster: Who each page belongs to, (N,).
        cluster_name: What a cluster is.
        time: Seconds or whatever the log counts in, (N,); None where not mapped.
        stratum: Which logger wrote it, (N,); None where not mapped.
        stratum_names: Their names.
        segments: By name, (N,) of text.
        features: (N, F); None where none is mapped.
        caveats: What a reader should know.
    """

    cluster: Ints
    cluster_name: ClusterName
    time: Ints | None
    stratum: Ints | None
    stratum_names: tuple[str, ...]
    segments: Mapping[str, npt.NDArray[Any]]
    features: Floats | None
    caveats: tuple[Caveat, ...]


def read_context(pages: Pages) -> Context:
    """Read and check them.

    Raises:
        UserError: Naming file and row of what is missing or no number.
    """
    mapping = pages.mapping
    cluster, cluster_name = _cluster(pages)
    time = read_time(pages)
    stratum, names = (None, []) if mapping.logger is None else pages.ids(mapping.logger, "logger")
    segments, caveats = {}, []
    for name in mapping.segments:
        codes, values = _segment(pages, name)
        missing = int((codes < 0).sum())
        if missing:
            caveats.append(Caveat(f"{missing:,} pages have no {name}; they are reported as {NONE_SAID}", 0))
        segments[name] = np.array(values)[codes]
    features = None
    if mapping.features:
        features = np.stack([pages.whole(name, "features") for name in mapping.features], axis=1)
        bad = ~np.isfinite(features)
        if bad.any():
            page, column = np.argwhere(bad)[0]
            raise UserError(
                f"{pages.place(int(page))}: feature {mapping.features[column]} is missing or not finite; expected a "
                "number. Fill in what is missing first."
            )
    caveats += _copies(pages, cluster, time)
    return Context(
        cluster, cluster_name, time, stratum, tuple(str(one) for one in names), segments, features, tuple(caveats)
    )


def read_time(pages: Pages) -> Ints | None:
    """When each page was, (N,); None where it is not mapped.

    Raises:
        UserError: Naming file and row of what is missing or no time.
    """
    return None if pages.mapping.time is None else _time(pages, pages.mapping.time)


def segment_counts(pages: Pages) -> dict[str, dict[str, int]]:
    """How many pages have each value of each column of segments."""
    made: dict[str, dict[str, int]] = {}
    for name in pages.mapping.segments:
        codes, values = _segment(pages, name)
        own = made.setdefault(name, {})
        for value, count in zip(values, np.bincount(codes % len(values), minlength=len(values)).tolist(), strict=True):
            own[value] = own.get(value, 0) + count
    return made


def _segment(pages: Pages, name: str) -> tuple[Ints, list[str]]:
    """The code of each page's value, (N,), -1 where there is none, and what codes stand for, the last for -1."""
    codes, values = pages.codes(name, "segments")
    return codes, [*(str(value) for value in values), NONE_SAID]


def _cluster(pages: Pages) -> tuple[Ints, ClusterName]:
    if pages.mapping.shopper is not None:
        return pages.ids(pages.mapping.shopper, "shopper")[0], "shopper"
    if pages.mapping.session is not None:
        return pages.ids(pages.mapping.session, "session")[0], "session"
    return np.arange(pages.shape[0]), "row"


def _time(pages: Pages, name: str) -> Ints:
    """Time as integers: numbers as they are, dates and ISO text as microseconds since 1970."""
    at_once = None if pages.mapping.layout == "long" else _whole_column(pages, name)
    if at_once is not None:
        return at_once
    codes, values = pages.ids(name, "time")
    made = np.empty(len(values), dtype=np.int64)
    for at, value in enumerate(values):
        try:
            made[at] = _instant(value)
        except (ValueError, TypeError, OverflowError):
            page = int((codes == at).argmax())
            raise UserError(
                f"{pages.place(page)}: {name} (role 'time') is {value!r}; expected a whole number, or a date and time "
                "such as 2024-12-10T00:01:29Z."
            ) from None
    return made[codes]


def _whole_column(pages: Pages, name: str) -> Ints | None:
    """A column of whole numbers or of timestamps, none missing, without a look at each; None for others."""
    import pyarrow as pa

    column = pages.columns.require(name, "time")
    if column.null_count:
        return None
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    return column.to_numpy().astype(np.int64) if pa.types.is_integer(column.type) else None


def _instant(value: Any) -> int:
    match value:
        case datetime.datetime():
            at = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
            return int(at.timestamp() * 1_000_000)
        case datetime.date():
            return int(
                datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC).timestamp() * 1_000_000
            )
        case str():
            text = value.strip()
            if text.lstrip("+-").isdigit():
                return int(text)
            try:
                number = float(text)
            except ValueError:
                return _instant(datetime.datetime.fromisoformat(text))
            return int(number)
        case _:
            return int(value)


def _copies(pages: Pages, cluster: Ints, time: Ints | None) -> list[Caveat]:
    """Pages of one shopper at one time that show the same: delivered twice, most likely."""
    if time is None or pages.mapping.page is not None or pages.mapping.layout == "long" or not pages.mapping.action:
        return []
    key = np.column_stack([cluster, time, pages.items()[0]])
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    again = first[inverse.ravel()] != np.arange(len(key))
    if not again.any():
        return []
    row = int(again.argmax())
    return [
        Caveat(
            f"{int(again.sum()):,} pages repeat the {pages.mapping.shopper or 'cluster'}, time and action of an "
            f"earlier one (first: {pages.place(row)}): were they delivered twice? Map columns.page, and doubled ones "
            "are refused"
        )
    ]

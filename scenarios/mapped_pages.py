"""Pages as saved models see them, made from the columns of somebody's log by the roles that its mapping gives.

What a model ranks from is a `Page` over a catalogue. A role that the mapping leaves out gets a stand-in, and whether a
model is indifferent to it is found out by asking the model, not by a list of who reads what.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.readers.mapping import RankerColumns
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.language import load_lexicon
from simenv.language.words import TERMS
from simenv.shoppers import DEVICES
from simenv.world import Page

Columns = Mapping[str, npt.NDArray[Any]]

NO_CLICKS = 1  # places of a list of recent clicks that nobody mapped
WORDS = ("locale", "device")


@dataclass(frozen=True)
class Role:
    """How a role stands on a page: its type, what stands in where nothing is said, and whether it is a list."""

    kind: type[np.generic]
    absent: float = 0.0
    is_list: bool = False


ROLES = {
    "query_terms": Role(np.int32, -1, is_list=True),
    "locale": Role(np.int8),
    "device": Role(np.int8),
    "visit": Role(np.int32),
    "day": Role(np.int32),
    "time": Role(np.int32),
    "search": Role(np.int32),
    "page": Role(np.int32),
    "history": Role(np.float32, is_list=True),
    "history_weight": Role(np.float32),
    "last_brand": Role(np.int32, -1),
    "discount": Role(np.float32, is_list=True),
    "recent": Role(np.int32, -1, is_list=True),
    "recent_bought": Role(np.bool_, is_list=True),
    "recent_age": Role(np.int16, -1, is_list=True),
}


def page_of(columns: Columns, ranker: RankerColumns, catalogue: PublicCatalogue) -> Page:
    """The pages of a log.

    Args:
        columns: The log's columns, one entry a page.
        ranker: Their roles.
        catalogue: Of the items.

    Raises:
        UserError: If a column is missing or holds what a page cannot; the message names the row.
    """
    given = ranker.roles["candidates"]
    if type(given) is not tuple:
        raise UserError("ranker.candidates is a number; expected columns of item numbers.")
    candidates = _list("candidates", _columns(columns, given, "candidates"), np.dtype(np.int32), None)
    n_items = len(catalogue.category)
    bad = (candidates < -1) | (candidates >= n_items)
    if bad.any():
        row = int(bad.any(axis=1).argmax())
        raise UserError(
            f"log row {row}: candidate {candidates[row][bad[row]][0]} is no item; the catalogue has 0 to "
            f"{n_items - 1}. Candidates are row numbers of the catalogue, -1 where there is none."
        )
    n_rows, n_candidates = candidates.shape
    width = {"query_terms": len(TERMS), "history": catalogue.style.shape[1] + 1, "discount": n_candidates}
    made = {name: _role(name, columns, ranker, n_rows, width.get(name)) for name in ROLES}
    query = ranker.roles.get("query")
    text = None
    if type(query) is tuple:
        text = np.array([str(cell or "") for cell in _columns(columns, query[:1], "query")[0]], dtype=object)
    return Page(
        shopper=np.arange(n_rows, dtype=np.int64),
        candidates=candidates,
        filters=np.full((n_rows, len(TERMS)), -1, dtype=np.int32),
        house=np.empty((n_rows, 0), dtype=np.int32),
        query=text,
        **made,
    )


def disturbed(page: Page, role: str, catalogue: PublicCatalogue) -> Page:
    """The pages with another content of one role, of a kind that could have stood there and that matters if any does.

    Ids are those of the first candidates, so that they match something.
    """
    here = np.maximum(page.candidates, 0)
    rng = np.random.default_rng(0)
    own: npt.NDArray[Any] = getattr(page, role)
    item = here[:, 0]
    match role:
        case "query_terms":
            new = own.copy()
            for place, name in enumerate(TERMS):
                new[:, place] = getattr(catalogue, name)[item]
        case "last_brand":
            new = catalogue.brand[item]
        case "recent":
            new = here[:, : own.shape[1]]
        case "recent_bought":
            new = ~own
        case "locale" | "device":
            new = (own + 1) % len(_words(role))
        case "history" | "discount":
            new = own + rng.standard_normal(own.shape)
        case _:
            new = own + 1
    return dataclasses.replace(page, **{role: np.asarray(new, dtype=own.dtype)})


def places_of(items: Sequence[npt.NDArray[Any]], page: Page) -> npt.NDArray[np.int32]:
    """Where among the candidates each shown item stands, (N, K); -1 where nothing was shown.

    Args:
        items: K columns of item numbers; empty, missing or -1 where nothing was shown.
        page: The pages.

    Raises:
        UserError: If something was shown that is none of the candidates.
    """
    shown = _list("action", items, np.dtype(np.int32), None)  # (N, K)
    is_there = shown[:, :, None] == page.candidates[:, None, :]
    place = np.where(shown >= 0, is_there.argmax(axis=2), -1).astype(np.int32)
    lost = (shown >= 0) & ~is_there.any(axis=2)
    if lost.any():
        row, slot = (int(at) for at in np.argwhere(lost)[0])
        raise UserError(
            f"log row {row}, slot {slot + 1}: item {shown[row, slot]} is none of the candidates of its page; a model "
            "ranks candidates and cannot say how likely it is. Log all candidates that the ranker had."
        )
    return place


def _role(name: str, columns: Columns, ranker: RankerColumns, n_rows: int, width: int | None) -> npt.NDArray[Any]:
    """One role as a page holds it; its stand-in where it is not mapped."""
    role, given = ROLES[name], ranker.roles.get(name)
    shape = (n_rows, width or NO_CLICKS) if role.is_list else (n_rows,)
    if given is None or type(given) is not tuple:
        return np.full(shape, role.absent if given is None else given, dtype=role.kind)
    found = _columns(columns, given, name)
    if role.is_list:
        return _list(name, found, np.dtype(role.kind), width)
    column = found[0]
    if name in WORDS and column.dtype.kind in "OUS":
        known = {word: place for place, word in enumerate(_words(name))}
        column = np.array([known.get(str(word), -1) for word in column])
        if (column < 0).any():
            raise UserError(
                f"log row {int((column < 0).argmax())}: {name} is '{found[0][int((column < 0).argmax())]}'; expected "
                f"one of {', '.join(known)}, or their numbers from 0."
            )
    return _numbers(name, column[:, None], np.dtype(role.kind))[:, 0]


def _words(role: str) -> tuple[str, ...]:
    """The words of a role that may be told in words, in the order of their numbers."""
    return DEVICES if role == "device" else load_lexicon().locales


def _columns(columns: Columns, names: Sequence[str], role: str) -> list[npt.NDArray[Any]]:
    lacking = [name for name in names if name not in columns]
    if lacking:
        raise UserError(f"role 'ranker.{role}' asks for column '{lacking[0]}', which the log does not have.")
    return [columns[name] for name in names]


def _list(name: str, found: Sequence[npt.NDArray[Any]], kind: np.dtype[Any], width: int | None) -> npt.NDArray[Any]:
    """Columns side by side, or one column of lists of equal length, (N, width)."""
    try:
        is_nested = len(found) == 1 and found[0].dtype == object and isinstance(found[0][0], np.ndarray | list)
        flat = np.stack([np.asarray(cell) for cell in found[0]]) if is_nested else np.stack(found, axis=1)
    except ValueError:
        raise UserError(f"role 'ranker.{name}' holds lists of different lengths; fill them up with -1.") from None
    if width is not None and flat.shape[1] != width:
        raise UserError(f"role 'ranker.{name}' has {flat.shape[1]} numbers a page; a model of this kind reads {width}.")
    return _numbers(name, flat, kind)


def _numbers(name: str, found: npt.NDArray[Any], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Numbers of the asked type; a missing id is -1, any other missing number is refused."""
    try:
        numbers = found.astype(np.float64)
    except (TypeError, ValueError):
        raise UserError(f"role 'ranker.{name}' holds something that is no number.") from None
    missing = np.isnan(numbers)
    if missing.any() and kind.kind != "i":
        raise UserError(f"log row {int(np.argwhere(missing)[0][0])}: {name} is missing; expected a number.")
    return np.where(missing, -1.0, numbers).astype(kind)

"""Pages: the rows of a mapped log put together, whatever its layout, with the slots in their order.

In layout "wide" a row is a page already; in "long" a page is gathered from its rows by its id, and its slots are put in
order by their number, so that shuffled rows do no harm and doubled or missing ones are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.readers.files import Columns
from offpolicy.readers.mapping import LogMapping
from simenv.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pages:
    """Where each slot of each page stands in the file.

    Attributes:
        columns: The file's columns.
        mapping: Their roles.
        row: Row of the file of each slot, (N, K); -1 where the page has no such slot.
    """

    columns: Columns
    mapping: LogMapping
    row: Ints  # (N, K)

    @property
    def shape(self) -> tuple[int, int]:
        """N, K."""
        return self.row.shape[0], self.row.shape[1]

    def place(self, page: int, slot: int | None = None) -> str:
        """A page, or a slot of it, in words: the file, the row, the line."""
        where = self.columns.place(int(self.row[page, 0 if slot is None else slot]))
        wide = slot is not None and self.mapping.layout == "wide"
        return f"{where}, slot {slot + 1}" if wide and slot is not None else where

    def numbers(self, names: tuple[str, ...], role: str) -> Floats:
        """Numbers by slot, (N, K), or (N, 1) where a wide log has one column for the page; NaN where there is no slot.

        Raises:
            UserError: If a column is missing, or holds something else, or there are neither K columns nor one.
        """
        if self.mapping.layout != "wide":
            column = self.columns.numbers(names[0], role)
            return np.where(self.row >= 0, column[self.row], np.nan)
        if len(names) not in (1, self.shape[1]):
            raise UserError(
                f"role '{role}' names {len(names)} columns for {self.shape[1]} slots; expected one a slot, or one for "
                "the page."
            )
        return np.stack([self.columns.numbers(name, role) for name in names], axis=1)

    def whole(self, name: str, role: str) -> Floats:
        """Numbers of whole pages, (N,): in layout "long" the same in every row of a page.

        Raises:
            UserError: If a column is missing, or its rows of one page differ.
        """
        column = self.columns.numbers(name, role)
        self._check_constant(name, role, column)
        return column[self.row[:, 0]]

    def codes(self, name: str, role: str) -> tuple[Ints, list[Any]]:
        """Names of whole pages as codes, (N,), -1 where missing, and what the codes stand for.

        Raises:
            UserError: If a column is missing, or its rows of one page differ.
        """
        codes, values = self.columns.codes(name, role)
        self._check_constant(name, role, codes)
        return codes[self.row[:, 0]], values

    def ids(self, name: str, role: str) -> tuple[Ints, list[Any]]:
        """As `codes`, where none may be missing.

        Raises:
            UserError: Naming the row where it is.
        """
        codes, values = self.codes(name, role)
        if (codes < 0).any():
            page = int((codes < 0).argmax())
            raise UserError(
                f"{self.place(page)}: {name} (role '{role}') is missing; expected an id in every row. Leave out the "
                "rows without one, or give each its own."
            )
        return codes, values

    def items(self) -> tuple[Ints, list[str]]:
        """What was shown at each slot as codes, (N, K), -1 where nothing was, and what the codes stand for."""
        names = self.mapping.action
        if self.mapping.layout != "wide":
            codes, values = self.columns.codes(names[0], "action")
            return np.where(self.row >= 0, codes[self.row], -1), [str(value) for value in values]
        known: dict[str, int] = {}
        made = np.empty((self.shape[0], len(names)), dtype=np.int64)
        for k, name in enumerate(names):
            codes, values = self.columns.codes(name, "action")
            own = np.array([known.setdefault(str(value), len(known)) for value in values] + [-1], dtype=np.int64)
            made[:, k] = own[codes]
        return made, list(known)

    def _check_constant(self, name: str, role: str, column: npt.NDArray[Any]) -> None:
        if self.mapping.layout != "long":
            return
        first = column[self.row[:, :1]]
        here = column[self.row]
        bad = (self.row >= 0) & (here != first) & ~((here != here) & (first != first))
        if bad.any():
            page, slot = np.argwhere(bad)[0]
            raise UserError(
                f"{self.place(int(page), int(slot))}: {name} (role '{role}') differs from the first row of its page; "
                "expected one value a page. Is columns.page the id of a page, and not of a session?"
            )


def find_pages(columns: Columns, mapping: LogMapping) -> Pages:
    """Put the rows of a log together to pages.

    Raises:
        UserError: If a slot is doubled or missing, or wide columns do not agree about the number of slots.
    """
    if mapping.layout == "long":
        return Pages(columns, mapping, _gather(columns, mapping))
    rows = np.arange(columns.n_rows)[:, None]
    pages = Pages(columns, mapping, np.repeat(rows, _n_slots(mapping), axis=1))
    if mapping.page is not None:
        codes, values = pages.ids(mapping.page, "page")
        order = np.argsort(codes, kind="stable")
        same = np.flatnonzero(codes[order][1:] == codes[order][:-1])
        if len(same):
            row = int(order[same + 1].min())
            raise UserError(
                f"{pages.place(row)}: {mapping.page} {values[codes[row]]!r} (role 'page') was seen before; expected "
                "each "
                f'page once in layout "{mapping.layout}". Was the log delivered twice? Remove duplicate rows.'
            )
    return pages


def _n_slots(mapping: LogMapping) -> int:
    if mapping.layout == "single":
        return 1
    lists = {f"rewards.{name}": columns for name, columns in mapping.rewards.items()}
    lists |= {"columns.action": mapping.action, "model.logged": mapping.model_logged}
    for role, chances in (("propensity", mapping.propensity), ("target", mapping.target)):
        lists |= {f"{role}.columns ({chance.kind})": chance.columns for chance in chances if chance.kind != "whole"}
    counts = {role: len(columns) for role, columns in lists.items() if len(columns) > 1}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{role} {count}" for role, count in counts.items())
        raise UserError(f"the mapping's lists disagree about the number of slots: {told}. Expected one column a slot.")
    return next(iter(counts.values()), 1)


def _gather(columns: Columns, mapping: LogMapping) -> Ints:
    assert mapping.page is not None
    assert mapping.slot is not None
    page, _ = columns.codes(mapping.page, "page")
    slot = columns.numbers(mapping.slot, "slot")
    bad = (page < 0) | ~np.isfinite(slot) | (slot != np.floor(slot)) | (slot < 0)
    if bad.any():
        row = int(bad.argmax())
        raise UserError(
            f"{columns.place(row)}: {mapping.page} or {mapping.slot} is missing or no slot number ({slot[row]:g}); "
            "expected an id and a whole number, 1 for the top slot (or 0, if all pages count so)."
        )
    first = int(slot.min())
    if first > 1:
        raise UserError(f"{mapping.slot} starts at {first}; expected 1 (or 0) for the top slot. Are rows missing?")
    place = slot.astype(np.int64) - first
    n_slots = int(place.max()) + 1
    if n_slots > 1000:
        row = int(place.argmax())
        raise UserError(
            f"{columns.place(row)}: {mapping.slot} is {slot[row]:g}; expected a slot of a page, at most 1000."
        )
    made = np.full((int(page.max()) + 1, n_slots), -1, dtype=np.int64)
    cells, first_row = np.unique(page * n_slots + place, return_index=True)  # of doubled slots the first row
    made.ravel()[cells] = first_row
    doubled = made[page, place] != np.arange(len(page))
    if doubled.any():
        row = int(doubled.argmax())
        raise UserError(
            f"{columns.place(row)}: slot {slot[row]:g} of this page was seen before, in "
            f"{columns.place(int(made[page[row], place[row]]))}; expected each slot of a page once. Was the log "
            "delivered twice? Remove duplicate rows."
        )
    filled = made >= 0
    hole = filled[:, 1:] & ~filled[:, :-1]
    if hole.any():
        at, slot_at = np.argwhere(hole)[0]
        raise UserError(
            f"{columns.place(int(made[at, slot_at + 1]))}: its page has slot {slot_at + 1 + first} and not slot "
            f"{slot_at + first}; expected all slots from the top. Rows that were not clicked belong in the log too."
        )
    return made

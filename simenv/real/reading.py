"""Reading a real market's products, queries and judgements, and refusing what does not fit together.

Products come out in the market's order, sorted by category and brand, so that a product's place is its item id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError
from simenv.real.mapping import TERM_ROLES, Mapped
from simenv.real.tables import F64, Table, read_table

I64 = npt.NDArray[np.int64]

NO_BRAND, NO_CATEGORY = "(no brand)", "(no category)"
HUGE = 1e300


@dataclass(frozen=True)
class Products:
    """What is sold, I products by item id.

    text: what is searched beside the title, "" for nothing. category, brand, department: names; department is None
    where no column gives it. price: (I,) euros. rating: (I,) stars, NaN where missing. sales: (I,) NaN where missing.
    terms: values of those of `TERM_ROLES` that have a column, "" where a product has none. quality, bait: (I,)
    standardised hidden columns. All that are None have no column.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    text: tuple[str, ...]
    category: tuple[str, ...]
    brand: tuple[str, ...]
    department: tuple[str, ...] | None
    price: F64
    rating: F64 | None
    sales: F64 | None
    terms: Mapping[str, tuple[str, ...]]
    quality: F64 | None
    bait: F64 | None


@dataclass(frozen=True)
class Queries:
    """What is asked: Q queries. frequency: (Q,) above 0. is_counted: whether a column gave it."""

    text: tuple[str, ...]
    frequency: F64
    is_counted: bool


@dataclass(frozen=True)
class Judgements:
    """Graded pairs.

    query, item: (J,) places. grade: (J,) in [0, 1]. raters: (J, R) the same of single raters, NaN where one said
    nothing; R may be 0.
    """

    query: I64
    item: I64
    grade: F64
    raters: F64


@dataclass(frozen=True)
class MarketData:
    """Everything that the files of a market say."""

    mapped: Mapped
    products: Products
    queries: Queries
    judgements: Judgements | None


def read_market(mapped: Mapped) -> MarketData:
    """Read the files that a mapping names.

    Raises:
        UserError: naming file and row of what is missing, doubled, out of range or unknown.
    """
    products = _products(mapped)
    queries = _queries(mapped)
    judgements = None if mapped.judgements is None else _judgements(mapped, products, queries)
    return MarketData(mapped, products, queries, judgements)


def _products(mapped: Mapped) -> Products:
    columns = mapped.products.columns
    table = read_table(mapped.products.file)
    ids = table.text(columns["id"], is_required=True)
    _refuse_twice(table, columns["id"], ids)
    category = [cell or NO_CATEGORY for cell in table.text(columns["category"])]
    brand = [cell or NO_BRAND for cell in table.text(columns["brand"])]
    order = sorted(range(len(ids)), key=lambda row: (category[row], brand[row], ids[row]))

    def text(role: str) -> tuple[str, ...] | None:
        return _taken(table.text(columns[role]), order) if role in columns else None

    def numbers(role: str, low: float, high: float) -> F64 | None:
        return table.numbers(columns[role], low, high, may_be_empty=True)[order] if role in columns else None

    price = mapped.euros * table.numbers(columns["price"], 1e-9, HUGE)[order]
    return Products(
        ids=_taken(ids, order),
        titles=_taken(table.text(columns["title"], is_required=True), order),
        text=text("text") or ("",) * len(ids),
        category=_taken(category, order),
        brand=_taken(brand, order),
        department=text("department"),
        price=price,
        rating=numbers("rating", 1.0, 5.0),
        sales=numbers("sales", 0.0, HUGE),
        terms={role: text(role) or () for role in TERM_ROLES if role in columns},
        quality=numbers("quality", -HUGE, HUGE),
        bait=numbers("bait", -HUGE, HUGE),
    )


def _queries(mapped: Mapped) -> Queries:
    columns = mapped.queries.columns
    table = read_table(mapped.queries.file)
    text = [" ".join(cell.split()) for cell in table.text(columns["query"], is_required=True)]
    _refuse_twice(table, columns["query"], text)
    if "frequency" in columns:
        return Queries(tuple(text), table.numbers(columns["frequency"], 1e-12, HUGE), True)
    return Queries(tuple(text), np.ones(len(text)), False)


def _judgements(mapped: Mapped, products: Products, queries: Queries) -> Judgements:
    assert mapped.judgements is not None
    columns = mapped.judgements.columns
    table = read_table(mapped.judgements.file)
    asked = [" ".join(cell.split()) for cell in table.text(columns["query"], is_required=True)]
    judged = table.text(columns["product"], is_required=True)
    query_of = {text: place for place, text in enumerate(queries.text)}
    item_of = {own: place for place, own in enumerate(products.ids)}
    table.refuse([text not in query_of for text in asked],
                 lambda row: f"query '{asked[row]}' is not in '{mapped.queries.file}'")  # fmt: skip
    table.refuse([own not in item_of for own in judged],
                 lambda row: f"product '{judged[row]}' is not in '{mapped.products.file}'")  # fmt: skip
    pairs = [f"{text}' with product '{own}" for text, own in zip(asked, judged, strict=True)]
    _refuse_twice(table, "the pair of query", pairs)
    low, high = mapped.scale
    grades = [table.numbers(columns["grade"], low, high)]
    grades += [table.numbers(rater, low, high, may_be_empty=True) for rater in mapped.raters]
    scaled = (np.stack(grades, axis=1) - low) / (high - low)
    return Judgements(
        query=np.array([query_of[text] for text in asked], dtype=np.int64),
        item=np.array([item_of[own] for own in judged], dtype=np.int64),
        grade=scaled[:, 0],
        raters=scaled[:, 1:],
    )


def _taken(cells: Sequence[str], order: Sequence[int]) -> tuple[str, ...]:
    return tuple(cells[row] for row in order)


def _refuse_twice(table: Table, what: str, names: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        if first.setdefault(name, row) != row:
            raise UserError(
                f"{table.path} row {row + 1}: {what} '{name}' stands in row {first[name] + 1} already; expected once."
            )

"""A market small enough to write by hand: 20 products, 12 queries, 80 grades by three raters."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

MARKET = """
question = "Does the smallest real market work?"
locale = "en-GB"
[products]
file = "products.csv"
title = "name"
colour = "colour"
sales = "sold"
[queries]
file = "queries.csv"
frequency = "searches"
[judgements]
file = "judgements.csv"
scale = [0, 3]
raters = ["rater_1", "rater_2", "rater_3"]
[world]
n_candidates = 8
n_slots = 3
n_style = 3
"""
KINDS = {
    "running shoe": ("light running shoe", "trail running shoe", "running shoe for roads", "soft running shoe"),
    "rain jacket": ("rain jacket with hood", "long rain jacket", "rain jacket for running", "city rain jacket"),
    "coffee machine": ("coffee machine with mill", "small coffee machine", "coffee machine capsules", "coffee machine"),
    "desk lamp": ("desk lamp with clamp", "small desk lamp", "desk lamp for reading", "long desk lamp"),
    "camping tent": ("camping tent for two", "light camping tent", "camping tent for rain", "small camping tent"),
}  # fmt: skip
BRANDS = ("Alfa", "Brovo", "Celto", "Dorin")
QUERIES = {
    "running shoes": 40, "shoe for running": 5, "rain jacket": 30, "long jacket for rain": 3, "coffee machine": 25,
    "machine for coffee capsules": 4, "desk lamp": 20, "reading lamp for desk": 2, "camping tent": 15,
    "light tent for camping": 2, "Alfa running shoe": 6, "small coffee machine": 8,
}  # fmt: skip


def write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write a csv."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def product_rows() -> list[list[object]]:
    """Heading and products, in no order."""
    rows: list[list[object]] = [["id", "name", "brand", "category", "price", "colour", "sold"]]
    for group, (kind, names) in enumerate(KINDS.items()):
        for place, name in enumerate(names):
            colour = ["", "Red", "Black,Silver", "Blue"][place]
            rows.append(
                [f"p{place}{group}", name, BRANDS[place], kind, 20 + 10 * group + 3 * place, colour, 7 * place + group]
            )
    return [rows[0], *sorted(rows[1:], key=lambda row: str(row[0]))]


def judgement_rows() -> list[list[object]]:
    """Heading and grades: 3 for the kind that the query names, else 0; raters differ on every fifth pair."""
    rows: list[list[object]] = [["query", "product", "grade", "rater_1", "rater_2", "rater_3"]]
    products = product_rows()[1:]
    for number, query in enumerate(QUERIES):
        for product in products:
            words = str(product[3]).split()
            is_kind = all(word in query for word in words)
            if not is_kind and (int(str(product[0])[1]) + number) % 6 != 0:
                continue
            grade = 3 if is_kind else 0
            third = abs(grade - 1) if len(rows) % 5 == 0 else grade
            rows.append([query, product[0], grade, grade, grade, third])
    return rows


def write_market(folder: Path) -> Path:
    """Write the market's folder; returns its mapping file."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "products.csv", product_rows())
    write(folder / "queries.csv", [["query", "searches"], *QUERIES.items()])
    write(folder / "judgements.csv", judgement_rows())
    (folder / "market.toml").write_text(MARKET, encoding="utf-8")
    return folder / "market.toml"


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """The mapping file of the smallest real market."""
    return write_market(tmp_path / "market")

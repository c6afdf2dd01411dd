"""A user's files are read whole, in any format, and what is wrong in them is said with its row."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from simenv.errors import UserError
from simenv.real.dry_run import understood
from simenv.real.mapping import read_mapping
from simenv.real.reading import read_market


def change(folder: Path, name: str, row: int, column: int, cell: str) -> None:
    """Overwrite one cell; row 1 is the first below the heading."""
    with (folder / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    rows[row][column] = cell
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize(
    ("name", "row", "column", "cell", "told"),
    [
        ("products.csv", 17, 4, "abc", "products.csv row 17: price is 'abc'; expected a plain number above 0"),
        ("products.csv", 17, 4, "-3", "products.csv row 17: price is '-3'"),
        ("products.csv", 17, 4, "", "products.csv row 17: price is ''"),
        ("products.csv", 5, 1, " ", "products.csv row 5: name is empty"),
        ("products.csv", 9, 0, "p00", "products.csv row 9: id 'p00' stands in row 1 already"),
        ("products.csv", 3, 6, "-1", "products.csv row 3: sold is '-1'"),
        ("queries.csv", 2, 0, "running shoes", "queries.csv row 2: query 'running shoes' stands in row 1 already"),
        ("queries.csv", 4, 1, "0", "queries.csv row 4: searches is '0'"),
        ("judgements.csv", 8, 1, "p99", "judgements.csv row 8: product 'p99' is not in"),
        ("judgements.csv", 8, 0, "shoos", "judgements.csv row 8: query 'shoos' is not in"),
        ("judgements.csv", 8, 2, "4", "judgements.csv row 8: grade is '4'; expected a number from 0 to 3"),
        ("judgements.csv", 8, 5, "-1", "judgements.csv row 8: rater_3 is '-1'; expected a number from 0 to 3"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(
    market: Path, name: str, row: int, column: int, cell: str, told: str
) -> None:
    change(market.parent, name, row, column, cell)
    with pytest.raises(UserError) as error:
        read_market(read_mapping(market))
    assert told in str(error.value)


def test_several_wrong_rows_are_counted(market: Path) -> None:
    for row in (4, 9, 11):
        change(market.parent, "products.csv", row, 4, "free")
    with pytest.raises(UserError, match=r"row 4: price is 'free'.*\(2 more rows like it\)"):
        read_market(read_mapping(market))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('title = "name"', 'title = "nam"', "there is no column 'nam'. Did you mean 'name'?"),
        ('colour = "colour"', 'color = "colour"', "there is no role in .products. 'color'. Did you mean 'colour'?"),
        ('file = "queries.csv"', 'file = "query.csv"', "query.csv' does not exist"),
        ("scale = [0, 3]", "scale = [3, 0]", "expected .lowest, highest grade."),
        ('locale = "en-GB"', 'locale = "en-XX"', "there is no locale 'en-XX'"),
        ('locale = "en-GB"', 'retrieval = "bm52"', "Did you mean 'bm25'?"),
        ('locale = "en-GB"', "euros = 0", "euros is 0"),
        ("n_slots = 3", "n_slot = 3", "Did you mean 'n_slots'?"),
        ("n_slots = 3", 'n_slots = "3"', "n_slots is '3'; expected something like 5"),
    ],
)
def test_a_wrong_mapping_names_the_setting(market: Path, before: str, after: str, told: str) -> None:
    from simenv.worlds import world_params

    text = market.read_text(encoding="utf-8")
    assert before in text
    market.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(UserError, match=told):
        world_params(str(market))


def test_without_judgements_letters_must_be_accepted_as_relevance(market: Path) -> None:
    text = market.read_text(encoding="utf-8")
    start, end = text.index("[judgements]"), text.index("[world]")
    market.write_text(text[:start] + text[end:], encoding="utf-8")
    with pytest.raises(UserError, match='unjudged = "lexical"'):
        read_mapping(market)
    market.write_text('unjudged = "lexical"\n' + text[:start] + text[end:], encoding="utf-8")
    assert read_market(read_mapping(market)).judgements is None


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_other_formats_say_the_same(market: Path, suffix: str) -> None:
    expected = read_market(read_mapping(market)).products
    folder = market.parent
    table = pyarrow.csv.read_csv(folder / "products.csv")
    if suffix == ".parquet":
        pq.write_table(table, folder / "products.parquet")
    else:
        lines = [json.dumps(row) for row in table.to_pylist()]
        (folder / "products.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    market.write_text(market.read_text(encoding="utf-8").replace("products.csv", f"products{suffix}"), encoding="utf-8")
    found = read_market(read_mapping(market)).products
    assert (found.ids, found.titles, found.terms) == (expected.ids, expected.titles, expected.terms)
    assert np.array_equal(found.price, expected.price)


def test_the_dry_run_counts_and_names_what_is_missing(market: Path) -> None:
    change(market.parent, "products.csv", 2, 3, "")
    told = understood(market)
    assert (told["products"], told["queries"], told["judged_pairs"], told["raters"]) == (20, 12, 80, 3)
    assert told["attributes"]["colour"] == {"share": 0.75, "values": 3}
    assert any("1 products have no category" in sentence for sentence in told["missing"])
    assert any("No column gives rating" in sentence for sentence in told["missing"])
    assert not any("sales" in sentence for sentence in told["missing"])
    assert told["columns"]["products"]["title"] == "name"

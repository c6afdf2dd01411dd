"""The documents of the market say what its code does."""

from __future__ import annotations

import collections
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from simenv.check.ranker import UniformByHash
from simenv.log import SCHEMA_VERSION, Log, write_log
from simenv.log.schema import hidden_schema, log_schema
from simenv.log.write import catalogue_table
from simenv.play import shopper_range
from simenv.worlds import load_world

N_CANDIDATES, N_SLOTS, N_STYLE, N_HOUSE, N_RECENT = 41, 17, 29, 13, 11  # no two alike, so that a length names its axis
AXES = {N_CANDIDATES: "C", N_SLOTS: "K", N_STYLE: "D", N_STYLE + 1: "D + 1", N_HOUSE: "H", N_RECENT: "L", 7: "7"}


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return (repository / "docs" / "log-schema.md").read_text(encoding="utf-8")


def documented(text: str, heading: str) -> list[tuple[str, str]]:
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section, re.MULTILINE)


def written_as(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return "word"
    if pa.types.is_fixed_size_list(kind):
        return f"{written_as(kind.value_type)}[{AXES[kind.list_size]}]"
    return {"float": "float32", "double": "float64"}.get(str(kind), str(kind))


def columns(schema: pa.Schema) -> list[tuple[str, str]]:
    return [(field.name, written_as(field.type)) for field in schema]


def test_the_documented_columns_are_the_columns_of_the_log(text: str) -> None:
    assert documented(text, "Columns") == columns(log_schema(N_CANDIDATES, N_SLOTS, N_STYLE))


def test_the_documented_places_of_the_house_are_the_columns_that_a_log_with_a_house_has_beside(text: str) -> None:
    whole = columns(log_schema(N_CANDIDATES, N_SLOTS, N_STYLE, N_HOUSE))
    assert documented(text, "Columns") + documented(text, "The places of the house") == whole


def test_the_documented_last_clicks_are_the_columns_that_a_log_which_tells_them_has_beside(text: str) -> None:
    whole = columns(log_schema(N_CANDIDATES, N_SLOTS, N_STYLE, n_recent=N_RECENT))
    assert documented(text, "Columns") + documented(text, "The last clicks") == whole


def test_the_documented_hidden_columns_are_those_of_the_hidden_file(text: str) -> None:
    assert documented(text, "The hidden truth") == columns(hidden_schema(N_SLOTS, N_STYLE))


def test_the_documented_catalogue_is_the_one_that_is_written(text: str) -> None:
    catalogue = load_world("default").catalogue
    made = catalogue_table(catalogue.public(), catalogue.brands).schema
    assert [name for name, _ in documented(text, "The catalogue")] == made.names
    for name, kind in documented(text, "The catalogue"):
        found = made.field(name).type
        assert kind == ("float32[D]" if name == "style" else written_as(found)), name


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("documents") / "log"
    return write_log(load_world("tiny"), "tiny", UniformByHash(), 3, shopper_range(20), out)


def test_the_documented_manifest_is_the_one_that_is_written(text: str, log: Path) -> None:
    section = text.split("\n## The manifest\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.+?`) \| ", section, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == set(Log.open(log).manifest)
    assert f"schema\nversion **{SCHEMA_VERSION}**" in text


def test_the_documented_python_computes_the_propensities_again(text: str, log: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    made = {"LOG": log}
    exec(compile(code, "docs/log-schema.md", "exec"), made)
    clicks = np.concatenate([batch.clicked for batch in Log.open(log).batches()])
    assert made["clicks_per_search"] == pytest.approx(clicks.sum(axis=1).mean())


def test_the_documented_sql_computes_the_propensities_again(text: str, log: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed; the SQL of docs/log-schema.md is not run")
    rates, slates = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    locales = {each for batch in Log.open(log).batches() for each in batch.page.locale.tolist()}
    assert len(duckdb.sql(rates.replace("LOG/", f"{log}/")).fetchall()) == 3 * len(locales)
    rows = np.array(duckdb.sql(slates.replace("LOG/", f"{log}/")).fetchall())
    np.testing.assert_allclose(rows[:, 2], rows[:, 3], atol=1e-6)


def test_importing_the_market_loads_neither_torch_nor_ray_nor_matplotlib() -> None:
    code = (
        "import sys, simenv, simenv.vector_env, simenv.env, simenv.log, simenv.check, simenv.worlds, simenv.render;"
        "heavy = {'torch', 'ray', 'matplotlib', 'pandas', 'scipy', 'sklearn'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    top = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=top)


def test_the_documented_query_shares_are_those_of_the_real_queries(real_data: Path, repository: Path) -> None:
    facts = (repository / "docs" / "facts.md").read_text(encoding="utf-8")
    labels = [
        json.loads(line)["labels"]
        for part in ("train", "dev", "test")
        for line in (real_data / "queryner" / f"{part}.jsonl").read_text().splitlines()
    ]
    assert f"{len(labels):,} English queries" in facts
    assert f"| words in a query, mean | {np.mean([len(query) for query in labels]):.2f} |" in facts
    count = collections.Counter(name for query in labels for name in {label[2:] for label in query if label != "O"})
    for name, row in [
        ("core_product_type", "queries that name the product type | 84.5%"),
        ("modifier", "a modifier | 31%"),
        ("creator", "a brand or creator | 23%"),
        ("department", 'a department ("for women") | 16%'),
        ("UoM", "a size or other unit | 9%"),
        ("color", "a colour | 7%"),
        ("material", "a material | 6%"),
        ("price", "a price | 0.5%"),
    ]:
        stated = row.rpartition("| ")[2].rstrip("%")
        decimals = len(stated.partition(".")[2])
        assert f"{100 * count[name] / len(labels):.{decimals}f}" == stated, name
        assert f"| {row} |" in facts


def test_the_documented_misspellings_and_judgements_are_those_of_the_real_data(
    real_data: Path, repository: Path
) -> None:
    facts = (repository / "docs" / "facts.md").read_text(encoding="utf-8")
    typos = json.loads((real_data / "predict_de_typos" / "derived_typo_stats.json").read_text())
    assert f"{typos['n']:,}" in facts
    spelling, single = typos["classes"]["spelling"], typos["dist"]["1"]
    for share, stated in [
        (spelling / typos["n"], "spelling | 73%"),
        (typos["dist"]["1"] / spelling, "of spelling: one edit | 82%"),
        (typos["dist"]["2"] / spelling, "two edits | 10%"),
        (typos["ops"]["delete"] / single, "a letter left out | 48%"),
        (typos["ops"]["replace"] / single, "a letter replaced | 16% (45% of them"),
        (typos["adjacent"] / typos["subs"], "(45% of them by a neighbour"),
    ]:
        assert stated in facts
        number = re.search(r"(\d+)%", stated)
        assert number is not None
        assert round(100 * share) == int(number[1])
    judged = json.loads((real_data / "esci_us_150" / "esci_us_judgments.json").read_text())
    ratings = [float(one["rating"]) for query in judged["judgmentRatings"] for one in query["ratings"]]
    assert f"{len(ratings):,} judged pairs" in facts
    for gain, row in [(100, "exact | 51%"), (10, "substitute | 28%"), (0, "irrelevant | 16%"), (1, "complement | 5%")]:
        assert f"| {row} |" in facts
        assert f"{100 * np.mean(np.array(ratings) == gain):.0f}%" == row.rpartition(" ")[2]

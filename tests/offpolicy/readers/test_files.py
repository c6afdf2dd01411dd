"""Files: whole or named, one schema a folder, and a row that can be found again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from offpolicy.readers.files import files_of, json_lines, read_columns
from simenv.errors import UserError


def table(folder: Path, name: str, columns: dict[str, list[object]]) -> Path:
    path = folder / name
    frame = pd.DataFrame(columns)
    if name.endswith(".csv"):
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def test_rows_of_a_folder_are_found_again(tmp_path: Path) -> None:
    table(tmp_path, "b.csv", {"p": [0.5, 0.25], "who": ["1", "x"]})
    table(tmp_path, "a.csv", {"p": [1, 1, 1], "who": ["01", "2", "3"]})
    columns = read_columns(tmp_path, {"p"}, {"p", "who"})
    assert columns.n_rows == 5
    assert columns.place(4) == "b.csv, row 1 (line 3)"
    assert columns.numbers("p", "propensity").tolist() == [1.0, 1.0, 1.0, 0.5, 0.25]
    assert columns.codes("who", "shopper")[1] == ["01", "2", "3", "1", "x"]  # text stays as it is written


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_parquet_file_is_named(tmp_path: Path, share: float) -> None:
    path = table(tmp_path, "a.parquet", {"p": [0.5] * 500})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match=r"a\.parquet cannot be read \(.*Is it whole"):
        read_columns(path)


@pytest.mark.parametrize(
    ("one", "other", "complaint"),
    [
        ({"p": [0.5]}, {"q": [0.5]}, "b.parquet and a.parquet have different columns .only in a.parquet: p; only in b"),
        ({"p": [0.5]}, {"p": ["x"]}, "column 'p' is double in a.parquet and .*string in b.parquet"),
    ],
)
def test_files_of_one_folder_share_a_schema(tmp_path: Path, one: object, other: object, complaint: str) -> None:
    table(tmp_path, "a.parquet", one)  # type: ignore[arg-type]
    table(tmp_path, "b.parquet", other)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=complaint):
        read_columns(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.csv", "p,p\n1,2\n", "two columns 'p'"),
        ("a.csv", "", "has no header"),
        ("a.csv", "p,q\n1\n", "cannot be read .*Expected 2 columns, got 1"),
        ("a.csv", "p\nx\n", "line 2, column p: .*'x'.*expected a number"),
        ("a.csv", "p\n", "has columns and no row"),
        ("a.csv", "p\n\xff\n".encode("latin-1"), "cannot be read"),
        ("a.jsonl", '{"p": 1}\n{"p": 2', "a.jsonl, line 2: .*expected one whole JSON object a line"),
        ("a.jsonl", "[1]\n", "a.jsonl, line 1: a list; expected a JSON object"),
        ("a.jsonl", '{"p": 1}\n{"p": "x"}\n', "a.jsonl"),
        ("a.jsonl", "[" * 100_000, "line 1"),
        ("a.xls", "p\n1\n", "ends in '.xls'; expected one of .csv"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, text: str | bytes, complaint: str) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=complaint):
        read_columns(path, {"p"}).numbers("p", "propensity")


def test_a_folder_holds_files_of_one_kind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no file of a log"):
        files_of(tmp_path)
    table(tmp_path, "a.csv", {"p": [1]})
    table(tmp_path, "b.parquet", {"p": [1]})
    with pytest.raises(UserError, match=r"several kinds \(csv, parquet\)"):
        files_of(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        files_of(tmp_path / "nowhere")


def test_lines_are_counted_with_the_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n{"a": 1}\n\n{"a": 2}\n')
    assert [number for number, _ in json_lines(path)] == [2, 4]


def test_categories_and_numbers_of_several_files_come_together(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, who, p, text in (
        ("a", ["x", "y"], [1, 0], pa.string()),
        ("b", ["z", "x"], [0.5, 0.25], pa.large_string()),
    ):
        columns = {"who": pa.array(who).dictionary_encode(), "p": pa.array(p), "t": pa.array(who, type=text)}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    columns = read_columns(tmp_path)
    for name in ("who", "t"):
        codes, values = columns.codes(name, "shopper")
        assert [values[code] for code in codes] == ["x", "y", "z", "x"]
        assert codes[0] == codes[3]
    assert columns.numbers("p", "propensity").tolist() == [1.0, 0.0, 0.5, 0.25]


def test_not_a_number_is_nobodys_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"who": 1.0}\n{"who": NaN}\n{"who": null}\n{"other": 2}\n')
    assert read_columns(path).codes("who", "shopper")[0].tolist()[1:] == [-1, -1, -1]

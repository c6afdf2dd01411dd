"""Policies judged from a log in one pass: the numbers of the evaluation that holds all rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scenarios.config import Estimation
from scenarios.evaluate import Evaluation, Wishes, evaluate_native
from scenarios.foreign import ForeignLog, evaluate_foreign
from scenarios.progress import SilentProgress
from scenarios.stream import Streaming, evaluate_stream
from simenv.errors import UserError
from simenv.log import Log

NAMES = ["ips", "snips", "dr", "rips", "cascade-dr", "snips-item", "dr-item", "pbm"]
MAPPING = """
layout = "single"
[columns]
shopper = "shopper"
segments = ["locale"]
[rewards]
click = "click"
spent = "spent"
[propensity]
columns = "p"
scale = "probability"
[target]
columns = "q"
scale = "probability"
"""


def streamed(log: Path, policy: str | None = "uniform", mapping: Path | None = None, **wishes: Any) -> Evaluation:
    streaming = Streaming(wishes.pop("workers", 0), wishes.pop("state", None))
    settings = Estimation(**wishes)
    return evaluate_stream(
        log, policy, mapping=mapping, settings=settings, seed=3, progress=SilentProgress(), streaming=streaming
    )


def assert_same(ours: Evaluation, whole: Evaluation) -> None:
    assert len(ours.rows) == len(whole.rows)
    for one, expected in zip(ours.rows, whole.rows, strict=True):
        for key, value in expected.items():
            # Sums of some thousand rows in another order: 1e-13 of a value, 1e-11 of a variance.
            told = pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
            assert one[key] == told, (one["estimator"], key)
    for found, expected in zip(ours.audit, whole.audit, strict=True):
        assert found["check"] == expected["check"]
        if found["check"] not in ("repeats", "arrival"):  # told as not checked
            assert found["said"] == expected["said"]


@pytest.mark.parametrize("names", [NAMES, None])
def test_a_native_log_in_one_pass_gives_what_all_its_rows_give(log_folder: Path, names: list[str] | None) -> None:
    ours = streamed(log_folder, estimators=names)
    whole = evaluate_native(
        log_folder, "uniform", estimators=names, level=0.95, seed=3, progress=SilentProgress(), wishes=Wishes()
    )
    assert_same(ours, whole)
    assert any(note.startswith("The log was read twice") for note in ours.notes)


def test_a_native_log_whose_shoppers_stand_in_any_order_gives_what_all_its_rows_give(
    log_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.mkdir()
    for file in log_folder.iterdir():
        if file.is_file() and not file.name.startswith("part-"):
            (path / file.name).write_bytes(file.read_bytes())
    every = pa.concat_tables([pq.read_table(file) for file in sorted(log_folder.glob("part-*.parquet"))])
    rows = np.random.default_rng(0).permutation(every.num_rows)
    pq.write_table(every.take(rows), path / "part-00000.parquet", row_group_size=300)
    ours = streamed(path, estimators=["ips", "cascade-dr"])
    whole = evaluate_native(
        path,
        "uniform",
        estimators=["ips", "cascade-dr"],
        level=0.95,
        seed=3,
        progress=SilentProgress(),
        wishes=Wishes(),
    )
    assert_same(ours, whole)
    assert any("their sums met on disk" in note for note in ours.notes)


def test_row_groups_are_the_log(log_folder: Path) -> None:
    log = Log.open(log_folder)
    rows = np.concatenate([batch.row for group in log.row_groups() for batch in log.rows_of(group)])
    assert rows.tolist() == list(range(log.n_rows))


def test_a_native_log_goes_on_where_a_pass_was_stopped(log_folder: Path, tmp_path: Path) -> None:
    first = streamed(log_folder, estimators=["ips"], state=tmp_path / "state")
    again = streamed(log_folder, estimators=["ips"], state=tmp_path / "state")
    assert again.rows == first.rows
    assert "were found in the state folder" in again.notes[-1]
    other = streamed(log_folder, "production", estimators=["ips"], state=tmp_path / "state")
    assert "were found" not in other.notes[-1]


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, Path]:
    """A mapped log of two rewards, and its mapping."""
    rng = np.random.default_rng(0)
    n = 2_000
    p, q = rng.uniform(0.3, 0.7, (2, n))
    click = (rng.random(n) < 0.2).astype(np.int64)
    made = {"shopper": np.arange(n) // 3, "p": p, "q": q, "click": click, "spent": click * 2.5, "locale": ["a"] * n}
    pq.write_table(pa.table(made), tmp_path / "log.parquet", row_group_size=600)
    (tmp_path / "map.toml").write_text(MAPPING)
    return tmp_path / "log.parquet", tmp_path / "map.toml"


def test_a_mapped_log_in_one_pass_a_reward_gives_what_all_its_rows_give(table: tuple[Path, Path]) -> None:
    log, mapping = table
    ours = streamed(log, None, mapping, estimators=["ips", "snips", "clipped-ips:2"])
    names = ["ips", "snips", "clipped-ips:2"]
    whole = evaluate_foreign(ForeignLog(log, "mapped", mapping), estimators=names, level=0.95, seed=3, wishes=Wishes())
    assert {row["reward"] for row in ours.rows} == {"click", "spent"}
    assert_same(ours, whole)
    assert any("2 times, once for each reward" in note for note in ours.notes)


def test_a_run_folder_is_written(table: tuple[Path, Path], tmp_path: Path) -> None:
    out = streamed(table[0], None, table[1]).write(tmp_path / "run")
    assert (out / "tables" / "estimates.csv").is_file()


@pytest.mark.parametrize(
    ("policy", "wishes", "told"),
    [
        (None, {}, "a native log needs --policy"),
        ("uniform", {"interval": "betting"}, "not made of sums"),
        ("uniform", {"estimators": ["dros:slope"]}, "takes 2 passes"),
        ("oracle", {}, "ranks by hidden truth"),
    ],
)
def test_what_cannot_be_streamed_says_why(log_folder: Path, policy: str | None, wishes: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        streamed(log_folder, policy, **wishes)

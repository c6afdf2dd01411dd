"""A log holds what was played, whole or not at all, and a reader says which row is bad."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import simenv.log.read
import simenv.log.write
import simenv.play
from simenv.abandonment import ENDINGS
from simenv.check.ranker import UniformByHash
from simenv.columns import join
from simenv.errors import UserError
from simenv.house import HouseSlots
from simenv.log import Log, LogBatch, write_log
from simenv.log.schema import SESSION_BITS, hidden_schema, log_schema
from simenv.market import LIVELY
from simenv.params import Conversion, Filters
from simenv.play import Step, play, shopper_range
from simenv.postclick import PostClick
from simenv.world import Page, World, make_world
from simenv.worlds import load_world, world_params

SHOPPERS = shopper_range(30)


def write(out: Path, shoppers: np.ndarray = SHOPPERS, seed: int = 3) -> Path:
    return write_log(load_world("tiny"), "tiny", UniformByHash(), seed, shoppers, out)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("logs") / "log")


@pytest.fixture
def log(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(written, tmp_path / "log"))


@pytest.fixture(scope="module")
def played() -> Step:
    steps = join(list(play(load_world("tiny"), UniformByHash(), 3, SHOPPERS)))
    order = np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper))
    return simenv.columns.take(steps, order)


def read(folder: Path, batch: int = 1000) -> LogBatch:
    return join(list(Log.open(folder).batches(batch=batch)))


def table(folder: Path, part: str = "part-00000.parquet") -> pa.Table:
    return pq.read_table(folder / part)


def change(folder: Path, column: str, alter: Callable[[list[Any]], None], part: str = "part-00000.parquet") -> None:
    """Rewrite one column of a part after changing its Python values."""
    old = table(folder, part)
    values = old[column].to_pylist()
    alter(values)
    kind = old.schema.field(column).type
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    place = old.schema.get_field_index(column)
    pq.write_table(old.set_column(place, pa.field(column, plain), pa.array(values, type=plain)), folder / part)


def put(row: int, value: Any, slot: int | None = None) -> Callable[[list[Any]], None]:
    def alter(values: list[Any]) -> None:
        if slot is None:
            values[row] = value
        else:
            values[row] = [value if place == slot else old for place, old in enumerate(values[row])]

    return alter


def test_what_is_read_is_what_was_played(written: Path, played: Step) -> None:
    got = read(written)
    assert len(got) == len(played.state) == Log.open(written).n_rows
    assert np.array_equal(got.row, np.arange(len(got)))
    assert got.page.query is None  # nobody asked for it
    for field in dataclasses.fields(played.page):
        if field.name == "query":
            continue
        assert np.array_equal(getattr(got.page, field.name), getattr(played.page, field.name)), field.name
        assert getattr(got.page, field.name).dtype == getattr(played.page, field.name).dtype, field.name
    assert np.array_equal(got.slate, played.decision.slate)
    assert np.array_equal(got.logp.logp, played.decision.logp.logp)
    assert np.array_equal(got.scores, played.decision.scores)
    for name in ("clicked", "carted", "purchased", "revenue", "reward"):
        assert np.array_equal(getattr(got, name), getattr(played.outcome, name)), name
    assert np.array_equal(got.terminated, played.outcome.session_over)
    assert np.array_equal(got.truncated, played.outcome.truncated)
    assert np.array_equal(got.session, (played.page.shopper << SESSION_BITS) + played.page.visit)
    assert np.array_equal(got.step, played.state.step)
    assert not got.estimated.any()
    raw = table(written)
    assert raw["query"].to_pylist() == load_world("tiny").demand.strings(played.state)
    assert np.array_equal(np.array(raw["items"].to_pylist()), played.outcome.items)
    assert raw["n_candidates"].to_pylist() == (played.page.candidates >= 0).sum(axis=1).tolist()


def test_every_session_is_played_to_its_end(written: Path) -> None:
    got = read(written)
    last = np.append(got.session[1:] != got.session[:-1], True)
    assert np.array_equal(got.terminated, last)
    final = np.append(got.page.shopper[1:] != got.page.shopper[:-1], True)
    assert not got.truncated[~final].any()
    assert np.array_equal(np.unique(got.page.shopper), SHOPPERS)
    assert (got.step[np.append(True, last[:-1])] == 0).all()


def test_the_catalogue_comes_back(written: Path) -> None:
    mine, expected = Log.open(written).catalogue(), load_world("tiny").catalogue.public()
    for field in dataclasses.fields(expected):
        assert np.array_equal(getattr(mine, field.name), getattr(expected, field.name)), field.name


def test_hidden_truth_joins_row_by_row_and_stays_in_its_own_file(written: Path, played: Step) -> None:
    public, hidden = table(written), table(written / "hidden")
    keys = list(zip(public["session"].to_pylist(), public["step"].to_pylist(), strict=True))
    assert keys == list(zip(hidden["session"].to_pylist(), hidden["step"].to_pylist(), strict=True))
    assert len(set(keys)) == len(keys)
    assert set(public.column_names) & set(hidden.column_names) == {"session", "step"}
    assert np.array_equal(np.array(hidden["expected_reward"].to_pylist()), played.outcome.expected)
    assert np.array_equal(np.array(hidden["intent"].to_pylist()), played.state.intent)
    assert np.array_equal(np.array(hidden["examined"].to_pylist()), played.outcome.examined)


def test_files_have_the_schema_that_is_published(written: Path) -> None:
    params = load_world("tiny").params
    assert table(written).schema.equals(
        log_schema(params.n_candidates, params.n_slots, params.n_style, n_recent=params.n_recent)
    )
    assert table(written / "hidden").schema.equals(hidden_schema(params.n_slots, params.n_style))
    stored = pq.read_schema(written / "part-00000.parquet").metadata
    assert stored[b"world_hash"].decode() == params.digest() == Log.open(written).manifest["world_hash"]


def test_a_log_is_the_same_bytes_whatever_the_block_size(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = write(tmp_path / "again")
    assert (again / "part-00000.parquet").read_bytes() == (written / "part-00000.parquet").read_bytes()
    assert (again / "log.json").read_bytes() == (written / "log.json").read_bytes()
    monkeypatch.setattr(simenv.log.write, "BLOCK", 7)
    monkeypatch.setattr(simenv.log.write, "BLOCKS_A_PART", 2)
    monkeypatch.setattr(simenv.play, "BLOCK", 5)
    small = write(tmp_path / "small")
    assert [path.name for path in Log.open(small).parts] == [f"part-{part:05d}.parquet" for part in range(3)]
    whole = pa.concat_tables([table(small, path.name) for path in Log.open(small).parts]).combine_chunks()
    assert whole.equals(table(written).combine_chunks())
    other = write(tmp_path / "other", seed=4)
    assert not table(other)["candidates"].equals(table(written)["candidates"])


def test_writing_holds_one_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block is a row group of its own, and playing never sees more shoppers than a block has."""
    seen: list[int] = []
    honest = simenv.log.write.play

    def counting(world: Any, policy: Any, seed: int, shoppers: np.ndarray) -> Iterator[Step]:
        seen.append(len(shoppers))
        return honest(world, policy, seed, shoppers)

    monkeypatch.setattr(simenv.log.write, "play", counting)
    monkeypatch.setattr(simenv.log.write, "BLOCK", 8)
    monkeypatch.setattr(simenv.log.write, "BLOCKS_A_PART", 3)
    out = write(tmp_path / "log")
    assert seen == [8, 8, 8, 6]
    assert [pq.ParquetFile(path).num_row_groups for path in Log.open(out).parts] == [3, 1]


def test_reading_holds_one_batch_at_a_time(written: Path) -> None:
    sizes = [len(batch) for batch in Log.open(written).batches(batch=50)]
    assert max(sizes) == 50
    assert sum(sizes) == Log.open(written).n_rows
    whole, pieces = read(written), read(written, batch=13)
    assert np.array_equal(whole.row, pieces.row)
    assert np.array_equal(whole.logp.logp, pieces.logp.logp)


def test_reading_some_shoppers_keeps_their_rows_and_numbers(written: Path) -> None:
    whole = read(written)
    some = join(list(Log.open(written).batches(lambda shopper: shopper % 3 == 0, batch=20)))
    rows = whole.page.shopper % 3 == 0
    assert np.array_equal(some.row, whole.row[rows])
    assert np.array_equal(some.page.candidates, whole.page.candidates[rows])


def test_progress_is_told_in_shoppers(tmp_path: Path) -> None:
    told: list[int] = []
    write_log(load_world("tiny"), "tiny", UniformByHash(), 3, SHOPPERS, tmp_path / "log", told.append)
    assert sum(told) == len(SHOPPERS)


@pytest.mark.parametrize("where", ["policy", "catalogue", "interrupt"])
def test_a_log_that_fails_midway_leaves_nothing_behind(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "deep" / "log"
    monkeypatch.setattr(simenv.log.write, "BLOCK", 10)
    calls = 0

    def fail(n: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt if where == "interrupt" else RuntimeError("planted")

    if where == "catalogue":
        monkeypatch.setattr(simenv.log.write, "catalogue_table", lambda *_: fail(fail(0) or 0))
    with pytest.raises(KeyboardInterrupt if where == "interrupt" else RuntimeError):
        write_log(load_world("tiny"), "tiny", UniformByHash(), 3, SHOPPERS, out, fail)
    assert list(out.parent.iterdir()) == []


def test_a_log_is_never_overwritten(written: Path, tmp_path: Path) -> None:
    before = (written / "log.json").read_bytes()
    with pytest.raises(UserError, match=r"exists already; a log is never overwritten\. Choose another --out"):
        write(written)
    assert (written / "log.json").read_bytes() == before
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="exists already"):
        write(tmp_path / "empty")


def test_a_log_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected at least one"):
        write(tmp_path / "log", shopper_range(0))
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("column", "row", "slot", "value", "said"),
    [
        ("logp_conditional", 17, 1, 0.3, r"log row 17: logp_conditional is above 0; .*Was a probability written"),
        ("logp_conditional", 4, 0, float("nan"), "log row 4: logp_conditional is not finite"),
        ("logp_conditional", 4, 0, float("-inf"), "log row 4: logp_conditional is not finite"),
        ("slate", 9, 2, 8, r"log row 9: slate is out of range; expected positions in \[0, 8\)"),
        ("slate", 9, 2, -2, "log row 9: slate is out of range"),
        ("candidates", 9, 2, -2, "log row 9: candidates are out of range"),
        ("reward", 3, 0, float("nan"), "log row 3: reward is not finite"),
        ("revenue", 3, 0, -1.0, "log row 3: revenue is below 0"),
        ("revenue", 3, 0, float("inf"), "log row 3: revenue is below 0 or not finite"),
        ("scores", 5, 3, float("nan"), "log row 5: scores are NaN"),
        ("temperature", 6, None, -1.0, "log row 6: temperature is below 0"),
        ("temperature", 6, None, float("nan"), "log row 6: temperature is below 0 or not finite"),
        ("floor", 6, None, 1.0, "log row 6: floor is out of range; expected 0 <= floor < 1"),
        ("floor", 6, None, float("nan"), "log row 6: floor is out of range"),
        ("propensity_kind", 8, None, "guessed", "log row 8: propensity_kind is 'guessed'; expected one of exact, est"),
        ("locale", 8, None, "da-DK", "log row 8: locale is 'da-DK'"),
        ("device", 8, None, "watch", "log row 8: device is 'watch'"),
        ("session", 2, None, None, "log row 2: session is missing"),
        ("query", 2, None, None, "log row 2: query is missing"),
        ("locale", 2, None, None, "log row 2: locale is missing"),
        ("slate", 2, None, None, "log row 2: slate is missing"),
        ("slate", 2, 1, None, "log row 2: slate is missing"),
        ("reward", 2, 1, None, "log row 2: reward is missing"),
        ("clicked", 2, 1, None, "log row 2: clicked is missing"),
        ("clicked", 2, None, None, "log row 2: clicked is missing"),
    ],
)
def test_a_bad_value_is_named_with_its_row(
    log: Path, column: str, row: int, slot: int | None, value: Any, said: str
) -> None:
    change(log, column, put(row, value, slot))
    with pytest.raises(UserError, match=said):
        read(log, batch=3)


def test_a_slate_that_repeats_or_shows_nothing_is_named_with_its_row(log: Path) -> None:
    change(log, "slate", put(11, [2, 1, 2]))
    with pytest.raises(UserError, match="log row 11: slate shows a candidate twice"):
        read(log)


def test_candidates_that_repeat_are_named_with_their_row(log: Path) -> None:
    change(log, "candidates", lambda values: put(11, [values[11][1], *values[11][1:]])(values))
    with pytest.raises(UserError, match=r"log row 11: .* twice"):
        read(log)


def test_a_shown_hole_is_named_with_its_row(log: Path) -> None:
    got = read(log)
    row = int(np.flatnonzero((got.slate >= 0).all(axis=1))[5])
    change(log, "candidates", put(row, -1, int(got.slate[row, 0])))
    with pytest.raises(UserError, match=f"log row {row}: slate shows a hole"):
        read(log)


def test_outcomes_that_cannot_be_are_named_with_their_row(log: Path, written: Path) -> None:
    got = read(log)
    row = int(np.flatnonzero(~got.clicked.any(axis=1))[3])
    change(log, "carted", put(row, True, 0))
    with pytest.raises(UserError, match=f"log row {row}: carted without a click"):
        read(log)
    shutil.copy(written / "part-00000.parquet", log)
    change(log, "purchased", put(row, True, 0))
    with pytest.raises(UserError, match=f"log row {row}: purchased without a cart"):
        read(log)
    shutil.copy(written / "part-00000.parquet", log)
    empty = np.flatnonzero((got.slate < 0).any(axis=1))
    if not len(empty):
        change(log, "slate", put(row, -1, 2))
        empty = np.array([row])
    at = int(empty[0])
    change(log, "clicked", put(at, True, 2))
    change(log, "logp_conditional", put(at, 0.0, 2))
    with pytest.raises(UserError, match=f"log row {at}: an empty slot is clicked"):
        read(log)


def test_a_missing_column_and_a_wrong_type_are_named(log: Path, written: Path) -> None:
    part = log / "part-00000.parquet"
    pq.write_table(table(log).drop_columns(["scores"]), part)
    with pytest.raises(UserError, match=r"no column 'scores'; expected fixed_size_list.*docs/log-schema.md"):
        Log.open(log)
    shutil.copy(written / "part-00000.parquet", part)
    old = table(log)
    place = old.schema.get_field_index("day")
    pq.write_table(old.set_column(place, "day", old["day"].cast(pa.float64())), part)
    with pytest.raises(UserError, match="column 'day' is double; expected int32"):
        Log.open(log)
    shutil.copy(written / "part-00000.parquet", part)
    place = old.schema.get_field_index("slate")
    short = pa.array([row[:2] for row in old["slate"].to_pylist()], type=pa.list_(pa.int32(), 2))
    pq.write_table(old.set_column(place, "slate", short), part)
    with pytest.raises(UserError, match=r"column 'slate' is fixed_size_list.*\[2\]; expected .*\[3\]"):
        Log.open(log)


@pytest.mark.parametrize("keep", [0, 3, 1000, -1, -9])
def test_a_truncated_part_is_refused(log: Path, keep: int) -> None:
    part = log / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:keep])
    with pytest.raises(UserError, match="not a readable Parquet file"):
        Log.open(log)


def test_a_part_with_a_damaged_page_is_refused(log: Path) -> None:
    part = log / "part-00000.parquet"
    data = bytearray(part.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    part.write_bytes(data)
    with pytest.raises(UserError, match="truncated or corrupt"):
        read(log)


def test_a_lost_or_added_part_is_noticed(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simenv.log.write, "BLOCK", 10)
    monkeypatch.setattr(simenv.log.write, "BLOCKS_A_PART", 1)
    parts = write(tmp_path / "parts")
    (parts / "part-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"rows; its log\.json says .*A part is missing or was added"):
        Log.open(parts)
    shutil.copy(log / "part-00000.parquet", log / "part-00001.parquet")
    with pytest.raises(UserError, match="A part is missing or was added"):
        Log.open(log)


def test_what_is_no_log_is_refused_with_what_to_do(log: Path, tmp_path: Path) -> None:
    for nothing in (tmp_path / "nowhere", tmp_path, log / "log.json"):
        with pytest.raises(UserError, match=r"is not a log: it has no log\.json"):
            Log.open(nothing)
    manifest = json.loads((log / "log.json").read_text())
    for changed, said in [
        (manifest | {"schema": 1}, "has log schema 1; this version reads 4"),
        ({"rows": 3}, "names no log schema"),
        ([1], "names no log schema"),
        (manifest | {"n_house": -1}, "n_house is -1; expected a whole number"),
        (manifest | {"n_slots": None}, "n_slots is None; expected a whole number"),
        ({k: v for k, v in manifest.items() if k != "rows"}, "rows is None; expected a whole number"),
    ]:
        (log / "log.json").write_text(json.dumps(changed))
        with pytest.raises(UserError, match=said):
            Log.open(log)
    (log / "log.json").write_text("{")
    with pytest.raises(UserError, match="is not valid JSON"):
        Log.open(log)
    (log / "log.json").write_text(json.dumps(manifest))
    (log / "part-00000.parquet").unlink()
    with pytest.raises(UserError, match=r"holds no part-\*\.parquet"):
        Log.open(log)


def test_a_log_without_its_catalogue_can_be_read_but_has_no_features(log: Path) -> None:
    (log / "catalogue.parquet").unlink()
    assert len(read(log))
    with pytest.raises(UserError, match=r"has no catalogue\.parquet"):
        Log.open(log).catalogue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.sampled_from(
        ["slate", "logp_conditional", "candidates", "reward", "scores", "temperature", "session", "locale"]
    ),
    st.integers(0, 40),
    st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1), st.floats(width=32)),
)
def test_whatever_one_cell_becomes_a_reader_reads_or_names_the_row(
    written: Path, tmp_path_factory: pytest.TempPathFactory, column: str, row: int, value: Any
) -> None:
    """Never another error, never a silent change of another row."""
    folder = Path(shutil.copytree(written, tmp_path_factory.mktemp("attacked") / "log"))
    kind = table(folder).schema.field(column).type
    inner = kind.value_type if pa.types.is_fixed_size_list(kind) or pa.types.is_dictionary(kind) else kind
    if value is not None:
        if pa.types.is_integer(inner):
            value = int(value) if np.isfinite(value) and abs(value) < 2**31 else 0
        elif pa.types.is_floating(inner):
            value = float(value)
        else:
            value = str(value)
    change(folder, column, put(row, value, 1 if pa.types.is_fixed_size_list(kind) else None))
    said = f"log row {row}:"
    try:
        got = read(folder, batch=16)
    except UserError as error:
        said = str(error)
    else:
        clean = read(written)
        other = np.arange(len(clean)) != row
        assert np.array_equal(got.slate[other], clean.slate[other])
        assert np.array_equal(got.logp.logp[other], clean.logp.logp[other])
    assert f"log row {row}:" in said
    shutil.rmtree(folder)


WITH_HOUSE = dataclasses.replace(
    world_params("tiny"),
    n_candidates=16,
    house=HouseSlots(sponsored=(0,), pinned=(2,)),
    post_click=PostClick(dwell=20.0, returns=0.5),
    filters=Filters(weight=3.0),
    conversion=Conversion(cart_base=0.0),
)


@pytest.fixture(scope="module")
def housed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("logs") / "housed"
    return write_log(make_world(WITH_HOUSE), "housed", UniformByHash(), 3, SHOPPERS, out)


def test_a_log_of_a_market_with_a_house_holds_what_happened_there(housed: Path) -> None:
    world = make_world(WITH_HOUSE)
    steps = join(list(play(world, UniformByHash(), 3, SHOPPERS)))
    steps = simenv.columns.take(steps, np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper)))
    made = read(housed)
    for name in ("house", "filters"):
        assert np.array_equal(getattr(made.page, name), getattr(steps.page, name)), name
    for name in ("dwell", "returned", "house_clicked", "house_purchased", "ad_revenue"):
        assert np.array_equal(getattr(made, name), getattr(steps.outcome, name)), name
        assert getattr(made, name).any(), name
    assert (made.page.filters >= 0).any()
    manifest = json.loads((housed / "log.json").read_text())
    assert (manifest["n_house"], manifest["house_places"]) == (2, [0, 2])
    hidden = table(housed / "hidden")
    assert [ENDINGS.index(word) for word in hidden["ending"].to_pylist()] == steps.outcome.ending.tolist()
    assert hidden["satisfied"].to_pylist() == steps.outcome.satisfied.tolist()
    assert "filter" in set(hidden["reformulation"].to_pylist())


def test_a_log_without_a_house_reads_as_one_of_no_places(written: Path) -> None:
    made = read(written)
    assert made.page.house.shape == made.ad_revenue.shape == (len(made), 0)
    assert (made.page.filters == -1).all()


def _first(folder: Path, column: str) -> tuple[int, int]:
    """Row and place of the first cell of a list column that is not 0 or False."""
    cells = np.array(table(folder)[column].to_pylist())
    row, place = np.argwhere(cells)[0]
    return int(row), int(place)


@pytest.mark.parametrize(
    ("column", "where", "value", "said"),
    [
        ("dwell", "clicked", -1.0, "dwell is below 0 or not finite"),
        ("clicked", "dwell", False, "dwell without a click|carted without a click"),
        ("purchased", "returned", False, "returned without a purchase"),
        ("house_clicked", "house_purchased", False, "house_purchased without a click"),
        ("ad_revenue", "house_clicked", -0.5, "ad_revenue is below 0 or not finite"),
        ("house", "house_clicked", -1, "an empty place of the house is clicked"),
        ("house", "house_clicked", -7, "house is out of range"),
        ("filters", "query_terms", -2, "filters are out of range"),
    ],
)
def test_impossible_events_after_the_click_and_in_the_house_are_refused_with_their_row(
    housed: Path, tmp_path: Path, column: str, where: str, value: Any, said: str
) -> None:
    folder = Path(shutil.copytree(housed, tmp_path / "log"))
    row, place = _first(folder, where)
    change(folder, column, put(row, value, place))
    with pytest.raises(UserError, match=rf"log row {row}: ({said})"):
        read(folder)


def test_a_house_that_shows_a_candidate_is_refused(housed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(housed, tmp_path / "log"))
    candidates = table(folder)["candidates"].to_pylist()
    row = next(row for row, items in enumerate(candidates) if max(items) >= 0)
    change(folder, "house", put(row, max(candidates[row]), 0))
    with pytest.raises(UserError, match=f"log row {row}: house shows an item twice or one of the candidates"):
        read(folder)


@pytest.fixture(scope="module")
def scarce() -> World:
    """A market in which shoppers share stock, prices move and items come and go."""
    return make_world(dataclasses.replace(world_params("tiny"), market=LIVELY))


@pytest.mark.parametrize("block", [1, 7, 2048])
def test_a_log_of_shoppers_who_share_stock_is_in_the_same_order_whatever_the_block_size(
    scarce: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    steps = join(list(play(scarce, UniformByHash(), 3, SHOPPERS)))
    steps = simenv.columns.take(steps, np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper)))
    monkeypatch.setattr(simenv.log.write, "BLOCK", block)
    monkeypatch.setattr(simenv.log.write, "BLOCKS_A_PART", 3)
    monkeypatch.setattr(simenv.log.write, "ROWS_AT_ONCE", 4 * block)
    monkeypatch.setattr(simenv.play, "BLOCK", block)
    done: list[int] = []
    out = write_log(scarce, "scarce", UniformByHash(), 3, SHOPPERS, tmp_path / "log", done.append)
    assert sum(done) == len(SHOPPERS)
    assert not [path.name for path in out.rglob("*") if path.is_file() and path.suffix not in (".parquet", ".json")]
    found = read(out)
    for field in dataclasses.fields(Page):
        assert np.array_equal(getattr(found.page, field.name), getattr(steps.page, field.name)), field.name
    for name in ("clicked", "purchased", "revenue", "reward"):
        assert np.array_equal(getattr(found, name), getattr(steps.outcome, name)), name
    hidden = pa.concat_tables([pq.read_table(part) for part in sorted((out / "hidden").glob("*.parquet"))])
    assert np.array_equal(hidden["step"].to_numpy(), steps.state.step)
    assert np.array_equal(hidden["session"].to_numpy(), found.session)
    assert found.page.discount.any()


def test_discounts_that_are_no_numbers_are_refused(log: Path) -> None:
    change(log, "discount", put(4, float("nan"), 0))
    with pytest.raises(UserError, match="log row 4: discount is not finite"):
        read(log)

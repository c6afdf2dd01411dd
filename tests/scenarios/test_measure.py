"""Benchmarks as runs: what is measured is what is written, and large markets stay small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports import report
from scenarios import bandit_beds, bench, scaling
from scenarios.bench_peers import PEERS
from scenarios.benchmark import Benchmark
from scenarios.measure import Measured, measure, write_measured
from scenarios.mechanisms import FULL, MECHANISMS
from simenv.errors import UserError

RATE = "Plackett-Luce slates of 10 of 100: draw and log-probability"


def test_one_benchmark_is_measured_written_and_drawn(tmp_path: Path) -> None:
    measured = measure([RATE], with_sizes=False)
    assert [each["name"] for each in measured.rates] == [RATE]
    assert measured.rates[0]["value"] > 0
    assert measured.scaling == []
    write_measured(tmp_path / "run", measured)
    page = report(tmp_path / "run").read_text(encoding="utf-8")
    assert RATE in page
    assert "slates/CPU-s" in page
    with pytest.raises(UserError, match="finished run"):
        write_measured(tmp_path / "run", measured)


def test_a_part_of_a_name_stands_for_all_that_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    some = {name: Benchmark("x/s", lambda: 2.0) for name in ("taking turns, 5", "taking turns, 50", "standing")}
    monkeypatch.setattr(bench, "BENCHMARKS", some)
    assert [each["name"] for each in bench.benchmarks(["TAKING"])] == ["taking turns, 5", "taking turns, 50"]
    assert [each["name"] for each in bench.benchmarks(["taking turns, 5"])] == ["taking turns, 5"]  # a whole name
    assert len(bench.benchmarks(["turns", "standing", "taking turns, 5"])) == len(bench.benchmarks(None)) == 3
    with pytest.raises(UserError, match=r"no benchmark has 'flying' in its name\. Known: taking turns, 5; taking"):
        bench.benchmarks(["flying"])


def test_a_peer_measured_in_the_same_run_stands_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figure of this run is preferred, also where it is run later; one that is not installed is named."""
    some = {
        "ours": Benchmark("x/s", lambda: 6.0, "theirs 1.0, elsewhere", 1.0, beside="theirs"),
        "theirs": Benchmark("x/s", lambda: 2.0, needs="numpy"),
        "others": Benchmark("x/s", lambda: 2.0, needs="no_such_package"),
    }
    monkeypatch.setattr(bench, "BENCHMARKS", some)
    assert [(each["name"], each["peer"], each["ratio"]) for each in bench.benchmarks(None)] == [
        ("ours", "theirs (this run)", 3.0),
        ("theirs", "", None),
    ]
    alone = bench.benchmarks(["ours"])[0]
    assert (alone["peer"], alone["ratio"]) == ("theirs 1.0, elsewhere", 6.0)
    measured = measure(["o"], with_sizes=False)
    assert measured.skipped == bench.skipped(None) == ["others (no_such_package is not installed)"]


@pytest.mark.parametrize("name", PEERS)
def test_a_peers_bandit_decides_where_it_is_installed(name: str) -> None:
    if not PEERS[name].can_run:
        pytest.skip(f"{PEERS[name].needs} is not installed")
    assert PEERS[name].rate() > 0


def test_growth_is_drawn_with_its_line(tmp_path: Path) -> None:
    growth = [
        {"axis": axis, "meaning": scaling.MEANING[axis], "size": size, "milliseconds": 0.5 + 0.01 * size,
         "fitted": 0.5 + 0.01 * size, "r_squared": 1.0}
        for axis, sizes in scaling.GROWTH.items() for size in sizes
    ]  # fmt: skip
    write_measured(tmp_path / "run", Measured([], growth, [], 0.0, 1.0))
    report(tmp_path / "run")
    assert (tmp_path / "run" / "figures" / "scaling.png").stat().st_size > 10_000


def test_the_line_is_that_of_the_measured_times(monkeypatch: pytest.MonkeyPatch) -> None:
    def quadratic(N: int, C: int, K: int) -> float:
        return 1e-3 + 1e-6 * N + 1e-8 * C * C + 1e-4 * K

    monkeypatch.setattr(scaling, "_step_seconds", quadratic)
    told = {each["axis"]: each["r_squared"] for each in scaling.scaling()}
    assert told["N"] == pytest.approx(1.0)
    assert told["K"] == pytest.approx(1.0)
    assert told["C"] < 0.97  # a cost that grows with the square is no line


def test_what_each_mechanism_costs_is_drawn_by_backend(tmp_path: Path) -> None:
    costs = [
        {"mechanism": name, "backend": backend, "microseconds": scale * (2.0 + 0.1 * at), "added": scale * 0.1 * at,
         "share": 0.05 * at}
        for backend, scale in (("numba", 1.0), ("numpy", 2.5)) for at, name in enumerate(("none", *MECHANISMS, FULL))
    ]  # fmt: skip
    write_measured(tmp_path / "run", Measured([], [], costs, 0.0, 1.0))
    page = report(tmp_path / "run").read_text(encoding="utf-8")
    assert (tmp_path / "run" / "figures" / "mechanisms.png").stat().st_size > 10_000
    assert all(name in page for name in MECHANISMS)


def test_bandits_on_test_beds_stand_beside_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small runs of each on made-up examples: every policy has its row, and the report draws them."""
    rng = np.random.default_rng(0)
    made = bandit_beds.Examples("magic", rng.normal(size=(40, 3)).astype(np.float32), rng.integers(0, 2, 40))
    monkeypatch.setattr(bandit_beds, "keel", lambda name, by_row: made)
    monkeypatch.setattr(bandit_beds, "WHEEL_ROUNDS", 20)
    told: list[int] = []
    records = bandit_beds.bandit_beds(2, lambda n=1: told.append(n))
    assert len(told) == bandit_beds.n_policies() == len(records) - 1
    assert all(0 <= each["regret"] <= 40 for each in records[1:])
    write_measured(tmp_path / "run", Measured([], [], [], 0.0, 1.0, records))
    page = report(tmp_path / "run").read_text(encoding="utf-8")
    assert all(each["policy"] in page for each in records)


def test_data_that_are_not_installed_are_a_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandit_beds, "has_keel", lambda: False)
    with pytest.raises(UserError, match=r"slatelab\[bench\]"):
        measure(["bandits"], with_sizes=False)


@pytest.mark.slow
def test_a_page_for_a_million_shoppers_among_a_million_items_takes_less_than_four_gigabytes() -> None:
    assert 1.0 < scaling.peak_memory() < 4.0


@pytest.mark.slow
def test_a_log_four_times_as_long_takes_no_more_memory() -> None:
    """Both are longer than what is in memory at once; a tenth is for the allocator."""
    short, long = scaling.log_writing(25_000), scaling.log_writing(100_000)
    assert long[0] > 3.5 * short[0]
    assert long[1] < 1.1 * short[1]

"""The table of SlateQ's paper: who is trained when, what stands beside what, and that a run draws it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports import report
from scenarios import bench_slateq
from scenarios.bench_slateq import AS_RANKED, BASE, TRAININGS, Plan, main, markdown, ranked, table, trained
from scenarios.measure import Measured, write_measured


def record(row: str, seed: int, value: float) -> dict[str, object]:
    return {"row": row, "seed": seed, "value": value, "length": 70.0, "pages": 100, "seconds": 2.0}


def test_variants_are_trained_on_fewer_seeds_than_what_the_question_is_about() -> None:
    wanted = Plan(seeds=3, variants=1).trainings()
    assert [name for seed, name in wanted if seed == 0] == list(TRAININGS)
    assert [name for seed, name in wanted if seed == 2] == ["myopic", "QL-OT"]


def test_gains_are_over_the_myopic_row_of_the_same_seed() -> None:
    """Differences 10, 20 and 30 of three seeds: a t-interval of 20 -+ 4.303 * 10 / sqrt(3)."""
    records = [record(BASE, seed, 100.0 + seed) for seed in range(3)]
    records += [record("QL-OT-OS", seed, 110.0 + 11 * seed) for seed in range(3)]
    records += [record("SARSA-TS", 1, 90.0)]
    found = {row["row"]: row for row in table(records)}
    assert list(found) == [BASE, "SARSA-TS", "QL-OT-OS"]  # the order of the paper's table
    learned = found["QL-OT-OS"]
    assert (learned["seeds"], learned["value"], learned["gain"]) == (3, 121.0, 20.0)
    assert learned["gain_high"] == pytest.approx(20.0 + 4.3027 * 10.0 / 3**0.5, abs=1e-3)
    assert (found["SARSA-TS"]["gain"], found["SARSA-TS"]["gain_low"]) == (-11.0, None)
    assert found[BASE]["gain"] is None
    assert "| QL-OT-OS | 3 | 121.0 |" in markdown(list(found.values()))


def test_the_table_is_written_and_drawn(tmp_path: Path) -> None:
    rows = table([record(BASE, 0, 100.0), record("QL-OT-OS", 0, 110.0), record(f"{AS_RANKED}random", 0, 90.0)])
    write_measured(tmp_path / "run", Measured([], [], [], 0.0, 1.0, slateq=rows))
    page = report(tmp_path / "run").read_text(encoding="utf-8")
    assert all(text in page for text in ("QL-OT-OS", "110.0", "174.6", "random"))


@pytest.mark.ray
def test_what_was_trained_is_not_trained_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two trainings of the six, of a thousand pages each."""
    monkeypatch.setattr(bench_slateq, "TRAININGS", {name: TRAININGS[name] for name in bench_slateq.MAIN})
    small = ["--seeds", "1", "--variants", "1", "--pages", "1000", "--users", "20"]
    main([str(tmp_path / "out.jsonl"), *small])
    first = capsys.readouterr().out
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["", "myopic", "QL-OT"]
    monkeypatch.setattr(bench_slateq, "trained", None)
    main([str(tmp_path / "out.jsonl"), *small])
    assert capsys.readouterr().out == first
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3


@pytest.mark.ray
def test_a_trained_variant_serves_by_each_of_its_optimisers_and_rankers_are_paired_with_it() -> None:
    plan = Plan(pages=1000, users=20)
    assert [each["row"] for each in trained("QL-OT", 0, plan)] == ["QL-OT-TS", "QL-OT-GS", "QL-OT-OS"]
    rows = ranked(0, plan)
    assert rows == ranked(0, plan)
    assert {each["row"] for each in rows} == {f"{AS_RANKED}{name}" for name in bench_slateq.RANKERS}

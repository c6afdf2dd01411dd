"""Sweeps: every cell has a key and a result of its own; what is there is not run again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from scenarios.folder import write_json
from scenarios.progress import Advance, SilentProgress
from scenarios.sweep import Sweep, finding, plan, run_cell, run_sweep
from simenv.errors import UserError

SWEEP = """
title = "Two rankers"
question = "Which of two rankers without learning sells more?"
scenarios = ["quick"]
policies = ["uniform", "lexical"]
seeds = [4]
overrides = ["logging.shoppers=30", "truth.shoppers=20"]
"""


def test_a_plan_crosses_everything_under_readable_keys() -> None:
    sweep = Sweep(question="?", scenarios=["quick", "cascade"], policies=["lexical", "linear"], seeds=[0, 1])
    cells = plan(sweep)
    assert len({cell.key for cell in cells}) == len(cells) == 8
    assert all(cell.key.startswith(f"{cell.scenario.name}--{cell.policy}--{cell.seed}--") for cell in cells)
    for cell in cells:
        assert cell.scenario.seed == cell.seed
        assert [each.policy for each in cell.scenario.learners] == [cell.policy] * (cell.policy == "linear")
    other = plan(sweep.model_copy(update={"overrides": ["logging.shoppers=99"]}))
    assert not {cell.key for cell in cells} & {cell.key for cell in other}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ('policies = ["lexcal"]', "Did you mean 'lexical'"),
        ('scenarios = ["qiuck"]', "Did you mean 'quick'"),
        ('overrides = ["logging.shopers=3"]', "named 'shopers'. Did you mean 'shoppers'"),
        ("seeds = []", "setting 'seeds'"),
        ("seeds = [1, 1]", "twice"),
        ("sedes = [1]", "named 'sedes'. Did you mean 'seeds'"),
    ],
)
def test_mistakes_are_told_before_anything_runs(change: str, told: str, tmp_path: Path) -> None:
    name = change.split(" = ")[0]
    lines = [line for line in SWEEP.splitlines() if not line.startswith(f"{name} =")]
    path = tmp_path / "sweep.toml"
    path.write_text("\n".join([*lines, change]))
    with pytest.raises(UserError, match=told):
        run_sweep(path, tmp_path / "out", workers=1, progress=SilentProgress())
    assert not (tmp_path / "out").exists()


def test_a_learner_is_trained_and_judged_in_its_cell(tmp_path: Path) -> None:
    """On the half that it did not learn from, beside the truth; the oracle is played and not judged."""
    sweep = Sweep(
        question="?", scenarios=["quick"], policies=["linear", "oracle"], seeds=[4],
        overrides=["logging.shoppers=60", "truth.shoppers=20"],
    )  # fmt: skip
    made = [run_cell(cell, tmp_path / cell.policy) for cell in plan(sweep)]
    metrics = [{row["metric"]: row["value"] for row in tables["cells"]} for tables in made]
    assert all({"value_search", "lift"} <= set(each) for each in metrics)
    assert metrics[1]["lift"] > 0
    assert "ips covers" in metrics[0]
    assert made[1]["cell_estimates"] == []
    for row in made[0]["cell_estimates"]:
        assert row["true_lift"] == metrics[0]["lift"]
    assert "linear" in finding(made)


class InterruptsAfterOneCell(SilentProgress):
    """Ctrl-C as soon as one cell is done."""

    def task(self, description: str, total: int | None = None) -> Advance:
        def advance(n: int = 1) -> None:
            if n:
                raise KeyboardInterrupt

        return advance


class Counts(SilentProgress):
    """Remembers how many cells were told to be done, and when."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def task(self, description: str, total: int | None = None) -> Advance:
        def advance(n: int = 1) -> None:
            self.told.append(n)

        return advance


@pytest.mark.slow
@pytest.mark.ray
def test_a_sweep_that_is_started_again_runs_only_what_is_missing(tmp_path: Path) -> None:
    """The cell that was there is taken as it stands (marked here to know it); the other is as it is without Ray."""
    path, out = tmp_path / "two.toml", tmp_path / "out"
    path.write_text(SWEEP)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(path, out, workers=1, progress=InterruptsAfterOneCell())
    results = list((out / "cells").iterdir())
    cells = {cell.key: cell for cell in plan(Sweep.model_validate(_settings(path)))}
    assert {result.stem for result in results} <= set(cells)
    assert len(results) == 1
    assert not (out / "run.json").exists()

    kept = results[0]
    marked = json.loads(kept.read_text())
    for row in marked["tables"]["cells"]:
        row["value"] = 1234.0
    write_json(kept, marked)
    counts = Counts()
    run_sweep(path, out, workers=1, progress=counts)
    assert counts.told == [1, 1]
    assert json.loads(kept.read_text()) == marked
    (other,) = [cell for key, cell in cells.items() if key != kept.stem]
    expected = {row["metric"]: row["value"] for row in run_cell(other, tmp_path / "work")["cells"]}
    with (out / "tables" / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["policy"] for row in rows} == {"uniform", "lexical"}
    for row in rows:
        value = expected[row["metric"]] if row["policy"] == other.policy else 1234.0
        assert float(row["value"]) == pytest.approx(value, rel=1e-12, nan_ok=True)
    assert json.loads((out / "run.json").read_text())["kind"] == "sweep"
    with pytest.raises(UserError, match="finished run"):
        run_sweep(path, out, workers=1, progress=SilentProgress())


def _settings(path: Path) -> dict[str, object]:
    import tomllib

    return tomllib.loads(path.read_text())

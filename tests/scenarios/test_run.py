"""A scenario from its name to a complete folder; interrupted anywhere, it goes on and ends the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from policies.learning import in_half
from policies.registry import named_policy
from reports import report
from scenarios.compare import finding
from scenarios.progress import Advance, SilentProgress
from scenarios.run import Cast, run_scenario
from simenv.errors import UserError
from simenv.log import Log
from simenv.truth import LOGGER_CONTEXTS, SHOPPER
from simenv.worlds import load_world

SMALL = [
    "logging.shoppers=120", "truth.shoppers=60", "truth.curve_shoppers=30", "truth.oracle_shoppers=40",
    'learners=[{policy="linear", curve=[100], curve_seeds=2}, {policy="neural-linear"}]',
]  # fmt: skip


class Interrupts(SilentProgress):
    """Stops the run when a stage begins, or at its first step."""

    def __init__(self, stage: str, at_once: bool) -> None:
        self.stage, self.at_once = stage, at_once

    def task(self, description: str, total: int | None = None) -> Advance:
        if not description.startswith(self.stage):
            return super().task(description, total)
        if self.at_once:
            raise KeyboardInterrupt

        def advance(n: int = 1) -> None:
            raise KeyboardInterrupt

        return advance

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""


def run(out: Path, progress: SilentProgress | None = None, seed: int = 3) -> Path:
    return run_scenario("quick", out, seed=seed, overrides=SMALL, progress=progress or SilentProgress())


def told(stderr: float, other: float) -> str:
    """The finding where the best a search, "a", lifts a shopper's value by a tenth, and "b" by `other`."""

    def row(estimand: str, policy: str, lift: float) -> dict[str, Any]:
        return {"estimand": estimand, "policy": policy, "value": 1.0 + lift, "lift": lift, "lift_stderr": stderr}

    logger = named_policy("uniform", load_world("tiny").catalogue.public())
    cast = Cast(logger=logger, baselines={}, learned={"a": logger, "b": logger}, yardsticks={})
    truth = [row(LOGGER_CONTEXTS, "uniform", 0.0), row(LOGGER_CONTEXTS, "a", 0.3), row(LOGGER_CONTEXTS, "b", 0.2)]
    truth += [row(SHOPPER, "uniform", 0.0), row(SHOPPER, "a", 0.1), row(SHOPPER, "b", other)]
    return finding(cast, truth, [{"policy": name, "gap_closed": 0.5} for name in "ab"], [])


def test_the_finding_says_when_a_shopper_brings_not_what_a_search_does() -> None:
    """30% a search against 10% a shopper: twenty points are within 1.96 standard errors of 11, not of 5."""
    assert "Per shopper" not in told(0.11, 0.05)
    assert told(0.05, 0.05).endswith("Per shopper, with who stays and comes back counted, it is +10% (± 10%).")
    assert told(0.05, 0.15).endswith("it is +10% (± 10%), and b brings more: +15%.")


def test_the_finding_tells_of_oracles_that_look_further() -> None:
    logger = named_policy("uniform", load_world("tiny").catalogue.public())
    oracles = dict.fromkeys(("best public", "oracle", "oracle-long"), logger)
    cast = Cast(logger=logger, baselines={}, learned={}, yardsticks=oracles)
    truth = [
        {"estimand": SHOPPER, "policy": name, "value": value, "lift": value - 2.0, "lift_stderr": 0.1}
        for name, value in (("uniform", 2.0), ("best public", 2.5), ("oracle", 3.0), ("oracle-long", 3.5))
    ]
    said = finding(cast, truth, [], [])
    assert said.endswith("a shopper's whole life brings: oracle +50% (± 10%), oracle-long +75% (± 10%).")
    del oracles["oracle-long"]
    assert "life" not in finding(cast, truth, [], [])


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed; tests leave its tables as they are."""
    return run(tmp_path_factory.mktemp("runs") / "quick")


def test_a_run_leaves_every_table_and_every_fact(finished: Path) -> None:
    told = json.loads((finished / "run.json").read_text())
    assert told["kind"] == "experiment"
    assert told["finding"]
    assert told["assumptions"]
    assert told["config"]["logging"]["shoppers"] == 120
    assert len(set(told["seeds"].values())) == len(told["seeds"])
    assert {path.stem for path in (finished / "tables").iterdir()} >= {
        "estimates", "weights", "truth", "policies", "learning", "sessions"}  # fmt: skip
    assert not list(finished.rglob("*.partial"))
    assert not (finished / ".begun").exists()
    roles = {row["policy"]: row["role"] for row in table(finished, "policies")}
    assert roles == {
        "production": "logger", "uniform": "baseline", "linear": "learned", "neural-linear": "learned",
        "best public": "oracle", "oracle": "oracle",
    }  # fmt: skip
    judged = {row["policy"] for row in table(finished, "estimates")}
    assert judged == {"uniform", "linear", "neural-linear"}
    points = [(row["policy"], row["seed"], int(row["searches"])) for row in table(finished, "learning")]
    assert [point[0] for point in points] == ["linear"] * 4
    assert {point[2] for point in points[::2]} == {100}


def test_tables_agree_with_each_other(finished: Path) -> None:
    """The logger has no lift over itself; values of one estimand are those of the other table."""
    truth = {(row["policy"], row["estimand"]): float(row["value"]) for row in table(finished, "truth")}
    for row in table(finished, "policies"):
        assert float(row["value_search"]) == truth[row["policy"], "value per search over the logger's contexts"]
    lifts = {row["policy"]: float(row["lift"]) for row in table(finished, "truth")}
    assert lifts["production"] == 0.0


def test_learning_and_evaluation_share_no_shopper(finished: Path) -> None:
    """Estimates rest on exactly the evaluation half's searches, models and curves on exactly the learning half's."""
    halves = dict.fromkeys((0, 1), 0)
    for batch in Log.open(finished / "log").batches():
        for half in halves:
            halves[half] += int(in_half(batch.page.shopper, half).sum())
    assert min(halves.values()) > 100
    simulated = [row for row in table(finished, "estimates") if row["source"] == "simulated"]
    assert {int(row["rows"]) for row in simulated} == {halves[1]}
    for card in (finished / "models").glob("*/card.json"):
        learned = json.loads(card.read_text(encoding="utf-8"))["learned_from"]
        assert (learned["half"], learned["searches"]) == (0, halves[0])
    assert max(int(row["searches"]) for row in table(finished, "learning")) == halves[0]


def test_a_report_is_drawn_from_it(finished: Path) -> None:
    page = report(finished)
    text = Path(page).read_text()
    assert "linear" in text
    assert "http" not in text.split("</head>")[0].replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_finished_run_is_not_run_again(finished: Path) -> None:
    with pytest.raises(UserError, match="finished run"):
        run(finished)


@pytest.mark.parametrize(
    ("stage", "at_once"), [("log the market", False), ("train neural-linear", False), ("compute the truth", True)]
)
def test_an_interrupted_run_goes_on_and_ends_the_same(
    stage: str, at_once: bool, finished: Path, tmp_path: Path
) -> None:
    """What was whole is kept, what was half is gone, other settings are refused, and the tables are byte for byte."""
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(out, Interrupts(stage, at_once))
    assert not (out / "run.json").exists()
    assert (out / "log").is_dir() == (stage != "log the market")
    with pytest.raises(UserError, match="begun with other settings"):
        run(out, seed=4)
    run(out)
    for path in (finished / "tables").iterdir():
        assert path.read_bytes() == (out / "tables" / path.name).read_bytes(), path.name
    told = [json.loads((folder / "run.json").read_text()) for folder in (finished, out)]
    for changing in ("wall_seconds", "started"):
        for each in told:
            del each[changing]
    assert told[0] == told[1]
    assert not list(out.rglob(".*.partial"))


def test_a_learner_that_needs_other_processes_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'appo-slate' plays in other processes, which a run starts none of"):
        run_scenario(
            "quick", tmp_path / "out", seed=3, overrides=['learners=[{policy="appo-slate"}]'], progress=SilentProgress()
        )
    assert not (tmp_path / "out").exists()

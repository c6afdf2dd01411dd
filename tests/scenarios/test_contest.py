"""Contests: the arithmetic of paired differences, cells that are kept, and mistakes told before anything runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from scenarios.config import Learning, read_toml, validated
from scenarios.contest import Contest, plan_contest, run_contest
from scenarios.contest_cell import ContestCell, run_contest_cell
from scenarios.contest_tables import finding, gap_rows, pair_rows
from scenarios.folder import write_json
from scenarios.paired import over_seeds, paired
from scenarios.progress import Advance, SilentProgress
from simenv.errors import UserError

SETTINGS: dict[str, Any] = {
    "question": "Does it pay to learn?",
    "worlds": ["tiny"],
    "seeds": [3, 4],
    "baselines": ["popularity"],
    "logging": {"shoppers": 60},
    "truth": {"shoppers": 40, "oracle_shoppers": 40},
    "learners": [
        {"policy": "linear"},
        {"policy": "linear", "name": "linear-impersonal", "settings": {"personal": False}},
    ],
    "comparisons": [{"policy": "linear", "rivals": ["popularity", "linear-impersonal"]}],
}
TOML = """
question = "Does it pay to learn?"
worlds = ["tiny"]
seeds = [3, 4]
baselines = ["popularity"]
logging = { shoppers = 60 }
truth = { shoppers = 40, oracle_shoppers = 40 }
learners = [{ policy = "linear" }, { policy = "linear", name = "linear-impersonal", settings = { personal = false } }]
comparisons = [{ policy = "linear", rivals = ["popularity", "linear-impersonal"] }]
"""
LINE = {
    "world": "w", "reward": "clicks", "click_model": "position-based", "logger": "production", "logger_value": 1.0,
    "best_public": 2.0, "best_impersonal": 1.98, "oracle": 3.0, "searches": 100.0,
}  # fmt: skip


def rows_of(**values: list[float]) -> list[dict[str, Any]]:
    """Rows of `contest_values` in one world, played greedily."""
    return [
        {"world": "w", "policy": policy, "role": "learned" if len(each) > 1 else "baseline", "play": "greedy",
         "seed": str(seed), "value": value}
        for policy, each in values.items()
        for seed, value in enumerate(each)
    ]  # fmt: skip


def test_a_paired_interval_is_that_of_the_paired_t_test() -> None:
    """Against scipy, whose interval of the mean difference is Student's."""
    rng = np.random.default_rng(0)
    luck, own, other = rng.normal(0, 1, 10), rng.normal(0.3, 0.1, 10), rng.normal(0, 0.1, 10)
    known = stats.ttest_rel(own + luck, other + luck).confidence_interval(0.95)
    found = paired(list(own + luck), list(other + luck))
    assert (found.low, found.high) == pytest.approx((known.low, known.high), rel=1e-9)
    assert found.mean == pytest.approx((own - other).mean(), rel=1e-9)
    assert found.verdict == "better"
    assert paired(list(other + luck), list(own + luck)).verdict == "worse"
    assert over_seeds([0.1, -0.1, 0.05]).verdict == "not told apart"
    assert over_seeds([5.0]).verdict == "not told apart"  # one seed tells nothing of spread


def test_the_gap_is_from_the_logger_to_the_best_public_ranking() -> None:
    by_name = {row["policy"]: row for row in gap_rows(rows_of(own=[1.4, 1.6], fixed=[0.9]), [LINE])}
    reach = stats.t.ppf(0.975, 1) * np.std([0.4, 0.6], ddof=1) / np.sqrt(2)
    assert by_name["own"]["share"] == pytest.approx(0.5)
    assert (by_name["own"]["low"], by_name["own"]["high"]) == pytest.approx((0.5 - reach, 0.5 + reach))
    assert by_name["fixed"]["share"] == pytest.approx(-0.1)
    assert np.isnan(by_name["fixed"]["low"])
    (none,) = gap_rows(rows_of(own=[1.0, 1.0]), [{**LINE, "best_public": 1.0}])
    assert np.isnan(none["share"])


@pytest.mark.parametrize("best", [1.0, 0.9])
def test_a_first_world_without_a_gap_is_told_in_words(best: float) -> None:
    line = {"world": "a", "logger": "random", "logger_value": 1.0, "best_public": best, "oracle": 1.2}
    pairs = [{"world": "a", "play": "greedy", "policy": "linear", "rival": "random", "verdict": "worse"}]
    told = finding(pairs, [], [line])
    assert told.endswith("in a the best ranking on public information is not better than random.")


def test_a_comparison_that_is_not_won_says_what_the_run_knows_of_it() -> None:
    """Against itself without personalisation, where hardly anything personal is to be known: 2% of the gap."""
    learners = [Learning(policy="own"), Learning(policy="own", name="alike", settings={"personal": False})]
    values = rows_of(own=[1.5, 1.51, 1.5], alike=[1.51, 1.49, 1.5], fixed=[0.9])
    alike, fixed = pair_rows([("own", ["alike", "fixed"])], values, [LINE], learners)
    assert alike["verdict"] == "not told apart"
    assert "hardly anything personal is to be known: what shoppers clicked is worth 2% of the gap" in alike["why"]
    assert (fixed["verdict"], fixed["why"], fixed["seeds"]) == ("better", "", 3)
    assert fixed["difference"] == pytest.approx(np.mean([0.6, 0.61, 0.6]))
    told = finding([alike, fixed], gap_rows(values, [LINE]), [LINE])
    assert "own beats alike in 0, fixed in 1, all of them in 0, of 1 worlds" in told
    assert "closes 50%" in told
    assert "a further 100% of that gap" in told


def test_a_ranker_that_reads_the_last_clicks_is_personal_without_the_history_in_the_mean() -> None:
    """So that the reason why it does not beat one that knows nobody tells what personalisation is worth."""
    reads = Learning(policy="own", settings={"personal": False, "session": "counts"})
    learners = [reads, Learning(policy="own", name="alike", settings={"personal": False})]
    values = rows_of(own=[1.5, 1.51, 1.5], alike=[1.51, 1.49, 1.5])
    (row,) = pair_rows([("own", ["alike"])], values, [LINE], learners)
    assert "hardly anything personal is to be known" in row["why"]
    (row,) = pair_rows([("alike", ["own"])], values, [LINE], learners)
    assert "personal" not in row["why"]


def test_the_contests_of_the_documentation_have_the_same_learners_in_other_worlds() -> None:
    docs = Path(__file__).parents[2] / "docs"
    one, more = (validated(Contest, read_toml(docs / name), name) for name in ("contest.toml", "contest-more.toml"))
    assert (one.learners, one.comparisons, one.logging) == (more.learners, more.comparisons, more.logging)
    assert len(plan_contest(one)) == 5 * 11
    assert len(plan_contest(more)) == 4 * 4
    assert not set(one.worlds) & set(more.worlds)


def test_a_plan_has_yardsticks_once_a_world_and_every_seed_on_the_same_judges() -> None:
    contest = Contest.model_validate({**SETTINGS, "worlds": ["tiny", "default"]})
    cells = plan_contest(contest)
    assert [cell.key.rpartition("--")[0] for cell in cells] == [
        "tiny--yardsticks", "tiny--3", "tiny--4", "default--yardsticks", "default--3", "default--4",
    ]  # fmt: skip
    assert len({cell.evaluation for cell in cells}) == 1
    other = plan_contest(contest.model_copy(update={"seed": 1}))
    assert not {cell.key for cell in cells} & {cell.key for cell in other}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"worlds": ["tinny"]}, "Did you mean 'tiny'"),
        ({"worlds": ["tiny", "tiny"]}, "twice"),
        ({"seeds": [1]}, "setting 'seeds'"),
        ({"seeds": [1, 1]}, "twice"),
        ({"baselines": ["populrity"]}, "Did you mean 'popularity'"),
        ({"baselines": ["linear"]}, "has to be trained"),
        ({"learners": [{"policy": "lineer"}]}, "Did you mean 'linear'"),
        ({"learners": [{"policy": "linear"}, {"policy": "linear"}]}, "named twice"),
        ({"comparisons": [{"policy": "linear", "rivals": ["cross"]}]}, "nobody of that name takes part"),
        ({"comparisons": [{"policy": "linear", "rivals": ["linear"]}]}, "its own rival"),
        ({"comparisons": [{"policy": "linear", "rival": ["popularity"]}]}, "named 'rival'"),
    ],
)
def test_mistakes_are_told_before_anything_runs(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = tmp_path / "contest.toml"
    settings = {**SETTINGS, **change}
    if "comparisons" not in change and "learners" in change:
        settings["comparisons"] = [{"policy": settings["learners"][0]["policy"], "rivals": ["popularity"]}]
    path.write_text("\n".join(f"{name} = {as_toml(value)}" for name, value in settings.items()))
    with pytest.raises(UserError, match=told):
        run_contest(path, tmp_path / "out", workers=1, progress=SilentProgress())
    assert not (tmp_path / "out").exists()


def as_toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if type(value) is dict:
        return "{ " + ", ".join(f"{name} = {as_toml(each)}" for name, each in value.items()) + " }"
    if type(value) is list:
        return "[" + ", ".join(as_toml(each) for each in value) + "]"
    return json.dumps(value)


def test_a_cell_is_worth_the_same_again_and_another_seed_learns_other_things(tmp_path: Path) -> None:
    """Training seeds differ by their data: the linear bandit draws nothing, and still it is another one."""
    _, first, second = plan_contest(Contest.model_validate(SETTINGS))
    made = [run_contest_cell(cell, tmp_path / str(n)) for n, cell in enumerate((first, first, second))]
    assert made[0] == made[1]
    assert len(made[0]["values"]) == 4  # two learners, each played twice
    values = [{(row["policy"], row["play"]): row["value"] for row in each["values"]} for each in made]
    assert all(values[0][name] != values[2][name] for name in values[0])


def test_yardsticks_stand_in_their_order(tmp_path: Path) -> None:
    """The oracle is exactly the best page; greedy play of the logger is there beside the logger."""
    cell = plan_contest(Contest.model_validate(SETTINGS))[0]
    made = run_contest_cell(ContestCell.model_validate_json(cell.model_dump_json()), tmp_path)
    (line,) = made["worlds"]
    assert line["oracle"] >= max(line["best_public"], line["best_impersonal"], line["logger_value"])
    played = {(row["policy"], row["play"]): row for row in made["values"]}
    assert {("production", "registered"), ("production", "greedy"), ("popularity", "registered")} <= played.keys()
    assert played["production", "registered"]["lift"] == 0.0


class InterruptsAfterOneCell(SilentProgress):
    """Ctrl-C as soon as one cell is done."""

    def task(self, description: str, total: int | None = None) -> Advance:
        def advance(n: int = 1) -> None:
            if n:
                raise KeyboardInterrupt

        return advance


@pytest.mark.slow
@pytest.mark.ray
def test_a_contest_runs_to_its_page_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The cell that was there is taken as it stands (marked here to know it)."""
    from reports import report

    path, out = tmp_path / "contest.toml", tmp_path / "out"
    path.write_text(TOML)
    with pytest.raises(KeyboardInterrupt):
        run_contest(path, out, workers=1, progress=InterruptsAfterOneCell())
    (kept,) = (out / "cells").iterdir()
    assert "yardsticks" in kept.name
    marked = json.loads(kept.read_text())
    for row in marked["tables"]["values"]:
        row["value"] += 0.5 * (row["policy"] == "popularity")
    write_json(kept, marked)
    run_contest(path, out, workers=2, progress=SilentProgress())
    with (out / "tables" / "contest_values.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    marks = [row["value"] for row in marked["tables"]["values"] if row["policy"] == "popularity"]
    assert [float(row["value"]) for row in rows if row["policy"] == "popularity"] == pytest.approx(marks, rel=1e-12)
    assert {row["seed"] for row in rows if row["role"] == "learned"} == {"3", "4"}
    page = report(out).read_text(encoding="utf-8")
    assert "Who beats whom" in page
    assert "further gap to the oracle" in page
    with pytest.raises(UserError, match="finished run"):
        run_contest(path, out, workers=1, progress=SilentProgress())

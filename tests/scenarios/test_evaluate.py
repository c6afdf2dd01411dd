"""`slatelab evaluate` on a log of our own, from the command line to the JSON that scripts rely on."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import pytest

from policies.registry import named_policy
from scenarios import refits
from scenarios.evaluate import SHARED_STOCK, evaluate_native
from scenarios.headline import finding
from scenarios.progress import SilentProgress
from simenv.log import Log, write_log
from simenv.market import Market, Stock
from simenv.play import shopper_range
from simenv.world import make_world
from simenv.worlds import world_params
from slatelab.main import call

KEYS = {
    "estimator", "estimand", "value", "stderr", "low", "high", "level", "lift", "lift_low", "lift_high", "rows",
    "effective_rows", "effective_positives", "cluster", "verdict", "reasons",
}  # fmt: skip
OWN = """
from policies.ranking import RankingPolicy
from policies.registry import named_policy

def worst(catalogue, n_slots):
    class Worst:
        def score(self, page, truth):
            return -named_policy("production", catalogue).scorer.score(page, truth)
    return RankingPolicy("worst", Worst(), temperature=0.0)
"""


def test_json_holds_one_object_with_every_estimate(
    log_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Progress on stderr, one object on stdout, and a run folder that a report can be drawn from."""
    out = tmp_path / "evaluation"
    line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--json", "--out", str(out)]
    assert call(line) == 0
    estimates = json.loads(capsys.readouterr().out)["estimates"]
    assert [record["estimator"] for record in estimates] == [
        "ips", "snips", "dm", "dr", "rips", "cascade-dr", "ips-item", "snips-item", "dr-item"]  # fmt: skip
    for record in estimates:
        assert set(record) >= KEYS
        assert record["rows"] == Log.open(log_folder).n_rows
        assert record["cluster"] == "shopper"
        assert record["low"] <= record["value"] <= record["high"]
        assert record["lift_low"] <= record["lift"] <= record["lift_high"]
        assert record["verdict"] in ("trust", "caution", "do not use")
        assert record["verdict"] == "trust" or record["reasons"]
    told = json.loads((out / "run.json").read_text())
    assert told["kind"] == "evaluation"
    assert "lexical" in told["finding"] or "lexical" in told["name"]
    with (out / "tables" / "estimates.csv").open(newline="") as file:
        assert [float(row["value"]) for row in csv.DictReader(file)] == [record["value"] for record in estimates]
    assert call(["report", str(out)]) == 0
    assert "<html" in (out / "report.html").read_text()


def test_an_interval_of_another_rule_is_named_and_planning_says_how_many_more_searches(
    log_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    line = ["evaluate", "--log", str(log_folder), "--policy", "uniform", "--interval", "betting", "--width", "0.05"]
    assert call([*line, "--json", "--quiet", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    by_name = {record["estimator"]: record for record in told["estimates"]}
    plans = {plan["estimator"]: plan for plan in told["plans"]}
    assert {record["interval"] for record in by_name.values()} == {"betting"}
    # The log's manifest says clicks, so a slot earns 0 to 1 and a row 0 to K; the production ranker has a floor.
    assert 0.0 <= by_name["ips-item"]["low"] < by_name["ips-item"]["value"] < by_name["ips-item"]["high"]
    assert by_name["dm"]["low"] is None
    assert any("no interval 'betting'" in reason for reason in by_name["dm"]["reasons"])
    assert plans["ips-item"]["more_rows"] > 0
    assert plans["dm"]["more_rows"] is None
    config = json.loads((out / "run.json").read_text())["config"]
    assert config["interval"] == "betting"
    assert config["max_weight"] > 1.0
    assert call([*line, "--estimators", "ips-item", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "(betting)" in shown
    assert "more searches of the same mix" in shown


def test_the_same_command_gives_the_same_bytes_and_another_seed_other_folds(
    log_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for seed in ("0", "0", "1"):
        line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--json", "--seed", seed, "--quiet"]
        assert call(line) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] != told[2]
    ips = [json.loads(each)["estimates"][0]["value"] for each in told]
    assert ips[0] == ips[2]  # importance weights know no folds


def test_a_target_that_the_logger_never_showed_is_refused_in_words(
    log_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy against the logger: no number where none is, and a finding that says so."""
    (tmp_path / "slatelab_worst_ranker.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    spec = "slatelab_worst_ranker:worst"
    for names in (["snips"], ["ips"], None):
        evaluation = evaluate_native(log_folder, spec, estimators=names, level=0.95, seed=0, progress=SilentProgress())
        for record in evaluation.records():
            assert record["verdict"] != "trust"
            assert all(value is None or not isinstance(value, float) or math.isfinite(value)
                       for value in record.values())  # fmt: skip
        assert finding(evaluation.rows)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("evaluate --log {missing} --policy lexical", "is not a log"),
        ("evaluate --log {log} --policy lexcal", "Did you mean 'lexical'"),
        ("evaluate --log {log} --policy linear", "has to be trained first"),
        ("evaluate --log {log} --policy oracle", "ranks by hidden truth"),
        ("evaluate --log {log} --policy nowhere:made", "cannot be loaded"),
        ("evaluate --log {log} --policy {log}", "without card.json"),
        ("evaluate --log {log} --policy lexical --estimators ipz", "Did you mean 'ips'"),
        ("evaluate --log {log} --policy lexical --level 1.5", "--level"),
        ("evaluate --log {log} --policy lexical --interval bettin", "Did you mean 'betting'"),
        ("evaluate --log {log} --policy lexical --estimators dm --interval betting", "not a mean of weighted rewards"),
        (
            "evaluate --log {log} --policy lexical --estimators ips --interval bernstein --reward-range 0,inf",
            "--max-weight W",
        ),
        ("evaluate --log {log} --policy lexical --reward-range 0-1", "expected two numbers"),
        ("evaluate --log {log} --policy lexical --reward-range 0,0.5", "holds every reward which can occur"),
        (
            "evaluate --log {log} --policy lexical --max-weight 1 --estimators ips --interval betting",
            "above max_weight 1",
        ),
        ("evaluate --log {log} --policy lexical --width 0", "width is 0"),
        ("evaluate --log {log} --policy lexical --out {full}", "is not a run"),
        ("run quick --out {out} --set logging.policy=nope", "there is no policy 'nope'"),
        ("run quick --out {out} --set estimation.estimators=['nope']", "there is no estimator 'nope'"),
        ("run quick --out {out} --set logging.temperature=0", "no floor"),
        ("run qiuck --out {out}", "Did you mean 'quick'"),
        ("run quick --out {full}", "is not a run"),
        ("simulate tinny --policy uniform --out {out}", "Did you mean 'tiny'"),
        ("simulate tiny --policy linear --out {out}", "has to be trained first"),
        ("simulate tiny --policy uniform --out {full}", "exists already"),
        ("train quick --policy uniform --out {out}", "has nothing to learn"),
        ("train quick --policy linear --log {missing} --out {out}", "is not a log"),
        ("train quick --policy ppo-slate --log {log} --out {out}", "leave out --log"),
        ("train quick --policy linear --out {full}", "exists already"),
        ("sweep {missing}.toml --out {out}", "does not exist"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    line: str, told: str, log_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = {"log": log_folder, "missing": tmp_path / "missing", "out": tmp_path / "out", "full": tmp_path / "full"}
    places["full"].mkdir()
    (places["full"] / "precious.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert call(["--quiet", *(part.format(**places) for part in line.split())]) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_the_lowest_level_of_the_command_line_is_taken(log_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"--quiet evaluate --log {log_folder} --policy lexical --estimators ips --level 0.5 --json"
    assert call(line.split()) == 0
    assert json.loads(capsys.readouterr().out)["estimates"][0]["level"] == 0.5


def test_logs_are_made_and_learned_from_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """simulate, train --log, evaluate: the model is judged on the half of the shoppers that it never saw."""
    log, model = tmp_path / "log", tmp_path / "model"
    assert call(f"--quiet simulate tiny --policy production --shoppers 80 --seed 4 --out {log}".split()) == 0
    assert call(f"--quiet train quick --policy linear --log {log} --out {model}".split()) == 0
    capsys.readouterr()
    assert call(f"--quiet evaluate --log {log} --policy {model} --estimators snips --json".split()) == 0
    (record,) = json.loads(capsys.readouterr().out)["estimates"]
    learned = json.loads((model / "card.json").read_text())["learned_from"]["searches"]
    assert record["rows"] + learned == Log.open(log).n_rows
    assert named_policy("uniform", Log.open(log).catalogue()).name == "uniform"


def test_a_log_of_shoppers_who_share_stock_says_so(log_folder: Path, tmp_path: Path) -> None:
    """That shoppers are not independent, and that sales are the logger's, no number of the estimate shows."""
    world = make_world(dataclasses.replace(world_params("tiny"), market=Market(stock=Stock(units=40.0))))
    ranker = named_policy("production", world.catalogue.public())
    shared = write_log(world, "tiny", ranker, 3, shopper_range(60), tmp_path / "log")
    told = [
        evaluate_native(log, "lexical", estimators=["ips"], level=0.95, seed=0, progress=SilentProgress()).assumptions
        for log in (shared, log_folder)
    ]
    assert [SHARED_STOCK in each for each in told] == [True, False]


def test_a_reward_model_of_the_past_lets_doubly_robust_values_be_bet_on(
    log_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--interval", "sequence", "--quiet"]
    assert call([*line, "--estimators", "dr"]) == 2
    assert "add --reward-model past" in capsys.readouterr().err
    out = tmp_path / "run"
    assert call([*line, "--reward-model", "past", "--json", "--out", str(out)]) == 0
    by_name = {one["estimator"]: one for one in json.loads(capsys.readouterr().out)["estimates"]}
    assert by_name["dr"]["low"] < by_name["dr"]["value"] < by_name["dr"]["high"] < 3.0
    assert not {"dm", "cascade-dr"} & set(by_name)  # the first 200 shoppers have no model to average
    run = json.loads((out / "run.json").read_text())
    assert any("read twice" in note for note in run["notes"])
    assert run["seeds"] == {"folds and resampling": 0}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--reward-model", "path"], "Did you mean 'past'?"),
        (["--reward-model", "past", "--estimators", "dm"], "of the first shoppers"),
        (["--reward-model", "past", "--rewards", "clicks", "--per", "session"], "is per search"),
        (["--reward-model", "past", "--stream"], "--reward-model past and --refits need all rows"),
    ],
)
def test_what_a_reward_model_of_the_past_cannot_do_is_refused(
    log_folder: Path, options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["evaluate", "--log", str(log_folder), "--policy", "lexical", "--quiet", *options]) == 2
    assert complaint in " ".join(capsys.readouterr().err.split())


def test_values_of_sessions_are_audited_as_sessions(log_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--per", "session", "--json", "--quiet"]
    assert call(line) == 0
    told = json.loads(capsys.readouterr().out)
    by_check = {one["check"]: one for one in told["audit"]}
    assert by_check["placebo"]["outcome"] != "not checked"  # asked of the searches
    assert by_check["balance"]["outcome"] != "not checked"  # asked of whole sessions
    by_name = {one["estimator"]: one for one in told["estimates"]}
    assert by_name["pdis"]["rows"] < Log.open(log_folder).n_rows
    assert any("effective sessions" in reason for reason in by_name["pdis"]["reasons"])


def test_the_direct_method_may_be_fitted_again_and_then_knows_its_variance(
    log_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--estimators", "dm,ips", "--json", "--quiet"]
    assert call(line) == 0
    before = {one["estimator"]: one for one in json.loads(capsys.readouterr().out)["estimates"]}
    assert call([*line, "--refits", "100"]) == 0
    after = {one["estimator"]: one for one in json.loads(capsys.readouterr().out)["estimates"]}
    assert after["ips"] == before["ips"]
    assert after["dm"]["value"] == before["dm"]["value"]
    assert after["dm"]["low"] < after["dm"]["value"] < after["dm"]["high"]
    assert after["dm"]["high"] - after["dm"]["low"] > 1.5 * (before["dm"]["high"] - before["dm"]["low"])
    assert after["dm"]["interval"] == "refit bootstrap, variance only"
    assert after["dm"]["verdict"] != "trust"
    assert any("knows nothing of the model's bias" in reason for reason in after["dm"]["reasons"])
    assert not any("ignores the model's error" in reason for reason in after["dm"]["reasons"])


def test_refits_hold_all_features_and_so_are_for_small_logs(
    log_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refits, "REFIT_SEARCHES", 50)
    line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--quiet", "--refits", "100"]
    for options, complaint in (
        ([], "of at most 50; this log has"),
        (["--estimators", "ips"], "which --estimators leaves out"),
        (["--per", "session"], "--refits is of 'dm', per search"),
    ):
        assert call([*line, *options]) == 2
        assert complaint in " ".join(capsys.readouterr().err.split())

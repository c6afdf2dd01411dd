"""Logs of other makes through the command line: a dry run, estimates, and one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slatelab.main import call

MAP = """
layout = "single"
[columns]
shopper = "user"
action = "item"
query = "asked"
[rewards]
clicks = "won"
[propensity]
columns = "p"
scale = "probability"
"""
TARGET = '[target]\ncolumns = "q"\nscale = "probability"\n'
POLICY = """
import numpy as np

def even(columns):
    return {"p_conditional": np.full(len(columns["p"]), 0.5)}

def unnamed(columns):
    return {"p_conditional": columns["nowhere"]}

def logs(columns):
    return {"p_conditional": np.full(len(columns["p"]), -0.7)}

def as_shown(columns):
    return {"ranking": columns["item"]}

def hits(columns):
    return {"ranking": [row[:1] for row in columns["hits"]]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log, its mapping and a policy, entered."""
    rng = np.random.default_rng(0)
    n = 600
    p = rng.uniform(0.3, 0.7, n)
    frame = pd.DataFrame({
        "user": np.arange(n) // 2, "item": np.where(rng.random(n) < p, "x", "y"), "p": p, "q": 1 - p,
        "won": rng.integers(0, 2, n), "asked": "lamp", "asked_for": 9.5,
    })  # fmt: skip
    frame.to_csv(tmp_path / "log.csv", index=False)
    (tmp_path / "map.toml").write_text(MAP)
    (tmp_path / "with_target.toml").write_text(MAP + TARGET)
    (tmp_path / "two.toml").write_text(MAP.replace("[propensity]", 'money = "asked_for"\n[propensity]') + TARGET)
    (tmp_path / "no_weight.toml").write_text(MAP.partition("[propensity]")[0])
    (tmp_path / "foreign_policy.py").write_text(POLICY)
    shown = {"query_id": "1", "client_id": "c", "user_query": "lamp", "query_response_hit_ids": ["a", "b"]}
    (tmp_path / "ubi.ndjson").write_text(
        "".join(json.dumps(shown | {"query_id": str(one), "client_id": str(one % 9)}) + "\n" for one in range(40))
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = call(["evaluate", *line.split()])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_dry_run_tells_what_was_understood_and_what_can_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("--log log.csv --mapping with_target.toml --dry-run", capsys)
    assert code == 0
    for told in ("300 shoppers", "conditional, from 0.3", "ips, snips", "1 file, 600 rows"):
        assert told in out
    code, out, _ = run("--log log.csv --mapping no_weight.toml --dry-run --json", capsys)
    assert "only a click model" in json.loads(out)["understood"][-1]["found"]
    code, out, _ = run("--log log.csv --mapping map.toml --dry-run", capsys)
    assert "no target policy" in out
    assert run("--log ubi.ndjson --format ubi --dry-run", capsys)[0] == 0


def test_the_target_is_a_column_or_a_function(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("--log log.csv --mapping with_target.toml --json --out run", capsys)
    assert code == 0
    frame = pd.read_csv("log.csv")
    value = float((frame.q / frame.p * frame.won).mean())
    estimates = json.loads(out)["estimates"]
    assert estimates[0]["value"] == pytest.approx(value, rel=1e-9)
    assert list((folder / "run").rglob("estimates.csv"))
    code, out, _ = run("--log log.csv --mapping map.toml --policy foreign_policy:even --json", capsys)
    assert json.loads(out)["estimates"][0]["value"] == pytest.approx(
        float((0.5 / frame.p * frame.won).mean()), rel=1e-9
    )


def test_without_weights_a_click_model_answers_and_is_not_trusted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "--log log.csv --mapping no_weight.toml --policy foreign_policy:as_shown --json"
    code, out, _ = run(line, capsys)
    (estimate,) = json.loads(out)["estimates"]
    assert code == 0
    assert estimate["estimator"] == "pbm"
    assert estimate["verdict"] == "caution"
    assert any("no counterfactual weight exists" in reason for reason in estimate["reasons"])
    code, out, err = run(line + " --estimators ips", capsys)
    assert (code, out) == (2, "")
    assert "'ips' is refused: no counterfactual weight exists" in err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--log log.csv --format mapped", "needs --mapping"),
        ("--log log.csv --mapping map.toml", "no target policy is given"),
        ("--log log.csv --mapping nowhere.toml", "mapping 'nowhere.toml' does not exist"),
        ("--log nowhere.csv --mapping map.toml", "does not exist; expected a log"),
        ("--log log.csv --mapping map.toml --policy linear", "mapping does not say what stood on it. Add [ranker]"),
        ("--log log.csv --mapping map.toml --policy nowhere:f", "policy 'nowhere:f' cannot be loaded"),
        ("--log log.csv --mapping map.toml --policy foreign_policy:np", "is a module; expected a function"),
        ("--log log.csv --dry-run", "give --mapping MAP.toml"),
        ("--log log.csv --mapping map.toml --campaign all", "belong to Open Bandit logs"),
        ("--log log.csv --mapping with_target.toml --estimators isp", "Did you mean 'ips'"),
        ("--log log.csv --mapping with_target.toml --estimators dr", "needs q_logged and q_target"),
        ("--log nowhere.json --format dsjson --policy uniform", "nowhere.json does not exist"),
        ("--log log.csv --format dsjson --policy uniform", "log.csv, line 1: "),
        ("--log ubi.ndjson --format ubi --mapping map.toml", "--mapping belongs to tables"),
        (
            "--log log.csv --mapping map.toml --policy foreign_policy:unnamed",
            "It gets these columns: asked, asked_for, item, p,",
        ),
        ("--log log.csv --mapping map.toml --policy foreign_policy:logs", "answer under the key logp_conditional"),
        ("--log log.csv --mapping map.toml --policy foreign_policy:even --examination 1,.5", "in a mapping write"),
        ("--log log.csv --mapping two.toml --reward-range 0,1", "the log has clicks, money"),
        ("--log log.csv --mapping no_weight.toml --policy foreign_policy:as_shown --by item", "leave out --by"),
        ("--log log.csv --policy linear", "give --mapping MAP.toml"),
        ("--log ubi.ndjson --format ubi", "no counterfactual weight exists"),
        ("--log ubi.ndjson --format ubi --policy foreign_policy:hits", "cannot tell how much of a click is the slot"),
        ("--log ubi.ndjson --format ubi --policy foreign_policy:hits --examination 1,x", "expected numbers such as"),
    ],
)
def test_every_mistake_is_one_line_and_leaves_nothing_half_written(
    folder: Path, line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(line + " --out left", capsys)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert not (folder / "left").exists()


def test_examination_may_be_declared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("--log ubi.ndjson --format ubi --policy foreign_policy:hits --examination 1,.5 --json", capsys)
    assert code == 0
    assert json.loads(out)["estimates"][0]["verdict"] == "do not use"  # nobody clicked


def test_of_several_rewards_those_that_are_named_are_told_in_that_order(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(folder / "log.csv")
    frame["euros"] = np.random.default_rng(1).lognormal(size=len(frame))
    frame.to_csv(folder / "log.csv", index=False)
    text = (folder / "with_target.toml").read_text()
    (folder / "two.toml").write_text(text.replace('clicks = "won"', 'clicks = "won"\neuros = "euros"'))
    line = ["evaluate", "--log", "log.csv", "--mapping", "two.toml", "--estimators", "snips", "--json", "--quiet"]
    assert call([*line, "--rewards", "euros,clicks", "--quantile", ".9"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["reward"] for one in told["estimates"]] == ["euros", "clicks"]
    assert {one["reward"] for one in told["quantiles"]} == {"euros"}
    assert "clicks: the 90% quantile is 1" in told["unanswered"][0]
    assert call([*line, "--rewards", "euro"]) == 2
    assert "there is no reward 'euro'. Did you mean 'euros'?" in capsys.readouterr().err


def test_a_quantile_without_propensities_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", "--log", "log.csv", "--mapping", "no_weight.toml", "--policy", "foreign_policy:as_shown"]
    assert call([*line, "--quantile", ".9"]) == 2
    assert "a quantile needs weights" in " ".join(capsys.readouterr().err.split())


def test_estimators_that_need_all_actions_are_fed_from_tables_and_kinds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    n, logger, target = 900, np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])
    action = rng.choice(4, n, p=logger)
    columns = {f"p{a}": np.full(n, logger[a]) for a in range(4)} | {f"q{a}": np.full(n, target[a]) for a in range(4)}
    columns |= {"user": np.arange(n), "item": np.array(list("wxyz"))[action], "x": rng.standard_normal(n)}
    columns["won"] = (rng.random(n) < np.array([0.2, 0.3, 0.5, 0.6])[action]).astype(int)
    pd.DataFrame(columns).to_parquet(tmp_path / "log.parquet")
    table = """
[columns]
shopper = "user"
action = "item"
features = "x"
[rewards]
clicks = "won"
[actions]
values = ["w", "x", "y", "z"]
logger = ["p0", "p1", "p2", "p3"]
target = ["q0", "q1", "q2", "q3"]
"""
    (tmp_path / "map.toml").write_text('layout = "single"\n' + table + 'kinds = ["old", "old", "new", "new"]\n')
    (tmp_path / "nameless.toml").write_text('layout = "single"\n' + table)
    start = ["evaluate", "--log", str(tmp_path / "log.parquet"), "--mapping", str(tmp_path / "map.toml")]
    names = ["ips", "dr", "mrdr", "cab", "switch", "offcem", "mips"]
    assert call([*start, "--estimators", ",".join(names), "--json"]) == 0
    found = {one["estimator"]: one for one in json.loads(capsys.readouterr().out)["estimates"]}
    assert list(found) == names
    # truth .47; weights up to 4 in 900 rows: a standard error of at most .04
    assert all(abs(one["value"] - 0.47) < 0.13 for one in found.values())
    assert found["mrdr"]["verdict"] != "do not use"
    assert {found[name]["verdict"] for name in ("cab", "offcem", "mips")} <= {"caution", "do not use"}
    assert call([*start, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in names)
    assert call([*start[:4], str(tmp_path / "nameless.toml"), "--estimators", "offcem"]) == 2
    assert "offpolicy.single.kinds" in capsys.readouterr().err


def test_a_models_word_may_be_bet_with_where_the_mapping_says_that_it_knew_the_past_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = TARGET + '[model]\nlogged = "p"\ntarget = "q"\n'
    (folder / "folds.toml").write_text(MAP + model)
    (folder / "past.toml").write_text(MAP + model + "past_only = true\n")
    line = "--log log.csv --estimators dr --interval betting --reward-range 0,1 --max-weight 3 --json --mapping"
    assert "fitted on earlier rows only" in run(f"{line} folds.toml", capsys)[2]
    code, out, _ = run(f"{line} past.toml", capsys)
    assert code == 0
    (one,) = json.loads(out)["estimates"]
    assert 0.0 < one["low"] < one["high"] <= 1.0
    assert "write past_only = true there" in run(f"{line} past.toml --reward-model past", capsys)[2]

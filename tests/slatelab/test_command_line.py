"""The command line as a person and as a script meet it: help, mistakes, interruption, machine output."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from offpolicy import ESTIMATORS
from simenv.errors import UserError
from slatelab import main, output
from slatelab.main import VERBS, call
from slatelab.told import print_estimates


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who knows nothing sees all there is."""
    assert call(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f" {verb} " in shown for verb in VERBS)


def test_no_argument_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`slatelab` alone is a question, not a mistake."""
    assert call([]) == 0
    assert "demo" in capsys.readouterr().out


def test_python_runs_it_as_a_module_too() -> None:
    """Where the script is not on the path."""
    told = subprocess.run([sys.executable, "-m", "slatelab", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout[0].isdigit()


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help needs nothing but the verb."""
    assert call([verb, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lsit worlds", "Did you mean 'list'? Try: slatelab --help"),
        ("list world", "Did you mean 'worlds'?"),
        ("list worlds --jsn", "Try: slatelab list --help"),
        ("run", "Try: slatelab run --help"),
        ("data obp", "obd"),
        ("data check", "which market?"),
        ("data check nowhere.toml", "'nowhere.toml' does not exist"),
        ("data obd nowhere.toml", "one argument too many"),
        ("data icecat --out there", "give --source"),
        ("data icecat --source nowhere --out there", "has no products_1.json.zip"),
        ("simulate nowhere.toml --policy uniform --out there", "'nowhere.toml' does not exist"),
        ("evaluate --log there --format obd", "needs --target-table"),
        ("evaluate --log there", "needs --policy"),
        ("evaluate --log there --policy uniform --campaign all", "belong to Open Bandit logs"),
        ("evaluate --log there --policy uniform --workers 2", "belong to --stream"),
        ("evaluate --log there --policy uniform --stream --by locale", "need all rows at once"),
        ("evaluate --log there --log here --policy uniform --stream", "--stream reads one log"),
        ("evaluate --log there --log here --mapping map.toml", "are for SlateLab's own logs"),
        ("evaluate --log there --policy uniform --logger linear", "expected NAME=POLICY"),
        ("evaluate --log there --policy uniform --stream --interval betting", "is not made of sums"),
        ("evaluate --log there --policy uniform --stream --estimators dros:slope", "takes 2 passes"),
        ("evaluate --log there --format dsjson --policy uniform --stream", "other makes are read whole"),
        ("evaluate --log there --format obd --target-table uniform --policy uniform", "belongs to native logs"),
        ("evaluate --log there --policy uniform --shopper c.GUser.id", "--shopper belongs to --format dsjson"),
        ("evaluate --log there --policy uniform --examination 1,.5", "--examination belongs to --format ubi"),
        ("evaluate --log there --format obd --mapping map.toml", "--mapping belongs to tables"),
        ("evaluate --log docs --policy uniform", "give --mapping MAP.toml"),
        ("evaluate --log there --policy uniform --reward-range 1,0", "the least reward first"),
        ("evaluate --log there --policy uniform --width 0", "expected a number above 0"),
        ("evaluate --log there --policy uniform --max-weight 0.5", "expected at least 1"),
        ("evaluate --log there --format vw", "'--format': 'vw' is not one of"),
        ("export docs --out there", "is no saved model"),
        ("run quick --set logging.shopers=9 --out there", "with logging.shopers=9"),
        ("fit there", "is not a log"),
        ("fit there --draws 3", "--draws"),
        ("simulate there.toml --policy uniform --out there", "'there.toml' does not exist"),
        ("simulate default --policy uniform --shoppers 0 --out there", "--shoppers"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_two(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says what to do; nothing stands on stdout."""
    assert call(line.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert told in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("mips", "'mips' needs embedding, which the evidence does not have"),
        ("ips,balanced-ips", "'balanced-ips' needs balanced"),
        ("swich", "Did you mean 'switch'"),
        ("ips:slope", "estimator 'ips' takes no number"),
        ("dros:steep", "or a rule that chooses it: slope"),
    ],
)
def test_an_estimator_that_the_log_cannot_feed_says_what_is_missing(
    names: str, told: str, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = real_data / "obd" / "random" / "men"
    line = ["evaluate", "--format", "obd", "--log", str(log), "--target-table", "uniform", "--estimators", names]
    assert call(line) == 2
    assert told in capsys.readouterr().err


def test_what_a_single_action_log_can_feed_is_estimated(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Self-replay on an Open Bandit log: with weights of 1 nothing is beyond the switch and all but dm are the mean."""
    log = real_data / "obd" / "random" / "men"
    names = "switch,switch:0.5,dm,dros:slope,clipped-ips:slope,cab,blend,mrdr"
    line = ["evaluate", "--format", "obd", "--log", str(log), "--target-table", "uniform", "--estimators", names]
    assert call([*line, "--json"]) == 0
    found = {one["estimator"]: one for one in json.loads(capsys.readouterr().out)["estimates"]}
    assert list(found) == names.split(",")
    assert found["switch"]["value"] == pytest.approx(0.0046, abs=1e-12)
    assert found["switch:0.5"]["value"] == pytest.approx(found["dm"]["value"], abs=1e-12)
    assert all(one["verdict"] != "trust" for one in found.values())
    assert any("was chosen by SLOPE" in reason for reason in found["dros:slope"]["reasons"])


def command_that(fails_with: BaseException) -> typer.Typer:
    """Return a command line whose only verb, `work`, fails in a given way."""
    command = typer.Typer(pretty_exceptions_enable=False)
    command.callback()(main.options)

    @command.command()
    def work() -> None:
        raise fails_with

    return command


def test_a_finished_run_is_refused_before_a_log_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log does not even exist, and yet the complaint is about the folder."""
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    assert call(["evaluate", "--log", "there", "--policy", "uniform", "--out", str(tmp_path)]) == 2
    assert "holds a finished run" in capsys.readouterr().err


def test_a_user_error_from_deep_inside_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever line breaks its message has."""
    command = command_that(UserError("log row 17: propensity is 1.3;\n  expected 0 < p <= 1"))
    assert call(["work"], command) == 2
    assert capsys.readouterr().err == "error: log row 17: propensity is 1.3; expected 0 < p <= 1\n"


def test_a_file_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The system's own reason and the file, without a traceback."""
    assert call(["work"], command_that(PermissionError(13, "Permission denied", "report.html"))) == 2
    assert capsys.readouterr().err == "error: Permission denied: report.html\n"


@pytest.mark.parametrize("defect", [ValueError("ours"), KeyError("ours"), ConnectionError("ours")])
def test_a_defect_of_ours_is_not_dressed_up_as_a_mistake(defect: Exception) -> None:
    """It keeps its traceback, so that it can be reported."""
    with pytest.raises(type(defect), match="ours"):
        call(["work"], command_that(defect))


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with the shell's own code for it, 130, and one line."""
    assert call(["work"], command_that(KeyboardInterrupt())) == 130
    shown = capsys.readouterr().err
    assert shown.startswith("interrupted: the same command")
    assert shown.count("\n") == 1


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    """One source for it: pyproject.toml."""
    assert call(["--version"]) == 0
    assert capsys.readouterr().out.startswith("0.")


@pytest.mark.parametrize("line", ["--quiet work", "work --quiet"])
def test_quiet_may_stand_before_or_after_the_verb(line: str) -> None:
    """People add it at the end."""
    seen: list[bool] = []
    command = typer.Typer()
    command.callback()(main.options)

    @command.command()
    def work(context: typer.Context) -> None:
        seen.append(context.obj)

    assert call(line.split(), command) == 0
    assert seen == [True]


def test_json_knows_no_nan_and_no_numpy(capsys: pytest.CaptureFixture[str]) -> None:
    """What JSON cannot say becomes null; what numpy counts becomes a plain number."""
    output.print_json(
        {"estimates": [{"value": math.nan, "rows": np.int64(3), "lift": np.float32(0.5), "names": ("a", None)}]}
    )
    assert json.loads(capsys.readouterr().out) == {
        "estimates": [{"value": None, "rows": 3, "lift": 0.5, "names": ["a", None]}]
    }


def test_stdout_stays_clean_while_libraries_talk(capsys: pytest.CaptureFixture[str]) -> None:
    """A print from inside the work must not break a script that reads JSON."""
    with output.stdout_kept_clean():
        print("a library says hello")
    output.print_json({"estimates": []})
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"estimates": []}
    assert "hello" in shown.err


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0045669, "0.004567"), (1643.2, "1,643"), (123456.0, "123,456"), (0.0, "0"), (math.nan, "-"), (None, "-")],
)
def test_numbers_are_written_as_people_read_them(value: float | None, text: str) -> None:
    """Four significant digits, thousands apart, a dash where there is none."""
    assert output.number(value) == text


def test_reasons_are_told_once_for_all_estimators_that_share_them(capsys: pytest.CaptureFixture[str]) -> None:
    """A verdict without its reason helps nobody; the same reason seven times helps nobody either."""
    record = {
        "estimand": "value per search over the logger's contexts",
        **dict.fromkeys(("value", "low", "high", "lift", "lift_low", "lift_high"), 0.0045669),
        **{"level": 0.995, "rows": 10_000, "effective_rows": 1643.2, "effective_positives": 4.8, "cluster": "shopper"},
        "interval": "betting",
        **{"verdict": "do not use", "reasons": ["4.8 effective positives"]},
    }
    print_estimates([{"estimator": name, **record} for name in ("ips", "snips")])
    shown = capsys.readouterr().out
    assert "ips, snips: do not use: 4.8 effective positives\n" in shown
    assert "10,000 rows; 99.5% intervals (betting), errors clustered by shopper" in shown


def test_two_kinds_of_intervals_are_told_with_whose_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    record = {
        "estimand": "value per search over the logger's contexts",
        **dict.fromkeys(("value", "low", "high", "lift", "lift_low", "lift_high"), 0.5),
        **{"level": 0.95, "rows": 10, "effective_rows": 9.0, "effective_positives": 4.8, "cluster": "shopper"},
        **{"verdict": "trust", "reasons": []},
    }
    asked = (("ips", "t"), ("dm", "refit bootstrap"), ("dr", "t"))
    print_estimates([{"estimator": name, "interval": rule, **record} for name, rule in asked])
    shown = capsys.readouterr().out
    assert "ips, dr: Estimated: value per search over the logger's contexts; 10 rows; 95% intervals (t)" in shown
    assert "dm: Estimated: value per search over the logger's contexts; 10 rows; 95% intervals (refit boot" in shown


def test_the_list_of_estimators_says_in_words_what_reshaping_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", "estimators", "--json"]) == 0
    about = {one["name"]: one["about"] for one in json.loads(capsys.readouterr().out)["estimators"]}
    assert "weights above 10 are cut to 10; `clipped-ips:NUMBER` sets another" in about["clipped-ips"]
    assert all(one.strength.does for one in ESTIMATORS.values() if one.strength is not None)


def test_the_table_of_estimators_says_once_what_nearly_all_assume(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", "estimators"]) == 0
    assert capsys.readouterr().out.count("nothing unlogged moved both the slate and its reward") == 1

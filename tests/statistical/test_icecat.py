"""The Chorus electronics data as a market: its known counts, its raters, and the whole pipeline on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slatelab.main import call

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def icecat(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mapping file of the converted market."""
    source = real_data / "chorus_icecat"
    if not source.is_dir():
        pytest.skip("needs ../shared/data/chorus_icecat, which the repository does not ship")
    out = tmp_path_factory.mktemp("icecat") / "market"
    assert call(["data", "icecat", "--source", str(source), "--out", str(out)]) == 0
    return out / "market.toml"


def test_counts_and_agreement_are_those_of_the_data(icecat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The data's own README counts products, queries and pairs; 71.5% unanimity was counted apart from this code."""
    capsys.readouterr()
    assert call(["data", "check", str(icecat), "--judge", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["products"], told["queries"], told["judged_pairs"]) == (19_406, 135, 3_668)
    assert told["agreement"]["pairs"] == 3_188
    assert told["agreement"]["unanimous"] == pytest.approx(0.715, abs=5e-4)
    assert "Icecat" in (icecat.parent / "ATTRIBUTION.txt").read_text(encoding="utf-8")
    # On unseen queries text must tell something: its error below that of the mean by more than what the mean's error
    # itself varies (0.005, its standard error over the five folds).
    assert told["text_model"]["error"] < told["text_model"]["naive"] - 0.02
    score = {(row["ranker"], row["reading"]): row for row in told["rankings"]}
    assert score["random", "condensed"]["difference_high"] < 0
    assert score["lexical", "condensed"]["difference_high"] < 0
    # Against resampled raters even the final grades are no perfect ranking, and a single rater is none either.
    noise = {row["ranker"]: row for row in told["rater_noise"]}
    assert noise["bm25"]["spread"] > 0
    assert noise["oracle"]["mean"] < 1
    assert all(0.5 < each < 1 for each in told["one_rater_judged_by_the_others"])


def test_log_learn_and_judge_on_real_titles(icecat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Simulate with the production ranker, learn from one half, judge on the other."""
    folder = icecat.parent.parent
    log, model, scenario = folder / "log", folder / "model", folder / "icecat.toml"
    scenario.write_text(
        'title = "t"\nquestion = "q"\nworld = "market/market.toml"\n[[learners]]\npolicy = "linear"\n', encoding="utf-8"
    )
    simulate = ["--policy", "production", "--shoppers", "1500", "--days", "14", "--out", str(log)]
    assert call(["--quiet", "simulate", str(icecat), *simulate]) == 0
    train = ["--policy", "linear", "--log", str(log), "--out", str(model)]
    assert call(["--quiet", "train", str(scenario), *train]) == 0
    capsys.readouterr()
    assert call(["--quiet", "evaluate", "--log", str(log), "--policy", str(model), "--json"]) == 0
    estimates = json.loads(capsys.readouterr().out)["estimates"]
    by = {row["estimator"]: row for row in estimates}
    assert by["dr-item"]["verdict"] == "trust"
    assert by["dr-item"]["low"] < by["dr-item"]["value"] < by["dr-item"]["high"]

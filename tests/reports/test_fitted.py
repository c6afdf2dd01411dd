"""The page of a world that was fitted to a log: it opens with the finding and draws the check."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports import report
from reports.figures.predictive import describe, ordered, place_of
from reports.folder import read_run
from simenv.errors import UserError


def statistics() -> pd.DataFrame:
    names = {"click rate, slot 1": True, "pages with two clicks or more": False, "words <b>a query</b>": False}
    return pd.DataFrame(
        [
            {
                "statistic": name, "aimed_at": aimed, "observed": 0.2 + place, "mean": 0.21, "low": 0.15, "high": 0.27,
                "p": 0.4, "distance": 0.1, "flag": ("inside", "far outside", "outside")[place],
            }
            for place, (name, aimed) in enumerate(names.items())
        ]
    )  # fmt: skip


@pytest.fixture
def fit(tmp_path: Path, made_up: Any) -> Path:
    """The folder of a fit with made-up numbers."""
    slots = pd.DataFrame({"slot": [1.0, 2.0]})
    for name in ("examination", "click_rate"):
        for kind, shift in (("log", 0.0), ("mean", 0.01), ("low", -0.05), ("high", 0.05)):
            slots[f"{name}_{kind}"] = [0.9 + shift, 0.4 + shift]
    parameters = pd.DataFrame(
        {"parameter": ["attraction.base", "max_pages"], "estimate": [-4.0, 2.0], "low": [-4.2, math.nan],
         "high": [-3.8, math.nan], "told_by": ["clicks", "the log's last page"]}
    )  # fmt: skip
    models = pd.DataFrame(
        {"model": ["position-based", "cascade"], "held_out": [-1.8, math.nan], "misfit": [12.0, math.nan],
         "chosen": [True, False], "note": ["", "a page has two clicks"]}
    )  # fmt: skip
    mix = pd.DataFrame(
        {"category": ["dress", "<i>jacket</i>"], "log": [0.2, 0.1], "mean": [0.19, 0.11], "low": [0.17, 0.08],
         "high": [0.21, 0.13], "share": [0.3, 0.15], "share_low": [0.28, 0.1], "share_high": [0.33, 0.2]}
    )  # fmt: skip
    tables = {
        "predictive": statistics(), "examination": slots, "parameters": parameters, "click_models": models,
        "query_mix": mix,
    }  # fmt: skip
    facts = {**made_up.FACTS, "kind": "fit", "log": {"rows": 1200, "shoppers": 300}}
    folder: Path = made_up.write_run(tmp_path / "fit", facts, tables)
    return folder


def test_the_page_opens_with_the_finding_and_shows_the_check(fit: Path) -> None:
    page = report(fit).read_text(encoding="utf-8")
    finding = json.loads((fit / "run.json").read_text(encoding="utf-8"))["finding"]
    assert page.index(finding.split(";")[0]) < page.index("Posterior predictive check")
    assert "words &lt;b&gt;a query&lt;/b&gt;" in page
    assert "read off the log" in page
    assert "position-based (chosen)" in page
    assert "1 of 3" in page
    assert {path.name for path in (fit / "figures").iterdir()} == {
        "predictive.png", "examination.png", "query_mix.png",
    }  # fmt: skip
    assert "What shoppers look for" in page
    assert "&lt;i&gt;jacket" in page


def test_the_same_fit_gives_the_same_bytes(fit: Path) -> None:
    first = report(fit).read_bytes()
    assert report(fit).read_bytes() == first


def test_an_unknown_flag_is_refused(fit: Path) -> None:
    table = fit / "tables" / "predictive.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("far outside", "elsewhere"), encoding="utf-8")
    with pytest.raises(UserError, match="'elsewhere'"):
        read_run(fit)


def test_forecasts_stand_above_what_was_aimed_at_and_words_name_what_is_outside() -> None:
    assert ordered(statistics())["aimed_at"].tolist() == [False, False, True]
    assert "pages with two clicks or more" in describe(statistics())
    assert "click rate, slot 1" not in describe(statistics())


def test_the_ends_of_an_interval_stand_at_one_and_minus_one() -> None:
    assert place_of(0.2, 0.2, 0.4) == pytest.approx(-1.0)
    assert place_of(0.4, 0.2, 0.4) == pytest.approx(1.0)
    assert place_of(0.0, 0.0, 0.0) == 0.0
    assert math.isnan(place_of(1.0, 0.0, 0.0))

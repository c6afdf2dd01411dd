"""Saved models on logs of another make: the same numbers as on our own log, and what is missing is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from policies.learning import learn, log_examples
from policies.persistence import LearnedFrom, save_model, shoppers_digest
from policies.registry import new_learner
from simenv.log import Log
from slatelab.main import call

COLUMNS = """
layout = "wide"
[columns]
shopper = "who"
action = ["item_1", "item_2", "item_3"]
[rewards]
clicks = ["click_1", "click_2", "click_3"]
[propensity]
columns = ["p_1", "p_2", "p_3"]
kind = "conditional"
scale = "log"
[ranker]
catalogue = "catalogue.parquet"
candidates = "candidates"
"""
WHOLE = """query_terms = "terms"
locale = "locale"
device = "device"
page = "page"
search = "search"
history = "history"
history_weight = "history_weight"
last_brand = "last_brand"
discount = 0
"""
NAMES = "ips,snips,rips"


@pytest.fixture(scope="module")
def shop(log_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log as somebody else would have written it, its catalogue, and a model of other shoppers."""
    folder = tmp_path_factory.mktemp("shop")
    log = Log.open(log_folder)
    batch = next(log.batches(batch=log.n_rows))
    page = batch.page
    shown = np.where(batch.slate >= 0, np.take_along_axis(page.candidates, np.maximum(batch.slate, 0), axis=1), -1)
    table = pd.DataFrame({
        "who": page.shopper, "candidates": list(page.candidates), "terms": list(page.query_terms),
        "history": list(page.history), "locale": page.locale,
        "device": np.array(["phone", "desktop", "tablet"])[page.device],
        **{name: getattr(page, name) for name in ("page", "search", "history_weight", "last_brand")},
    })  # fmt: skip
    for k in range(3):
        # an empty slot: no item, no propensity, no reward
        table[f"item_{k + 1}"] = pd.array(shown[:, k], dtype="Int64")
        table[f"click_{k + 1}"] = np.where(shown[:, k] >= 0, batch.reward[:, k], np.nan)
        table[f"p_{k + 1}"] = np.where(shown[:, k] >= 0, batch.logp.logp[:, k], np.nan)
        table.loc[shown[:, k] < 0, f"item_{k + 1}"] = pd.NA
    table.to_parquet(folder / "log.parquet")
    shutil.copy(log_folder / "catalogue.parquet", folder / "catalogue.parquet")
    (folder / "whole.toml").write_text(COLUMNS + WHOLE)
    (folder / "held_out.toml").write_text(COLUMNS + "held_out = true\n" + WHOLE)
    (folder / "bare.toml").write_text(COLUMNS)
    (folder / "no_ranker.toml").write_text(COLUMNS.partition("[ranker]")[0])
    learner = new_learner("linear", log.catalogue(), 3, 0)
    learn(learner, log_examples(learner.feature_map, log, 0))
    # as if it had learned in another town: whoever made this card is believed
    seen = LearnedFrom("", "", None, None, learner.n_searches, "")
    save_model(learner, folder / "model", 3, seen, {}, exploration=(0.1, 0.05))
    own = LearnedFrom("", "", None, None, learner.n_searches, shoppers_digest(page.shopper))
    save_model(learner, folder / "own", 3, own, {}, exploration=(0.1, 0.05))
    return folder


def evaluate(shop: Path, mapping: str, policy: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    line = ["evaluate", "--log", str(shop / "log.parquet"), "--mapping", str(shop / f"{mapping}.toml")]
    code = call([*line, "--policy", policy, "--estimators", NAMES, "--json", "--quiet"])
    said = capsys.readouterr()
    return code, said.out, " ".join(said.err.split())


@pytest.mark.parametrize("policy", ["model", "lexical"])
def test_a_policy_is_worth_the_same_on_a_mapped_log_as_on_our_own(
    shop: Path, log_folder: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(shop / policy) if policy == "model" else policy
    code, out, _ = evaluate(shop, "whole", spec, capsys)
    assert code == 0
    mapped = {one["estimator"]: one for one in json.loads(out)["estimates"]}
    line = ["evaluate", "--log", str(log_folder), "--policy", spec, "--estimators", NAMES]
    assert call([*line, "--json", "--quiet"]) == 0
    for one in json.loads(capsys.readouterr().out)["estimates"]:
        for figure in ("value", "low", "high", "lift", "effective_rows"):
            assert mapped[one["estimator"]][figure] == pytest.approx(one[figure], rel=1e-9)


def test_whom_a_model_learned_from_is_declared_or_costs_trust(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mapping, is_told in (("whole", True), ("held_out", False)):
        _, out, _ = evaluate(shop, mapping, str(shop / "model"), capsys)
        estimates = json.loads(out)["estimates"]
        assert all(any("cannot be told from it" in why for why in one["reasons"]) == is_told for one in estimates)
    code, _, error = evaluate(shop, "held_out", str(shop / "own"), capsys)
    assert code == 2
    assert "learned from the shoppers of this log" in error


def test_what_a_model_ranks_by_and_the_mapping_lacks_is_named(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mapping, policy, complaint in (
        (
            "bare",
            str(shop / "model"),
            f"error: policy '{shop / 'model'}' ranks by query_terms, locale, device, search, page, history",
        ),
        ("bare", "lexical", "'lexical' ranks by query_terms, and the mapping does not say where the log has it"),
        ("no_ranker", "lexical", "Add [ranker] with catalogue and candidates"),
        ("whole", "oracle", "ranks by hidden truth"),
    ):
        code, out, error = evaluate(shop, mapping, policy, capsys)
        assert (code, out) == (2, "")
        assert complaint in error
    code, out, _ = evaluate(shop, "bare", "popularity", capsys)  # which asks nothing of a page but its candidates
    assert code == 0


def test_mistakes_on_the_page_are_named_with_their_row(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (shop / "whole.toml").read_text()
    log = pd.read_parquet(shop / "log.parquet")
    spoiled = shop / "spoiled"
    spoiled.mkdir(exist_ok=True)
    shutil.copy(shop / "catalogue.parquet", spoiled)
    first = log["candidates"].iloc[4].copy()
    for change, complaint in (
        (lambda: first.__setitem__(0, 10**6), "log row 4: candidate 1000000 is no item"),
        (lambda: first.fill(-1), "log row 4, slot 1: item"),
    ):
        change()
        log.at[4, "candidates"] = first
        log.to_parquet(spoiled / "log.parquet")
        (spoiled / "whole.toml").write_text(text)
        code, _, error = evaluate(spoiled, "whole", "lexical", capsys)
        assert code == 2
        assert complaint in error
    (spoiled / "whole.toml").write_text(text.replace('"terms"', '"history"'))
    assert "a model of this kind reads 7" in evaluate(spoiled, "whole", "lexical", capsys)[2]
    (spoiled / "whole.toml").write_text(text.replace('"terms"', '"nowhere"'))
    assert "asks for column 'nowhere'" in evaluate(spoiled, "whole", "lexical", capsys)[2]


def test_one_action_a_row_may_be_ranked_too_and_rows_of_slots_may_not(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first slot alone: by Plackett-Luce its probability is that of the whole page's first."""
    first = COLUMNS + WHOLE
    for role in ("item", "click", "p"):
        first = first.replace(f'["{role}_1", "{role}_2", "{role}_3"]', f'"{role}_1"')
    log = pd.read_parquet(shop / "log.parquet")
    alone = shop / "alone"
    alone.mkdir(exist_ok=True)
    log[log["item_1"].notna()].to_parquet(alone / "log.parquet")
    shutil.copy(shop / "catalogue.parquet", alone)
    (alone / "single.toml").write_text(first.replace('"wide"', '"single"'))
    (alone / "long.toml").write_text(
        first.replace('"wide"', '"long"').replace("[columns]", "[columns]\npage = 'page'\nslot = 'search'")
    )
    code, out, _ = evaluate(alone, "single", "lexical", capsys)
    assert code == 0
    assert {one["rows"] for one in json.loads(out)["estimates"]} == {int(log["item_1"].notna().sum())}
    assert "needs one row a page" in evaluate(alone, "long", "lexical", capsys)[2]

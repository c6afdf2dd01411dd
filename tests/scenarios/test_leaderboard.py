"""The leaderboard's arithmetic on numbers made by hand, its beds, and mistakes told before anything runs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from offpolicy import evaluate
from scenarios.config import validated
from scenarios.enumerated_bed import Bed, market_of
from scenarios.enumerated_log import logs
from scenarios.leaderboard import Leaderboard, plan_leaderboard, run_leaderboard
from scenarios.leaderboard_cell import LeaderboardCell, run_leaderboard_cell
from scenarios.leaderboard_tables import (
    RULES,
    Judged,
    bar_rows,
    choice_rows,
    chosen_rows,
    estimator_rows,
    rank_correlation,
    ranking_rows,
    regret,
    score_rows,
)
from scenarios.progress import SilentProgress
from scenarios.sweep import Tables
from simenv.errors import UserError

SMALL = Bed(name="small", candidates=5, slots=2, rows=300, is_sound=True)


def judged(
    value: float, half: float, word: str = "trust", *, estimator: str = "dr", seed: int = 0, target: str = "a",
    truth: float = 1.0,
) -> Judged:  # fmt: skip
    return Judged(seed, target, truth, estimator, value, value - half, value + half, word)


def test_scores_are_those_of_hand_made_estimates() -> None:
    made = [judged(1.1, 0.2), judged(0.7, 0.2, "do not use", seed=1), judged(1.3, 0.2, seed=2)]
    (row,) = score_rows("cell", made)
    assert row["bias"] == pytest.approx(0.1 / 3)
    assert row["rmse"] == pytest.approx(np.sqrt((0.01 + 0.09 + 0.09) / 3))
    assert (row["coverage"], row["fails"]) == (pytest.approx(1 / 3), True)
    assert (row["trust"], row["do_not_use"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (row["trusted"], row["trusted_right"]) == (2, 1)
    assert row["width"] == pytest.approx(0.4)


def test_an_estimate_that_is_not_a_number_holds_nothing() -> None:
    assert not judged(float("nan"), 1.0).holds


def test_rank_correlation_is_spearmans_and_ties_share_a_rank() -> None:
    truth = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    found = {"a": 0.3, "b": 0.1, "c": 0.9, "d": 0.9}
    known = stats.spearmanr(list(found.values()), list(truth.values())).statistic
    assert rank_correlation(found, truth) == pytest.approx(known)
    assert rank_correlation(truth, truth) == pytest.approx(1.0)
    assert rank_correlation({name: -value for name, value in truth.items()}, truth) == pytest.approx(-1.0)
    assert rank_correlation(dict.fromkeys(truth, 0.5), truth) == 0.0


def test_regret_is_what_the_highest_estimate_loses() -> None:
    truth = {"a": 1.0, "b": 2.0, "c": 5.0}
    assert regret({"a": 0.1, "b": 0.2, "c": 0.3}, truth) == 0.0
    assert regret({"a": 0.9, "b": 0.2, "c": 0.3}, truth) == 4.0
    assert regret({"a": 0.9, "b": 0.1, "c": 0.9}, truth) == 2.0  # a tie is chosen from by lot
    made = [
        judged(value, 1.0, target=name, truth=truth[name], seed=seed)
        for seed, values in enumerate([{"a": 0.9, "b": 0.2, "c": 0.3}, {"a": 0.1, "b": 0.2, "c": 0.3}])
        for name, value in values.items()
    ]
    (row,) = ranking_rows("cell", made)
    assert row["regret"] == pytest.approx(0.5)  # of the distance from worst to best
    assert ranking_rows("cell", [judged(1.0, 1.0)]) == []  # one target orders nothing


def test_bars_count_trusted_estimates_and_failing_cells() -> None:
    rows = [
        {"fails": False, "sound": True, "logs": 10, "trust": 0.8, "do_not_use": 0.1, "trusted": 8, "trusted_right": 7},
        {"fails": True, "sound": True, "logs": 10, "trust": 0.2, "do_not_use": 0.5, "trusted": 2, "trusted_right": 1},
        {"fails": True, "sound": False, "logs": 10, "trust": 0.0, "do_not_use": 0.6, "trusted": 0, "trusted_right": 0},
    ]
    bars = {row["bar"]: row for row in bar_rows(rows)}
    assert (bars["trust is right"]["count"], bars["trust is right"]["of"]) == (8, 10)
    assert (bars["failing cells are refused"]["count"], bars["failing cells are refused"]["of"]) == (
        1,
        2,
    )  # most: > half
    assert bars["sound cells are refused"]["share"] == pytest.approx(0.1)


def test_rules_choose_as_they_say() -> None:
    each = [
        judged(1.0, 0.50, estimator="ips"),
        judged(1.1, 0.30, estimator="dr"),
        judged(1.2, 0.20, "do not use", estimator="dr-item"),
        judged(1.3, 0.15, "caution", estimator="dros"),
        judged(9.0, 0.01, "caution", estimator="dm"),
    ]
    taken = {name: rule(each) for name, rule in RULES.items()}
    assert {name: one.estimator for name, one in taken.items() if one} == {
        "always dr": "dr",
        "first trusted": "dr",  # before ips in HEADLINES; dr-item is refused
        "narrowest trusted": "dr",
        "narrowest that agrees": "dros",  # dm is narrower and far from all others
        "narrowest of all": "dm",
    }
    refused = [judged(1.0, 0.5, "do not use")]
    assert RULES["first trusted"](refused) is None
    rows = choice_rows("cell", [*each, judged(1.1, 0.3, "do not use", seed=1)])
    first = next(row for row in rows if row["rule"] == "first trusted")
    assert (first["logs"], first["answered"], first["held"]) == (2, 1, 1)
    summed = {row["rule"]: row for row in chosen_rows(rows)}
    assert summed["always dr"]["relative_error"] == pytest.approx(1.0)
    assert summed["narrowest of all"]["relative_error"] > 10.0


def test_estimators_are_compared_with_dr_in_the_same_cell() -> None:
    made = [judged(1.1, 0.4), judged(1.2, 0.2, estimator="ips")]
    rows = {row["estimator"]: row for row in estimator_rows(score_rows("cell", made, is_sound=True), [])}
    assert rows["ips"]["relative_rmse"] == pytest.approx(2.0)
    assert rows["ips"]["relative_width"] == pytest.approx(0.5)


@pytest.mark.parametrize("behaviour", ["position", "cascade", "whole"])
def test_beds_tell_the_truth_of_their_own_draws(behaviour: Any) -> None:
    """The logger judged by its own log: IPS with weights of one is the mean, within 4 standard errors of the truth."""
    bed = SMALL.model_copy(update={"behaviour": behaviour, "targets": {"itself": 0.0}, "rows": 20_000})
    truth = market_of(bed.model_dump_json()).truth["itself"]
    (log,) = logs(bed, 1)
    (found,) = evaluate(log["itself"], ["ips"])
    assert found.diagnostics.mean_weight == pytest.approx(1.0, abs=1e-9)
    assert abs(found.interval.value - truth) < 4 * found.interval.stderr
    assert found.diagnostics.foreseen_rows == pytest.approx(20_000)


def test_weights_and_columns_of_a_bed_have_the_means_that_theory_says() -> None:
    market = market_of(SMALL.model_dump_json())
    logger, target = market.logger.slate, market.targets["far"].slate
    weight = target / logger
    assert (logger * weight).sum(axis=1) == pytest.approx(1.0)
    assert market.foreseen["far"]["joint"] == pytest.approx((logger * weight**2).sum(axis=1))
    assert market.foreseen_square["far"]["joint"] == pytest.approx((logger * weight**3).sum(axis=1))
    assert (logger * market.residual).sum(axis=1) == pytest.approx(0.0, abs=1e-12)
    assert (logger[:, :, None] * market.placebo).sum(axis=1) == pytest.approx(0.0, abs=1e-12)


def test_the_same_seed_draws_the_same_log_and_another_another() -> None:
    one, same, other = (next(iter(logs(SMALL, 1, seed)))["far"].reward for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def no_ray(cells: list[LeaderboardCell], perform: Any, out: Path, workers: Any, progress: Any) -> list[str]:
    for cell in cells:
        _KEPT[cell.key] = run_leaderboard_cell(cell, out)
    return []


_KEPT: dict[str, Tables] = {}


def test_a_leaderboard_leaves_tables_and_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scenarios import leaderboard

    monkeypatch.setattr(leaderboard, "run_cells", no_ray)
    monkeypatch.setattr(leaderboard, "cell_tables", lambda out, key: _KEPT[key])
    path = tmp_path / "board.toml"
    path.write_text(
        'seeds = 10\nestimators = ["ips", "dr", "dm"]\n[[own]]\nname = "mine"\nkind = "enumerated"\ncandidates = 5\n'
        "slots = 2\nrows = 300\n",
        encoding="utf-8",
    )
    out = run_leaderboard(path, tmp_path / "run", seeds=None, workers=1, progress=SilentProgress())
    with (out / "tables" / "leaderboard_scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["estimator"] for row in rows} == {"ips", "dr", "dm"}
    assert len(rows) == 3 * 3
    assert (out / "run.json").is_file()
    with pytest.raises(UserError, match="finished run"):
        run_leaderboard(path, out, seeds=None, workers=1, progress=SilentProgress())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beds": ["slate"]}, "slates"),
        ({"beds": []}, "no bed is named"),
        ({"beds": ["slates", "slates"]}, "named twice"),
        ({"estimators": ["dr-itme"]}, "dr-item"),
        ({"seeds": 3}, "seeds"),
        ({"own": [{"kind": "enumerated", "name": "big", "candidates": 30, "slots": 3}]}, "at most 1,000 slates"),
        ({"own": [{"kind": "enumerated", "name": "x", "appetite": 0.9, "behaviour": "cascade"}]}, "no cascade"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        plan_leaderboard(validated(Leaderboard, settings, "board.toml"))


def test_keys_name_the_bed_and_move_with_every_setting() -> None:
    one, other = (LeaderboardCell(bed=SMALL, seeds=n, seed=0, estimators=("dr",)).key for n in (10, 11))
    assert one.startswith("small--")
    assert one != other


def test_importance_fitting_chooses_where_pseudo_logs_are_asked_for(tmp_path: Path) -> None:
    bed = Bed(name="few", candidates=4, slots=1, rows=300)
    for splits, answered in ((3, 6), (0, 0)):
        cell = LeaderboardCell(bed=bed, seeds=2, seed=0, estimators=("ips", "dr", "dm"), splits=splits)
        choices = run_leaderboard_cell(cell, tmp_path)["choices"]
        row = next(row for row in choices if row["rule"] == "least error on pseudo-logs")
        assert row["answered"] == answered  # 2 logs of 3 targets each
        assert ("least error on pseudo-logs" in {row["rule"] for row in chosen_rows(choices)}) == bool(splits)

"""Fitting a world to a log: what is read, what is refused, how parameters are moved, what the check says."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from policies.ranking import RankingPolicy
from policies.registry import named_policy
from scenarios.fit import FitSettings, fit_log
from scenarios.fitting.check import compare, finding, statistics
from scenarios.fitting.clicks import pattern
from scenarios.fitting.knobs import KNOBS, Knobs, click_chances, setting, with_setting
from scenarios.fitting.logger import logger_of
from scenarios.fitting.market import brand_names, told_outright
from scenarios.fitting.seen import seen_in_log, seen_in_simulation
from scenarios.fitting.solve import SETTLED, Target, solve
from scenarios.fitting.summaries import SUMMARIES, documents, ratios, summarise
from scenarios.progress import SilentProgress
from simenv.errors import UserError
from simenv.house import HouseSlots
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.world import World, make_world
from simenv.worlds import WORLDS
from tests.scenarios.conftest import SEED


def test_a_log_on_disk_and_the_same_log_simulated_show_the_same(log_folder: Path, tiny: World) -> None:
    log, catalogue = Log.open(log_folder), tiny.catalogue.public()
    read = seen_in_log(log, log.catalogue(), brand_names(log_folder), None)
    made = seen_in_simulation(tiny, named_policy("production", catalogue), SEED, 200)
    for field in dataclasses.fields(read):
        assert np.array_equal(getattr(read, field.name), getattr(made, field.name)), field.name


def test_the_hidden_folder_is_never_read(log_folder: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(log_folder, tmp_path / "bare", ignore=shutil.ignore_patterns("hidden"))
    log = Log.open(bare)
    seen = seen_in_log(log, log.catalogue(), brand_names(bare), None)
    assert told_outright(log, seen, log.catalogue()).is_ours
    assert len(seen) == log.n_rows


def test_a_foreign_catalogue_is_told_from_ours(log_folder: Path) -> None:
    log = Log.open(log_folder)
    own = log.catalogue()
    foreign = dataclasses.replace(own, price=own.price * np.float32(1.1))
    seen = seen_in_log(log, foreign, brand_names(log_folder), None)
    told = told_outright(log, seen, foreign)
    assert not told.is_ours
    assert "invented catalogue" in told.notes[0]
    assert told.params.n_items == len(own.price)


def test_summaries_are_what_a_loop_over_pages_says(log_folder: Path) -> None:
    log = Log.open(log_folder)
    own = log.catalogue()
    seen = seen_in_log(log, own, brand_names(log_folder), None)
    found = dict(zip(SUMMARIES, summarise(seen, own).values().tolist(), strict=True))
    shown = seen.items >= 0
    assert found["clicks"] == pytest.approx(seen.clicked.sum() / shown.sum())
    clicked_stars = [own.rating[item] for item in seen.items[seen.clicked]]
    shown_stars = [own.rating[item] for item in seen.items[shown]]
    assert found["rating"] == pytest.approx(np.mean(clicked_stars) - np.mean(shown_stars), abs=1e-5)  # float32 stars
    downs = sum(
        seen.shopper[i] == seen.shopper[i + 1] and seen.visit[i] == seen.visit[i + 1] and seen.page[i + 1] > 0
        for i in range(len(seen) - 1)
    )
    assert found["page down"] == pytest.approx(downs / len(seen))


def test_a_bootstrap_with_weights_of_one_is_the_log(log_folder: Path) -> None:
    log = Log.open(log_folder)
    sums = summarise(seen_in_log(log, log.catalogue(), brand_names(log_folder), None), log.catalogue())
    assert np.allclose(sums.values(np.ones((1, len(sums.sums))))[0], sums.values(), equal_nan=True)
    assert np.isnan(ratios(np.zeros(4)))


def test_documents_and_patterns_leave_empty_slots_out(log_folder: Path) -> None:
    log = Log.open(log_folder)
    seen = seen_in_log(log, log.catalogue(), brand_names(log_folder), None)
    assert ((documents(seen, log.catalogue()) < 0) == (seen.items < 0)).all()
    rate, variance = pattern(seen)
    assert rate.shape == variance.shape == (6,)  # slots 1 to 3: one, two and three distances
    assert ((rate > 0) & (rate < 1)).all()


def test_knobs_that_are_not_turned_change_nothing() -> None:
    world = WORLDS["default"]
    knobs = Knobs(world, KNOBS, "position-based", tuple(f"examination[{k}]" for k in range(2, 51)))
    again = knobs.params(knobs.start(np.array(click_chances(world.click_model))))
    for knob in KNOBS:  # through a logarithm and back: a few ulp
        assert setting(again, knob.path) == pytest.approx(setting(world, knob.path), rel=1e-12)
    assert click_chances(again.click_model) == pytest.approx(click_chances(world.click_model), rel=1e-12)


def test_shares_of_intents_keep_their_sum() -> None:
    queries = with_setting(WORLDS["default"], "queries.navigational.share", 0.5).queries
    assert queries.navigational.share == 0.5
    assert queries.exploratory.share == WORLDS["default"].queries.exploratory.share
    assert queries.navigational.share + queries.focused.share + queries.exploratory.share == pytest.approx(1.0)


def test_solving_meets_the_target_and_leaves_what_it_does_not_tell() -> None:
    """Two summaries tell two parameters exactly; nothing tells the third."""
    knobs = Knobs(WORLDS["default"], KNOBS[:3], "simplified-dbn", ())
    slope = np.array([[2.0, 0.5, 0.0], [0.3, -1.0, 0.0]])
    target = Target(np.array([1.0, -2.0]), np.diag([1e-4, 4e-4]), noise=1.5)
    solution = solve(knobs, target, lambda vector: slope @ vector + 0.01 * np.sin(vector[:2]), np.zeros(3))
    assert solution.vague.tolist() == [False, False, True]
    assert solution.vector[2] == 0.0
    assert solution.misfit < SETTLED * 2  # where steps stop: two parameters are told
    inverse = np.linalg.inv(slope[:, :2])
    expected = inverse @ (1.5 * target.covariance) @ inverse.T
    assert np.allclose(solution.covariance[:2, :2], expected, rtol=0.05)  # the sine bends the slope by 1%


def test_the_stand_in_for_an_unknown_policy_ranks_like_it(log_folder: Path, tiny: World, tmp_path: Path) -> None:
    """Production is linear in the features of the stand-in, so all of it is explained."""
    known = named_policy("production", tiny.catalogue.public())
    stranger = RankingPolicy("stranger", known.scorer, known.temperature, known.floor)
    out = write_log(tiny, "tiny", stranger, SEED, shopper_range(60), tmp_path / "log")
    log = Log.open(out)
    policy, said = logger_of(log, log.catalogue(), tiny.catalogue.public())
    assert policy.name == "stand-in"
    assert "stand-in for the log's policy 'stranger'" in said
    page = next(log.batches()).page
    usable = page.candidates >= 0
    of_both = [np.where(usable, each.scores(page), 0.0) / each.temperature for each in (policy, known)]
    gap = of_both[0] - of_both[1]
    centre = gap.sum(axis=1, keepdims=True) / np.maximum(usable.sum(axis=1, keepdims=True), 1)
    typical = np.abs(np.where(usable, gap - centre, 0.0)).mean()
    assert typical < 0.35  # of scores that spread by several units: three matches are weighted alike, not as in Lexical
    own, told = logger_of(Log.open(log_folder), log.catalogue(), tiny.catalogue.public())
    assert (own.name, own.temperature, own.floor) == ("production", known.temperature, known.floor)
    assert "own policy" in told


def test_the_check_flags_what_lies_outside_and_says_which_way() -> None:
    drawn = [{"a": float(x), "b": float(x), "c": float("nan")} for x in np.linspace(0, 1, 41)]
    rows = compare({"a": 0.5, "b": 9.0, "c": 1.0}, drawn)
    assert [(row["statistic"], row["flag"]) for row in rows] == [("a", "inside"), ("b", "far outside")]
    assert rows[0]["p"] == 1.0  # 21 draws on either side, one imagined, of 41 and 2: more than 1, so 1
    assert rows[1]["p"] == pytest.approx(2 * 1 / 43)
    said = finding(rows)
    assert said.startswith("1 of 2 statistics")
    assert "too low: b" in said
    assert "a mechanism is missing" in said


def test_statistics_of_a_log_are_numbers(log_folder: Path) -> None:
    log = Log.open(log_folder)
    own = log.catalogue()
    found = statistics(seen_in_log(log, own, brand_names(log_folder), None), own, [0, 1])
    assert len(found) >= 25
    assert found["visits a shopper"] >= 1.0
    assert 0.0 < found["Gini of items shown"] < 1.0


def fitted(log: Path, out: Path) -> None:
    fit_log(log, out, FitSettings(draws=20), SilentProgress())


def test_logs_that_cannot_be_fitted_are_refused(tiny: World, log_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="is not a log"):
        fitted(tmp_path / "nowhere", out)
    few = write_log(
        tiny, "tiny", named_policy("production", tiny.catalogue.public()), 3, shopper_range(30), tmp_path / "few"
    )
    with pytest.raises(UserError, match=r"(rows|shoppers); expected \d+ at least"):
        fitted(few, out)
    greedy = named_policy("production", tiny.catalogue.public()).with_exploration(0.0, 0.0)
    still = write_log(tiny, "tiny", greedy, 3, shopper_range(150), tmp_path / "still")
    with pytest.raises(UserError, match="never move"):
        fitted(still, out)
    with pytest.raises(UserError, match="Did you mean 'cascade'"):
        fit_log(log_folder, out, FitSettings(click_model="casade", draws=20), SilentProgress())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few", "still"]
    out.mkdir()
    with pytest.raises(UserError, match="exists already"):
        fitted(log_folder, out)


@pytest.mark.slow
def test_a_fit_leaves_a_world_and_a_run_that_can_be_drawn(log_folder: Path, tmp_path: Path) -> None:
    from reports import report
    from simenv.worlds import load_world

    out = tmp_path / "fit"
    fitted(log_folder, out)
    facts = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert facts["kind"] == "fit"
    world = load_world(str(out / "world.toml"))
    assert world.params.digest() == facts["hashes"]["world"]
    assert world.params.n_slots == 3
    page = report(out).read_text(encoding="utf-8")
    assert "Posterior predictive check" in page
    assert facts["finding"].split(";")[0] in page
    assert {path.name for path in out.iterdir()} >= {"world.toml", "run.json", "tables", "figures"}
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


def test_a_log_whose_pages_the_market_fills_in_part_is_refused(tmp_path: Path) -> None:
    """Its slots are not the places of the page, so attention by slot would be read off wrongly."""
    world = make_world(dataclasses.replace(WORLDS["tiny"], house=HouseSlots(sponsored=(0,))))
    ranker = named_policy("production", world.catalogue.public())
    write_log(world, "tiny", ranker, SEED, shopper_range(20), tmp_path / "log")
    with pytest.raises(UserError, match="fills 1 places itself"):
        fit_log(tmp_path / "log", tmp_path / "fit", FitSettings(), SilentProgress())
    assert not (tmp_path / "fit").exists()

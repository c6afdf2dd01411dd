"""Open Bandit logs: equality with independently computed references, and errors that name the row.

The references were computed with the Open Bandit Pipeline 0.5.7 on the same files (its smoothed click rates for the
direct and doubly robust ones); they are printed with 8 significant digits or more.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.obd import find_csv, read_impressions, read_obd, read_table
from simenv.errors import UserError

# behaviour, campaign, target -> ips, snips, dm, dr, effective rows, mean weight, largest weight
REFERENCE = {
    ("random", "all", "bts"): (
        0.004566904, 0.0047906024861338985, 0.004496499567536535, 0.00465357094578644,
        1643.1949330327693, 0.953304728, 19.57352,
    ),
    ("random", "men", "bts"): (
        0.0045426788, 0.004613508072993415, 0.0046398109389651256, 0.004643248003369,
        2471.1605911624665, 0.9846474154, 10.68331,
    ),
    ("bts", "men", "random"): (
        0.0030086263272564836, 0.003189423162277392, 0.005042228834238238, 0.0027491936578996666,
        655.7098495873154, 0.9433136257492369, 178.25311942959001,
    ),
    ("random", "men", "random"): (
        0.0046, 0.0046, 0.004573887721146841, 0.004569458860825858, 10000.0, 1.0, 1.0,
    ),
    ("bts", "men", "bts"): (
        0.0042401896226293, 0.004460884104093258, 0.005932144891979727, 0.004325004900501152,
        1374.34633417434, 0.9505267394726852, 112.33211678832117,
    ),
}  # fmt: skip
HEADER = ",timestamp,item_id,position,click,propensity_score"


def table_path(data: Path, campaign: str) -> Path:
    return data / "obd" / "derived" / f"bts_action_dist_{campaign}_seed12345_nsim1000000.csv"


def with_smoothed_rates(evidence: Evidence, log: Path, table: np.ndarray) -> Evidence:
    """The reference's reward model: (clicks + 10 m) / (rows + 10) by item and position, m the mean click."""
    seen = read_impressions(log)
    cell = (seen.item, seen.position - 1)
    clicked, shown = np.zeros(table.shape), np.zeros(table.shape)
    np.add.at(clicked, cell, seen.click)
    np.add.at(shown, cell, 1.0)
    rate = (clicked + 10.0 * seen.click.mean()) / (shown + 10.0)
    return replace(evidence, q_logged=rate[cell][:, None], q_target=(table * rate).sum(axis=0)[cell[1]])


@pytest.mark.parametrize("case", REFERENCE, ids=" ".join)
def test_estimates_equal_the_reference(real_data: Path, case: tuple[str, str, str]) -> None:
    behaviour, campaign, policy = case
    log = real_data / "obd" / behaviour / campaign
    bts = read_table(table_path(real_data, campaign))
    table = bts if policy == "bts" else np.full(bts.shape, 1.0 / len(bts))
    evidence = read_obd(log, table_path(real_data, campaign) if policy == "bts" else "uniform")
    found = evaluate(with_smoothed_rates(evidence, find_csv(log), table), ["ips", "snips", "dm", "dr"])
    *values, effective_rows, mean_weight, max_weight = REFERENCE[case]
    assert [one.interval.value for one in found] == pytest.approx(values, abs=1e-10)
    seen = found[0].diagnostics
    assert seen.effective_rows == pytest.approx(effective_rows, rel=1e-9)
    assert seen.mean_weight == pytest.approx(mean_weight, rel=1e-9)
    assert seen.max_weight_share == pytest.approx(max_weight / (10_000 * mean_weight), rel=1e-9)


def test_five_effective_positives_are_not_to_be_used(real_data: Path) -> None:
    evidence = read_obd(real_data / "obd" / "random" / "all", table_path(real_data, "all"))
    for one in evaluate(evidence):
        assert one.verdict.word == "do not use"
        assert one.verdict.reasons[0].startswith("4.8 effective positives")
        assert one.estimand == "value per impression over the logger's contexts"
        assert one.cluster == "row"
        assert one.rows == 10_000


def test_a_real_log_without_shoppers_is_at_most_caution(real_data: Path) -> None:
    for behaviour in ("random", "bts"):
        for target in (table_path(real_data, "men"), "uniform"):
            for one in evaluate(read_obd(real_data / "obd" / behaviour / "men", target)):
                assert one.verdict.word == "caution"


def test_item_position_estimates_coincide_on_single_slots(real_data: Path) -> None:
    evidence = read_obd(real_data / "obd" / "random" / "men", table_path(real_data, "men"))
    by_name = {one.estimator: one.interval for one in evaluate(evidence, ["ips", "ips-item", "snips", "snips-item"])}
    assert by_name["ips"] == by_name["ips-item"]
    assert by_name["snips"] == by_name["snips-item"]


def test_the_folder_of_the_data_set_is_enough_where_the_table_tells_the_campaign(real_data: Path) -> None:
    root = real_data / "obd"
    assert find_csv(root, n_items=80) == root / "random" / "all" / "all.csv"
    assert find_csv(root, "bts", "men") == root / "bts" / "men" / "men.csv"
    assert find_csv(root / "bts", n_items=34) == root / "bts" / "men" / "men.csv"
    with pytest.raises(UserError, match="does not say which log"):
        find_csv(root)
    with pytest.raises(UserError, match="of campaign women to read"):
        find_csv(root, campaign="women")


def small_log(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "log.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def small_table(folder: Path, text: str = "item_id,position_1\n0,0.25\n1,0.75\n") -> Path:
    path = folder / "table" / "table.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


GOOD = ["0,2019-11-24,0,1,0,0.5", "1,2019-11-24,1,1,1,0.5", "2,2019-11-24,1,1,1,0.25"]


def test_a_small_log_by_hand(tmp_path: Path) -> None:
    small_log(tmp_path, GOOD)
    ips = evaluate(read_obd(tmp_path, small_table(tmp_path)), ["ips"])[0]
    assert ips.interval.value == pytest.approx((0.75 / 0.5 + 0.75 / 0.25) / 3, rel=1e-12)
    uniform = evaluate(read_obd(tmp_path / "log.csv", "uniform"), ["ips"])[0]
    assert uniform.interval.value == pytest.approx((0.5 / 0.5 + 0.5 / 0.25) / 3, rel=1e-12)


def test_an_item_that_the_target_never_shows_weighs_nothing(tmp_path: Path) -> None:
    evidence = read_obd(small_log(tmp_path, GOOD), small_table(tmp_path, "item_id,position_1\n0,1\n1,0\n"))
    assert evidence.target.logp[:, 0].tolist() == [0.0, -np.inf, -np.inf]
    assert evaluate(evidence, ["snips"])[0].interval.value == 0.0


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1,x,1,1,1,1.3", r"log row 1: propensity is 1.3; expected 0 < p <= 1. Was log-prob.*\(log.csv, line 3\)"),
        ("1,x,1,1,1,-0.7", "log row 1: propensity is -0.7"),
        ("1,x,1,1,1,nan", "log row 1: propensity is nan"),
        ("1,x,1,1,1,0", "log row 1: propensity is 0"),
        ("1,x,1,1,2,0.5", "log row 1: click is 2"),
        ("1,x,-1,1,1,0.5", "log row 1: item_id is -1"),
        ("1,x,1,0,1,0.5", "log row 1: position is 0"),
        ("1,x,1,2,1,0.5", "log row 1: position is 2; expected a position of the target table, 1 to 1"),
        ("1,x,9,1,1,0.5", "log row 1: item_id is 9; expected an item of the target table, 0 to 1"),
        ("1,x,one,1,1,0.5", "log.csv: .*Row #3.*'one'"),
        ("1,x,1,1,1,", "log.csv: .*Row #3"),
        ("1,x,1,1", "log.csv: .*Row #3.*Expected 6 columns, got 4"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, complaint: str) -> None:
    log = small_log(tmp_path, [GOOD[0], row, GOOD[2]])
    with pytest.raises(UserError, match=complaint):
        read_obd(log, small_table(tmp_path))


def test_the_column_name_of_the_read_me_is_understood_and_a_missing_column_is_named(tmp_path: Path) -> None:
    log = small_log(tmp_path, GOOD, HEADER.replace("propensity_score", "action_prob"))
    assert read_impressions(log).propensity.tolist() == [0.5, 0.5, 0.25]
    with pytest.raises(UserError, match=r"log\.csv has no column position, propensity_score"):
        read_impressions(small_log(tmp_path, GOOD, ",timestamp,item_id,place,click,p"))
    with pytest.raises(UserError, match="has a header and no row"):
        read_impressions(small_log(tmp_path, []))
    with pytest.raises(UserError, match="does not exist"):
        read_obd(tmp_path / "nowhere", "uniform")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("item_id,position_1\n0,0.25\n1,0.7\n", "position_1 sums to 0.95; expected 1"),
        ("item_id,position_1\n0,0.25\n0,0.75\n", "line 3: item 0; expected each item 0 to 1 once"),
        ("item_id,position_1\n0,0.25\n2,0.75\n", "line 3: item 2; expected each item 0 to 1 once"),
        ("item_id,position_1\n0,-0.25\n1,1.25\n", "line 2: .* expected 1 probabilities"),
        ("item_id,position_1\n0,a\n1,1.25\n", "line 2: could not convert"),
        ("item_id,position_1\n0,0.5,0.5\n1,0.5\n", "line 2: .* expected 1 probabilities"),
        ("item,position_1\n0,1\n", "expected item_id, position_1"),
        ("", "expected item_id, position_1"),
    ],
)
def test_a_bad_target_table_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        read_table(small_table(tmp_path, text))


def test_a_missing_target_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; give a csv"):
        read_obd(small_log(tmp_path, GOOD), tmp_path / "no.csv")

"""Logs by their mapping: every layout and kind gives the same numbers, and what is wrong is named with its row."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.readers.mapped import read_mapped
from offpolicy.readers.mapping_file import mapping_of, read_mapping
from offpolicy.readers.reading import Reading, with_caveats
from simenv.errors import UserError
from simenv.propensity import Conditional

PAIR = ["ips", "snips"]


def put(folder: Path, columns: dict[str, Any], name: str = "log.parquet") -> Path:
    frame = pd.DataFrame(columns)
    path = folder / name
    if name.endswith(".csv"):
        frame.to_csv(path, index=False)
    elif name.endswith(".jsonl"):
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return path


def values(reading: Reading, names: list[str] = PAIR) -> list[float]:
    return [one.interval.value for one in evaluate(reading.evidence["clicks"], names)]


def expected(log: Any) -> list[float]:
    """The same estimates from the columns themselves."""
    evidence = Evidence(
        reward=log.click, logger=Conditional(np.log(log.p)), target=Conditional(np.log(log.q)), cluster=log.shopper
    )
    return [one.interval.value for one in evaluate(evidence, PAIR)]


@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.jsonl"])
def test_a_wide_log_reads_alike_from_every_kind_of_file(tmp_path: Path, log: Any, wide: Any, name: str) -> None:
    reading = read_mapped(put(tmp_path, log.wide(), name), mapping_of(wide))
    assert values(reading) == pytest.approx(expected(log), rel=1e-9)  # text files hold 10 digits or more
    evidence = reading.evidence["clicks"]
    assert evidence.cluster_name == "shopper"
    assert np.array_equal(evidence.cluster, log.shopper)


def test_shuffled_rows_of_a_long_log_change_nothing(tmp_path: Path, log: Any, wide: Any) -> None:
    order = np.random.default_rng(1).permutation(log.item.size)
    long = wide | {
        "layout": "long",
        "columns": {"shopper": "user", "page": "page", "slot": "slot", "action": "item"},
        "rewards": {"clicks": "click"},
        "propensity": wide["propensity"] | {"columns": "p"},
        "target": wide["target"] | {"columns": "q"},
    }
    reading = read_mapped(put(tmp_path, log.long(order), "log.csv"), mapping_of(long))
    assert values(reading) == pytest.approx(expected(log), rel=1e-9)


def test_prefix_log_and_whole_propensities_give_what_conditionals_give(tmp_path: Path, log: Any, wide: Any) -> None:
    columns = log.wide()
    for k in range(2):
        columns[f"lq_{k}"] = np.log(log.q[:, k])
    path = put(tmp_path, columns)
    logs = {"columns": ["lq_0", "lq_1"], "kind": "conditional", "scale": "log"}
    prefix = {"columns": ["p_prefix_0", "p_prefix_1"], "kind": "prefix", "scale": "probability"}
    mixed = read_mapped(path, mapping_of(wide | {"propensity": prefix, "target": logs}))
    assert values(mixed) == pytest.approx(expected(log), rel=1e-9)
    assert mixed.evidence["clicks"].n_slots == 2
    whole = {"columns": "p_whole", "kind": "whole", "scale": "probability"}
    page = read_mapped(path, mapping_of(wide | {"propensity": whole}))
    assert values(page) == pytest.approx(expected(log), rel=1e-9)
    assert page.evidence["clicks"].n_slots == 1


def test_marginals_are_read_slot_by_slot_and_nothing_else_may_run(tmp_path: Path, log: Any, wide: Any) -> None:
    chances = {
        role: {"columns": [f"{letter}_marginal_0", f"{letter}_marginal_1"], "kind": "marginal", "scale": "probability"}
        for role, letter in (("propensity", "p"), ("target", "q"))
    }
    reading = read_mapped(put(tmp_path, log.wide()), mapping_of(wide | chances))
    weight = log.q_marginal / log.p_marginal
    assert values(reading, ["ips-item"]) == pytest.approx([(weight * log.click).mean()], rel=1e-12)
    assert reading.evidence["clicks"].unit == "slot"
    assert reading.estimators(None) == ["ips-item", "snips-item"]
    with pytest.raises(UserError, match=r"'dr' is refused: .*only marginal propensities"):
        reading.estimators(["dr"])
    told = with_caveats(evaluate(reading.evidence["clicks"], ["ips-item"]), reading.caveats)[0].verdict
    assert told.word != "trust"
    assert any("unchecked" in reason for reason in told.reasons)
    page = wide | chances | {"rewards": {"clicks": "total"}}
    with pytest.raises(UserError, match="is of the whole page and propensities are marginal"):
        read_mapped(tmp_path / "log.parquet", mapping_of(page))


def test_conditionals_called_marginals_are_refused_and_marginals_called_conditionals_doubted(
    tmp_path: Path, log: Any, wide: Any
) -> None:
    path = put(tmp_path, log.wide())
    wrong = {role: wide[role] | {"kind": "marginal"} for role in ("propensity", "target")}
    with pytest.raises(UserError, match=r'says kind = "marginal", but .* these are conditionals'):
        read_mapped(path, mapping_of(wide | wrong))
    assert read_mapped(path, mapping_of(wide | wrong | {"kind_is_certain": True})).only
    other = {
        role: wide[role] | {"columns": [f"{letter}_marginal_0", f"{letter}_marginal_1"]}
        for role, letter in (("propensity", "p"), ("target", "q"))
    }
    assert "as marginals" in read_mapped(path, mapping_of(wide | other)).caveats[0].text
    assert read_mapped(path, mapping_of(wide)).caveats == ()
    falling = {"propensity": wide["propensity"] | {"kind": "prefix"}}
    with pytest.raises(UserError, match=r"log.parquet, row \d+, slot 2: .*rises .* never rise"):
        read_mapped(path, mapping_of(wide | falling))


def test_several_rewards_and_one_of_the_whole_page(tmp_path: Path, log: Any, wide: Any) -> None:
    wide["rewards"]["total"] = "total"
    reading = read_mapped(put(tmp_path, log.wide()), mapping_of(wide))
    assert list(reading.evidence) == ["clicks", "total"]
    one, other = (evaluate(reading.evidence[name], ["ips"])[0].interval.value for name in ("clicks", "total"))
    assert one == pytest.approx(other, rel=1e-12)
    assert (reading.evidence["total"].reward[:, 0] == 0.0).all()


def test_a_function_says_what_its_numbers_are(tmp_path: Path, log: Any, wide: Any) -> None:
    del wide["target"]
    path = put(tmp_path, log.wide())
    mapping = mapping_of(wide)
    assert read_mapped(path, mapping).target_missing

    def policy(columns: Any) -> dict[str, Any]:
        return {"logp_conditional": np.log(np.stack([columns["q_0"], columns["q_1"]], axis=1))}

    assert values(read_mapped(path, mapping, policy)) == pytest.approx(expected(log), rel=1e-12)
    for answer, complaint in (
        (lambda _: 1 / 0, "'f' failed with ZeroDivisionError"),
        (lambda _: [1.0], "returned a list; expected a dictionary"),
        (lambda _: {"probability": [1.0]}, "no answer of policy 'f' 'probability'"),
        (lambda _: {"p_whole": [0.5]}, r"p_whole has shape \(1,\) for 400 rows"),
        (lambda c: {"p_conditional": c["q_0"]}, "expected 2 numbers a row"),
        (lambda c: {"p_whole": c["q_0"] + 1.0}, r"row 0: policy 'f' p_whole is 1\.\d+; expected 0 < p <= 1"),
        (lambda c: {"p_whole": -c["q_0"]}, "Was a log-probability written"),
    ):
        with pytest.raises(UserError, match=complaint):
            read_mapped(path, mapping, answer, "f")


def single(rows: int = 60) -> tuple[dict[str, Any], dict[str, Any]]:
    """A log of one action a row with both policies' tables, and its mapping."""
    rng = np.random.default_rng(0)
    a = rng.uniform(0.2, 0.8, rows)
    taken = np.where(rng.random(rows) < a, "x", "y")
    columns = {
        "user": np.arange(rows) // 2, "taken": taken, "pa": a, "pb": 1 - a, "p": np.where(taken == "x", a, 1 - a),
        "ta": np.full(rows, 0.9), "tb": np.full(rows, 0.1), "won": rng.integers(0, 2, rows), "day": np.arange(rows),
    }  # fmt: skip
    return columns, {
        "layout": "single",
        "columns": {"shopper": "user", "action": "taken"},
        "rewards": {"clicks": "won"},
        "propensity": {"columns": "p", "scale": "probability"},
        "actions": {"values": ["x", "y"], "logger": ["pa", "pb"], "target": ["ta", "tb"]},
    }


def test_tables_of_all_actions_fill_the_evidence(tmp_path: Path) -> None:
    columns, given = single()
    reading = read_mapped(put(tmp_path, columns), mapping_of(given))
    weight = np.where(columns["taken"] == "x", 0.9, 0.1) / columns["p"]
    assert values(reading) == pytest.approx(
        [(weight * columns["won"]).mean(), (weight * columns["won"]).sum() / weight.sum()], rel=1e-12
    )
    evidence = reading.evidence["clicks"]
    assert evidence.actions is not None
    a, own = columns["pa"], columns["p"]
    entropy = -(a * np.log(a) + (1 - a) * np.log(1 - a))
    assert evidence.score_residual == pytest.approx(np.log(own) + entropy, abs=1e-12)
    given["columns"]["logger"] = "shift"
    columns["shift"] = ["day"] * 20 + ["night"] * 40
    moment = read_mapped(put(tmp_path, columns), mapping_of(given)).evidence["clicks"].second_moment
    assert moment is not None
    assert moment[0] == pytest.approx((0.81 / columns["pa"][:20] + 0.01 / columns["pb"][:20]).mean(), rel=1e-12)


@pytest.mark.parametrize("kind", ["conditional", "prefix", "marginal", "whole"])
def test_with_one_slot_all_kinds_are_one(tmp_path: Path, kind: str) -> None:
    columns, given = single()
    given["propensity"]["kind"] = kind
    reading = read_mapped(put(tmp_path, columns), mapping_of(given))
    assert reading.only == ()
    assert reading.evidence["clicks"].unit == "action"


def test_a_target_beyond_the_logger_is_told_in_the_verdict(tmp_path: Path) -> None:
    columns, given = single()
    columns["pa"][:30], columns["pb"][:30], columns["p"][:30], columns["taken"][:30] = 0.0, 1.0, 1.0, "y"
    reading = read_mapped(put(tmp_path, columns), mapping_of(given))
    estimate = with_caveats(evaluate(reading.evidence["clicks"], ["ips"]), reading.caveats)[0]
    assert estimate.verdict.word == "do not use"
    assert any("what the logger never could in 45.00%" in reason for reason in estimate.verdict.reasons)


BAD_CELLS = [
    ("p_1", 7, 0.0, r"log.parquet, row 7, slot 2: propensity \(p_0, p_1\) is 0, but the logger showed this"),
    ("p_1", 7, 1.3, "row 7, slot 2: .* is 1.3; expected 0 < p <= 1. Was a percentage"),
    ("p_1", 7, np.nan, "row 7, slot 2: .* is missing or not a number"),
    ("p_0", 7, -0.4, 'row 7, slot 1: .* is -0.4; .*Was a log-probability written. Then say scale = "log"'),
    ("q_0", 9, 2.0, r"row 9, slot 1: target \(q_0, q_1\) is 2"),
    ("click_1", 3, np.inf, "row 3, slot 2: click_0, click_1 .role 'rewards.clicks'. is inf"),
    ("click_0", 3, np.nan, "row 3, slot 1: .* is missing"),
    ("item_0", 5, None, "row 5, slot 1: it is empty and the slot below is not"),
    ("item_1", 5, None, "row 5, slot 2: clicks is 1 where nothing was shown"),
    ("user", 6, None, "row 6: user .role 'shopper'. is missing"),
]


@pytest.mark.parametrize(("name", "row", "value", "complaint"), BAD_CELLS)
def test_a_bad_cell_is_named_by_file_and_row(
    tmp_path: Path, log: Any, wide: Any, name: str, row: int, value: Any, complaint: str
) -> None:
    log.click[5, 1] = 1.0
    columns = log.wide()
    columns[name] = pd.Series(columns[name])
    columns[name][row] = value
    with pytest.raises(UserError, match=complaint):
        read_mapped(put(tmp_path, columns), mapping_of(wide))


def test_probabilities_given_as_logarithms_are_named(tmp_path: Path, log: Any, wide: Any) -> None:
    wide["propensity"]["scale"] = "log"
    with pytest.raises(UserError, match=r'row 0, slot 1: .*Was a probability written. Then say scale = "probability"'):
        read_mapped(put(tmp_path, log.wide()), mapping_of(wide))


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("pa", -0.5, "row 4: .*gives an action probability -0.5"),
        ("pa", 0.95, "row 4: .*action probabilities sum to"),
        ("tb", 0.3, "row 4: .*target's action probabilities sum to 1.2"),
        ("p", 0.123, r"row 4: propensity is 0.123, but \[actions\] logger gives"),
        ("taken", "z", "row 4: action is 'z'; expected one of"),
    ],
)
def test_bad_tables_of_actions_are_named(tmp_path: Path, column: str, value: Any, complaint: str) -> None:
    columns, given = single()
    columns[column][4] = value
    with pytest.raises(UserError, match=complaint):
        read_mapped(put(tmp_path, columns), mapping_of(given))


def test_an_empty_slot_is_not_a_bad_one(tmp_path: Path, log: Any, wide: Any) -> None:
    columns = log.wide()
    for name in ("item_1", "p_1", "q_1", "click_1"):
        columns[name] = pd.Series(columns[name])
        columns[name][:40] = None
    reading = read_mapped(put(tmp_path, columns), mapping_of(wide))
    assert (reading.evidence["clicks"].logger.logp[:40, 1] == 0.0).all()


def test_doubled_rows_are_refused_where_pages_have_ids_and_told_where_not(tmp_path: Path, log: Any, wide: Any) -> None:
    frame = pd.DataFrame(log.wide())
    doubled = {name: list(column) for name, column in pd.concat([frame, frame[7:8]]).items()}
    wide["columns"]["page"] = "page"
    with pytest.raises(UserError, match=r"row 400: page 7 .role 'page'. was seen before"):
        read_mapped(put(tmp_path, doubled), mapping_of(wide))
    del wide["columns"]["page"]
    wide["columns"]["time"] = "page"
    assert "1 pages repeat the user, time and action" in read_mapped(
        tmp_path / "log.parquet", mapping_of(wide)
    ).caveats[0].text  # fmt: skip


def test_slots_of_a_long_page_are_all_there_and_once(tmp_path: Path, log: Any, wide: Any) -> None:
    columns = log.long(np.arange(log.item.size))
    given = {
        "layout": "long",
        "columns": {"shopper": "user", "page": "page", "slot": "slot", "action": "item"},
        "rewards": {"clicks": "click"},
        "propensity": wide["propensity"] | {"columns": "p"},
    }
    for row, slot, complaint in (
        (9, 1, r"row 9: slot 1 of this page was seen before, in log.parquet, row 8"),
        (9, 3, "row 9: its page has slot 3 and not slot 2"),
        (9, 1.5, "row 9: page or slot is missing or no slot number"),
    ):
        slots = columns["slot"].astype(float)
        slots[row] = slot
        with pytest.raises(UserError, match=complaint):
            read_mapped(put(tmp_path, columns | {"slot": slots}), mapping_of(given))
    users = list(columns["user"])
    users[9] = "somebody else"
    with pytest.raises(UserError, match=r"row 9: user .* differs from the first row of its page"):
        read_mapped(put(tmp_path, columns | {"user": users}), mapping_of(given))


def test_logs_without_weights_say_so_and_refuse_counterfactual_estimators(tmp_path: Path, log: Any, wide: Any) -> None:
    del wide["propensity"]
    reading = read_mapped(put(tmp_path, log.wide()), mapping_of(wide))
    with pytest.raises(UserError, match=r"'ips' is refused: no counterfactual weight exists .*From now on log"):
        reading.estimators(["ips"])
    assert reading.estimators(["dm"]) == ["dm"]
    columns = log.wide() | {"one": np.ones(400)}
    wide["propensity"] = {"columns": "one", "kind": "whole", "scale": "probability"}
    assert "deterministic" in read_mapped(put(tmp_path, columns), mapping_of(wide)).no_weight


def test_what_cannot_be_divided_is_not(tmp_path: Path, log: Any, wide: Any) -> None:
    wide["target"] = {"columns": ["q_marginal_0", "q_marginal_1"], "kind": "marginal", "scale": "probability"}
    with pytest.raises(UserError, match="logger's propensities are conditional, the target's marginal"):
        read_mapped(put(tmp_path, log.wide()), mapping_of(wide))


def test_segments_times_features_and_loggers_travel(tmp_path: Path, log: Any, wide: Any) -> None:
    n = len(log.item)
    columns = log.wide() | {
        "locale": ["de", None] * (n // 2), "at": ["2024-12-10T00:01:29Z"] * n, "age": np.arange(n),
        "who": ["a", "b"] * (n // 2),
    }  # fmt: skip
    wide["columns"] |= {"segments": ["locale"], "time": "at", "features": ["age"], "logger": "who"}
    evidence = (reading := read_mapped(put(tmp_path, columns), mapping_of(wide))).evidence["clicks"]
    assert evidence.segments["locale"][:2].tolist() == ["de", "(none)"]
    assert reading.caveats[0].rank == 0
    assert evidence.time is not None
    assert evidence.time[0] == 1733788889 * 1_000_000
    assert evidence.stratum is not None
    assert evidence.features is not None
    assert evidence.feature_names == ("age",)
    columns["at"][5] = "yesterday"
    with pytest.raises(UserError, match=r"row 5: at .role 'time'. is 'yesterday'"):
        read_mapped(put(tmp_path, columns), mapping_of(wide))


BAD_MAPPINGS = [
    ("layout = 'tall'", "no layout 'tall'"),
    ("rewards = {}\nlayout = 'wide'", "no reward is named"),
    ("layout = 'wide'\nsurprise = 1", "no key 'surprise'"),
    ("layout = 'wide'\n[rewards]\nc = 'c'", "neither columns.shopper nor columns.session"),
    ("layout = 'long'\n[rewards]\nc = 'c'", 'layout "long" needs columns.page'),
    (
        "layout = 'wide'\n[rewards]\nc = 'c'\n[propensity]\ncolumns = ['p']\nscale = 'log'",
        "propensity.kind is not said",
    ),
    (
        "layout = 'wide'\n[rewards]\nc = 'c'\n[propensity]\ncolumns = ['p']\nkind = 'whole'",
        "propensity.scale is not said",
    ),
    ("layout = 'wide'\nunit = 3\n[rewards]\nc = 'c'", "unit is 3; expected text"),
    ("layout = ", "is no TOML"),
]


@pytest.mark.parametrize(("text", "complaint"), BAD_MAPPINGS)
def test_a_bad_mapping_is_refused_before_any_row_is_read(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=complaint):
        read_mapping(path)


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path, log: Any, wide: Any) -> None:
    wide["columns"]["shopper"] = "usr"
    with pytest.raises(UserError, match=r"role 'shopper' asks for it: there is no column 'usr'. Did you mean 'user'"):
        read_mapped(put(tmp_path, log.wide()), mapping_of(wide))


def test_the_mappings_of_the_documentation_are_some() -> None:
    text = (Path(__file__).parents[3] / "docs" / "any-log.md").read_text(encoding="utf-8")
    table, ranker = (tomllib.loads(toml) for toml in re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL))
    assert list(mapping_of(table).rewards) == ["clicks", "revenue"]
    by_model = {name: part for name, part in table.items() if name != "target"} | ranker
    assert mapping_of(by_model).ranker is not None
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["shy"]({"s_1": np.ones(3), "s_2": np.ones(3)})["logp_conditional"].shape == (3, 2)

"""Logs of several loggers judged together: what each row weighs, whose rows they are, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import evaluate
from offpolicy.estimate import values
from offpolicy.rows import stack
from policies.ranking import RankingPolicy
from policies.registry import load_policy, named_policy
from scenarios.config import Estimation
from scenarios.evaluate import Evaluation, Wishes
from scenarios.evidence import join_log
from scenarios.progress import SilentProgress
from scenarios.several import Loggers, evaluate_several
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.world import World
from tests.scenarios.conftest import SEED

NAMES = ["ips", "mixture-ips", "weighted-ips"]


@pytest.fixture(scope="session")
def first_folder(tiny: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 shoppers under the production ranker."""
    policy, out = named_policy("production", tiny.catalogue.public()), tmp_path_factory.mktemp("logs") / "first"
    return write_log(tiny, "tiny", policy, SEED, shopper_range(60), out)


@pytest.fixture(scope="session")
def other_folder(tiny: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 other shoppers, with ids that the first log has too, under another ranker."""
    policy, out = named_policy("lexical", tiny.catalogue.public()), tmp_path_factory.mktemp("logs") / "other"
    return write_log(tiny, "tiny", policy, SEED + 1, shopper_range(40), out)


def sharper(catalogue: PublicCatalogue, n_slots: int) -> RankingPolicy:
    """Somebody's own ranker."""
    return named_policy("lexical", catalogue).with_exploration(0.7, 0.1)


def judged(*logs: Path, names: list[str] | None = NAMES, **loggers: str) -> Evaluation:
    settings = Estimation(estimators=names)
    return evaluate_several(Loggers(logs, loggers), "uniform", settings, 3, SilentProgress(), Wishes())


def by_name(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    return {row["estimator"]: dict(row) for row in evaluation.rows}


def in_one_folder(folder: Path, *logs: Path) -> Path:
    """The rows of several logs in one folder."""
    shutil.copytree(logs[0], folder)
    rows = 0
    for number, log in enumerate(logs):
        table = pa.concat_tables([pq.read_table(part) for part in sorted(log.glob("part-*.parquet"))])
        pq.write_table(table, folder / f"part-{number:05d}.parquet")
        rows += table.num_rows
    manifest = json.loads((folder / "log.json").read_text())
    (folder / "log.json").write_text(json.dumps(manifest | {"rows": rows}))
    return folder


def test_the_naive_estimate_is_that_of_each_log_by_its_rows(first_folder: Path, other_folder: Path) -> None:
    both = by_name(judged(first_folder, other_folder))
    policy = load_policy("uniform", Log.open(first_folder).catalogue(), 3)
    alone = [
        join_log(Log.open(log), {"uniform": policy}, None, Estimation(), 3, lambda rows: None).evidence["uniform"]
        for log in (first_folder, other_folder)
    ]
    rows = sum(one.n_rows for one in alone)
    assert both["ips"]["rows"] == rows
    value = sum(values(one, ["ips"])["ips"] * one.n_rows for one in alone) / rows
    assert both["ips"]["value"] == pytest.approx(value, rel=1e-12)
    # Shoppers of two seeds are two people under one id.
    expected = evaluate(stack([alone[0], replace(alone[1], cluster=alone[1].cluster + 10**6)]), ["ips"])[0]
    assert both["ips"]["stderr"] == pytest.approx(expected.interval.stderr, rel=1e-12)
    assert both["mixture-ips"]["effective_rows"] > both["ips"]["effective_rows"]
    assert abs(both["mixture-ips"]["mean_weight_z"]) < 4.0  # a sound log, one look
    assert both["weighted-ips"]["value"] != both["ips"]["value"]


def test_loggers_that_rank_alike_weigh_a_row_as_one(first_folder: Path, tiny: World, tmp_path: Path) -> None:
    policy = named_policy("production", tiny.catalogue.public())
    again = write_log(tiny, "tiny", policy, SEED + 2, shopper_range(20), tmp_path / "again")
    found = by_name(judged(first_folder, again))
    # logged scores are float32: log-probabilities agree to some 1e-6
    assert found["mixture-ips"]["value"] == pytest.approx(found["ips"]["value"], rel=1e-5)


def test_rows_of_several_loggers_in_one_folder_are_told_apart(
    first_folder: Path, other_folder: Path, tmp_path: Path
) -> None:
    apart = by_name(judged(first_folder, other_folder, names=["mixture-ips"]))
    mixed = in_one_folder(tmp_path / "mixed", first_folder, other_folder)
    together = judged(mixed, names=["mixture-ips"])
    assert by_name(together)["mixture-ips"]["value"] == pytest.approx(apart["mixture-ips"]["value"], rel=1e-12)
    assert any("'lexical'" in note and "'production'" in note for note in together.notes)


def test_a_logger_that_nobody_can_ask_again_leaves_naive_and_weighted(
    first_folder: Path, tiny: World, tmp_path: Path
) -> None:
    own = replace(sharper(tiny.catalogue.public(), 3), name="ours")
    log = write_log(tiny, "tiny", own, SEED + 3, shopper_range(20), tmp_path / "ours")
    usual = judged(first_folder, log, names=None)
    assert {"ips", "weighted-ips"} <= set(by_name(usual))
    assert "mixture-ips" not in by_name(usual)
    assert any("--logger ours=MODEL_FOLDER" in note for note in usual.notes)
    with pytest.raises(UserError, match=r"'mixture-ips' is refused: .*its logger 'ours'"):
        judged(first_folder, log)
    with pytest.raises(UserError, match="policy 'lexical' is not the logger 'ours' as it was: row 0"):
        judged(first_folder, log, ours="lexical")
    assert "mixture-ips" in by_name(judged(first_folder, log, ours="tests.scenarios.test_several:sharper"))


def test_the_name_of_a_learner_alone_asks_nobody_again(first_folder: Path, tiny: World, tmp_path: Path) -> None:
    own = replace(sharper(tiny.catalogue.public(), 3), name="linear")
    log = write_log(tiny, "tiny", own, SEED + 3, shopper_range(20), tmp_path / "linear")
    usual = judged(first_folder, log, names=None)
    assert {"ips", "weighted-ips"} <= set(by_name(usual))
    assert any("--logger linear=MODEL_FOLDER" in note for note in usual.notes)


def test_a_logger_that_wrote_nothing_and_logs_of_two_markets_are_refused(
    first_folder: Path, other_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"--logger 'linear' wrote no row; .* lexical, production"):
        judged(first_folder, other_folder, linear="uniform")
    copy = tmp_path / "copy"
    shutil.copytree(other_folder, copy)
    table = pq.read_table(copy / "catalogue.parquet")
    pq.write_table(table.take(list(range(table.num_rows))[::-1]), copy / "catalogue.parquet")
    with pytest.raises(UserError, match="have different catalogues"):
        judged(first_folder, copy)

"""BC and MARWIL from a log: reading, returns, batches, training by steps. None of it starts Ray."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from policies.learning import in_half
from policies.registry import named_policy
from simenv.errors import UserError
from simenv.log import Log
from simenv.log.write import write_log
from simenv.play import shopper_range
from simenv.world import make_world
from simenv.worlds import load_world

pytestmark = pytest.mark.ray
PART = "part-00000.parquet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 300 shoppers of a market with 7 candidates a query: third pages have too few to fill 3 slots."""
    params = dataclasses.replace(load_world("tiny").params, n_candidates=7)
    world = make_world(params)
    production = named_policy("production", world.catalogue.public())
    return write_log(world, "tiny", production, 5, shopper_range(300), tmp_path_factory.mktemp("offline") / "log")


def changed(folder: Path, out: Path, change: Any) -> Path:
    """A copy of a log with one table changed."""
    shutil.copytree(folder, out)
    table = change(pq.read_table(folder / PART))
    pq.write_table(table, out / PART)
    manifest = (out / "log.json").read_text(encoding="utf-8")
    rows = Log.open(folder).n_rows
    (out / "log.json").write_text(manifest.replace(f'"rows": {rows}', f'"rows": {len(table)}'), encoding="utf-8")
    return out


def with_column(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """The table with one plain column exchanged."""
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def trainer(folder: Path, policy: str = "marwil-slate", **settings: Any) -> Any:
    """Of the learning half of a log, two passes in small batches."""
    from policies.rllib.offline_training import offline_trainer
    from policies.rllib.trainer import Assignment

    given = {"passes": 2, "batch": 128, "hidden": 8, **settings}
    return offline_trainer(Assignment(policy, "tiny", 3, 0, (1.0, 0.01), given, log=Log.open(folder), half=0))


def test_returns_are_those_that_a_loop_adds_up() -> None:
    """Against one row after another; both in float64, hence 1e-12."""
    from policies.rllib.offline_data import discounted_returns

    rng = np.random.default_rng(0)
    reward, segment = rng.normal(size=200), np.sort(rng.integers(0, 40, 200))
    for gamma in (0.0, 0.7, 1.0):
        expected = reward.copy()
        for t in range(198, -1, -1):
            if segment[t] == segment[t + 1]:
                expected[t] += gamma * expected[t + 1]
        np.testing.assert_allclose(discounted_returns(reward, segment, gamma), expected, rtol=1e-12, atol=1e-12)
    assert len(discounted_returns(reward[:0], segment[:0], 0.5)) == 0


def test_a_page_is_credited_with_the_pages_after_it_and_the_last_one_with_itself_alone(folder: Path) -> None:
    """Rows as episodes of one step, which is how RLlib reads plain columns, would credit each with itself alone."""
    from policies.rllib.offline_data import Reading, windows

    log = Log.open(folder)
    rows = next(log.batches())
    own = rows.reward.sum(axis=1)
    pages = next(windows(log, Reading(returns="session", gamma=1.0)))
    assert len(pages) < log.n_rows  # some found nothing; those are not learned from
    session = rows.session[pages.row]
    total = np.bincount(np.searchsorted(np.unique(rows.session), rows.session), weights=own)
    first = np.flatnonzero(rows.step[pages.row] == 0)
    np.testing.assert_allclose(pages.returns[first], total[np.searchsorted(np.unique(rows.session), session[first])])
    last = rows.terminated[pages.row]
    np.testing.assert_allclose(pages.returns[last], own[pages.row][last])
    assert (pages.returns != own[pages.row]).mean() > 0.05


def test_a_shoppers_return_goes_on_over_visits_up_to_the_horizon(folder: Path) -> None:
    from policies.rllib.offline_data import Reading, windows

    log = Log.open(folder)
    rows = next(log.batches())
    assert rows.truncated.any()  # somebody would have come back; what was cut off counts for nothing
    pages = next(windows(log, Reading(returns="shopper", gamma=1.0)))
    total = np.bincount(rows.page.shopper, weights=rows.reward.sum(axis=1))
    _, first = np.unique(pages.shopper, return_index=True)
    begins = rows.page.visit[pages.row[first]] + rows.step[pages.row[first]] == 0
    np.testing.assert_allclose(pages.returns[first][begins], total[pages.shopper[first]][begins])


def test_windows_of_any_size_say_the_same(folder: Path) -> None:
    """A shopper is never split between two windows, also where a batch of rows ends in the middle of a session."""
    from policies.rllib.offline_data import Reading, count_pages, windows

    log, reading = Log.open(folder), Reading(half=0, returns="shopper", gamma=0.9)
    (whole,) = windows(log, reading)
    small = list(windows(log, reading, batch=37))
    assert len(small) > 3
    for name in ("row", "returns", "slate", "observation"):
        joined = np.concatenate([getattr(each, name) for each in small])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    assert in_half(whole.shopper, 0).all()
    assert count_pages(log, 0) == len(whole)


def test_a_second_page_and_empty_slots_are_read_as_the_market_reads_them(folder: Path) -> None:
    """Candidates that earlier pages showed are holes: never drawn. An empty slot repeats the first one: an action."""
    from policies.rllib.distribution import slate_distribution
    from policies.rllib.offline import log_spaces
    from policies.rllib.offline_data import Reading, log_layout, windows

    log = Log.open(folder)
    rows = next(log.batches())
    pages = next(windows(log, Reading()))
    page = log_layout(log).page(torch.from_numpy(pages.observation))
    hole = page["candidates"] < 0
    later = torch.from_numpy(rows.page.page[pages.row] > 0)
    empty = (rows.slate[pages.row] < 0).any(axis=1)
    assert hole[later].any()
    assert empty.any()
    assert all(slate in log_spaces(log)[1] for slate in pages.slate[empty])
    scores = torch.from_numpy(rows.scores[pages.row]) / 0.7
    logp = slate_distribution(log.manifest["n_slots"], 0.02)(scores.masked_fill(hole, -torch.inf)).logp(
        torch.from_numpy(pages.slate)
    )
    # The logger's own scores give its logged propensities again: to float32's rounding of sums of a few logs.
    np.testing.assert_allclose(logp.numpy(), pages.logp, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.take(np.arange(len(table))[::-1].copy()), "stands out of order"),
        (lambda table: with_column(table, "terminated", np.zeros(len(table), dtype=bool)), "stops here without"),
        (
            lambda table: with_column(
                table, "terminated", np.append(table["terminated"].to_numpy()[:-1], False)
            ),
            "stops here without",
        ),
    ],
)  # fmt: skip
def test_a_log_whose_returns_nobody_knows_is_refused(folder: Path, tmp_path: Path, change: Any, message: str) -> None:
    from policies.rllib.offline_data import Reading, windows

    with pytest.raises(UserError, match=message):
        list(windows(Log.open(changed(folder, tmp_path / "log", change)), Reading()))


def test_each_pass_has_every_page_once_in_an_order_of_its_own(folder: Path) -> None:
    from policies.rllib.offline_data import Batches, Reading, windows

    log = Log.open(folder)
    batches = Batches(log, Reading(seed=4), windows, 64, passes=2)
    seen = []
    while (batch := batches.next()) is not None:
        assert 32 <= len(batch) <= 96  # dealt out evenly
        seen.append(batch.row)
    half = len(seen) // 2
    first, second = np.concatenate(seen[:half]), np.concatenate(seen[half:])
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    assert len(np.unique(first)) == len(first)


def test_the_loss_is_rllibs_own_where_no_weight_reaches_the_clip(folder: Path) -> None:
    """One update of both learners from the same weights; float32 sums over 128 pages, hence 1e-5."""
    from ray.rllib.algorithms.marwil.torch.marwil_torch_learner import MARWILTorchLearner
    from ray.rllib.core import DEFAULT_MODULE_ID

    from policies.rllib.offline import SlateMARWILConfig, learner_batch, log_spaces
    from policies.rllib.offline_data import Batches, windows

    found = {}
    for name, learner_class, clip in (("ours", None, 1e9), ("theirs", MARWILTorchLearner, 1e9), ("clipped", None, 1.0)):
        config = SlateMARWILConfig().offline_data(input_=folder, half=0).training(beta=1.0, weight_clip=clip)
        if learner_class is not None:
            config.training(learner_class=learner_class)
        learner = config.build_learner(spaces={DEFAULT_MODULE_ID: log_spaces(config.log())})
        batches = Batches(config.log(), config.reading(), windows, 128)
        for _ in range(2):
            pages = batches.next()
            assert pages is not None
            learner.update(batch=learner_batch(pages, batches), timesteps={"num_env_steps_sampled_lifetime": 1})
        found[name] = learner.module[DEFAULT_MODULE_ID].unwrapped().net.linear.weight.detach()
    torch.testing.assert_close(found["ours"], found["theirs"], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found["ours"], found["clipped"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("policy", [pytest.param("bc-slate", marks=pytest.mark.slow), "marwil-slate"])
def test_a_training_that_was_stopped_comes_to_the_same_weights(folder: Path, tmp_path: Path, policy: str) -> None:
    from policies.rllib.trainer import TrainerWatch, train_by_steps
    from policies.training import Plan

    whole = trainer(folder, policy)
    told = train_by_steps(whole, Plan(None, None), TrainerWatch())
    checkpoint, steps = tmp_path / "checkpoint", iter(range(1000))
    plan = Plan(None, None, checkpoint, 10**9, {"policy": policy})
    with pytest.raises(KeyboardInterrupt):
        train_by_steps(trainer(folder, policy), plan, TrainerWatch(stop=lambda: next(steps) == 4))
    again = trainer(folder, policy)
    assert train_by_steps(again, plan, TrainerWatch()) == told
    mine, theirs = again.scorer().tensors(), whole.scorer().tensors()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    np.testing.assert_array_equal(again.shoppers(), whole.shoppers())
    assert in_half(whole.shoppers(), 0).all()


def test_a_checkpoint_that_was_cut_short_is_refused(folder: Path, tmp_path: Path) -> None:
    from policies.rllib.trainer import TrainerWatch, train_by_steps
    from policies.training import Plan

    plan = Plan(None, None, tmp_path / "checkpoint", 10**9, {})
    with pytest.raises(KeyboardInterrupt):
        train_by_steps(trainer(folder), plan, TrainerWatch(stop=lambda: True))
    assert plan.checkpoint is not None
    plan.checkpoint.write_bytes(plan.checkpoint.read_bytes()[:-100])
    with pytest.raises(UserError, match="is damaged or by another version"):
        train_by_steps(trainer(folder), plan, TrainerWatch())


def test_wrong_settings_are_refused_in_words(folder: Path) -> None:
    from policies.rllib.offline import SlateBCConfig, SlateMARWILConfig
    from policies.rllib.offline_data import Reading
    from policies.rllib.offline_training import offline_trainer
    from policies.rllib.trainer import Assignment

    with pytest.raises(UserError, match="add --log LOG"):
        offline_trainer(Assignment("marwil-slate", "tiny", 0, 0, (1.0, 0.01)))
    with pytest.raises(UserError, match="beta is -1"):
        trainer(folder, beta=-1.0)
    with pytest.raises(UserError, match="weight_clip is 0"):
        trainer(folder, weight_clip=0.5)
    with pytest.raises(UserError, match="expected one of session, shopper"):
        trainer(folder, returns="visit")
    with pytest.raises(UserError, match="passes is 0"):
        trainer(folder, passes=0)
    with pytest.raises(UserError, match="no setting 'beta'"):
        trainer(folder, "bc-slate", beta=1.0)
    with pytest.raises(UserError, match="behaviour cloning has 0"):
        SlateBCConfig().offline_data(input_=folder).training(beta=1.0).validate()
    with pytest.raises(UserError, match="name a log"):
        SlateMARWILConfig().log()
    with pytest.raises(UserError, match="one local learner"):
        SlateMARWILConfig().offline_data(input_=folder).learners(num_learners=2).validate()
    with pytest.raises(UserError, match="gamma is 2"):
        Reading(gamma=2.0)


def test_the_python_of_the_docs_runs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "offline-rl.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    shutil.copytree(folder, tmp_path / "logs" / "production")
    monkeypatch.chdir(tmp_path)
    assert len(blocks) == 2
    for code in blocks:
        exec(code, {})
    assert capsys.readouterr().out.count("MultiDiscrete([7 7 7])") == 2

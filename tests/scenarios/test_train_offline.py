"""Imitation and SlateQ from a log by `slatelab train`: what it says, what it keeps, and whom nobody judges it on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.learning import in_half
from policies.persistence import LearnedFrom, load_model, save_model, shoppers_digest
from policies.registry import named_policy, new_learner
from scenarios.held_out import unseen_half
from scenarios.progress import SilentProgress
from scenarios.train import train_policy
from scenarios.training_job import Keeping
from simenv.errors import UserError
from simenv.log import Log
from simenv.log.write import write_log
from simenv.play import shopper_range
from simenv.world import World

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def folder(tiny: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    production = named_policy("production", tiny.catalogue.public())
    return write_log(tiny, "tiny", production, 8, shopper_range(150), tmp_path_factory.mktemp("offline") / "log")


@pytest.mark.parametrize("policy", ["marwil-slate", "slateq-offline"])
def test_a_model_from_a_log_says_of_whom_it_learned_and_is_judged_on_the_others(
    folder: Path, tiny: World, tmp_path: Path, policy: str
) -> None:
    """From `slatelab train` to a policy that ranks, with event files and no checkpoint left over."""
    import ray

    out, log = tmp_path / "model", Log.open(folder)
    keeping = Keeping(200, tmp_path / "events")
    train_policy("quick", policy, out, seed=1, log=folder, device="cpu", progress=SilentProgress(), keeping=keeping)
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    shoppers = log.shoppers()
    assert card["learned_from"]["log_hash"] == log.digest
    assert card["learned_from"]["half"] == 0
    assert card["learned_from"]["shoppers"] == shoppers_digest(shoppers[in_half(shoppers, 0)])
    assert unseen_half(str(out), log)[0] == 1
    assert load_model(out, tiny.catalogue.public(), 3).floor == card["floor"]
    assert list((tmp_path / "events").iterdir())
    assert not list(tmp_path.glob("*.checkpoint"))
    assert not ray.is_initialized()


def test_one_that_learned_from_all_shoppers_is_not_judged_on_any(folder: Path, tiny: World, tmp_path: Path) -> None:
    log = Log.open(folder)
    made = new_learner("bc-slate", tiny.catalogue.public(), 3, 0)
    save_model(made, tmp_path / "model", 3, LearnedFrom(log.digest, log.world_hash, log.seed, None, 10), {})
    with pytest.raises(UserError, match="learned from the shoppers of this log"):
        unseen_half(str(tmp_path / "model"), log)


def test_without_a_log_it_says_that_it_needs_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'bc-slate' imitates what a log shows, so it needs one: add --log LOG"):
        train_policy("quick", "bc-slate", tmp_path / "model", seed=1, log=None, device="cpu", progress=SilentProgress())
    assert not list(tmp_path.iterdir())

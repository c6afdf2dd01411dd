"""Parts of a ranker that have learned elsewhere: nobody is judged on their shoppers, nor gone on with by another's."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from pathlib import Path

import pytest
import torch

from policies.persistence import LearnedFrom, save_model
from policies.registry import new_learner
from policies.session.encoder import SessionNet, shape_for
from policies.session.saving import SESSION, save_session
from scenarios.config import Scenario
from scenarios.contest_cell import ContestCell
from scenarios.held_out import unseen_half
from scenarios.progress import Advance, SilentProgress
from scenarios.run import run_scenario
from scenarios.sweep import Cell, run_cell
from scenarios.train import train_policy
from scenarios.training_job import Keeping
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.log import Log
from simenv.world import World

ELSEWHERE = LearnedFrom("another log", "", 999, None, 10)
SCENARIO = """
title = "A test"
question = "Whose weights?"
world = "tiny"
baselines = []
logging = {{ shoppers = 40 }}
truth = {{ shoppers = 20, oracle_shoppers = 20 }}

[[learners]]
policy = "linear"
searches = 400
settings = {{ session = "{session}" }}
"""


class InterruptedAtOnce(SilentProgress):
    """A person who presses Ctrl-C when the first searches are told."""

    def task(self, description: str, total: int | None = None) -> Advance:
        return lambda n=1: signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def catalogue(tiny: World) -> PublicCatalogue:
    return tiny.catalogue.public()


def session_of(folder: Path, catalogue: PublicCatalogue, seen: LearnedFrom, weight: float = 0.1) -> Path:
    """A saved session model of one shape, whatever its weights."""
    net = SessionNet(shape_for("gru", catalogue), seed=3)
    torch.nn.init.constant_(net.out.weight, weight)
    return save_session(net, folder, seen)


def model_with(folder: Path, catalogue: PublicCatalogue, own: LearnedFrom, part: LearnedFrom) -> str:
    """A model that saw something, with a session model that saw something else."""
    session = session_of(folder / "session", catalogue, part)
    learner = new_learner("linear", catalogue, 3, 0, settings={"session": str(session)})
    return str(save_model(learner, folder / "model", 3, own, {}))


def scenario(folder: Path, session: Path) -> str:
    path = folder / "it.toml"
    path.write_text(SCENARIO.format(session=session))
    return str(path)


def test_a_part_is_kept_from_its_shoppers_like_the_model(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue
) -> None:
    """Known by the log's hash or by the seed of its people; the model itself learned elsewhere."""
    log = Log.open(log_folder)
    for place, part in enumerate([LearnedFrom(log.digest, "", 999, None, 10), LearnedFrom("", "", log.seed, None, 10)]):
        model = model_with(tmp_path / str(place), catalogue, ELSEWHERE, part)
        with pytest.raises(UserError, match=r"the session inside model .* learned from the shoppers of this log"):
            unseen_half(model, log)
        half = model_with(tmp_path / f"half {place}", catalogue, ELSEWHERE, dataclasses.replace(part, half=1))
        found, notes = unseen_half(half, log)
        assert found == 0
        assert notes[0].startswith("The session inside model")
    assert unseen_half(model_with(tmp_path / "neither", catalogue, ELSEWHERE, ELSEWHERE), log) == (None, [])


def test_a_model_and_its_part_must_leave_the_same_half(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue
) -> None:
    log = Log.open(log_folder)
    first, other = (LearnedFrom(log.digest, "", log.seed, half, 10) for half in (0, 1))
    assert unseen_half(model_with(tmp_path / "alike", catalogue, first, first), log)[0] == 1
    with pytest.raises(UserError, match=r"^model .* and the session inside model .* from the other; nobody is left"):
        unseen_half(model_with(tmp_path / "both", catalogue, first, other), log)


def test_a_part_that_does_not_say_what_it_saw_is_not_judged_from_a_log(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue
) -> None:
    """As parts were saved before."""
    session = session_of(tmp_path / "session", catalogue, ELSEWHERE)
    card = json.loads((session / SESSION.card_file).read_text())
    (session / SESSION.card_file).write_text(json.dumps(card | {"learned_from": {"searches": 3}}))
    learner = new_learner("linear", catalogue, 3, 0, settings={"session": str(session)})
    model = save_model(learner, tmp_path / "model", 3, ELSEWHERE, {})
    with pytest.raises(UserError, match=r"the session inside model .* does not say which shoppers"):
        unseen_half(str(model), Log.open(log_folder))


def test_a_run_and_a_cell_of_a_sweep_refuse_a_part_that_saw_those_who_judge(
    tmp_path: Path, catalogue: PublicCatalogue
) -> None:
    """By the seed of the run's own log."""
    from scenarios.candidates import seed_of
    from scenarios.config import load_scenario

    session = session_of(tmp_path / "session", catalogue, ELSEWHERE)
    named = scenario(tmp_path, session)
    own = LearnedFrom("", "", seed_of(load_scenario(named, 0), "log"), 1, 10)
    shutil.rmtree(session)
    session_of(session, catalogue, own)
    with pytest.raises(UserError, match="nobody is left to judge it"):
        run_scenario(named, tmp_path / "run", seed=0, overrides=[], progress=SilentProgress())
    with pytest.raises(UserError, match="nobody is left to judge it"):
        run_cell(Cell(scenario=load_scenario(named, 0), policy="linear", seed=0), tmp_path)


def test_a_cell_is_another_where_a_part_of_the_same_path_is(tmp_path: Path, catalogue: PublicCatalogue) -> None:
    """And the same again where the content is."""
    session = tmp_path / "session"
    said = {"name": "it", "title": "", "question": "", "world": "tiny",
            "learners": [{"policy": "linear", "settings": {"session": str(session)}}]}  # fmt: skip
    own = Scenario.model_validate(said)
    keys = []
    for weight in (0.1, 0.2, 0.1):
        session_of(session, catalogue, ELSEWHERE, weight)
        keys.append((Cell(scenario=own, policy="linear", seed=0).key, ContestCell(scenario=own, evaluation=1).key))
        shutil.rmtree(session)
    assert keys[0] == keys[2]
    assert all(one != other for one, other in zip(keys[0], keys[1], strict=True))


def test_a_checkpoint_is_not_gone_on_from_with_another_part(tmp_path: Path, catalogue: PublicCatalogue) -> None:
    """One of the same path and shape, that learned from the same shoppers."""
    session = session_of(tmp_path / "session", catalogue, ELSEWHERE)
    named, out = scenario(tmp_path, session), tmp_path / "model"
    keeping = Keeping(10_000)
    with pytest.raises(KeyboardInterrupt):
        train_policy(
            named, "linear", out, seed=0, log=None, device="cpu", progress=InterruptedAtOnce(), keeping=keeping
        )
    shutil.rmtree(session)
    session_of(session, catalogue, ELSEWHERE, 0.2)
    told = "is of a training with reader and session weights [0-9a-f]{16}, not [0-9a-f]{16}"
    with pytest.raises(UserError, match=told):
        train_policy(named, "linear", out, seed=0, log=None, device="cpu", progress=SilentProgress(), keeping=keeping)
    shutil.rmtree(session)
    session_of(session, catalogue, ELSEWHERE)
    train_policy(named, "linear", out, seed=0, log=None, device="cpu", progress=SilentProgress(), keeping=keeping)
    assert out.is_dir()

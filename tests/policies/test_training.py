"""The training loop: stopped anywhere and gone on with, it makes the same model to the last byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.checkpoint import draft_of, read_checkpoint
from policies.learning import Learner
from policies.persistence import MODEL_FILE, LearnedFrom, save_model
from policies.registry import CARD_FILE, POLICIES, named_policy, new_learner
from policies.training import LogHalf, Market, Plan, Progressed, Source, Watch, end_training, train
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.vector_env import SearchVectorEnv
from simenv.world import World
from simenv.worlds import world_params

LEARNERS = [name for name, entry in POLICIES.items() if entry.learns and not entry.trained_by]
TRAINING = {"what": "a test"}


class Killed(Exception):
    """The process was ended where it stood."""


def started(name: str, catalogue: PublicCatalogue) -> tuple[Learner, Source]:
    """A fresh learner and market, as a new process makes them."""
    learner = new_learner(name, catalogue, 3, seed=5)
    env = SearchVectorEnv(32, world_params("tiny"), episode="shopper")
    return learner, Market(learner, env, 3, (0.1, 0.02))


def model_bytes(learner: Learner, source: Source, metrics: dict[str, float], folder: Path) -> str:
    """A digest over everything that a saved model is."""
    seen = LearnedFrom("", "", 3, None, learner.n_searches, hashlib.sha256(source.shoppers().tobytes()).hexdigest())
    saved = save_model(learner, folder, 3, seen, metrics)
    return "".join(hashlib.sha256((saved / name).read_bytes()).hexdigest() for name in (MODEL_FILE, CARD_FILE))


def after_searches(n: int) -> Callable[..., bool]:
    """A function that kills the process once so many searches have been learned from."""

    def kill(now: Progressed, clicks: float) -> bool:
        if now.searches >= n:
            raise Killed
        return False

    return kill


def whole_and_killed(name: str, folder: Path, catalogue: PublicCatalogue, finish_every: int | None) -> tuple[str, str]:
    """The model of a training that was left alone, and of one that was killed again and again.

    Always between two checkpoints, so that every checkpoint there is has been gone on from.
    """
    plan = Plan(200, finish_every, folder / "whole.checkpoint", 60, TRAINING)
    learner, source = started(name, catalogue)
    held: list[int] = []
    metrics = train(learner, source, plan, Watch(on_checkpoint=lambda searches, resumed: held.append(searches)))
    whole = model_bytes(learner, source, metrics, folder / "whole")
    held = [searches for searches in held if searches < 200]  # after that nothing is learned from
    assert len(held) >= 2
    plan = Plan(200, finish_every, folder / "killed.checkpoint", 60, TRAINING)
    resumed_at: list[int] = []

    def on_checkpoint(searches: int, resumed: bool) -> None:
        if resumed:
            resumed_at.append(searches)

    for checkpoint in held:
        learner, source = started(name, catalogue)
        # A checkpoint of n searches is there before the next batch, which is where the process is killed.
        with pytest.raises(Killed):
            train(learner, source, plan, Watch(after_searches(checkpoint + 1), on_checkpoint=on_checkpoint))
    learner, source = started(name, catalogue)
    metrics = train(learner, source, plan, Watch(on_checkpoint=on_checkpoint))
    assert resumed_at == held
    return whole, model_bytes(learner, source, metrics, folder / "killed")


HEAVY = ("ensemble", "two-tower", "cross", "position-aware", "pl-gradient", "neural-ts", "neural-ucb")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in LEARNERS]
)
def test_a_killed_training_comes_to_the_same_model(name: str, tmp_path: Path, catalogue: PublicCatalogue) -> None:
    whole, killed = whole_and_killed(name, tmp_path, catalogue, finish_every=100)
    assert killed == whole


def test_a_checkpoint_that_forgets_the_optimiser_is_seen(
    tmp_path: Path, catalogue: PublicCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: without the moments of Adam the model is another."""
    import torch

    monkeypatch.setattr(torch.optim.Optimizer, "load_state_dict", lambda self, state: None)
    whole, killed = whole_and_killed("neural-linear", tmp_path, catalogue, finish_every=None)
    assert killed != whole


def test_asked_to_stop_it_keeps_what_it_has_and_goes_on(tmp_path: Path, catalogue: PublicCatalogue) -> None:
    """Also between two checkpoints, where nothing would have been written."""
    learner, source = started("linear", catalogue)
    whole = model_bytes(learner, source, train(learner, source, Plan(300, 120)), tmp_path / "whole")
    plan = Plan(300, 120, tmp_path / "it.checkpoint", 10_000, TRAINING)
    asked = iter([False, False, False, True])
    with pytest.raises(KeyboardInterrupt):
        train(*started("linear", catalogue), plan, Watch(stop=lambda: next(asked)))
    learner, source = started("linear", catalogue)
    metrics = train(learner, source, plan)
    assert model_bytes(learner, source, metrics, tmp_path / "stopped") == whole
    draft_of(tmp_path / "it.checkpoint").touch()
    end_training(plan)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped", "whole"]


@pytest.mark.parametrize("name", ["linear", "logistic"])
def test_learning_from_a_log_goes_on_where_it_was(
    name: str, tmp_path: Path, tiny: World, catalogue: PublicCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows before are skipped, not learned from twice; the shoppers are all remembered."""
    monkeypatch.setattr(Log.batches, "__defaults__", (None, 100, False))
    log = Log.open(
        write_log(tiny, "tiny", named_policy("production", catalogue), 11, shopper_range(150), tmp_path / "log")
    )

    def begun() -> tuple[Learner, Source]:
        learner = new_learner(name, catalogue, 3, seed=5)
        return learner, LogHalf(learner, log, 0)

    learner, source = begun()
    whole = model_bytes(learner, source, train(learner, source, Plan(None, None)), tmp_path / "whole")
    plan = Plan(None, None, tmp_path / "it.checkpoint", 1, TRAINING)
    with pytest.raises(Killed):
        train(*begun(), plan, Watch(after_searches(learner.n_searches // 2)))
    learner, source = begun()
    assert model_bytes(learner, source, train(learner, source, plan), tmp_path / "killed") == whole


@pytest.fixture
def checkpoint(tmp_path: Path, catalogue: PublicCatalogue) -> Path:
    """Of a linear bandit, stopped after its first batch."""
    path = tmp_path / "it.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train(*started("linear", catalogue), Plan(300, 120, path, 60, TRAINING), Watch(stop=lambda: True))
    return path


def test_a_checkpoint_of_another_training_is_refused(checkpoint: Path, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="of a training with what a test, not another"):
        train(*started("linear", catalogue), Plan(300, 120, checkpoint, 60, {"what": "another"}))


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (half, "is damaged"),
        (lambda _: b"", "is damaged"),
        (
            lambda content: content.replace(b"policies.linear:LinearBandit", b"policies.linear:LinearBandot"),
            "cannot be put",
        ),
        (lambda content: content.replace(b"simenv.state:State", b"subprocess:Popen  "), "is no dataclass of policies"),
        (lambda content: content.replace(b'"schema":"1"', b'"schema":"9"'), "has checkpoint schema 9"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(
    change: Callable[[bytes], bytes], told: str, checkpoint: Path, catalogue: PublicCatalogue
) -> None:
    before = checkpoint.read_bytes()
    checkpoint.write_bytes(change(before))
    assert checkpoint.read_bytes() != before
    with pytest.raises(UserError, match=told) as error:
        train(*started("linear", catalogue), Plan(300, 120, checkpoint, 60, TRAINING))
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_another_learner_is_refused(checkpoint: Path, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="cannot be put into a LogisticBandit"):
        train(*started("logistic", catalogue), Plan(300, 120, checkpoint, 60, TRAINING))


def test_an_interrupted_write_leaves_the_last_checkpoint(
    checkpoint: Path, catalogue: PublicCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the renaming, when the new file is there in part."""
    before = checkpoint.read_bytes()

    def killed(arrays: Any, draft: Path, metadata: Any) -> None:
        draft.write_bytes(b"half of i")
        raise Killed

    monkeypatch.setattr("policies.checkpoint.save_file", killed)
    with pytest.raises(Killed):
        train(*started("linear", catalogue), Plan(300, 120, checkpoint, 60, TRAINING))
    assert checkpoint.read_bytes() == before
    assert read_checkpoint(checkpoint, TRAINING).nodes


def test_what_a_checkpoint_cannot_hold_is_said(tmp_path: Path, catalogue: PublicCatalogue) -> None:
    import io

    learner, source = started("linear", catalogue)
    learner.file = io.BytesIO()  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"learner\.file is a _io:BytesIO, which a checkpoint cannot hold"):
        train(learner, source, Plan(300, 120, tmp_path / "it.checkpoint", 1, TRAINING))
    assert list(tmp_path.iterdir()) == []


def test_the_card_is_told_how_the_last_round_went(catalogue: PublicCatalogue) -> None:
    """Clicks a search of what was shown since the round before, counted again here."""
    learner, source = started("linear", catalogue)
    rates: list[tuple[int, float]] = []
    rounds: list[int] = []
    watch = Watch(lambda now, clicks: rates.append((now.searches, clicks)), lambda now: rounds.append(now.searches))
    metrics = train(learner, source, Plan(400, 150), watch)
    assert metrics["searches"] == learner.n_searches == rounds[-1]
    sizes = np.diff([0, *(searches for searches, _ in rates)])
    last = [i for i, (searches, _) in enumerate(rates) if searches > rounds[-2]]
    expected = sum(sizes[i] * rates[i][1] for i in last) / sum(sizes[i] for i in last)
    assert metrics["clicks_per_search"] == pytest.approx(expected, rel=1e-12)  # sums of the same few numbers

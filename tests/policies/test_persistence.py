"""Saved models: the same bytes of scores after a round trip, no code, and a sentence for whatever does not fit."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from policies.exploration.registry import EXPLORATIONS, exploration
from policies.exploration.slotwise import Slotwise, SlotwisePolicy
from policies.learning import Learner
from policies.persistence import MODEL_FILE, LearnedFrom, load_any, load_model, read_card, save_model, shoppers_digest
from policies.ranking import RankingPolicy
from policies.registry import CARD_FILE, POLICIES, load_policy
from simenv import hashing
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.play import Step
from simenv.worlds import load_world

LEARNERS = [name for name, entry in POLICIES.items() if entry.learns]
SEEN = LearnedFrom(log_hash="abc", world_hash="def", seed=7, half=0, searches=100)


@pytest.fixture
def model(tmp_path: Path, trained: dict[str, Learner], request: pytest.FixtureRequest) -> Path:
    """A saved linear bandit that a test may damage."""
    return save_model(trained["linear"], tmp_path / "model", 3, SEEN, {"clicks": 0.5})


@pytest.mark.parametrize("name", LEARNERS)
def test_a_loaded_model_gives_the_same_bytes(
    name: str, tmp_path: Path, trained: dict[str, Learner], catalogue: PublicCatalogue, steps: Step
) -> None:
    """Scores after loading, and after saving and loading once more; the card tells what it is and what it saw."""
    first = save_model(trained[name], tmp_path / "first", 3, SEEN, {})
    policy = load_model(first, catalogue, 3)
    scores = trained[name].score(steps.page, None)
    assert policy.scorer.score(steps.page, None).tobytes() == scores.tobytes()
    assert (policy.name, policy.temperature, policy.floor) == (name, POLICIES[name].temperature, POLICIES[name].floor)
    card = read_card(first)
    assert card["learned_from"] == vars(SEEN)
    second = save_model(policy.scorer, tmp_path / "second", 3, SEEN, {})  # type: ignore[arg-type]
    assert (second / MODEL_FILE).read_bytes() == (first / MODEL_FILE).read_bytes()
    assert load_policy(str(second), catalogue, 3).scorer.score(steps.page, None).tobytes() == scores.tobytes()


def test_a_model_is_a_card_and_numbers_and_nothing_that_runs(model: Path) -> None:
    assert sorted(path.name for path in model.iterdir()) == [CARD_FILE, MODEL_FILE]
    assert isinstance(json.loads((model / CARD_FILE).read_text()), dict)
    assert all(isinstance(value, np.ndarray) for value in load_file(model / MODEL_FILE).values())


def test_loading_never_unpickles(model: Path, catalogue: PublicCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    load_model(model, catalogue, 3)


def test_exploration_is_saved_where_it_is_given(
    tmp_path: Path, trained: dict[str, Learner], catalogue: PublicCatalogue
) -> None:
    folder = save_model(trained["linear"], tmp_path / "model", 3, SEEN, {}, exploration=(0.0, 0.0))
    policy = load_model(folder, catalogue, 3)
    assert (policy.temperature, policy.floor) == (0.0, 0.0)


@pytest.mark.parametrize("name", list(EXPLORATIONS))
def test_a_scheme_of_exploration_comes_back(
    name: str, tmp_path: Path, trained: dict[str, Learner], catalogue: PublicCatalogue, steps: Step
) -> None:
    """The scores that are drawn from and logged are the same bytes; settings are not the defaults."""
    setting, value = next((k, v) for k, v in vars(exploration(name)).items() if k not in ("n_draws", "n_members"))
    scheme = exploration(name, {setting: value + 0.25})
    folder = save_model(trained["linear"], tmp_path / "model", 3, SEEN, {}, exploration=scheme)
    policy = load_model(folder, catalogue, 3)
    assert policy.exploration == scheme
    before = RankingPolicy("linear", trained["linear"], exploration=scheme)
    if name != "regcb":  # gives some candidates probability 0, which no slate can go on from
        assert policy.scores(steps.page).tobytes() == before.scores(steps.page).tobytes()


def test_a_scheme_of_somebody_elses_cannot_be_saved(tmp_path: Path, trained: dict[str, Learner]) -> None:
    class Mine(type(exploration("softmax"))):  # type: ignore[misc]
        pass

    with pytest.raises(UserError, match="exploration Mine is not in EXPLORATIONS"):
        save_model(trained["linear"], tmp_path / "model", 3, SEEN, {}, exploration=Mine())
    assert list(tmp_path.iterdir()) == []


def test_the_digest_of_shoppers_is_of_who_they_are() -> None:
    """Not of their order, of how often they came, or of the width of the numbers."""
    who = np.array([5, 3, 900_000_000_000])
    assert shoppers_digest(who) == shoppers_digest(np.array([3, 900_000_000_000, 5, 5]))
    assert shoppers_digest(np.array([1, 2], dtype=np.int32)) == shoppers_digest(np.array([2, 1]))
    assert shoppers_digest(who) != shoppers_digest(who[:2]) != shoppers_digest(who[:0])


class Planted:
    """Runs something as soon as anybody unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("import pathlib; pathlib.Path('was_run').touch()",))


@pytest.mark.parametrize("file", [MODEL_FILE, CARD_FILE])
def test_a_planted_pickle_is_refused_and_does_not_run(
    file: str, model: Path, catalogue: PublicCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First it is shown to run where it is unpickled, so that its not having run means something."""
    monkeypatch.chdir(tmp_path)
    planted = pickle.dumps(Planted())
    pickle.loads(planted)
    (tmp_path / "was_run").unlink()
    (model / file).write_bytes(planted)
    with pytest.raises(UserError, match=r"is damaged|cannot be read"):
        load_model(model, catalogue, 3)
    assert not (tmp_path / "was_run").exists()


def test_a_model_is_never_overwritten(model: Path, trained: dict[str, Learner]) -> None:
    with pytest.raises(UserError, match="exists already"):
        save_model(trained["linear"], model, 3, SEEN, {})


def test_a_model_that_explores_slot_by_slot_comes_back_as_one(
    tmp_path: Path, trained: dict[str, Learner], steps: Step, catalogue: PublicCatalogue
) -> None:
    """Its slates and their propensities; and nobody takes it for one whose slates are Plackett-Luce."""
    scheme, page = exploration("epsilon-greedy", {"epsilon": 0.3}), take(steps.page, slice(0, 100))
    folder = save_model(trained["linear"], tmp_path / "model", 3, SEEN, {}, Slotwise(scheme))
    keys = hashing.absorb(7, np.arange(100))
    policies = SlotwisePolicy("linear", trained["linear"], scheme), load_any(folder, catalogue, 3)
    one, other = (policy.act(page, 3, keys) for policy in policies)
    assert one.slate.tobytes() == other.slate.tobytes()
    assert one.logp.logp.tobytes() == other.logp.logp.tobytes()
    with pytest.raises(UserError, match="explores slot by slot; expected one whose slates are Plackett-Luce"):
        load_model(folder, catalogue, 3)


def test_an_interrupted_save_leaves_nothing(
    tmp_path: Path, trained: dict[str, Learner], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_model(trained["linear"], tmp_path / "model", 3, SEEN, {})
    assert list(tmp_path.iterdir()) == []


def test_every_file_of_a_model_has_the_mode_that_the_umask_gives(model: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    assert {path.stat().st_mode for path in model.iterdir()} == {(tmp_path / "plain").stat().st_mode}


def edit_card(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        card = json.loads((folder / CARD_FILE).read_text())
        (folder / CARD_FILE).write_text(json.dumps(change(card)))

    return damage


def edit_tensors(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        save_file(change(load_file(folder / MODEL_FILE)), folder / MODEL_FILE)

    return damage


def truncate(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return damage


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (truncate(MODEL_FILE), "is damaged"),
        (truncate(CARD_FILE), "cannot be read"),
        (lambda folder: (folder / MODEL_FILE).unlink(), "is damaged"),
        (lambda folder: (folder / CARD_FILE).unlink(), "has no card.json"),
        (lambda folder: (folder / CARD_FILE).write_bytes(b"\xff\xfe"), "cannot be read"),
        (edit_card(lambda card: [card]), "card schema None"),
        (edit_card(lambda card: card | {"schema": 99}), "card schema 99; this version reads 2"),
        (edit_card(lambda card: {k: v for k, v in card.items() if k != "n_slots"}), "n_slots is missing"),
        (edit_card(lambda card: card | {"temperature": "hot"}), "temperature is missing or of another type"),
        (edit_card(lambda card: card | {"temperature": -1.0}), "temperature is -1.0"),
        (edit_card(lambda card: card | {"learned_from": {}}), "learned_from"),
        (edit_card(lambda card: card | {"kind": "linaer"}), "Did you mean 'linear'"),
        (edit_card(lambda card: card | {"kind": "uniform"}), "has nothing to learn"),
        (edit_card(lambda card: card | {"kind": "os:system"}), "there is no policy 'os:system'"),
        (edit_card(lambda card: card | {"exploration": {"name": "os:system", "settings": {}}}), "'os:system'"),
        (
            edit_card(lambda card: card | {"exploration": {"name": "softmax", "settings": {"temperature": "hot"}}}),
            "hot",
        ),
        (edit_card(lambda card: card | {"exploration": {"name": "softmax"}}), "needs a name and settings"),
        (edit_card(lambda card: card | {"exploration": "softmax"}), "exploration is missing or of another type"),
        (edit_card(lambda card: {k: v for k, v in card.items() if k != "exploration"}), "exploration is missing"),
        (edit_card(lambda card: card | {"features": card["features"][::-1]}), "trained on other features"),
        (edit_card(lambda card: card | {"kind": "ensemble"}), "has no setting 'regularisation'"),
        (edit_card(lambda card: card | {"kind": "neural-linear", "settings": {}}), "is damaged or of another shape"),
        (edit_tensors(lambda held: held | {"precision": np.eye(3)}), "precision has shape"),
        (edit_tensors(lambda held: held | {"moment": held["moment"] * np.nan}), "moment holds a number that is NaN"),
        (edit_tensors(lambda held: held | {"precision": -held["precision"]}), "not positive definite"),
        (edit_tensors(lambda held: {"moment": held["moment"]}), "is damaged"),
    ],
)
def test_what_is_damaged_is_refused_in_one_sentence(
    damage: Callable[[Path], None], told: str, model: Path, catalogue: PublicCatalogue
) -> None:
    damage(model)
    with pytest.raises(UserError, match=told) as error:
        load_model(model, catalogue, 3)
    assert "\n" not in str(error.value)


def test_a_model_for_other_slots_or_another_catalogue_is_refused(model: Path, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="ranks 3 slots; the log or world has 5"):
        load_model(model, catalogue, 5)
    with pytest.raises(UserError, match="other features than this catalogue gives"):
        load_model(model, load_world("default").catalogue.public(), 3)


def test_a_model_may_move_to_another_folder(
    model: Path, tmp_path: Path, catalogue: PublicCatalogue, steps: Step
) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(model, tmp_path / "elsewhere" / "renamed")
    assert load_policy(str(moved), catalogue, 3).scores(steps.page).shape == steps.page.candidates.shape

"""The setting `session` of learners: features of the last clicks, saved inside the ranker's own model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from policies.examples import Examples, in_features_of
from policies.features import FeatureMap, features
from policies.persistence import LearnedFrom, load_model, parts_learned_from, read_card, save_model
from policies.registry import POLICIES, new_learner
from policies.session.block import COUNTED, SESSION_FEATURES
from policies.session.encoder import READERS, SessionNet, shape_for
from policies.session.saving import SESSION, save_session
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.play import Step

FAMILIES = ("policies.linear", "policies.logistic", "policies.neural")  # whose learners have the setting
LEARNERS = [name for name, entry in POLICIES.items() if entry.learns and entry.made_by.startswith(FAMILIES)]
SEEN = LearnedFrom(log_hash="abc", world_hash="def", seed=7, half=0, searches=100)


def saved_session(kind: str, catalogue: PublicCatalogue, folder: Path) -> Path:
    """A session model with weights that say something."""
    net = SessionNet(shape_for(kind, catalogue), seed=3)
    with torch.no_grad():
        net.out.weight.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(4))
    return save_session(net, folder, SEEN)


@pytest.fixture
def folder(catalogue: PublicCatalogue, tmp_path: Path) -> Path:
    """A saved GRU."""
    return saved_session("gru", catalogue, tmp_path / "session")


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_ranks_by_the_last_clicks_and_keeps_the_model_inside_its_own(
    name: str, folder: Path, seen: Examples, steps: Step, catalogue: PublicCatalogue, tmp_path: Path
) -> None:
    """The folder is gone when the ranker is loaded; scores have the same bytes, and depend on the clicks' order."""
    learner = new_learner(name, catalogue, 3, 1, settings={"session": str(folder), "personal": False})
    assert learner.feature_map.feature_names[-5:] == SESSION_FEATURES
    learner.update(in_features_of(learner.feature_map, take(seen, slice(0, None, 8))))
    scores = learner.score(steps.page, None)
    saved = save_model(learner, tmp_path / "model", 3, SEEN, {})
    assert parts_learned_from(read_card(saved)["settings"]) == {"session": vars(SEEN)}
    shutil.rmtree(folder)
    policy = load_model(saved, catalogue, 3)
    assert policy.scorer.score(steps.page, None).tobytes() == scores.tobytes()
    backwards = dataclasses.replace(steps.page, recent=steps.page.recent[::-1].copy())
    assert not np.array_equal(learner.score(backwards, None), scores)


@pytest.mark.parametrize("kind", sorted(READERS))
def test_a_row_of_features_does_not_know_of_its_batch(
    kind: str, steps: Step, catalogue: PublicCatalogue, tmp_path: Path
) -> None:
    """To 1e-6, as DESIGN asks of networks: a few float32 roundings of sums of order 1."""
    where = saved_session(kind, catalogue, tmp_path / kind)
    feature_map = new_learner("linear", catalogue, 3, 1, settings={"session": str(where)}).feature_map
    every = np.tile(np.arange(8), (len(steps.page), 1))
    whole = features(feature_map, steps.page, every)
    assert np.ptp(whole[..., -5:], axis=(0, 1)).min() > 0.1
    for row in range(0, len(steps.page), 211):
        alone = features(feature_map, take(steps.page, slice(row, row + 1)), every[:1])
        assert np.allclose(alone[0], whole[row], rtol=1e-6, atol=1e-6)


def test_counts_need_no_model(seen: Examples, catalogue: PublicCatalogue) -> None:
    learner = new_learner("linear", catalogue, 3, 0, settings={"session": "counts"})
    plain = FeatureMap(catalogue)
    assert learner.feature_map.feature_names == (*plain.feature_names, *COUNTED)
    made = in_features_of(learner.feature_map, seen).features
    assert np.array_equal(made[..., :-3], seen.features)
    assert made[..., -3:].any(axis=(0, 1)).all()


def test_a_wrong_or_damaged_session_model_is_refused(folder: Path, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="no session model 'gruu'"):
        new_learner("linear", catalogue, 3, 0, settings={"session": "gruu"})
    small = dataclasses.replace(catalogue, brand=catalogue.brand + 1)
    with pytest.raises(UserError, match="catalogue of another shape"):
        new_learner("linear", small, 3, 0, settings={"session": str(folder)})
    card = json.loads((folder / SESSION.card_file).read_text())
    (folder / SESSION.card_file).write_text(json.dumps(card | {"schema": 99}))
    with pytest.raises(UserError, match="another schema"):
        new_learner("linear", catalogue, 3, 0, settings={"session": str(folder)})
    (folder / SESSION.card_file).write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        new_learner("linear", catalogue, 3, 0, settings={"session": str(folder)})


def test_a_session_model_is_never_overwritten(folder: Path, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="exists already"):
        saved_session("gru", catalogue, folder)

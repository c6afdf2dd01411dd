"""Readings as features of every learner, saved inside the learner's own model."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from policies.examples import Examples, in_features_of, step_examples
from policies.features import FeatureMap, features
from policies.persistence import LearnedFrom, load_model, parts_learned_from, read_card, save_model
from policies.query.block import READ_FEATURES, query_bytes, strings
from policies.query.encoder import QueryEncoder, Shape, new_encoder
from policies.query.saving import save_reader
from policies.query.tokenizer import train_tokenizer
from policies.ranking import RankingPolicy, reads_query
from policies.registry import new_learner
from simenv.catalogue import PublicCatalogue
from simenv.decision import query_of
from simenv.errors import UserError
from simenv.language.words import TERMS
from simenv.play import Step, play, shopper_range
from simenv.world import World

READERS = ("linear", "linear-ts", "linear-disjoint", "logistic", "neural-linear")


@pytest.fixture(scope="module")
def read_steps(tiny: World, catalogue: PublicCatalogue, reader: Path) -> Step:
    """A page of each of 80 shoppers, with the queries."""
    learner = new_learner("linear", catalogue, 3, 0, settings={"reader": str(reader)})
    return next(play(tiny, RankingPolicy("linear", learner), 3, shopper_range(80)))


SEEN = LearnedFrom(log_hash="abc", world_hash="def", seed=7, half=0, searches=100)


@pytest.fixture(scope="module")
def own_encoder(tiny: World) -> QueryEncoder:
    titles = tiny.demand.titles(0, np.arange(60))
    shape = Shape(tiny.demand.n_values, len(tiny.demand.locales), tiny.params.n_style)
    made = new_encoder(train_tokenizer(titles), shape, seed=1)
    rng = np.random.default_rng(2)
    made.restore({name: value if "prior" in name else value + (0.3 * rng.normal(size=value.shape)).astype(value.dtype)
                  for name, value in made.tensors().items()})  # fmt: skip
    return made


@pytest.fixture(scope="module")
def reader(own_encoder: QueryEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reader(own_encoder, tmp_path_factory.mktemp("readers") / "one", SEEN)


def test_strings_come_back_from_their_bytes() -> None:
    texts = ["buty do biegania", "blå skor", "x"]
    assert strings(query_bytes(np.array(texts, dtype=object))) == texts


def test_features_are_the_probabilities_of_the_items_values(
    read_steps: Step, own_encoder: QueryEncoder, catalogue: PublicCatalogue, reader: Path
) -> None:
    """To 1e-6, the law for network scores."""
    learner = new_learner("linear", catalogue, 3, 0, settings={"reader": str(reader)})
    page, slate = read_steps.page, np.zeros_like(read_steps.decision.slate)
    x = features(learner.feature_map, page, slate)[:, 0]
    assert learner.feature_map.feature_names[-len(READ_FEATURES) :] == READ_FEATURES
    reading = own_encoder.read(query_of(page).tolist(), page.locale)
    item = np.maximum(page.candidates[:, 0], 0)
    for t, term in enumerate(TERMS):
        value = getattr(catalogue, term)[item]
        expected = np.where(value >= 0, reading.probabilities[t][np.arange(len(item)), value], 0.0)
        assert np.abs(x[:, t - len(READ_FEATURES)] - expected).max() <= 1e-6
    alike = (own_encoder.item_embeddings(catalogue)[item] * reading.embedding).sum(axis=1)
    assert np.abs(x[:, -1] - alike).max() <= 1e-6


@pytest.mark.parametrize("name", READERS)
def test_a_learner_that_reads_is_saved_with_its_reader(
    name: str, read_steps: Step, catalogue: PublicCatalogue, reader: Path, tmp_path: Path
) -> None:
    learner = new_learner(name, catalogue, 3, 0, settings={"reader": str(reader)})
    assert reads_query(learner)
    learner.update(step_examples(learner.feature_map, read_steps))
    learner.finish()
    save_model(learner, tmp_path / "model", 3, LearnedFrom("", "", 0, None, learner.n_searches), {})
    assert parts_learned_from(read_card(tmp_path / "model")["settings"]) == {"reader": vars(SEEN)}
    again = load_model(tmp_path / "model", catalogue, 3)
    assert again.reads_query
    assert np.array_equal(again.scorer.score(read_steps.page, None), learner.score(read_steps.page, None))


def test_what_is_read_changes_the_ranking(read_steps: Step, catalogue: PublicCatalogue, reader: Path) -> None:
    learner = new_learner("linear", catalogue, 3, 0, settings={"reader": str(reader)})
    learner.update(step_examples(learner.feature_map, read_steps))
    other = dataclasses.replace(read_steps.page, query=query_of(read_steps.page)[::-1].copy())
    assert not np.array_equal(learner.score(read_steps.page, None), learner.score(other, None))


def test_the_dictionary_is_a_reader_without_text(seen: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    learner = new_learner("linear", catalogue, 3, 0, settings={"reader": "dictionary"})
    assert not reads_query(learner)
    x = in_features_of(learner.feature_map, seen).features
    names = learner.feature_map.feature_names
    assert np.array_equal(x[..., names.index("read_category")], x[..., names.index("category_match")])
    plain = FeatureMap(catalogue)
    assert np.array_equal(x[..., : len(plain.feature_names)], features(plain, steps.page, steps.decision.slate))


def test_an_unknown_reader_is_refused(catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="no reader 'dictionry'"):
        new_learner("linear", catalogue, 3, 0, settings={"reader": "dictionry"})

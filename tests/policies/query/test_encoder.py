"""The encoder: a row's reading is its own, and saving changes nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from policies.persistence import LearnedFrom
from policies.query.encoder import QueryEncoder, Reading, Shape, encoder_from_json, new_encoder
from policies.query.saving import READER, read_reader, save_reader
from policies.query.tokenizer import train_tokenizer
from policies.registry import new_learner
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.language.words import TERMS

SEEN = LearnedFrom(log_hash="abc", world_hash="def", seed=7, half=0, searches=100)
QUERIES = ["red shoes", "blue", "", "running shoes for women with laces in blue and red or green", "skor", "red shoes"]
LOCALES = np.array([0, 1, 0, 1, 1, 0])


TEXTS = ["red shoes", "Blue Shoes", "blå skor", "running shoes for women", "laufschuhe damen", "buty do biegania"] * 3


@pytest.fixture(scope="module")
def encoder() -> QueryEncoder:
    """Untrained, with weights large enough that its readings differ, those of the padding too."""
    made = new_encoder(train_tokenizer(TEXTS), Shape((5, 4, 3, 3, 3, 3, 3), 2, n_style=4), seed=3)
    rng = np.random.default_rng(0)
    made.restore({name: value if "prior" in name else value + (0.1 * rng.normal(size=value.shape)).astype(value.dtype)
                  for name, value in made.tensors().items()})  # fmt: skip
    return made


def largest_difference(one: Reading, other: Reading, rows: slice) -> float:
    pairs = [*zip(one.probabilities, other.probabilities, strict=True), (one.embedding, other.embedding)]
    return max(float(np.abs(a - b[rows]).max()) for a, b in pairs)


def test_a_row_does_not_depend_on_its_batch(encoder: QueryEncoder) -> None:
    """To 1e-6, the law for network scores: sums of float32 in another order differ by a few 1e-7."""
    together = encoder.read(QUERIES, LOCALES)
    for i in range(len(QUERIES)):
        alone = encoder.read(QUERIES[i : i + 1], LOCALES[i : i + 1])
        assert largest_difference(alone, together, slice(i, i + 1)) <= 1e-6


def test_readings_are_probabilities_and_directions(encoder: QueryEncoder) -> None:
    """To 1e-5: float32 sums of at most 6 shares."""
    reading = encoder.read(QUERIES, LOCALES)
    for p in reading.probabilities:
        assert (p >= 0).all()
        assert p.sum(axis=1) == pytest.approx(np.ones(len(QUERIES)), abs=1e-5)
    assert np.linalg.norm(reading.embedding, axis=1) == pytest.approx(np.ones(len(QUERIES)), abs=1e-5)


def test_equal_queries_of_one_locale_are_read_alike_and_locales_matter(encoder: QueryEncoder) -> None:
    reading = encoder.read(["shoes", "shoes", "shoes"], np.array([0, 0, 1]))
    assert np.array_equal(reading.embedding[0], reading.embedding[1])
    assert not np.array_equal(reading.embedding[0], reading.embedding[2])


def test_a_saved_reader_reads_the_same(encoder: QueryEncoder, tmp_path: Path) -> None:
    card, weights = read_reader(save_reader(encoder, tmp_path / "reader", SEEN))
    again = encoder_from_json(card)
    again.restore(weights)
    assert largest_difference(again.read(QUERIES, LOCALES), encoder.read(QUERIES, LOCALES), slice(None)) == 0.0


def test_a_damaged_reader_is_refused_by_name(encoder: QueryEncoder, catalogue: PublicCatalogue, tmp_path: Path) -> None:
    folder = save_reader(encoder, tmp_path / "reader", SEEN)
    with pytest.raises(UserError, match="never overwritten"):
        save_reader(encoder, folder, SEEN)
    file = folder / READER.card_file
    card = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(card | {"schema": 99}), encoding="utf-8")
    with pytest.raises(UserError, match="another schema; this version reads 1"):
        read_reader(folder)
    file.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(UserError, match="trained on a catalogue of another shape"):
        new_learner("linear", catalogue, 3, 0, settings={"reader": str(folder)})
    n_values = [int(getattr(catalogue, term).max()) + 1 for term in TERMS]
    shape = {**card["shape"], "n_values": n_values, "n_style": catalogue.style.shape[1]}
    file.write_text(json.dumps(card | {"shape": shape}), encoding="utf-8")
    with pytest.raises(UserError, match=r"reader '.*': the weights are damaged"):
        new_learner("linear", catalogue, 3, 0, settings={"reader": str(folder)})
    (folder / READER.weights_file).unlink()
    with pytest.raises(UserError, match=r"the reader .* cannot be read"):
        read_reader(folder)

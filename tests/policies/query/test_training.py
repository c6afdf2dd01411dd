"""Training: a planted language is learned from labels, from clicks and from titles."""

import numpy as np
import pytest

from policies.query.encoder import QueryEncoder
from policies.query.material import AskedPages, Labels, Material, Titles
from policies.query.training import Course, train_encoder
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.language.words import TERMS

N, K, N_ITEMS = 1500, 4, 400
NOUNS, BRANDS = ["shoes", "lamp", "tent", "mug"], ["acme", "zorli", "girodal"]
SIZES = (4, 3, 2, 2, 2, 2, 2), 2
ASKED = [f"{noun} {brand}".strip() for noun in NOUNS for brand in ["", *BRANDS]]
WANTED = np.array([(noun, brand) for noun in range(4) for brand in range(-1, 3)])


def planted_catalogue(rng: np.random.Generator) -> PublicCatalogue:
    ids = {name: rng.integers(n, size=N_ITEMS).astype(np.int32) for name, n in zip(TERMS, SIZES[0], strict=True)}
    floats = {name: np.zeros(N_ITEMS, dtype=np.float32) for name in ("price_z", "rating", "popularity")}
    style = np.zeros((N_ITEMS, 2), dtype=np.float32)
    return PublicCatalogue(
        department=ids["category"], price=np.ones(N_ITEMS, dtype=np.float32), style=style, **ids, **floats
    )


@pytest.fixture(scope="module")
def planted() -> tuple[Material, PublicCatalogue]:
    """Searches for a noun, and a brand half of the time; an item is clicked if it has both, else in one of ten."""
    rng = np.random.default_rng(5)
    catalogue = planted_catalogue(rng)
    noun, brand = rng.integers(4, size=N), np.where(rng.random(N) < 0.5, rng.integers(3, size=N), -1)
    query = [f"{NOUNS[i]} {BRANDS[j] if j >= 0 else ''}".strip() for i, j in zip(noun, brand, strict=True)]
    item = rng.integers(N_ITEMS, size=(N, K)).astype(np.int32)
    fits = (catalogue.category[item] == noun[:, None]) & (
        (catalogue.brand[item] == brand[:, None]) | (brand[:, None] < 0)
    )
    clicked = fits | (rng.random((N, K)) < 0.1)
    said = np.full((N, 7), -1, dtype=np.int32)
    said[:, 0], said[:, 1] = noun, brand
    chosen = rng.integers(N_ITEMS, size=600).astype(np.int32)
    text = [f"{BRANDS[catalogue.brand[i]]} {NOUNS[catalogue.category[i]]}" for i in chosen]
    pages = AskedPages(np.array(query, dtype=object), rng.integers(2, size=N), item, clicked)
    titles = Titles(np.array(text, dtype=object), rng.integers(2, size=600), chosen)
    return Material(pages, titles, Labels(said)), catalogue


def share_right(encoder: QueryEncoder) -> float:
    """Of the queries that can be asked, those whose noun and brand are read right, silence included."""
    terms = encoder.read(ASKED, np.zeros(len(ASKED), dtype=np.int64)).terms()
    return float((terms[:, :2] == WANTED).all(axis=1).mean())


@pytest.mark.parametrize("taught", ["labels", "clicks", "clicks and titles"])
def test_a_planted_language_is_learned(taught: str, planted: tuple[Material, PublicCatalogue]) -> None:
    """16 queries of 4 x 4 meanings: guessing is right for 1 in 16, and 14 of 16 by luck has a chance below 1e-14.

    Each noun is asked for 375 times and each noun with a brand 62 times, so the words are told apart for certain.
    """
    material, catalogue = planted
    labels = material.labels if taught == "labels" else None
    titles = material.titles if taught == "clicks and titles" else None
    encoder = train_encoder(Material(material.pages, titles, labels), catalogue, SIZES, Course(epochs=12, batch=128))
    assert share_right(encoder) >= 14 / 16


def test_the_same_seed_gives_the_same_bytes(planted: tuple[Material, PublicCatalogue]) -> None:
    material, catalogue = planted
    pages = AskedPages(*(column[:200] for column in vars(material.pages).values()))
    one, again, other = (
        train_encoder(Material(pages), catalogue, SIZES, Course(epochs=1, seed=seed)).tensors() for seed in (0, 0, 1)
    )
    assert all(one[name].tobytes() == again[name].tobytes() for name in one)
    assert any(one[name].tobytes() != other[name].tobytes() for name in one)


def test_pages_without_clicks_teach_nothing(planted: tuple[Material, PublicCatalogue]) -> None:
    material, catalogue = planted
    pages = AskedPages(*(column[:9].copy() for column in vars(material.pages).values()))
    pages.clicked[:] = False
    with pytest.raises(UserError, match="nothing was clicked"):
        train_encoder(Material(pages), catalogue, SIZES)

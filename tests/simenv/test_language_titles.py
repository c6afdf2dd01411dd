"""Titles read well, and invented names are nobody's."""

from __future__ import annotations

import numpy as np
import pytest

from simenv import hashing
from simenv.errors import UserError
from simenv.language import brand_names, load_lexicon
from simenv.language.attributes import item_attributes
from simenv.language.brands import model_words, taken_words
from simenv.language.data_files import read
from simenv.language.titles import titles

KEYS = hashing.absorb(hashing.stream(0, "test titles"), np.arange(400))


def titles_of(locale: int, category: str, colour: str | None) -> list[str]:
    lexicon = load_lexicon()
    n = len(KEYS)
    a = -1 if colour is None else lexicon.colours.index(colour)
    g = lexicon.categories.index(category)
    return titles(lexicon, ("Novarel",), locale, np.full(n, g), np.zeros(n, int), np.full(n, a), KEYS)


def test_german_titles_decline_the_colour_before_the_noun_only() -> None:
    written = titles_of(1, "dress", "black")
    assert any("– schwarzes Kleid" in title for title in written)
    assert any("in Schwarz" in title for title in written)
    assert any(", Gr. M" in title for title in written)
    assert all("Novarel" in title and "Kleid" in title for title in written)


def test_french_titles_make_the_colour_agree() -> None:
    assert any(title.startswith("Robe femme noire Novarel") for title in titles_of(2, "dress", "black"))
    assert any("Chaussures de running homme blanches" in title for title in titles_of(2, "running-shoes", "white"))
    assert any("Sac à dos vert" in title for title in titles_of(2, "backpack", "green"))


@pytest.mark.parametrize(
    ("locale", "category", "colour", "part"),
    [
        ("en-GB", "running-shoes", "black", "Men's Running Shoes"),
        ("it-IT", "boots", "red", "Stivaletti da donna rossi"),
        ("es-ES", "handbag", "black", "Bolso de mujer negro"),
        ("nl-NL", "dress", "white", "witte jurk dames"),
        ("nl-NL", "shirt", "white", "wit overhemd heren"),
        ("pl-PL", "backpack", "black", "Plecak męski"),
        ("pl-PL", "sandals", "black", "Sandały dziecięce"),
        ("sv-SE", "tent", "red", "rött tält"),
        ("sv-SE", "sneakers", "red", "röda sneakers"),
        ("nl-BE", "sofa", "red", "rode zetel"),
        ("fr-BE", "towel", "white", "Essuie de bain"),
    ],
)
def test_titles_are_grammatical(locale: str, category: str, colour: str, part: str) -> None:
    assert any(part in title for title in titles_of(load_lexicon().locales.index(locale), category, colour))


def test_titles_show_the_attributes_that_the_catalogue_has() -> None:
    lexicon = load_lexicon()
    g = lexicon.categories.index("boots")
    own = item_attributes(lexicon, np.full(len(KEYS), g), KEYS)
    for title, (size, material, audience, _) in zip(titles_of(0, "boots", "black"), own.tolist(), strict=True):
        assert (", Leather" in title) == (material >= 0)
        assert ("Women's" in title) == (audience == lexicon.values[3].index("women"))
        assert (", UK 5" in title) == (size == lexicon.values[1].index("shoe-38"))


def test_a_product_without_a_colour_has_a_title_without_one() -> None:
    for locale in range(10):
        for title in titles_of(locale, "laptop", None):
            assert "{" not in title
            assert not {"black", "schwarz", "noir", "coloris", "in", "kolor", "colore"} & set(title.lower().split())


def test_a_title_depends_on_its_own_row_only() -> None:
    lexicon = load_lexicon()
    columns = [hashing.integers(hashing.absorb(KEYS, i), n) for i, n in enumerate((10, 64, 1, 10))]
    whole = titles(lexicon, ("Novarel",), *columns, KEYS)
    part = titles(lexicon, ("Novarel",), *(column[7:9] for column in columns), KEYS[7:9])
    assert part == whole[7:9]


def test_brands_are_distinct_capitalised_and_begin_with_the_same_names() -> None:
    brands = brand_names(5_000, 3)
    assert len({brand.casefold() for brand in brands}) == 5_000
    assert all(brand.isalpha() and brand.isascii() and brand == brand.capitalize() for brand in brands)
    assert brand_names(10, 3) == brands[:10]
    assert brand_names(10, 4) != brands[:10]


def test_brands_are_no_word_of_the_lexicon_no_model_and_nobody_else() -> None:
    names = {brand.casefold() for brand in brand_names(5_000, 3)}
    famous = read("avoid")["famous"]
    assert names.isdisjoint(taken_words(load_lexicon()))
    assert names.isdisjoint(word.casefold() for word in model_words())
    assert names.isdisjoint(famous)
    assert not any(name in brand for name in famous if len(name) >= 5 for brand in names)


def test_an_impossible_number_of_brands_is_refused() -> None:
    with pytest.raises(UserError, match="expected 0 to"):
        brand_names(-1, 0)

"""Queries as integers and as strings say the same, to the last term."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import numpy.typing as npt
import pytest

from simenv import hashing
from simenv.language import QueryParts, brand_names, load_lexicon, query_strings, recognise, recognised_terms

BRANDS = brand_names(300, 7)


def random_parts(n: int, seed: int, misspelt: float, said: float = 0.6) -> QueryParts:
    """Parts of every kind, terms said and misspelt independently."""
    key = hashing.absorb(hashing.stream(seed, "test parts"), np.arange(n))
    lexicon = load_lexicon()
    n_locales, n_categories, n_words = lexicon.word_recognised.shape

    def pick(stream: int, among: int) -> npt.NDArray[np.int64]:
        return hashing.integers(hashing.absorb(key, stream), among)

    def said_or_not(stream: int, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.where(hashing.uniform(hashing.absorb(key, stream)) < said, values, -1)

    return QueryParts(
        locale=pick(0, n_locales),
        category=said_or_not(1, pick(2, n_categories)),
        category_variant=pick(3, n_words),
        brand=said_or_not(4, pick(5, len(BRANDS))),
        colour=said_or_not(6, pick(7, lexicon.n_colours)),
        misspelt=hashing.uniform(hashing.absorb(key[:, None], np.arange(8, 11))) < misspelt,
        key=key,
    )


def rows(parts: QueryParts, which: npt.NDArray[np.integer]) -> QueryParts:
    return QueryParts(**{field.name: getattr(parts, field.name)[which] for field in dataclasses.fields(parts)})


def one(locale: int, category: int, variant: int, brand: int, colour: int, key: int = 0) -> QueryParts:
    columns = [np.array([value]) for value in (locale, category, variant, brand, colour)]
    return QueryParts(*columns, misspelt=np.zeros((1, 3), bool), key=np.array([key], np.uint64))


def strings_of_all_details(locale: int, category: int, variant: int, brand: int, colour: int) -> set[str]:
    lexicon = load_lexicon()
    parts = one(locale, category, variant, brand, colour)
    many = rows(parts, np.zeros(300, int))
    return set(query_strings(lexicon, BRANDS, dataclasses.replace(many, key=random_parts(300, 1, 0.0).key)))


@pytest.mark.parametrize(("n", "misspelt"), [(60_000, 0.0), (40_000, 0.1), (6_000, 1.0)])
def test_a_dictionary_understands_of_the_string_what_the_parts_say(n: int, misspelt: float) -> None:
    lexicon = load_lexicon()
    parts = random_parts(n, 11, misspelt)
    expected = recognised_terms(lexicon, parts)
    strings = query_strings(lexicon, BRANDS, parts)
    found = [recognise(lexicon, BRANDS, at, query) for at, query in zip(parts.locale.tolist(), strings, strict=True)]
    np.testing.assert_array_equal(found, expected)
    assert all(query == query.lower() and query == " ".join(query.split()) and query for query in strings)


def test_every_word_can_be_misspelt_in_every_order_of_colour() -> None:
    lexicon = load_lexicon()
    grid = np.stack(np.meshgrid(np.arange(3), np.arange(24), np.arange(4), np.arange(10), indexing="ij"))
    locale, category, variant, colour = grid.reshape(4, -1)
    n = len(locale)
    parts = QueryParts(
        locale,
        category,
        variant,
        np.full(n, -1),
        colour,
        np.tile([True, False, True], (n, 1)),
        hashing.absorb(3, np.arange(n)),
    )
    strings = query_strings(lexicon, BRANDS, parts)
    assert {recognise(lexicon, BRANDS, at, query) for at, query in zip(locale, strings, strict=True)} == {(-1, -1, -1)}


def test_an_ambiguous_word_is_recognised_as_the_first_category() -> None:
    lexicon = load_lexicon()
    running, sneakers = lexicon.categories.index("running-shoes"), lexicon.categories.index("sneakers")
    variant = lexicon.languages[0].words[running].index("trainers")
    parts = one(0, running, variant, -1, -1)
    assert query_strings(lexicon, BRANDS, parts) == ["trainers"]
    assert recognised_terms(lexicon, parts).tolist() == [[sneakers, -1, -1]]


def test_french_colours_agree_with_the_noun() -> None:
    lexicon = load_lexicon()
    dress, black = lexicon.categories.index("dress"), lexicon.colours.index("black")
    queries = strings_of_all_details(2, dress, 1, 0, black)
    brand = BRANDS[0].lower()
    assert f"robes noires {brand}" in queries
    assert f"robes {brand} noires" in queries


def test_german_colours_agree_only_before_the_noun() -> None:
    lexicon = load_lexicon()
    dress, black = lexicon.categories.index("dress"), lexicon.colours.index("black")
    assert strings_of_all_details(1, dress, 0, -1, black) == {"schwarzes kleid", "kleid schwarz"}


def test_a_query_that_says_nothing_is_generic() -> None:
    lexicon = load_lexicon()
    for at, language in enumerate(lexicon.languages):
        assert strings_of_all_details(at, -1, 0, -1, -1) == set(language.generic)


def test_a_string_depends_on_its_own_row_only() -> None:
    lexicon = load_lexicon()
    parts = random_parts(2_000, 5, 0.3)
    whole = query_strings(lexicon, BRANDS, parts)
    which = np.arange(1_999, -1, -7)
    assert query_strings(lexicon, BRANDS, rows(parts, which)) == [whole[i] for i in which]
    assert query_strings(lexicon, BRANDS, rows(parts, which[:1])) == [whole[1_999]]


def test_writing_leaves_the_parts_alone_and_gives_the_same_strings_again() -> None:
    lexicon = load_lexicon()
    parts = random_parts(500, 6, 0.5)
    before = pickle.dumps(parts)
    first = query_strings(lexicon, BRANDS, parts)
    assert pickle.dumps(parts) == before
    assert query_strings(lexicon, BRANDS, parts) == first
    other = dataclasses.replace(parts, key=hashing.absorb(parts.key, 1))
    assert query_strings(lexicon, BRANDS, other) != first


def test_no_rows_give_no_strings() -> None:
    assert query_strings(load_lexicon(), BRANDS, random_parts(0, 1, 0.1)) == []

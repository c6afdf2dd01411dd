"""Queries as integers and as strings say the same, to the last term."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import numpy.typing as npt
import pytest

from simenv import hashing
from simenv.language import QueryParts, brand_names, load_lexicon, query_strings, recognise, recognised_terms
from simenv.language.words import ATTRIBUTES, FREE, TERMS

BRANDS = brand_names(300, 7)


def random_parts(n: int, seed: int, misspelt: float, said: float = 0.5) -> QueryParts:
    """Parts of every kind, terms said and misspelt independently, whether they fit the category or not."""
    key = hashing.absorb(hashing.stream(seed, "test parts"), np.arange(n))
    lexicon = load_lexicon()
    n_locales, n_categories, n_words = lexicon.word_recognised.shape

    def pick(stream: int, among: int) -> npt.NDArray[np.int64]:
        return hashing.integers(hashing.absorb(key, stream), among)

    def uniform(stream: int, n_columns: int) -> npt.NDArray[np.float64]:
        return hashing.uniform(hashing.absorb(hashing.absorb(key, stream)[:, None], np.arange(n_columns)))

    among = [n_categories, len(BRANDS), *map(len, lexicon.values)]
    values = np.stack([pick(10 + term, count) for term, count in enumerate(among)], axis=1)
    return QueryParts(
        locale=pick(0, n_locales),
        terms=np.where(uniform(1, len(among)) < said, values, -1),
        category_variant=pick(2, n_words),
        free=uniform(3, len(FREE)) < said / 2,
        misspelt=uniform(4, len(among)) < misspelt,
        key=key,
    )


def rows(parts: QueryParts, which: npt.NDArray[np.integer]) -> QueryParts:
    return QueryParts(**{field.name: getattr(parts, field.name)[which] for field in dataclasses.fields(parts)})


def one(locale: str, category: int, variant: int, brand: int, **attributes: str) -> QueryParts:
    lexicon = load_lexicon()
    terms = [category, brand, *[-1] * len(ATTRIBUTES)]
    for name, value in attributes.items():
        terms[TERMS.index(name)] = lexicon.values[ATTRIBUTES.index(name)].index(value)
    return QueryParts(
        locale=np.array([lexicon.locales.index(locale)]),
        terms=np.array([terms]),
        category_variant=np.array([variant]),
        free=np.zeros((1, len(FREE)), bool),
        misspelt=np.zeros((1, len(TERMS)), bool),
        key=np.zeros(1, np.uint64),
    )


def strings_of_all_details(parts: QueryParts) -> set[str]:
    many = rows(parts, np.zeros(400, int))
    return set(query_strings(load_lexicon(), BRANDS, dataclasses.replace(many, key=random_parts(400, 1, 0.0).key)))


@pytest.mark.parametrize(("n", "misspelt"), [(60_000, 0.0), (40_000, 0.1), (6_000, 1.0)])
def test_a_dictionary_understands_of_the_string_what_the_parts_say(n: int, misspelt: float) -> None:
    lexicon = load_lexicon()
    parts = random_parts(n, 11, misspelt)
    expected = recognised_terms(lexicon, parts)
    strings = query_strings(lexicon, BRANDS, parts)
    found = [recognise(lexicon, BRANDS, at, query) for at, query in zip(parts.locale.tolist(), strings, strict=True)]
    np.testing.assert_array_equal(found, expected)
    assert all(query == query.lower() and query == " ".join(query.split()) and query for query in strings)


@pytest.mark.parametrize("term", [term for term in TERMS if term != "size"])
def test_every_word_can_be_misspelt_so_that_no_dictionary_knows_it(term: str) -> None:
    lexicon, at = load_lexicon(), TERMS.index(term)
    n_values = [lexicon.n_categories, 40, *map(len, lexicon.values)][at]
    n_words = lexicon.word_recognised.shape[2] if term == "category" else 1
    grid = np.meshgrid(*map(np.arange, (len(lexicon.locales), n_values, n_words, 4)), indexing="ij")
    locale, value, variant, luck = (axis.ravel() for axis in grid)
    n = len(locale)
    terms = np.full((n, len(TERMS)), -1)
    terms[:, at] = value
    parts = QueryParts(
        locale, terms, variant, np.zeros((n, len(FREE)), bool), np.ones((n, len(TERMS)), bool), hashing.absorb(3, luck)
    )
    strings = query_strings(lexicon, BRANDS, parts)
    found = {recognise(lexicon, BRANDS, where, query) for where, query in zip(locale, strings, strict=True)}
    assert found == {(-1,) * len(TERMS)}


def test_nobody_misspells_a_size() -> None:
    lexicon = load_lexicon()
    parts = dataclasses.replace(one("en-GB", -1, 0, -1, size="20-cm"), misspelt=np.ones((1, len(TERMS)), bool))
    assert recognised_terms(lexicon, parts)[0, TERMS.index("size")] == lexicon.values[1].index("20-cm")
    assert query_strings(lexicon, BRANDS, parts)[0] in {"20 cm", "20cm"}


def test_an_ambiguous_word_is_recognised_as_the_first_category() -> None:
    lexicon = load_lexicon()
    running, sneakers = lexicon.categories.index("running-shoes"), lexicon.categories.index("sneakers")
    variant = lexicon.languages[0].words[running].index("trainers")
    parts = one("en-GB", running, variant, -1)
    assert query_strings(lexicon, BRANDS, parts) == ["trainers"]
    assert recognised_terms(lexicon, parts).tolist() == [[sneakers, *[-1] * 6]]


@pytest.mark.parametrize(
    ("locale", "category", "said", "expected"),
    [
        ("de-DE", "dress", {"colour": "black"}, {"schwarzes kleid", "kleid schwarz"}),
        (
            "fr-FR",
            "running-shoes",
            {"colour": "yellow"},
            {"chaussures de running jaunes", "chaussures de running moutarde"},
        ),
        ("it-IT", "handbag", {"colour": "red"}, {"borsa rossa", "borsa bordeaux"}),
        ("es-ES", "sneakers", {"colour": "yellow"}, {"zapatillas amarillas", "zapatillas mostaza"}),
        ("nl-NL", "shirt", {"colour": "black"}, {"zwart overhemd", "overhemd zwart"}),
        ("nl-NL", "dress", {"colour": "black"}, {"zwarte jurk", "jurk zwart"}),
        ("pl-PL", "dress", {"audience": "women"}, {"sukienka damska", "sukienka dla kobiet"}),
        ("pl-PL", "mirror", {"colour": "black"}, {"lustro ścienne czarne", "czarne lustro ścienne"}),
        ("sv-SE", "tent", {"colour": "red"}, {"rött tält", "vinrött tält", "tält rött", "tält vinrött"}),
        ("sv-SE", "slippers", {"colour": "black"}, {"svarta innetofflor", "innetofflor svarta"}),
        ("en-GB", "boots", {"size": "shoe-38"}, {"ankle boots size 5", "ankle boots uk 5", "ankle boots uk size 5"}),
        ("fr-BE", "towel", {"material": "cotton"}, {"essuie de bain coton", "essuie de bain en coton"}),
    ],
)
def test_words_take_the_form_that_goes_with_the_noun(
    locale: str, category: str, said: dict[str, str], expected: set[str]
) -> None:
    parts = one(locale, load_lexicon().categories.index(category), 0, -1, **said)
    assert strings_of_all_details(parts) == expected


def test_a_query_that_says_nothing_is_generic() -> None:
    for language in load_lexicon().languages:
        assert strings_of_all_details(one(language.locale, -1, 0, -1)) == set(language.generic)


def test_a_query_of_free_words_is_understood_by_no_dictionary() -> None:
    lexicon = load_lexicon()
    parts = random_parts(5_000, 9, 0.0, said=0.0)
    parts = dataclasses.replace(parts, free=np.ones_like(parts.free))
    for at, query in zip(parts.locale.tolist(), query_strings(lexicon, BRANDS, parts), strict=True):
        assert recognise(lexicon, BRANDS, at, query) == (-1,) * len(TERMS)


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

"""The lexicon that ships: its shapes, its ambiguous words, and what a person who edits it is told."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from simenv.errors import UserError
from simenv.language import QueryParts, check_lexicon, check_titles, load_lexicon, query_strings, recognise
from simenv.language.data_files import read
from simenv.language.lexicon import build_lexicon
from simenv.language.words import ATTRIBUTES

LOCALES = ("en-GB", "de-DE", "fr-FR", "it-IT", "es-ES", "nl-NL", "pl-PL", "sv-SE", "nl-BE", "fr-BE")
FIRST = """dress jacket handbag sunglasses wristwatch sneakers running-shoes boots hiking-boots cushion pillow rug lamp
headphones smartwatch laptop loudspeaker bike-helmet yoga-mat backpack head-torch saucepan drinking-glasses plant-pot"""


def test_it_has_ten_locales_and_at_least_60_categories_in_eight_departments() -> None:
    lexicon = load_lexicon()
    assert lexicon.locales == LOCALES
    assert lexicon.n_categories >= 60
    assert lexicon.categories[:24] == tuple(FIRST.split())  # ids of logs that were written with 24
    assert (len(lexicon.departments), lexicon.n_colours) == (8, 10)
    assert set(lexicon.department) == set(range(8))


def test_every_category_has_two_to_four_words_in_every_locale() -> None:
    n_variants = load_lexicon().n_variants
    assert n_variants.min() >= 2
    assert n_variants.max() <= 4


def test_related_categories_are_three_others() -> None:
    lexicon = load_lexicon()
    assert lexicon.related.shape == (lexicon.n_categories, 3)
    for category, others in enumerate(lexicon.related.tolist()):
        assert len({category, *others}) == 4


def test_attributes_stand_only_where_they_fit() -> None:
    lexicon = load_lexicon()

    def fitting(attribute: str, category: str) -> set[str]:
        a, g = ATTRIBUTES.index(attribute), lexicon.categories.index(category)
        return {lexicon.values[a][value] for value in lexicon.fits[a, g, : lexicon.n_fits[a, g]]}

    assert fitting("audience", "dress") == {"women", "kids"}
    assert fitting("audience", "lawnmower") == set()
    assert fitting("size", "running-shoes") >= {"shoe-37", "shoe-44"}
    assert fitting("size", "coffee-machine") == set()
    assert fitting("material", "sofa") == {"leather", "velvet", "linen"}
    assert fitting("use", "tent") == {"camping", "hiking", "beach"}
    assert fitting("colour", "laptop") == set(lexicon.colours)
    assert (lexicon.n_fits[1:] > 0).any(axis=0).all()  # every category has something to be asked for by


def test_at_least_five_words_of_each_locale_are_ambiguous_and_name_a_related_category() -> None:
    lexicon = load_lexicon()
    for at, language in enumerate(lexicon.languages):
        guess = lexicon.word_recognised[at]
        where = np.argwhere(guess != np.arange(lexicon.n_categories)[:, None])
        assert len({language.words[g][v] for g, v in where}) >= 5
        for g, v in where:
            assert v > 0  # the main word of a category names it
            assert guess[g, v] in lexicon.related[g]
            assert guess[g, v] < g  # the first category listed is the one a dictionary takes
            assert recognise(lexicon, (), at, language.words[g][v].replace("+", ""))[0] == guess[g, v]


def test_belgium_speaks_its_neighbours_languages_with_words_of_its_own_and_can_switch() -> None:
    lexicon = load_lexicon()
    for own, neighbour, other, category, word in [
        ("nl-BE", "nl-NL", "fr-BE", "phone", "gsm"),
        ("fr-BE", "fr-FR", "nl-BE", "towel", "essuie"),
    ]:
        mine, theirs = (lexicon.languages[LOCALES.index(name)] for name in (own, neighbour))
        g = lexicon.categories.index(category)
        assert word in mine.words[g]
        assert word not in theirs.words[g]
        assert mine.attributes[:4] == theirs.attributes[:4]  # Belgians run and wed in words of their own
        assert lexicon.other_language[LOCALES.index(own)] == LOCALES.index(other)
    assert (lexicon.other_language[:8] == np.arange(8)).all()


def test_padding_repeats_the_main_word() -> None:
    lexicon = load_lexicon()
    for at, language in enumerate(lexicon.languages):
        for g, words in enumerate(language.words):
            n = int(lexicon.n_variants[at, g])
            assert len(set(words)) == len(words) == n
            assert (lexicon.word_recognised[at, g, n:] == lexicon.word_recognised[at, g, 0]).all()


def test_neighbouring_words_never_make_another_phrase() -> None:
    check_lexicon(load_lexicon())


def test_title_patterns_can_be_filled_in() -> None:
    check_titles(load_lexicon())


def test_a_colour_that_is_also_a_category_is_refused() -> None:
    locale = copy.deepcopy(read("en-GB"))
    locale["colours"]["red"] = ["rug"]
    with pytest.raises(UserError, match="'rug' names a category already"):
        build_lexicon(read("taxonomy"), [locale])


def test_a_locale_without_a_category_is_refused() -> None:
    locale = copy.deepcopy(read("de-DE"))
    del locale["categories"]["rug"]
    with pytest.raises(UserError, match="missing or unknown: rug"):
        build_lexicon(read("taxonomy"), [locale])


def test_an_unknown_form_is_refused_with_the_nearest() -> None:
    locale = copy.deepcopy(read("fr-FR"))
    locale["categories"]["rug"]["words"] = ["tapis:mm"]
    with pytest.raises(UserError, match=r"no form in fr-FR\.toml 'mm'"):
        build_lexicon(read("taxonomy"), [locale])


def test_words_that_meet_to_make_another_phrase_are_found() -> None:
    locale = copy.deepcopy(read("en-GB"))
    locale["categories"]["rug"]["words"] = ["rug", "white lamp"]
    with pytest.raises(UserError, match="the phrase 'white lamp' also comes about"):
        check_lexicon(build_lexicon(read("taxonomy"), [locale]))


def test_a_free_word_that_names_something_is_found() -> None:
    locale = copy.deepcopy(read("en-GB"))
    locale["details"] = ["with a lamp"]
    with pytest.raises(UserError, match="'with a lamp' should name nothing"):
        check_lexicon(build_lexicon(read("taxonomy"), [locale]))


def test_a_query_order_that_leaves_a_slot_out_is_refused() -> None:
    locale = copy.deepcopy(read("en-GB"))
    locale["query_orders"] = {"{brand} {category}": 1.0}
    lexicon = build_lexicon(read("taxonomy"), [locale])
    parts = QueryParts(
        *(np.zeros(shape, int) for shape in ((1,), (1, 7), (1,))),
        free=np.zeros((1, 4), bool),
        misspelt=np.zeros((1, 7), bool),
        key=np.zeros(1, np.uint64),
    )
    with pytest.raises(UserError, match="must have each of"):
        query_strings(lexicon, ("Novarel",), parts)

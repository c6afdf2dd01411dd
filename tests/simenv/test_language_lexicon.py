"""The lexicon that ships: its shapes, its ambiguous words, and what a person who edits it is told."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from simenv.errors import UserError
from simenv.language import check_lexicon, check_titles, load_lexicon, recognise
from simenv.language.data_files import read
from simenv.language.lexicon import build_lexicon


def test_it_has_three_locales_and_24_categories_in_six_departments() -> None:
    lexicon = load_lexicon()
    assert lexicon.locales == ("en-GB", "de-DE", "fr-FR")
    assert (lexicon.n_categories, len(lexicon.departments), lexicon.n_colours) == (24, 6, 10)
    assert set(lexicon.department) == set(range(6))


def test_every_category_has_two_to_four_words_in_every_locale() -> None:
    n_variants = load_lexicon().n_variants
    assert n_variants.min() >= 2
    assert n_variants.max() <= 4


def test_related_categories_are_three_others() -> None:
    related = load_lexicon().related
    assert related.shape == (24, 3)
    for category, others in enumerate(related.tolist()):
        assert len({category, *others}) == 4


def test_three_to_five_words_of_each_locale_are_ambiguous_and_name_a_related_category() -> None:
    lexicon = load_lexicon()
    for at, language in enumerate(lexicon.languages):
        guess = lexicon.word_recognised[at]
        where = np.argwhere(guess != np.arange(24)[:, None])
        assert 3 <= len({language.words[g][v] for g, v in where}) <= 5
        for g, v in where:
            assert guess[g, v] in lexicon.related[g]
            assert guess[g, v] < g  # the first category listed is the one a dictionary takes
            assert recognise(lexicon, (), at, language.words[g][v].replace("+", ""))[0] == guess[g, v]


def test_padding_repeats_the_main_word() -> None:
    lexicon = load_lexicon()
    for at, language in enumerate(lexicon.languages):
        for g, words in enumerate(language.words):
            n = int(lexicon.n_variants[at, g])
            assert len(set(words)) == n
            assert set(words[n:]) <= {words[0]}
            assert (lexicon.word_recognised[at, g, n:] == lexicon.word_recognised[at, g, 0]).all()


def test_neighbouring_words_never_make_another_phrase() -> None:
    check_lexicon(load_lexicon())


def test_title_patterns_can_be_filled_in() -> None:
    check_titles(load_lexicon())


def test_a_colour_that_is_also_a_category_is_refused() -> None:
    locale = copy.deepcopy(read("en-GB"))
    locale["colours"]["red"] = ["rug"]
    with pytest.raises(UserError, match="'rug' names a category"):
        build_lexicon(read("taxonomy"), [locale])


def test_a_locale_without_a_category_is_refused() -> None:
    locale = copy.deepcopy(read("de-DE"))
    del locale["categories"]["rug"]
    with pytest.raises(UserError, match="missing or unknown: rug"):
        build_lexicon(read("taxonomy"), [locale])


def test_an_unknown_colour_form_is_refused_with_the_nearest() -> None:
    locale = copy.deepcopy(read("fr-FR"))
    locale["categories"]["rug"]["words"] = ["tapis:mm"]
    with pytest.raises(UserError, match=r"no colour form in fr-FR\.toml 'mm'"):
        build_lexicon(read("taxonomy"), [locale])


def test_words_that_meet_to_make_another_phrase_are_found() -> None:
    locale = copy.deepcopy(read("en-GB"))
    locale["categories"]["rug"]["words"] = ["rug", "white lamp"]
    with pytest.raises(UserError, match="'white lamp' should name"):
        check_lexicon(build_lexicon(read("taxonomy"), [locale]))

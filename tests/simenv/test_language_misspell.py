"""Misspellings come in the measured mix. Tolerances are four standard errors of a binomial share."""

from __future__ import annotations

import collections
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from simenv import hashing
from simenv.errors import UserError
from simenv.language import misspell
from simenv.language.misspell import misspell_with
from simenv.language.spelling import keyboard_neighbours, load_spelling

N = 20_000
STATS = Path(__file__).resolve().parents[2] / "../shared/data/predict_de_typos/derived_typo_stats.json"
GERMAN = load_spelling("de-DE")
U = misspell.draws(hashing.absorb(hashing.stream(0, "test misspellings"), np.arange(N)))
EDITS = U[:, 4:10].tolist()
WORD = "staubfilter"  # no letter twice in a row, every letter on the keyboard with neighbours


def assert_share(count: int, n: int, share: float) -> None:
    assert abs(count - n * share) <= 4.0 * np.sqrt(n * share * (1.0 - share)), (count / n, share)


def operation(wrong: str) -> str:
    if len(wrong) != len(WORD):
        return "omission" if len(wrong) < len(WORD) else "insertion"
    return "transposition" if sorted(wrong) == sorted(WORD) else "substitution"


def first_difference(wrong: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(WORD, wrong, strict=False)) if a != b), min(len(WORD), len(wrong)))


def test_classes_come_in_the_measured_mix() -> None:
    drawn = collections.Counter(misspell.mistake_class(u) for u in U[:, 0].tolist())
    for name, count in misspell.CLASS_COUNTS.items():
        assert_share(drawn[name], N, count / sum(misspell.CLASS_COUNTS.values()))


def test_the_number_of_edits_comes_in_the_measured_mix() -> None:
    drawn = collections.Counter(misspell.n_edits(u) for u in U[:, 3].tolist())
    for n, count in misspell.EDIT_COUNTS.items():
        assert_share(drawn[n], N, count / sum(misspell.EDIT_COUNTS.values()))


def test_single_edits_come_in_the_measured_mix() -> None:
    wrong = [misspell.edit(WORD, GERMAN, u) for u in EDITS]
    drawn = collections.Counter(operation(w) for w in wrong)
    for name, count in misspell.OPERATION_COUNTS.items():
        assert_share(drawn[name], N, count / sum(misspell.OPERATION_COUNTS.values()))


def test_the_first_letter_is_hit_as_rarely_as_measured() -> None:
    wrong = [misspell.edit(WORD, GERMAN, u) for u in EDITS]
    hit = [first_difference(w) == 0 for w in wrong if operation(w) != "transposition" and not is_doubled(w)]
    assert_share(sum(hit), len(hit), misspell.FIRST_LETTER_SHARE)


def is_doubled(wrong: str) -> bool:
    return any(a == b for a, b in itertools.pairwise(wrong)) and operation(wrong) == "insertion"


def test_insertions_double_a_letter_as_often_as_measured() -> None:
    inserted = [w for w in (misspell.edit(WORD, GERMAN, u) for u in EDITS) if operation(w) == "insertion"]
    assert_share(sum(map(is_doubled, inserted)), len(inserted), misspell.DOUBLING_SHARE)


def test_omissions_undouble_a_letter_as_often_as_measured() -> None:
    omitted = [w for w in (misspell.edit("jacketasse", GERMAN, u) for u in EDITS) if len(w) == 9]
    assert_share(omitted.count("jacketase"), len(omitted), misspell.DOUBLING_SHARE)


def test_substitutions_hit_a_neighbouring_key_as_often_as_measured() -> None:
    wrong = [w for w in (misspell.edit(WORD, GERMAN, u) for u in EDITS) if operation(w) == "substitution"]
    near = [w[first_difference(w)] in GERMAN.neighbours[WORD[first_difference(w)]] for w in wrong]
    assert_share(sum(near), len(near), misspell.ADJACENT_SHARE)


def test_the_constants_are_those_of_the_test_set() -> None:
    if not STATS.exists():
        pytest.skip("the derived counts of the preDict test set are not here")
    stats = json.loads(STATS.read_text(encoding="utf-8"))
    assert sorted(stats["classes"].values()) == sorted(misspell.CLASS_COUNTS.values())
    edits = stats["dist"]
    assert [edits["1"], edits["2"], edits["3"] + edits["4"]] == list(misspell.EDIT_COUNTS.values())
    names = {"delete": "omission", "insert": "insertion", "replace": "substitution", "transposition": "transposition"}
    assert {names[name]: n for name, n in stats["ops"].items()} == misspell.OPERATION_COUNTS
    added_or_left_out = stats["ops"]["delete"] + stats["ops"]["insert"]
    assert pytest.approx(stats["doubling"] / added_or_left_out) == misspell.DOUBLING_SHARE
    assert pytest.approx(stats["adjacent"] / stats["subs"]) == misspell.ADJACENT_SHARE
    assert pytest.approx(stats["pos"]["first"] / sum(stats["pos"].values())) == misspell.FIRST_LETTER_SHARE


def test_each_class_does_what_its_name_says() -> None:
    u = [0.0, 0.0, 0.0, *[0.5] * (misspell.N_DRAWS - 3)]
    first = {misspell.mistake_class(x): x for x in np.linspace(0.0, 0.999, 1000)}
    assert misspell_with("koch+töpfe", GERMAN, [first["split"], *u[1:]]) == "koch-töpfe"
    assert misspell_with("koch+töpfe", GERMAN, [first["transliteration"], *u[1:]]) == "kochtoepfe"
    assert misspell_with("lauf+schuhe", GERMAN, [first["inflection"], *u[1:]]) == "laufschuh"
    assert misspell.splits("running shoes", 0.9) == ["runningshoes"]
    assert misspell.splits("lauf+schuhe", 0.9) == ["lauf schuhe"]
    assert misspell.transliterate("casque vélo", load_spelling("fr-FR"), 0.0) == "casque velo"
    assert set(misspell.inflections("trainers", load_spelling("en-GB"), 0.0)) == {"trainer", "trainer's", "traineres"}


def test_a_class_that_a_word_cannot_have_becomes_a_spelling_mistake() -> None:
    last = 1.0 - 1e-9  # transliteration, and "lampe" has no umlaut
    wrong = misspell_with("lampe", GERMAN, [last, *[0.3] * (misspell.N_DRAWS - 1)])
    assert wrong != "lampe"
    assert wrong.isalpha()


@pytest.mark.parametrize("locale", ["en-GB", "de-DE", "fr-FR", "it-IT", "es-ES", "nl-NL", "pl-PL", "sv-SE", "nl-BE"])
@pytest.mark.parametrize("word", ["sac à dos", "t-shirt", "rug", "koch+töpfe", "robe d'été"])
def test_a_misspelling_is_never_the_word_and_always_the_same(locale: str, word: str) -> None:
    spelling = load_spelling(locale)
    for u in U[:1_000].tolist():
        wrong = misspell_with(word, spelling, u)
        assert wrong != word.replace("+", "")
        assert "+" not in wrong
        assert wrong == " ".join(wrong.split()) != ""
    assert misspell.misspell(word, locale, 5) == misspell.misspell(word, locale, 5)


def test_an_unknown_locale_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'de-DE'"):
        misspell.misspell("kleid", "de-AT", 1)


def test_keys_touch_the_keys_beside_above_and_below() -> None:
    near = keyboard_neighbours(("qwertyuiop", "asdfghjkl", "zxcvbnm"))
    assert set(near["g"]) == set("fhtyvb")
    assert set(near["q"]) == set("wa")
    assert all(a in near[b] for a in near for b in near[a])

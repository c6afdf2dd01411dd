"""The tokenizer: nothing is lost, nothing is random."""

import json
import unicodedata

import numpy as np
import pytest

from policies.query.tokenizer import PAD, UNKNOWN, Tokenizer, normalised, tokenizer_from_json, train_tokenizer
from simenv.errors import UserError

TEXTS = ["red shoes", "Blue Shoes", "blå skor", "running shoes for women", "laufschuhe damen", "buty do biegania"] * 3


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS)


def test_pieces_give_the_text_back(tokenizer: Tokenizer) -> None:
    for text in [*TEXTS, "blue laufschuhe", "sker"]:  # words that it never saw, of letters that it did
        assert tokenizer.decode(tokenizer.encode(text)) == normalised(text)


def test_a_letter_that_training_never_saw_is_unknown(tokenizer: Tokenizer) -> None:
    assert UNKNOWN in tokenizer.encode("qed")
    assert tokenizer.decode(tokenizer.encode("qed")) == "\N{REPLACEMENT CHARACTER}ed"


def test_composed_and_decomposed_letters_are_the_same(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(unicodedata.normalize("NFD", "BLÅ skor")) == tokenizer.encode("blå skor")


def test_the_same_texts_give_the_same_tokenizer_in_any_order(tokenizer: Tokenizer) -> None:
    again = train_tokenizer(TEXTS[::-1])
    assert json.dumps(again.as_json()) == json.dumps(tokenizer.as_json())


def test_json_gives_the_tokenizer_back(tokenizer: Tokenizer) -> None:
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.as_json())))
    assert np.array_equal(again.words(TEXTS).ids, tokenizer.words(TEXTS).ids)


def test_words_are_looked_up_once_and_padded(tokenizer: Tokenizer) -> None:
    words = tokenizer.words(["red shoes", "shoes", ""])
    assert words.text == ("red", "shoes")
    assert words.word.tolist() == [[0, 1], [1, -1], [-1, -1]]
    assert (words.ids[0] == PAD).any()


def test_a_misspelling_keeps_some_of_its_word(tokenizer: Tokenizer) -> None:
    right, wrong = tokenizer.table(["laufschuhe", "laufshuhe"])
    assert len(set(right) & set(wrong) - {PAD, UNKNOWN}) >= 3


def test_damaged_json_and_empty_texts_are_refused() -> None:
    with pytest.raises(UserError, match="Train the encoder again"):
        tokenizer_from_json({"merges": [["a"]], "pieces": [], "trigrams": []})
    with pytest.raises(UserError, match="hold no word"):
        train_tokenizer(["", " "])

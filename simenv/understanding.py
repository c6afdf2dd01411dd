"""What the engine reads in the letters of a query; nothing of the intent behind them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import I32
from simenv.columns import take
from simenv.language import Lexicon, QueryParts
from simenv.language.queries import free_words
from simenv.language.words import BRAND, CATEGORY
from simenv.retrieval import FUZZY_HIT, Understood

Bools = npt.NDArray[np.bool_]


def understood(
    parts: QueryParts, terms: I32, lexicon: Lexicon, other_meaning: I32, seed: int, nothing_found: float
) -> Understood:
    """What the engine reads in the letters of the queries: both meanings of a word, and misspelt words at a guess.

    Args:
        parts: The queries.
        terms: (N, 7) what a dictionary recognises in them.
        lexicon: The words.
        other_meaning: `other_meanings` of them.
        seed: Of the engine: which words it confuses, and what it knows nothing of.
        nothing_found: Chance that it gives up on a query of which it knows no word.
    """
    meant = parts.terms[:, CATEGORY]
    said, wrong = meant >= 0, parts.misspelt[:, CATEGORY]
    category = np.maximum(meant, 0)
    related = lexicon.related
    by_word = hashing.stream(seed, "confused")
    u = hashing.uniform(hashing.absorb(parts.key, 50))
    nearby = related[category, hashing.integers(hashing.absorb(parts.key, 51), related.shape[1])]
    by_letters = np.where(u < FUZZY_HIT, category, nearby)
    primary = np.where(said, np.where(wrong, by_letters, terms[:, CATEGORY]), -1)
    other = other_meaning[parts.locale, category, parts.category_variant]
    word_key = hashing.absorb(hashing.absorb(by_word, primary), parts.locale)
    confused = related[np.maximum(primary, 0), hashing.integers(word_key, related.shape[1])]
    secondary = np.where(said, np.where((other >= 0) & ~wrong, other, confused), -1)
    brand = np.where(parts.misspelt[:, BRAND], parts.terms[:, BRAND], terms[:, BRAND])
    nothing = np.zeros(len(said), dtype=bool)
    rows = np.flatnonzero(~said)
    rows = rows[(terms[rows] < 0).all(axis=1)]
    nothing[rows] = finds_nothing(take(parts, rows), lexicon, seed, nothing_found)
    return Understood(primary.astype(np.int32), secondary.astype(np.int32), brand.astype(np.int32), nothing)


def finds_nothing(parts: QueryParts, lexicon: Lexicon, seed: int, nothing_found: float) -> Bools:
    """Whether the engine gives up on queries of which it knows no word; by what was typed, so alike for all."""
    misspelt = parts.misspelt[:, BRAND]
    letters = hashing.absorb(hashing.stream(seed, "nothing found"), parts.locale)
    for words in free_words(lexicon, parts).T:
        letters = hashing.absorb(letters, words)
    u = hashing.uniform(hashing.absorb(np.where(misspelt, parts.key, letters), 52))
    return (misspelt | parts.free.any(axis=1)) & (u < nothing_found)


def other_meanings(lexicon: Lexicon) -> I32:
    """Which other category each word means, from words that stand under two categories of one locale."""
    other = np.full(lexicon.word_recognised.shape, -1, dtype=np.int32)
    for locale, language in enumerate(lexicon.languages):
        means: dict[str, list[int]] = {}
        for category, words in enumerate(language.words):
            for word in set(words):
                means.setdefault(word, []).append(category)
        for category, words in enumerate(language.words):
            for variant, word in enumerate(words):
                others = [each for each in means[word] if each != category]
                if others:
                    # Read as the dictionary's guess first, the second reading is the one that it did not guess.
                    guessed = lexicon.word_recognised[locale, category, variant]
                    other[locale, category, variant] = others[0] if guessed == category else category
    return other

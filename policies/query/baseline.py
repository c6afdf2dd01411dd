"""The plain baseline: the dictionary, and an edit distance for the words that it does not have.

What a dictionary knows is read by the dictionary (`simenv.language.dictionary`). Each word left over, alone or with the
one after it, is compared with every phrase of its locale that names a term the query does not name yet, by the number
of omissions, insertions, substitutions and swaps of neighbours between them (optimal string alignment; Damerau, "A
technique for computer detection and correction of spelling errors", 1964). The nearest phrase is taken where it lies
within one edit, or within two for phrases of eight letters or more; of equally near ones the first in the alphabet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from policies.query.tokenizer import normalised
from simenv.language.dictionary import NOTHING, Dictionary, dictionary, look_up
from simenv.language.lexicon import Lexicon

LONG = 8  # letters from which two edits are forgiven
SHORTEST = 4  # letters under which nothing is

I32 = npt.NDArray[np.int32]
Found = tuple[int, int] | None  # (place in TERMS, value)


@dataclass(frozen=True, eq=False)
class Corrector:
    """A dictionary that forgives. Make it with `corrector`.

    Attributes:
        known: The dictionary.
        phrases: (L) phrases of each locale, in the order of the alphabet.
        letters: (L) of (M, longest) int32, the phrases' code points, 0 past their end. `length`: (L) of (M,).
        trusted: (L) words that are no mistakes: those of the market's own text.
    """

    known: Dictionary
    phrases: tuple[tuple[str, ...], ...]
    letters: tuple[I32, ...]
    length: tuple[I32, ...]
    trusted: tuple[frozenset[str], ...]
    _kept: dict[tuple[int, str], Found] = field(default_factory=dict, repr=False)

    def read(self, query: Sequence[str], locale: npt.NDArray[np.integer]) -> I32:
        """What N queries say of each of `TERMS`, (N, 7), -1 for nothing."""
        pairs: dict[tuple[int, str], int] = {}
        place = [pairs.setdefault(pair, len(pairs)) for pair in zip(locale.tolist(), query, strict=True)]
        return np.array([self._one(at, text) for at, text in pairs], dtype=np.int32)[place]

    def _one(self, locale: int, query: str) -> list[int]:
        found = list(look_up(self.known, locale, query))
        words = normalised(query).split()
        for i, word in enumerate(words):
            if word in self.trusted[locale]:
                continue
            pair = f"{word} {words[i + 1]}" if i + 1 < len(words) else word
            for candidate in dict.fromkeys((word, pair)):
                meant = self._nearest(locale, candidate)
                if meant is not None and found[meant[0]] == NOTHING:
                    found[meant[0]] = meant[1]
                    break
        return found

    def _nearest(self, locale: int, word: str) -> Found:
        key = (locale, word)
        if key not in self._kept:
            self._kept[key] = self._search(locale, word)
        return self._kept[key]

    def _search(self, locale: int, word: str) -> Found:
        length = self.length[locale]
        near = np.flatnonzero((np.abs(length - len(word)) <= 2) & (length >= SHORTEST))
        if not len(near) or len(word) < SHORTEST - 1:
            return None
        distance = edit_distances(word, self.letters[locale][near], length[near])
        forgiven = np.where(length[near] >= LONG, 2, 1)
        distance = np.where(distance <= forgiven, distance, 99)
        best = int(distance.argmin())
        return None if distance[best] == 99 else self.known.phrases[locale][self.phrases[locale][near[best]]]


def corrector(lexicon: Lexicon, brands: tuple[str, ...], texts: Iterable[tuple[int, str]] = ()) -> Corrector:
    """The corrector of a lexicon and brand names.

    Args:
        lexicon: The words.
        brands: Brand names.
        texts: (locale, title) whose words are taken to be written as they are meant.
    """
    known = dictionary(lexicon, brands)
    trusted: list[set[str]] = [set() for _ in known.phrases]
    for locale, text in texts:
        trusted[locale].update(normalised(text).split())
    for own, named in zip(trusted, known.phrases, strict=True):
        own.update(part for phrase in named for part in phrase.split(" "))
    phrases = tuple(tuple(sorted(each)) for each in known.phrases)
    return Corrector(
        known,
        phrases,
        tuple(_as_letters(each) for each in phrases),
        tuple(np.array([len(phrase) for phrase in each], dtype=np.int32) for each in phrases),
        tuple(map(frozenset, trusted)),
    )


def edit_distances(word: str, letters: I32, length: I32) -> I32:
    """Optimal string alignment distances of a word to M phrases.

    Args:
        word: A word.
        letters: (M, longest) code points, 0 past the end.
        length: (M,) letters of each.

    Returns:
        (M,) omissions, insertions, substitutions and swaps of neighbours, at the least.
    """
    m, longest = letters.shape
    before = np.zeros((m, longest + 1), dtype=np.int32)
    row = np.broadcast_to(np.arange(longest + 1, dtype=np.int32), (m, longest + 1)).copy()
    for i, letter in enumerate(map(ord, word)):
        after = np.full_like(row, i + 1)
        for j in range(longest):
            changed = row[:, j] + (letters[:, j] != letter)
            after[:, j + 1] = np.minimum(np.minimum(after[:, j], row[:, j + 1]) + 1, changed)
            if i and j:
                swapped = (letters[:, j - 1] == letter) & (letters[:, j] == ord(word[i - 1]))
                after[:, j + 1] = np.where(swapped, np.minimum(after[:, j + 1], before[:, j - 1] + 1), after[:, j + 1])
        before, row = row, after
    found: I32 = row[np.arange(m), length]
    return found


def _as_letters(phrases: Sequence[str]) -> I32:
    made = np.zeros((len(phrases), max(map(len, phrases))), dtype=np.int32)
    for row, phrase in enumerate(phrases):
        made[row, : len(phrase)] = [ord(letter) for letter in phrase]
    return made

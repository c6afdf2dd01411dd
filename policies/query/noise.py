"""Misspelling on purpose, so that an encoder trained on it forgives those who do so by accident.

One edit of a random kind at a random place: a letter left out, doubled, exchanged for another, put in, two letters
swapped, or a hyphen. That is not the mix of mistakes that the market makes; nothing of the market is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz"
N_EDITS = 6


def misspelt(word: str, rng: np.random.Generator) -> str:
    """A word with one random edit, or two with chance 0.2; words of one letter, and numbers, stay as they are."""
    if len(word) < 2 or word.isdigit():
        return word
    for _ in range(1 + int(rng.random() < 0.2)):
        word = _edited(word, int(rng.integers(N_EDITS)), int(rng.integers(len(word))), rng)
    return word


def variants(words: Sequence[str], n: int, rng: np.random.Generator) -> list[list[str]]:
    """`n` misspellings of each word."""
    return [[misspelt(word, rng) for _ in range(n)] for word in words]


def _edited(word: str, kind: int, at: int, rng: np.random.Generator) -> str:
    letter = LETTERS[int(rng.integers(len(LETTERS)))]
    if kind == 0 and len(word) > 2:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[:at] + letter + word[at + 1 :]
    if kind == 3:
        return word[:at] + letter + word[at:]
    if kind == 4 and at:
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
    return word[:at] + "-" + word[at:] if at else word + word[-1]

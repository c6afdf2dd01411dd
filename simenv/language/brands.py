"""Invented names: brands and the words of models.

Names are spelt from syllables, so that people can say them in every locale, and kept clear of real brands, rude words,
common words and every word of the lexicon. The first n names of a seed do not depend on n.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from simenv import errors, hashing
from simenv.language import data_files
from simenv.language.lexicon import Lexicon, load_lexicon
from simenv.language.misspell import SEAM

_SINGLE = ("b", "d", "f", "g", "k", "l", "l", "m", "m", "n", "n", "p", "r", "r", "s", "t", "t", "v", "v", "z")
_ONSETS = (*_SINGLE, *_SINGLE, "br", "dr", "fl", "gr", "kl", "tr")
_CLUSTERS = ("ld", "lm", "lv", "mb", "nd", "nt", "nv", "rd", "rk", "rl", "rm", "rn", "rv", "st", "sk", "lt", "rt", "mp")
_VOWELS = ("a", "a", "e", "e", "i", "o", "o", "u")
_CODAS = ("l", "n", "n", "r", "s", "x", "k")
_BRAND_PATTERNS = (
    (_ONSETS, _VOWELS, _SINGLE, _VOWELS, _SINGLE, _VOWELS),  # Lumera
    (_ONSETS, _VOWELS, _SINGLE, _VOWELS, _SINGLE, _VOWELS, _CODAS),  # Novarel
    (_ONSETS, _VOWELS, _CLUSTERS, ("a", "i", "o", "u"), _CODAS),  # Tolvik; with "e" too many are German words
    (_ONSETS, _VOWELS, _CLUSTERS, _VOWELS, _SINGLE, _VOWELS),  # Bardeno
)
_MODEL_PATTERNS = ((_SINGLE, _VOWELS, _CLUSTERS, ("a", "i", "o")),)  # Tarvo

MOST_BRANDS = 100_000
N_MODELS = 400
CONTAINED_FROM = 5  # letters from which a famous name may not even be part of a brand
_BLOCK = 1024


def brand_names(n: int, seed: int) -> tuple[str, ...]:
    """Invented, pronounceable, distinct brand names of one word, capitalised.

    Args:
        n: How many, up to 100,000.
        seed: Seed of the names; `brand_names(n, seed)` begins with `brand_names(m, seed)` for m < n.

    Raises:
        UserError: n is negative or too large.
    """
    if not 0 <= n <= MOST_BRANDS:
        raise errors.UserError(f"brand_names: n is {n}; expected 0 to {MOST_BRANDS}.")
    return tuple(itertools.islice(_names(_BRAND_PATTERNS, hashing.stream(seed, "brand names")), n))


@functools.cache
def model_words() -> tuple[str, ...]:
    """Short invented words for models ("Tarvo"); shorter than any brand, so never one."""
    return tuple(itertools.islice(_names(_MODEL_PATTERNS, hashing.stream(0, "model words")), N_MODELS))


@functools.lru_cache(maxsize=4)
def taken_words(lexicon: Lexicon) -> frozenset[str]:
    """Every single word that queries or titles of the lexicon may have, casefolded."""
    texts: list[str] = []
    for language in lexicon.languages:
        texts += [word.replace(SEAM, "") for words in language.words for word in words]
        texts += [part for words in language.words for word in words for part in word.split(SEAM)]
        texts += [form for values in language.attributes for ways in values for forms in ways for form in forms]
        texts += [*language.nouns, *language.generic, *(text for texts in language.free.values() for text in texts)]
    return frozenset(word.casefold() for text in texts for word in text.split())


def _names(patterns: tuple[tuple[tuple[str, ...], ...], ...], root: int) -> Iterator[str]:
    taken = set(taken_words(load_lexicon()))
    n_draws = 1 + max(len(pattern) for pattern in patterns)
    for block in itertools.count():
        numbers = np.arange(block * _BLOCK, (block + 1) * _BLOCK)
        u = hashing.uniform(hashing.absorb(hashing.absorb(root, numbers)[:, None], np.arange(n_draws)))
        for first, *rest in u.tolist():
            pattern = patterns[int(first * len(patterns))]
            name = "".join(sounds[int(draw * len(sounds))] for sounds, draw in zip(pattern, rest, strict=False))
            if name not in taken and _is_fit(name):
                taken.add(name)
                yield name.capitalize()


def _is_fit(name: str) -> bool:
    avoid = _avoid()
    return not (
        any(part in name for part in avoid.fragments)
        or name in avoid.words
        or not avoid.near.isdisjoint(_one_letter_less(name))
    )


class _Avoid:
    """What names must not be, from `data/avoid.toml`.

    Attributes:
        fragments: Must not occur in a name.
        words: Must not be a name.
        near: Famous names whole and with one letter less. A name that shares one of these is within an edit.
    """

    def __init__(self) -> None:
        lists = data_files.read("avoid")
        self.fragments = (*lists["rude"], *(name for name in lists["famous"] if len(name) >= CONTAINED_FROM))
        self.words = frozenset(lists["ordinary"])
        self.near = frozenset(less for name in lists["famous"] for less in _one_letter_less(name))


@functools.cache
def _avoid() -> _Avoid:
    return _Avoid()


def _one_letter_less(name: str) -> list[str]:
    return [name, *(name[:i] + name[i + 1 :] for i in range(len(name)))]

"""Words: how real text is cut into tokens, and which terms a plain dictionary of the catalogue's own names recognises.

The dictionary knows the names of categories, brands and attribute values, and nothing else: no synonyms, no
misspellings. What it does not know stays unrecognised, as in a shop without query understanding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simenv.catalogue import I32

_WORD = re.compile(r"[^\W_]+")
Phrases = Mapping[tuple[str, ...], int]

LONGEST = 6  # words of a phrase that is looked for


def tokens(text: str) -> list[str]:
    """Words in lower case without a plural's s: "USB hubs" -> ["usb", "hub"]."""
    return [_singular(word) for word in _WORD.findall(text.lower())]


@dataclass(frozen=True)
class Dictionary:
    """Phrases of each kind of term, in the order of `Page.query_terms`."""

    kinds: tuple[Phrases, ...]

    def recognise(self, query: str) -> tuple[int, ...]:
        """The terms named in a query, -1 for none: of each kind the longest phrase, the last of equally long ones."""
        words = tokens(query)
        return tuple(_longest(words, phrases) for phrases in self.kinds)


def dictionary(
    categories: Sequence[str], brands: Sequence[str], values: Sequence[Sequence[str]], hidden: frozenset[str]
) -> Dictionary:
    """A dictionary of a catalogue's names.

    A category is also known by the parts of a name with a slash ("tray/feeder") and by its last word where no other
    category ends in it ("wireless headset" by "headset").

    Args:
        categories: Their names, by id.
        brands: Theirs.
        values: Those of each attribute.
        hidden: Names that stand for a missing one and are no words.
    """
    last = Counter(name_tokens[-1] for name in categories if (name_tokens := tokens(name)))
    known: dict[tuple[str, ...], int] = {}
    for place, name in enumerate(categories):
        words = tokens(name)
        if name in hidden or not words:
            continue
        if last[words[-1]] == 1:
            known.setdefault((words[-1],), place)
        for part in name.split("/")[:-1]:
            known.setdefault(tuple(tokens(part)), place)
    for place, name in enumerate(categories):
        if name not in hidden:
            known[tuple(tokens(name))] = place
    rest = [
        {tuple(tokens(name)): place for place, name in enumerate(names) if name not in hidden}
        for names in (brands, *values)
    ]
    return Dictionary(tuple({phrase: place for phrase, place in each.items() if phrase} for each in (known, *rest)))


def terms_of(known: Dictionary, queries: Sequence[str]) -> I32:
    """(Q, T) terms of queries."""
    return np.array([known.recognise(query) for query in queries], dtype=np.int32).reshape(len(queries), -1)


def _longest(words: Sequence[str], phrases: Phrases) -> int:
    for length in range(min(LONGEST, len(words)), 0, -1):
        for start in range(len(words) - length, -1, -1):
            found = phrases.get(tuple(words[start : start + length]))
            if found is not None:
                return found
    return -1


def _singular(word: str) -> str:
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1]

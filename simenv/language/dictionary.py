"""A plain dictionary: what the words of a query name, by exact look-up of phrases, longest first.

It corrects nothing and guesses once: an ambiguous word names the first of its categories. Whoever wants to understand
queries better has this to beat.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from simenv import errors
from simenv.language.lexicon import Lexicon
from simenv.language.misspell import SEAM
from simenv.language.words import BRAND, CATEGORY, COLOUR, SLOTS, TERMS, Language

NOTHING = -1
Tokens = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Phrases of every locale and the brands.

    Attributes:
        phrases: (L) phrase -> (place in `TERMS`, index).
        longest: (L) words in the longest phrase.
    """

    phrases: tuple[Mapping[str, tuple[int, int]], ...]
    longest: tuple[int, ...]


@functools.lru_cache(maxsize=8)
def dictionary(lexicon: Lexicon, brands: tuple[str, ...]) -> Dictionary:
    """The dictionary of a lexicon and brand names; kept for the last few pairs asked for."""
    words_in_brands = max((len(brand.split()) for brand in brands), default=1)
    of_brands = {brand.lower(): (BRAND, i) for i, brand in enumerate(brands)}
    return Dictionary(
        phrases=tuple(of_brands | dict(language.phrases) for language in lexicon.languages),
        longest=tuple(max(language.longest, words_in_brands) for language in lexicon.languages),
    )


def recognise(lexicon: Lexicon, brands: tuple[str, ...], locale: int, query: str) -> tuple[int, ...]:
    """What a plain dictionary understands of a query.

    Args:
        lexicon: The words.
        brands: Brand names.
        locale: Index into `lexicon.locales`.
        query: As typed; case does not matter.

    Returns:
        One index for each of `TERMS` (category, brand, colour, size, material, audience, use), -1 where none was
        recognised. Of two of a kind the first counts.
    """
    return look_up(dictionary(lexicon, brands), locale, query)


def look_up(known: Dictionary, locale: int, query: str) -> tuple[int, ...]:
    """`recognise` with a dictionary at hand."""
    phrases, longest = known.phrases[locale], known.longest[locale]
    words = query.lower().split()
    found = [NOTHING] * len(TERMS)
    i = 0
    while i < len(words):
        step = 1
        for n in range(min(longest, len(words) - i), 0, -1):
            match = phrases.get(words[i] if n == 1 else " ".join(words[i : i + n]))
            if match is not None:
                term, index = match
                if found[term] == NOTHING:
                    found[term] = index
                step = n
                break
        i += step
    return tuple(found)


def check_lexicon(lexicon: Lexicon) -> None:
    """Whether every correctly written query is understood as it was meant to be written; for people who edit words.

    Every word alone must be recognised as what it is, free words as nothing. And no phrase may come about where
    words of two or three different slots of a query meet: the last words of one, all of another, the first of a third.

    Raises:
        UserError: A free word names something, or words that meet make another phrase.
    """
    for at, language in enumerate(lexicon.languages):
        known = dictionary(lexicon, ())
        texts = list(_texts(language))
        for slot, text in [*texts, *((len(SLOTS), generic) for generic in language.generic)]:
            found = look_up(known, at, text)
            named = [term for term, value in enumerate(found) if value != NOTHING]
            if named != ([slot] if slot < len(TERMS) else []):
                expected = f"a {TERMS[slot]}" if slot < len(TERMS) else "nothing"
                raise errors.UserError(
                    f"{language.locale}.toml: '{text}' should name {expected} but"
                    f" a dictionary finds {[TERMS[term] for term in named]}; change one of its words."
                )
        _check_meetings(language, texts)


def _texts(language: Language) -> Iterator[tuple[int, str]]:
    """Everything that can stand in a query: (place in `SLOTS`, text)."""
    for words in language.words:
        yield from ((CATEGORY, word.replace(SEAM, "")) for word in words)
    for term, values in enumerate(language.attributes, start=COLOUR):
        yield from ((term, form) for wordings in values for forms in wordings for form in forms)
    for kind, texts in language.free.items():
        yield from ((SLOTS.index(kind), text) for text in texts)


def _check_meetings(language: Language, texts: list[tuple[int, str]]) -> None:
    ends: dict[Tokens, set[int]] = {}  # words that may stand before a meeting: those not swallowed by a phrase already
    wholes: dict[Tokens, set[int]] = {}
    starts: dict[Tokens, set[int]] = {}
    for slot, text in texts:
        words = tuple(text.split(" "))
        wholes.setdefault(words, set()).add(slot)
        for n in range(1, len(words) + 1):
            starts.setdefault(words[:n], set()).add(slot)
            if n == len(words) or slot >= len(TERMS):
                ends.setdefault(words[len(words) - n :], set()).add(slot)
    for phrase in language.phrases:
        words = tuple(phrase.split(" "))
        for i in range(1, len(words)):
            for j in range(i, len(words)):
                middle = wholes.get(words[i:j], set()) if j > i else {-1}
                for one in ends.get(words[:i], set()):
                    if any(len({one, two, three}) == 3 for two in middle for three in starts.get(words[j:], set())):
                        raise errors.UserError(
                            f"{language.locale}.toml: the phrase '{phrase}' also comes about where other words meet: "
                            f"'{' '.join(words[:i])}' and '{' '.join(words[i:])}'; change one of them."
                        )

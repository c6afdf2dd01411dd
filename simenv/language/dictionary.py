"""A plain dictionary: what the words of a query name, by exact look-up of phrases, longest first.

It corrects nothing and guesses once: an ambiguous word names the first of its categories. Whoever wants to understand
queries better has this to beat.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simenv import errors
from simenv.language.lexicon import CATEGORY, Lexicon
from simenv.language.misspell import SEAM

NOTHING = -1
_CATEGORY, _BRAND, _COLOUR = 0, 1, 2  # order of the recognised terms


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Phrases of every locale and the brands.

    Attributes:
        phrases: (L) phrase -> (term, index) with term 0 category, 1 brand, 2 colour.
        longest: (L) words in the longest phrase.
    """

    phrases: tuple[Mapping[str, tuple[int, int]], ...]
    longest: tuple[int, ...]


@functools.lru_cache(maxsize=8)
def dictionary(lexicon: Lexicon, brands: tuple[str, ...]) -> Dictionary:
    """The dictionary of a lexicon and brand names; kept for the last few pairs asked for."""
    words_in_brands = max((len(brand.split()) for brand in brands), default=1)
    of_brands = {brand.lower(): (_BRAND, i) for i, brand in enumerate(brands)}
    return Dictionary(
        phrases=tuple(
            of_brands
            | {
                phrase: (_CATEGORY if kind == CATEGORY else _COLOUR, index)
                for phrase, (kind, index) in language.phrases.items()
            }
            for language in lexicon.languages
        ),
        longest=tuple(max(language.longest, words_in_brands) for language in lexicon.languages),
    )


def recognise(lexicon: Lexicon, brands: tuple[str, ...], locale: int, query: str) -> tuple[int, int, int]:
    """What a plain dictionary understands of a query.

    Args:
        lexicon: The words.
        brands: Brand names.
        locale: Index into `lexicon.locales`.
        query: As typed; case does not matter.

    Returns:
        Category, brand and colour, -1 where none was recognised. Of two of a kind the first counts.
    """
    return look_up(dictionary(lexicon, brands), locale, query)


def look_up(known: Dictionary, locale: int, query: str) -> tuple[int, int, int]:
    """`recognise` with a dictionary at hand."""
    phrases, longest = known.phrases[locale], known.longest[locale]
    words = query.lower().split()
    found = [NOTHING, NOTHING, NOTHING]
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
    return found[0], found[1], found[2]


def check_lexicon(lexicon: Lexicon) -> None:
    """Whether every correctly written query is understood as it was meant to be written; for people who edit words.

    Looks up every pair of a category word and a colour word in both orders, and every generic query.

    Raises:
        UserError: Words of neighbouring terms make another phrase, or a generic query names something.
    """
    for at, language in enumerate(lexicon.languages):
        known = dictionary(lexicon, ())
        for generic in language.generic:
            _expect(known, at, generic, (-1, -1, -1), language.locale)
        words = [
            (word.replace(SEAM, ""), int(lexicon.word_recognised[at, g, v]))
            for g, variants in enumerate(language.words)
            for v, word in enumerate(variants)
        ]
        forms = [(form, a) for a, wordings in enumerate(language.colours) for form in _distinct(wordings)]
        for word, category in words:
            for form, colour in forms:
                for query in (f"{word} {form}", f"{form} {word}"):
                    _expect(known, at, query, (category, -1, colour), language.locale)


def _distinct(wordings: Sequence[Sequence[str]]) -> set[str]:
    return {form for wording in wordings for form in wording}


def _expect(known: Dictionary, at: int, query: str, terms: tuple[int, int, int], locale: str) -> None:
    found = look_up(known, at, query)
    if found != terms:
        raise errors.UserError(
            f"{locale}.toml: '{query}' should name (category, brand, colour) {terms} but a "
            f"dictionary finds {found}; change one of its words."
        )

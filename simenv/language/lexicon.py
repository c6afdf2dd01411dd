"""The aligned lexicon: the same categories and colours in the words of every locale.

`Lexicon` holds what the physics needs as arrays (axes: L locales, G categories, V word variants, A colours, W colour
wordings) and, in one `Language` a locale, the words themselves. It is read from `data/taxonomy.toml` and one file a
locale; a new locale or category is a change of those files alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from simenv import errors
from simenv.language import data_files
from simenv.language.misspell import SEAM

Ints = npt.NDArray[np.int32]
CATEGORY, COLOUR = 0, 1  # what a phrase of `Language.phrases` names

N_RELATED = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Template:
    """A pattern with {placeholders} and how often it is used.

    Attributes:
        pattern: For example "{brand} {category} {colour}".
        weight: Share of use, relative to the other templates of the list.
    """

    pattern: str
    weight: float


@dataclass(frozen=True, eq=False)
class Language:
    """The words of one locale. Nested tuples follow the axes of `Lexicon`, padded as its arrays are.

    Attributes:
        locale: For example "de-DE".
        words: (G)(V) what shoppers type, with `+` at compound seams.
        colours: (A)(W)(form) colour words in every form.
        nouns: (G) nouns of product titles.
        phrases: Phrase -> (CATEGORY or COLOUR, index): the plain dictionary, where an ambiguous word names its first
            category.
        longest: Words in the longest phrase.
        generic: What somebody types who names nothing.
        query_orders: Orders of {category}, {brand} and {colour} or {agreeing}.
        titles: Patterns of product titles; `titles_without_colour` where the product has none.
        sizes: (G) sizes that titles may show; empty where sizes make no sense.
    """

    locale: str
    words: tuple[tuple[str, ...], ...]
    colours: tuple[tuple[tuple[str, ...], ...], ...]
    nouns: tuple[str, ...]
    phrases: Mapping[str, tuple[int, int]]
    longest: int
    generic: tuple[str, ...]
    query_orders: tuple[Template, ...]
    titles: tuple[Template, ...]
    titles_without_colour: tuple[Template, ...]
    sizes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Categories, colours and their words, aligned over locales.

    Attributes:
        locales: (L) locale names, for example "en-GB".
        departments: Internal department names.
        categories: (G) internal category names.
        colours: (A) internal colour names.
        department: (G,) index into `departments`.
        related: (G, 3) the nearest other categories, most easily confused first.
        technical: (G,) whether model names carry numbers.
        n_variants: (L, G) distinct words of a category; the main word is variant 0.
        word_recognised: (L, G, V) the category that a plain dictionary recognises in a variant: the category itself
            unless the word is ambiguous. Past `n_variants` the main word repeats.
        word_form: (L, G, V) which colour form goes with the word.
        noun_form: (L, G) which colour form goes with the title noun.
        n_colour_variants: (L, A) distinct wordings of a colour, padded likewise.
        languages: (L) the words.
    """

    locales: tuple[str, ...]
    departments: tuple[str, ...]
    categories: tuple[str, ...]
    colours: tuple[str, ...]
    department: Ints
    related: Ints
    technical: npt.NDArray[np.bool_]
    n_variants: Ints
    word_recognised: Ints
    word_form: Ints
    noun_form: Ints
    n_colour_variants: Ints
    languages: tuple[Language, ...]

    @property
    def n_categories(self) -> int:
        """G."""
        return len(self.categories)

    @property
    def n_colours(self) -> int:
        """A."""
        return len(self.colours)


@functools.cache
def load_lexicon() -> Lexicon:
    """The lexicon that ships with the package; read once.

    Raises:
        UserError: A data file was edited into something inconsistent.
    """
    taxonomy = data_files.read("taxonomy")
    return build_lexicon(taxonomy, [data_files.read(locale) for locale in taxonomy["locales"]])


def build_lexicon(taxonomy: Mapping[str, Any], locales: list[dict[str, Any]]) -> Lexicon:
    """A lexicon from parsed files.

    Args:
        taxonomy: The content of a taxonomy file.
        locales: The contents of the locale files, in order.

    Raises:
        UserError: A locale lacks a category or a colour, a name or a form is unknown, or a word is both a category
            and a colour.
    """
    categories, colours = tuple(taxonomy["categories"]), tuple(taxonomy["colours"])
    entries = [_read_words(locale, categories, colours) for locale in locales]
    n_variants = np.array([[len(words) for words in entry.words] for entry in entries], dtype=np.int32)
    n_colours = np.array([[len(wordings) for wordings in entry.colours] for entry in entries], dtype=np.int32)
    v, w = int(n_variants.max()), int(n_colours.max())
    languages = tuple(_language(locale, entry, taxonomy, v, w) for locale, entry in zip(locales, entries, strict=True))
    shelves = taxonomy["categories"]
    return Lexicon(
        locales=tuple(locale["locale"] for locale in locales),
        departments=tuple(taxonomy["departments"]),
        categories=categories,
        colours=colours,
        department=np.array(
            [_index(shelves[c]["department"], taxonomy["departments"], "department") for c in categories],
            dtype=np.int32,
        ),
        related=_related(shelves, categories),
        technical=np.array([shelves[c].get("technical", False) for c in categories]),
        n_variants=n_variants,
        word_recognised=np.array(
            [
                [[language.phrases[word.replace(SEAM, "")][1] for word in words] for words in language.words]
                for language in languages
            ],
            dtype=np.int32,
        ),
        word_form=np.array([[_pad(forms, v) for forms in entry.word_forms] for entry in entries], dtype=np.int32),
        noun_form=np.array([entry.noun_forms for entry in entries], dtype=np.int32),
        n_colour_variants=n_colours,
        languages=languages,
    )


@dataclass(frozen=True)
class _Words:
    """One locale's words as written in its file, unpadded."""

    words: tuple[tuple[str, ...], ...]
    word_forms: tuple[tuple[int, ...], ...]
    nouns: tuple[str, ...]
    noun_forms: tuple[int, ...]
    colours: tuple[tuple[tuple[str, ...], ...], ...]


def _read_words(locale: Mapping[str, Any], categories: tuple[str, ...], colours: tuple[str, ...]) -> _Words:
    name, forms = locale["locale"], locale["colour_forms"]
    for kind, wanted in (("categories", categories), ("colours", colours)):
        if set(locale[kind]) != set(wanted):
            odd = sorted(set(locale[kind]) ^ set(wanted))
            raise errors.UserError(
                f"{name}.toml: [{kind}] must name the {kind} of taxonomy.toml exactly; "
                f"missing or unknown: {', '.join(odd)}."
            )
    split = [[_word_and_form(text, forms, name) for text in locale["categories"][c]["words"]] for c in categories]
    for category, words in zip(categories, split, strict=True):
        if not words or len({word.replace(SEAM, "") for word, _ in words}) < len(words):
            raise errors.UserError(f"{name}.toml: {category} needs at least one word and none twice.")
    nouns = [_word_and_form(locale["categories"][c]["title"], forms, name) for c in categories]
    return _Words(
        words=tuple(tuple(word for word, _ in words) for words in split),
        word_forms=tuple(tuple(form for _, form in words) for words in split),
        nouns=tuple(noun for noun, _ in nouns),
        noun_forms=tuple(form for _, form in nouns),
        colours=tuple(tuple(_colour_forms(text, len(forms), name) for text in locale["colours"][c]) for c in colours),
    )


def _word_and_form(text: str, forms: list[str], locale: str) -> tuple[str, int]:
    word, _, form = text.partition(":")
    return word, _index(form, forms, f"colour form in {locale}.toml") if form else 0


def _colour_forms(text: str, n_forms: int, locale: str) -> tuple[str, ...]:
    forms = text.split()
    if len(forms) not in (1, n_forms):
        raise errors.UserError(f"{locale}.toml: colour '{text}' has {len(forms)} forms; expected 1 or {n_forms}.")
    return tuple(forms) if len(forms) == n_forms else (forms[0],) * n_forms


def _language(locale: Mapping[str, Any], entry: _Words, taxonomy: Mapping[str, Any], v: int, w: int) -> Language:
    phrases = _phrases(entry, locale["locale"])
    sizes = [category.get("size") for category in taxonomy["categories"].values()]
    for kind in sizes:
        if kind is not None and kind not in locale["sizes"]:
            raise errors.unknown_name(f"size list in {locale['locale']}.toml", kind, locale["sizes"])
    return Language(
        locale=locale["locale"],
        words=tuple(_pad(words, v) for words in entry.words),
        colours=tuple(_pad(wordings, w) for wordings in entry.colours),
        nouns=entry.nouns,
        phrases=phrases,
        longest=max(len(phrase.split(" ")) for phrase in phrases),
        generic=tuple(locale["generic"]),
        query_orders=_templates(locale["query_orders"]),
        titles=_templates(locale["titles"]),
        titles_without_colour=_templates(locale["titles_without_colour"]),
        sizes=tuple(() if kind is None else tuple(locale["sizes"][kind]) for kind in sizes),
    )


def _phrases(entry: _Words, locale: str) -> dict[str, tuple[int, int]]:
    phrases: dict[str, tuple[int, int]] = {}
    for category, words in enumerate(entry.words):
        for word in words:
            phrases.setdefault(word.replace(SEAM, ""), (CATEGORY, category))
    for colour, wordings in enumerate(entry.colours):
        for form in (form for wording in wordings for form in wording):
            if phrases.setdefault(form, (COLOUR, colour)) != (COLOUR, colour):
                raise errors.UserError(
                    f"{locale}.toml: '{form}' names a category or another colour already; a colour "
                    "word must name one colour only."
                )
    return phrases


def _templates(weights: Mapping[str, float]) -> tuple[Template, ...]:
    return tuple(Template(pattern, float(weight)) for pattern, weight in weights.items())


def _related(shelves: Mapping[str, Any], categories: tuple[str, ...]) -> Ints:
    for category in categories:
        named = shelves[category]["related"]
        if len(set(named)) != N_RELATED or len(named) != N_RELATED or category in named:
            raise errors.UserError(
                f"taxonomy.toml: {category} needs {N_RELATED} different other categories as related; got {named}."
            )
    return np.array(
        [[_index(other, categories, "category") for other in shelves[c]["related"]] for c in categories], dtype=np.int32
    )


def _index(name: str, names: list[str] | tuple[str, ...], kind: str) -> int:
    if name not in names:
        raise errors.unknown_name(kind, name, names)
    return names.index(name)


def _pad(items: tuple[T, ...], length: int) -> tuple[T, ...]:
    return items + items[:1] * (length - len(items))

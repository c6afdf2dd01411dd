"""The aligned lexicon: the same categories and attributes in the words of every locale.

`Lexicon` holds what the physics needs as arrays (axes: L locales, G categories, V word variants, X values of an
attribute, padded to those of the richest, W wordings of a value) and, in one `Language` a locale, the words
themselves. It is read from `data/taxonomy.toml` and one file a locale; a new locale or category is a change of those
files alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv import errors
from simenv.language import data_files
from simenv.language.misspell import SEAM
from simenv.language.words import ATTRIBUTES, Language, index, pad, read_language

Ints = npt.NDArray[np.int32]

N_RELATED = 3


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Categories, attributes and their words, aligned over locales.

    Attributes:
        locales: (L) locale names, for example "en-GB".
        departments: Internal department names.
        categories: (G) internal category names.
        values: (5) internal names of the values of each of `ATTRIBUTES`.
        department: (G,) index into `departments`.
        related: (G, 3) the nearest other categories, most easily confused first.
        technical: (G,) whether model names carry numbers.
        n_fits: (5, G) how many values of an attribute products of a category may have; 0 where it makes no sense.
        fits: (5, G, X) which; the first repeated past `n_fits`.
        other_language: (L,) the locale of the same country in its other language; the locale itself where it has one.
        n_variants: (L, G) distinct words of a category; the main word is variant 0.
        word_recognised: (L, G, V) the category that a plain dictionary recognises in a variant: the category itself
            unless the word is ambiguous. Past `n_variants` the main word repeats.
        word_form: (L, G, V) which form of an attribute goes with the word.
        noun_form: (L, G) which goes with the title noun.
        n_wordings: (L, 5, X) wordings of a value.
        languages: (L) the words.
    """

    locales: tuple[str, ...]
    departments: tuple[str, ...]
    categories: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    department: Ints
    related: Ints
    technical: npt.NDArray[np.bool_]
    n_fits: Ints
    fits: Ints
    other_language: Ints
    n_variants: Ints
    word_recognised: Ints
    word_form: Ints
    noun_form: Ints
    n_wordings: Ints
    languages: tuple[Language, ...]

    @property
    def n_categories(self) -> int:
        """G."""
        return len(self.categories)

    @property
    def colours(self) -> tuple[str, ...]:
        """Internal colour names."""
        return self.values[0]

    @property
    def n_colours(self) -> int:
        """Number of colours."""
        return len(self.colours)


@functools.cache
def load_lexicon() -> Lexicon:
    """The lexicon that ships with the package; read once.

    Raises:
        UserError: A data file was edited into something inconsistent.
    """
    taxonomy = data_files.read("taxonomy")
    return build_lexicon(taxonomy, [data_files.read_locale(locale) for locale in taxonomy["locales"]])


def build_lexicon(taxonomy: Mapping[str, Any], locales: list[dict[str, Any]]) -> Lexicon:
    """A lexicon from parsed files.

    Args:
        taxonomy: The content of a taxonomy file.
        locales: The contents of the locale files, in order, each on top of what it is `like`.

    Raises:
        UserError: A locale lacks a category or a value, a name or a form is unknown, or a word is both a category and
            something else.
    """
    categories = tuple(taxonomy["categories"])
    sizes = tuple(dict.fromkeys(size for kind in taxonomy["sizes"].values() for size in kind))
    values = (tuple(taxonomy["colours"]), sizes, *(tuple(taxonomy[f"{name}s"]) for name in ATTRIBUTES[2:]))
    languages = tuple(read_language(file, categories, values, taxonomy["size_words"]) for file in locales)
    shelves = taxonomy["categories"]
    n_variants = np.array([[len(words) for words in language.words] for language in languages], dtype=np.int32)
    names = tuple(language.locale for language in languages)
    n_fits, fits = _fits(taxonomy, categories, values)
    return Lexicon(
        locales=names,
        departments=tuple(taxonomy["departments"]),
        categories=categories,
        values=values,
        department=np.array(
            [index(shelves[c]["department"], taxonomy["departments"], "department") for c in categories],
            dtype=np.int32,
        ),
        related=_related(shelves, categories),
        technical=np.array([shelves[c].get("technical", False) for c in categories]),
        n_fits=n_fits,
        fits=fits,
        other_language=_other_language(taxonomy["switching"], names),
        n_variants=n_variants,
        word_recognised=_padded(
            [
                [tuple(language.phrases[word.replace(SEAM, "")][1] for word in words) for words in language.words]
                for language in languages
            ],
            int(n_variants.max()),
        ),
        word_form=_padded([language.word_forms for language in languages], int(n_variants.max())),
        noun_form=np.array([language.noun_forms for language in languages], dtype=np.int32),
        n_wordings=np.array(
            [
                [pad(tuple(map(len, each)), max(map(len, values))) for each in language.attributes]
                for language in languages
            ],
            dtype=np.int32,
        ),
        languages=languages,
    )


def _padded(entries: Any, length: int) -> Ints:
    return np.array([[pad(each, length) for each in entry] for entry in entries], dtype=np.int32)


def _fits(
    taxonomy: Mapping[str, Any], categories: tuple[str, ...], values: tuple[tuple[str, ...], ...]
) -> tuple[Ints, Ints]:
    n, which = np.zeros((len(values), len(categories)), np.int32), []
    for a, (attribute, names) in enumerate(zip(ATTRIBUTES, values, strict=True)):
        for g, category in enumerate(categories):
            shelf = taxonomy["categories"][category]
            if attribute == "colour":
                mine = list(names)
            elif attribute == "size":
                kind = shelf.get("size")
                if kind is not None and kind not in taxonomy["sizes"]:
                    raise errors.unknown_name("kind of size in taxonomy.toml", kind, taxonomy["sizes"])
                mine = [] if kind is None else taxonomy["sizes"][kind]
            else:
                mine = shelf.get(f"{attribute}s", [])
            n[a, g] = len(mine)
            which.append([index(value, names, attribute) for value in mine])
    widest = max(map(len, which))
    padded = [(of + (of or [0])[:1] * widest)[:widest] for of in which]
    return n, np.array(padded, np.int32).reshape(len(values), len(categories), widest)


def _other_language(countries: list[list[str]], locales: tuple[str, ...]) -> Ints:
    other = np.arange(len(locales), dtype=np.int32)
    for one, two in countries:
        if one in locales and two in locales:
            other[[locales.index(one), locales.index(two)]] = locales.index(two), locales.index(one)
    return other


def _related(shelves: Mapping[str, Any], categories: tuple[str, ...]) -> Ints:
    for category in categories:
        named = shelves[category]["related"]
        if len(set(named)) != N_RELATED or len(named) != N_RELATED or category in named:
            raise errors.UserError(
                f"taxonomy.toml: {category} needs {N_RELATED} different other categories as related; got {named}."
            )
    return np.array(
        [[index(other, categories, "category") for other in shelves[c]["related"]] for c in categories], dtype=np.int32
    )

"""Product titles that a person can read, in the words and the grammar of their locale."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from simenv import errors, hashing
from simenv.language.brands import model_words
from simenv.language.lexicon import Language, Lexicon, Template

SHARE_WITH_SIZE = 0.6  # of titles whose category has sizes; our choice, not measured
_MODEL_SUFFIXES = ("", "", "", "", " 2", " 3", " II")
_TECHNICAL_SUFFIXES = ("", " 2", " 3", " 50", " 200", " 450", " X1", " S", " Pro", " Plus")

_STREAM = hashing.stream(0, "title")  # absorbed into a product's key first, so that it meets no draw of the caller
_TEMPLATE, _MODEL, _SUFFIX, _HAS_SIZE, _SIZE = range(5)
_PLACEHOLDERS = {"brand", "model", "noun", "colour", "Colour", "agreeing", "Agreeing", "size"}

Integers = npt.NDArray[np.integer]


def titles(
    lexicon: Lexicon,
    brands: tuple[str, ...],
    locale: Integers | int,
    category: Integers,
    brand: Integers,
    colour: Integers,
    key: hashing.Keys,
) -> list[str]:
    """Titles of N products.

    The same key gives the same model name and suffix in every locale, so that a product keeps its name.

    Args:
        lexicon: The words.
        brands: Brand names.
        locale: (N,) index into `lexicon.locales`, or one for all.
        category: (N,)
        brand: (N,) index into `brands`.
        colour: (N,) colour, or -1 for a product without one.
        key: (N,) uint64 keys of the products.

    Returns:
        N titles, for example "Novarel Tarvo Laufschuhe Schwarz, Gr. 42".
    """
    locales = np.broadcast_to(np.asarray(locale), key.shape)
    u = hashing.uniform(hashing.absorb(hashing.absorb(key, _STREAM)[:, None], np.arange(5)))
    models = model_words()
    columns = zip(locales.tolist(), category.tolist(), brand.tolist(), colour.tolist(), u.tolist(), strict=True)
    written = []
    for at, g, b, a, draws in columns:
        language = lexicon.languages[at]
        suffixes = _TECHNICAL_SUFFIXES if lexicon.technical[g] else _MODEL_SUFFIXES
        templates = language.titles if a >= 0 else language.titles_without_colour
        wording = language.colours[a][0] if a >= 0 else ("",)
        agreeing = wording[lexicon.noun_form[at, g]] if a >= 0 else ""
        written.append(
            _choose(templates, draws[_TEMPLATE]).format(
                brand=brands[b],
                model=models[int(draws[_MODEL] * len(models))] + suffixes[int(draws[_SUFFIX] * len(suffixes))],
                noun=language.nouns[g],
                colour=wording[0],
                Colour=wording[0].capitalize(),
                agreeing=agreeing,
                Agreeing=agreeing.capitalize(),
                size=_size(language, g, draws),
            )
        )
    return written


def check_titles(lexicon: Lexicon) -> None:
    """Whether every title pattern can be filled in; for people who edit words.

    Raises:
        UserError: A pattern has an unknown placeholder.
    """
    for language in lexicon.languages:
        for template in (*language.titles, *language.titles_without_colour):
            for name in re.findall(r"\{(\w*)\}", template.pattern):
                if name not in _PLACEHOLDERS:
                    raise errors.unknown_name(f"placeholder of titles in {language.locale}.toml", name, _PLACEHOLDERS)


def _choose(templates: tuple[Template, ...], u: float) -> str:
    left = u * sum(template.weight for template in templates)
    for template in templates:
        left -= template.weight
        if left < 0.0:
            return template.pattern
    return templates[-1].pattern


def _size(language: Language, category: int, draws: list[float]) -> str:
    sizes = language.sizes[category]
    if not sizes or draws[_HAS_SIZE] >= SHARE_WITH_SIZE:
        return ""
    return ", " + sizes[int(draws[_SIZE] * len(sizes))]

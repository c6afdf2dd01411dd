"""Product titles that a person can read, in the words and the grammar of their locale."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from simenv import errors, hashing
from simenv.language.attributes import item_attributes
from simenv.language.brands import model_words
from simenv.language.lexicon import Lexicon
from simenv.language.words import ATTRIBUTES, Language, Template

_MODEL_SUFFIXES = ("", "", "", "", " 2", " 3", " II")
_TECHNICAL_SUFFIXES = ("", " 2", " 3", " 50", " 200", " 450", " X1", " S", " Pro", " Plus")

_STREAM = hashing.stream(0, "title")  # absorbed into a product's key first, so that it meets no draw of the caller
_TEMPLATE, _MODEL, _SUFFIX = range(3)
_PARTS = ("size", "material", "audience")  # attributes that stand in titles
_PLACEHOLDERS = {"brand", "model", "noun", "lower", "colour", "Colour", "agreeing", "Agreeing", *_PARTS}

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

    The same key gives the same model name and suffix in every locale, so that a product keeps its name, and it gives
    the product's other attributes (`simenv.language.attributes`).

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
    u = hashing.uniform(hashing.absorb(hashing.absorb(key, _STREAM)[:, None], np.arange(3)))
    models = model_words()
    others = item_attributes(lexicon, category, key)
    columns = zip(
        locales.tolist(), category.tolist(), brand.tolist(), colour.tolist(), others.tolist(), u.tolist(), strict=True
    )
    written = []
    for at, g, b, a, own, draws in columns:
        language = lexicon.languages[at]
        suffixes = _TECHNICAL_SUFFIXES if lexicon.technical[g] else _MODEL_SUFFIXES
        templates = language.titles if a >= 0 else language.titles_without_colour
        form = language.noun_forms[g]
        wording = language.attributes[0][a][0] if a >= 0 else ("",)
        agreeing = wording[form] if a >= 0 else ""
        written.append(
            _choose(templates, draws[_TEMPLATE]).format(
                brand=brands[b],
                model=models[int(draws[_MODEL] * len(models))] + suffixes[int(draws[_SUFFIX] * len(suffixes))],
                noun=language.nouns[g],
                lower=language.nouns[g].lower(),
                colour=wording[0],
                Colour=wording[0].capitalize(),
                agreeing=agreeing,
                Agreeing=agreeing.capitalize(),
                **{part: _part(language, part, own, form) for part in _PARTS},
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


def _part(language: Language, part: str, own: list[int], form: int) -> str:
    """An attribute with the spaces and commas that join it to the title; "" where the product has none."""
    attribute = ATTRIBUTES.index(part)
    value = own[attribute - 1]
    return "" if value < 0 else language.title_parts[part].format(language.attribute_titles[attribute][value][form])

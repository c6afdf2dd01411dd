"""The words of one locale, read from its file: what shoppers type and what titles are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from simenv import errors
from simenv.language.misspell import SEAM

ATTRIBUTES = ("colour", "size", "material", "audience", "use")
TERMS = ("category", "brand", *ATTRIBUTES)  # what a dictionary can recognise in a query, in the order of `query_terms`
FREE = ("modifier", "name", "detail", "price")  # what it cannot: free words, and names of models
SLOTS = (*TERMS, *FREE)  # what a query is made of
CATEGORY, BRAND, COLOUR, SIZE = range(4)

_SECTIONS = {"colour": "colours", "size": "sizes", "material": "materials", "audience": "audiences", "use": "uses"}

T = TypeVar("T")
Forms = tuple[str, ...]


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
    """The words of one locale. Nested tuples follow the axes of `simenv.language.lexicon.Lexicon`.

    Attributes:
        locale: For example "de-DE".
        words: (G)(variant) what shoppers type, with `+` at compound seams.
        word_forms: (G)(variant) which form of an attribute goes with the word.
        nouns: (G) nouns of product titles; `noun_forms` the form that goes with each.
        attributes: (5)(value)(wording)(form) what shoppers type for the values of `ATTRIBUTES`, in every form.
        attribute_titles: (5)(value)(form) the same in product titles.
        phrases: Phrase -> (place in `TERMS`, index): the plain dictionary, where an ambiguous word names its first
            category.
        longest: Words in the longest phrase.
        generic: What somebody types who names nothing.
        free: (modifier, detail, price) words that no dictionary knows.
        query_orders: Orders of all `SLOTS`, with {agreeing} in place of {colour} where the colour agrees.
        titles: Patterns of product titles; `titles_without_colour` where the product has none.
        title_parts: How the audience, material and size join a title: "{}" with what stands around it.
    """

    locale: str
    words: tuple[tuple[str, ...], ...]
    word_forms: tuple[tuple[int, ...], ...]
    nouns: tuple[str, ...]
    noun_forms: tuple[int, ...]
    attributes: tuple[tuple[tuple[Forms, ...], ...], ...]
    attribute_titles: tuple[tuple[Forms, ...], ...]
    phrases: Mapping[str, tuple[int, int]]
    longest: int
    generic: tuple[str, ...]
    free: Mapping[str, tuple[str, ...]]
    query_orders: tuple[Template, ...]
    titles: tuple[Template, ...]
    titles_without_colour: tuple[Template, ...]
    title_parts: Mapping[str, str]


def read_language(
    file: Mapping[str, Any], categories: tuple[str, ...], values: tuple[tuple[str, ...], ...], shared: Mapping[str, Any]
) -> Language:
    """One locale's words from its parsed file.

    Args:
        file: Content of the locale's file.
        categories: (G) names, in order.
        values: (5) names of the values of each attribute, in order.
        shared: Entries for sizes that are written alike in every locale.

    Raises:
        UserError: The file lacks a category or a value, a name or a form is unknown, or a word is both a category and
            something else.
    """
    name, forms = file["locale"], file["forms"]
    _expect_names(file["categories"], categories, "categories", name)
    pairs = [[_word_and_form(text, forms, name) for text in file["categories"][c]["words"]] for c in categories]
    for category, words in zip(categories, pairs, strict=True):
        if not words or len({word.replace(SEAM, "") for word, _ in words}) < len(words):
            raise errors.UserError(f"{name}.toml: {category} needs at least one word and none twice.")
    nouns = [_word_and_form(file["categories"][c]["title"], forms, name) for c in categories]
    entries = [
        _attribute(file, attribute, of, shared if attribute == "size" else {})
        for attribute, of in zip(ATTRIBUTES, values, strict=True)
    ]
    typed = tuple(tuple(word for word, _ in each) for each in pairs)
    attributes = tuple(tuple(wordings for _, wordings in entry) for entry in entries)
    phrases = _phrases(typed, attributes, name)
    return Language(
        locale=name,
        words=typed,
        word_forms=tuple(tuple(form for _, form in each) for each in pairs),
        nouns=tuple(noun for noun, _ in nouns),
        noun_forms=tuple(form for _, form in nouns),
        attributes=attributes,
        attribute_titles=tuple(tuple(title for title, _ in entry) for entry in entries),
        phrases=phrases,
        longest=max(len(phrase.split(" ")) for phrase in phrases),
        generic=tuple(file["generic"]),
        free={kind: tuple(file[f"{kind}s"]) for kind in FREE if kind != "name"},
        query_orders=_templates(file["query_orders"]),
        titles=_templates(file["titles"]),
        titles_without_colour=_templates(file["titles_without_colour"]),
        title_parts=file["title_parts"],
    )


def index(name: str, names: list[str] | tuple[str, ...], kind: str) -> int:
    """The place of a name.

    Raises:
        UserError: It is not there; the nearest is suggested.
    """
    if name not in names:
        raise errors.unknown_name(kind, name, names)
    return names.index(name)


def pad(items: tuple[T, ...], length: int) -> tuple[T, ...]:
    """Items up to a length, the first one repeated."""
    return items + items[:1] * (length - len(items))


def _attribute(
    file: Mapping[str, Any], attribute: str, values: tuple[str, ...], shared: Mapping[str, Any]
) -> list[tuple[Forms, tuple[Forms, ...]]]:
    """For each value its title and its wordings, in every form."""
    section, name, n_forms = _SECTIONS[attribute], file["locale"], len(file["forms"])
    entries = dict(shared) | file[section]
    _expect_names(entries, values, section, name)
    found = []
    for value in values:
        entry = entries[value]
        wordings = entry["words"] if isinstance(entry, dict) else entry
        title = entry["title"] if isinstance(entry, dict) else wordings[0]
        found.append((_forms(title, n_forms, name), tuple(_forms(text, n_forms, name) for text in wordings)))
    return found


def _expect_names(found: Mapping[str, Any], wanted: tuple[str, ...], section: str, locale: str) -> None:
    if set(found) != set(wanted):
        odd = sorted(set(found) ^ set(wanted))
        raise errors.UserError(
            f"{locale}.toml: [{section}] must name the {section} of taxonomy.toml exactly; "
            f"missing or unknown: {', '.join(odd)}."
        )


def _word_and_form(text: str, forms: list[str], locale: str) -> tuple[str, int]:
    word, _, form = text.partition(":")
    return word, index(form, forms, f"form in {locale}.toml") if form else 0


def _forms(text: str, n_forms: int, locale: str) -> Forms:
    forms = text.split("/")
    if len(forms) not in (1, n_forms):
        raise errors.UserError(f"{locale}.toml: '{text}' has {len(forms)} forms; expected 1 or {n_forms}.")
    return tuple(forms) if len(forms) == n_forms else (forms[0],) * n_forms


def _phrases(
    words: tuple[tuple[str, ...], ...], attributes: tuple[tuple[tuple[Forms, ...], ...], ...], locale: str
) -> dict[str, tuple[int, int]]:
    phrases: dict[str, tuple[int, int]] = {}
    for category, variants in enumerate(words):
        for word in variants:
            phrases.setdefault(word.replace(SEAM, ""), (CATEGORY, category))
    for term, values in enumerate(attributes, start=COLOUR):
        for value, wordings in enumerate(values):
            for form in (form for wording in wordings for form in wording):
                if phrases.setdefault(form, (term, value)) != (term, value):
                    raise errors.UserError(
                        f"{locale}.toml: '{form}' names {_told(phrases[form])} already; a word of a {TERMS[term]} must "
                        "name nothing else."
                    )
    return phrases


def _told(phrase: tuple[int, int]) -> str:
    return f"a {TERMS[phrase[0]]}" if phrase[0] == CATEGORY else f"another {TERMS[phrase[0]]}"


def _templates(weights: Mapping[str, float]) -> tuple[Template, ...]:
    return tuple(Template(pattern, float(weight)) for pattern, weight in weights.items())

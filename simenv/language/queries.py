"""Queries: decided as integers, written down only when somebody reads them.

The physics says which terms a query has and which of them are misspelt (`QueryParts`); `recognised_terms` says what a
plain dictionary would understand, and `query_strings` writes the query. The two agree exactly: looking a written query
up gives `recognised_terms` for every term, because a misspelling that a dictionary still knows, or that makes another
word, is drawn again.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import errors, hashing
from simenv.language import dictionary as dictionaries
from simenv.language import misspell
from simenv.language.lexicon import Lexicon, Template
from simenv.language.spelling import Spelling, load_spelling

TERMS = ("category", "brand", "colour")
MOST_ATTEMPTS = 200  # draws of a misspelling before its word is declared impossible to misspell

# What is absorbed into a query's key; named streams, so that they meet no draw of the caller.
_ORDER = hashing.stream(0, "query: word order")
_COLOUR_WORDING = hashing.stream(0, "query: colour wording")
_GENERIC = hashing.stream(0, "query: generic")
_MISSPELLING = tuple(hashing.stream(0, f"query: misspelt {term}") for term in TERMS)
_Words = npt.NDArray[np.object_]


@dataclass(frozen=True)
class QueryParts:
    """What N queries say.

    Attributes:
        locale: (N,) index into `Lexicon.locales`.
        category: (N,) category, or -1 when the query does not say it.
        category_variant: (N,) which of the category's words, in [0, V); past `n_variants` it is the main word.
        brand: (N,) index into the brands, or -1.
        colour: (N,) colour, or -1.
        misspelt: (N, 3) whether the category, brand and colour word is misspelt; without meaning for what is not said.
        key: (N,) uint64 keys of the details: word order, colour wording, the misspellings.
    """

    locale: npt.NDArray[np.integer]
    category: npt.NDArray[np.integer]
    category_variant: npt.NDArray[np.integer]
    brand: npt.NDArray[np.integer]
    colour: npt.NDArray[np.integer]
    misspelt: npt.NDArray[np.bool_]
    key: hashing.Keys


def recognised_terms(lexicon: Lexicon, parts: QueryParts) -> npt.NDArray[np.int32]:
    """What a plain dictionary understands of the queries, without writing them.

    Returns:
        (N, 3) category, brand and colour; -1 where not said or misspelt. An ambiguous word gives the dictionary's
        guess, which may not be the category that was meant.
    """
    guess = lexicon.word_recognised[parts.locale, np.maximum(parts.category, 0), parts.category_variant]
    terms = np.stack([np.where(parts.category >= 0, guess, -1), parts.brand, parts.colour], axis=1)
    return np.where(parts.misspelt, -1, terms).astype(np.int32)


def query_strings(lexicon: Lexicon, brands: tuple[str, ...], parts: QueryParts) -> list[str]:
    """The queries as people type them, lower case.

    A query that says nothing becomes a generic one ("sale"). Each string depends on its own row only.

    Args:
        lexicon: The words.
        brands: Brand names.
        parts: What the queries say, N rows.

    Returns:
        N strings. `recognise` of each gives `recognised_terms` of its row.

    Raises:
        UserError: A word of the lexicon cannot be misspelt without becoming another of its words.
    """
    said = np.stack([parts.category, parts.brand, parts.colour], axis=1) >= 0
    pieces, order = _pieces(lexicon, brands, parts, said)
    strings = _join(pieces, order)
    _misspell(lexicon, brands, parts, _Written(pieces, order, said & parts.misspelt, strings))
    silent = np.flatnonzero(~said.any(axis=1))
    u = hashing.uniform(hashing.absorb(parts.key[silent], _GENERIC)).tolist()
    for row, at, draw in zip(silent.tolist(), parts.locale[silent].tolist(), u, strict=True):
        generic = lexicon.languages[at].generic
        strings[row] = generic[int(draw * len(generic))]
    return strings


@dataclass(frozen=True, eq=False)
class _Written:
    """Queries on their way to strings.

    Attributes:
        pieces: (N, 3) words for category, brand and colour, "" where not said.
        order: (N, 3) which of the three stands first, second, third.
        wrong: (N, 3) which are misspelt.
        strings: N strings, to be replaced where something is misspelt.
    """

    pieces: _Words
    order: npt.NDArray[np.int64]
    wrong: npt.NDArray[np.bool_]
    strings: list[str]


@dataclass(frozen=True, eq=False)
class _Tables:
    """The words of all locales as arrays, to be picked by fancy indexing.

    Attributes:
        words: (L, G, V) as shown; `seamed` with the seams marked.
        colours: (L, A, W, form), locales with fewer forms padded with the first.
        order_edges: (L, O) cumulative shares of the word orders.
        orders: (L, O, 3) which term (of `TERMS`) stands first, second, third.
        agrees: (L, O) whether the colour takes the form that goes with the category word.
        spellings: (L)
    """

    words: _Words
    seamed: _Words
    colours: _Words
    order_edges: npt.NDArray[np.float64]
    orders: npt.NDArray[np.int64]
    agrees: npt.NDArray[np.bool_]
    spellings: tuple[Spelling, ...]


@functools.lru_cache(maxsize=8)
def _tables(lexicon: Lexicon) -> _Tables:
    languages = lexicon.languages
    n_forms = max(len(language.colours[0][0]) for language in languages)
    n_orders = max(len(language.query_orders) for language in languages)
    orders = [[_order(template, language.locale) for template in language.query_orders] for language in languages]
    orders = [of_one + of_one[-1:] * (n_orders - len(of_one)) for of_one in orders]
    edges = [np.cumsum([template.weight for template in language.query_orders]) for language in languages]
    colours = [
        [[forms + forms[:1] * (n_forms - len(forms)) for forms in wordings] for wordings in language.colours]
        for language in languages
    ]
    return _Tables(
        words=np.array(
            [
                [[word.replace(misspell.SEAM, "") for word in words] for words in language.words]
                for language in languages
            ],
            dtype=object,
        ),
        seamed=np.array([language.words for language in languages], dtype=object),
        colours=np.array(colours, dtype=object),
        order_edges=np.array([np.pad(e / e[-1], (0, n_orders - len(e)), constant_values=1.0) for e in edges]),
        orders=np.array([[terms for terms, _ in of_one] for of_one in orders]),
        agrees=np.array([[agrees for _, agrees in of_one] for of_one in orders]),
        spellings=tuple(load_spelling(language.locale) for language in languages),
    )


def _order(template: Template, locale: str) -> tuple[tuple[int, ...], bool]:
    names = re.findall(r"\{(\w+)\}", template.pattern)
    agrees = "agreeing" in names
    words = ["colour" if name == "agreeing" else name for name in names]
    if sorted(words) != sorted(TERMS):
        raise errors.UserError(
            f"{locale}.toml: query order '{template.pattern}' must have {{category}}, {{brand}} and "
            "either {colour} or {agreeing}, each once."
        )
    return tuple(TERMS.index(word) for word in words), agrees


def _pieces(
    lexicon: Lexicon, brands: tuple[str, ...], parts: QueryParts, said: npt.NDArray[np.bool_]
) -> tuple[_Words, npt.NDArray[np.int64]]:
    """The words of the terms and their order, both (N, 3): see `_Written`."""
    tables = _tables(lexicon)
    u = hashing.uniform(hashing.absorb(parts.key, _ORDER))
    order = (u[:, None] >= tables.order_edges[parts.locale, :-1]).sum(axis=1)
    category, colour = np.maximum(parts.category, 0), np.maximum(parts.colour, 0)
    agrees = tables.agrees[parts.locale, order] & said[:, 0]
    form = np.where(agrees, lexicon.word_form[parts.locale, category, parts.category_variant], 0)
    wording = hashing.integers(
        hashing.absorb(parts.key, _COLOUR_WORDING), lexicon.n_colour_variants[parts.locale, colour]
    )
    lower = np.array([*(brand.lower() for brand in brands), ""], dtype=object)  # -1 is the last one: not said
    pieces = np.stack(
        [
            np.where(said[:, 0], tables.words[parts.locale, category, parts.category_variant], ""),
            lower[parts.brand],
            np.where(said[:, 2], tables.colours[parts.locale, colour, wording, form], ""),
        ],
        axis=1,
    )
    return pieces, tables.orders[parts.locale, order]


def _join(pieces: _Words, order: npt.NDArray[np.int64]) -> list[str]:
    return [" ".join(words).strip().replace("  ", " ") for words in np.take_along_axis(pieces, order, axis=1).tolist()]


def _misspell(lexicon: Lexicon, brands: tuple[str, ...], parts: QueryParts, written: _Written) -> None:
    """Replace the strings of rows with misspelt words, drawing again until the dictionary is at a loss."""
    tables = _tables(lexicon)
    known = dictionaries.dictionary(lexicon, brands)
    expected = recognised_terms(lexicon, parts)
    streams = np.array(_MISSPELLING, dtype=np.uint64)
    rows = np.flatnonzero(written.wrong.any(axis=1))
    for attempt in range(MOST_ATTEMPTS):
        if not rows.size:
            return
        i, term = np.nonzero(written.wrong[rows])
        keys = hashing.absorb(hashing.absorb(parts.key[rows[i]], streams[term]), attempt)
        pieces = written.pieces[rows]
        seamed = tables.seamed[parts.locale[rows], parts.category[rows], parts.category_variant[rows]]
        words = np.where(term == 0, seamed[i], pieces[i, term])
        locales = parts.locale[rows]
        todo = zip(words.tolist(), locales[i].tolist(), misspell.draws(keys).tolist(), strict=True)
        pieces[i, term] = [misspell.misspell_with(word, tables.spellings[at], u) for word, at, u in todo]
        again = []
        tried = zip(
            rows.tolist(), locales.tolist(), _join(pieces, written.order[rows]), expected[rows].tolist(), strict=True
        )
        for row, at, string, terms in tried:
            written.strings[row] = string
            if list(dictionaries.look_up(known, at, string)) != terms:
                again.append(row)
        rows = np.array(again, dtype=np.int64)
    raise errors.UserError(
        f"after {MOST_ATTEMPTS} draws no misspelling stays clear of the dictionary, as in "
        f"'{written.strings[rows[0]]}'; change its words in the lexicon."
    )

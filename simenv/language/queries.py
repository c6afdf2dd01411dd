"""Queries: decided as integers, written down only when somebody reads them.

The physics says which terms a query has and which of them are misspelt (`QueryParts`); `recognised_terms` says what a
plain dictionary would understand, and `query_strings` writes the query. The two agree exactly: looking a written query
up gives `recognised_terms` for every term, because a misspelling that a dictionary still knows, or that makes another
word, is drawn again.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import errors, hashing
from simenv.language import brands as brand_words
from simenv.language import dictionary as dictionaries
from simenv.language import misspell
from simenv.language.lexicon import Lexicon
from simenv.language.spelling import Spelling, load_spelling
from simenv.language.words import ATTRIBUTES, BRAND, CATEGORY, COLOUR, FREE, SIZE, SLOTS, TERMS, Template, pad

MOST_ATTEMPTS = 200  # draws of a misspelling before its word is declared impossible to misspell

# What is absorbed into a query's key; named streams, so that they meet no draw of the caller.
_ORDER = hashing.stream(0, "query: word order")
_GENERIC = hashing.stream(0, "query: generic")
_WORDING = tuple(hashing.stream(0, f"query: {slot} wording") for slot in SLOTS)
_MISSPELLING = tuple(hashing.stream(0, f"query: misspelt {term}") for term in TERMS)
_Words = npt.NDArray[np.object_]


@dataclass(frozen=True)
class QueryParts:
    """What N queries say.

    Attributes:
        locale: (N,) index into `Lexicon.locales`: the language that is typed.
        terms: (N, 7) what is said of each of `TERMS` (category, brand, colour, size, material, audience, use), an
            index, or -1 when the query does not say it.
        category_variant: (N,) which of the category's words, in [0, V); past `n_variants` it is the main word.
        free: (N, 4) whether there is a word of each kind of `FREE` (modifier, model name, detail, price).
        misspelt: (N, 7) whether the word of a term is misspelt; without meaning for what is not said, and for sizes,
            which nobody misspells.
        key: (N,) uint64 keys of the details: word order, wordings, free words, the misspellings.
    """

    locale: npt.NDArray[np.integer]
    terms: npt.NDArray[np.integer]
    category_variant: npt.NDArray[np.integer]
    free: npt.NDArray[np.bool_]
    misspelt: npt.NDArray[np.bool_]
    key: hashing.Keys


def recognised_terms(lexicon: Lexicon, parts: QueryParts) -> npt.NDArray[np.int32]:
    """What a plain dictionary understands of the queries, without writing them.

    Returns:
        (N, 7) category, brand, colour, size, material, audience, use; -1 where not said or misspelt. An ambiguous word
        gives the dictionary's guess, which may not be the category that was meant.
    """
    category = parts.terms[:, CATEGORY]
    terms = np.where(parts.misspelt, -1, parts.terms).astype(np.int32)
    guess = lexicon.word_recognised[parts.locale, np.maximum(category, 0), parts.category_variant]
    terms[:, CATEGORY] = np.where(terms[:, CATEGORY] >= 0, guess, -1)
    terms[:, SIZE] = parts.terms[:, SIZE]
    return terms


def free_words(lexicon: Lexicon, parts: QueryParts) -> npt.NDArray[np.int64]:
    """Which free words the queries have, without writing them.

    Returns:
        (N, 4) for each kind of `FREE` a place in the locale's list (for names, in that of model words), -1 for none.
    """
    n_free = _tables(lexicon).n_free[parts.locale]
    chosen = [_free_word(parts.key, kind, n_free[:, kind]) for kind in range(len(FREE))]
    return np.where(parts.free, np.stack(chosen, axis=1), -1)


def free_word_tables(lexicon: Lexicon) -> tuple[npt.NDArray[np.int64], hashing.Keys]:
    """What `free_words` chooses by: (L, 4) how many words of each kind, and (4,) the streams of the choice."""
    return _tables(lexicon).n_free, np.array(_WORDING[len(TERMS) :], dtype=np.uint64)


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
    said = np.concatenate([parts.terms >= 0, parts.free], axis=1)
    pieces, order = _pieces(lexicon, brands, parts, said)
    strings = _join(pieces, order)
    wrong = said[:, : len(TERMS)] & parts.misspelt
    wrong[:, SIZE] = False
    _misspell(lexicon, brands, parts, _Written(pieces, order, wrong, strings))
    silent = np.flatnonzero(~said.any(axis=1))
    u = hashing.uniform(hashing.absorb(parts.key[silent], _GENERIC)).tolist()
    for row, at, draw in zip(silent.tolist(), parts.locale[silent].tolist(), u, strict=True):
        generic = lexicon.languages[at].generic
        strings[row] = generic[int(draw * len(generic))]
    return strings


@dataclass(frozen=True, eq=False)
class _Written:
    """Queries on their way to strings; S slots.

    Attributes:
        pieces: (N, S) words for each slot, "" where not said.
        order: (N, S) which slot stands first, second, ...
        wrong: (N, T) which terms are misspelt.
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
        attributes: (5) of (L, value, W, form), locales with fewer wordings or forms padded with the first.
        free: (4) of (L, M) free words, padded; names of models are the same in all locales. `n_free` (L, 4).
        order_edges: (L, O) cumulative shares of the word orders.
        orders: (L, O, S) which slot (of `SLOTS`) stands first, second, ...
        agrees: (L, O) whether the colour takes the form that goes with the category word.
        spellings: (L)
    """

    words: _Words
    seamed: _Words
    attributes: tuple[_Words, ...]
    free: tuple[_Words, ...]
    n_free: npt.NDArray[np.int64]
    order_edges: npt.NDArray[np.float64]
    orders: npt.NDArray[np.int64]
    agrees: npt.NDArray[np.bool_]
    spellings: tuple[Spelling, ...]


@functools.lru_cache(maxsize=8)
def _tables(lexicon: Lexicon) -> _Tables:
    languages = lexicon.languages
    n_forms = max(len(language.attributes[0][0][0]) for language in languages)
    n_orders = max(len(language.query_orders) for language in languages)
    n_variants = int(lexicon.n_variants.max())
    orders = [[_order(template, language.locale) for template in language.query_orders] for language in languages]
    orders = [of_one + of_one[-1:] * (n_orders - len(of_one)) for of_one in orders]
    edges = [np.cumsum([template.weight for template in language.query_orders]) for language in languages]
    seamed = np.array([[pad(words, n_variants) for words in language.words] for language in languages], dtype=object)
    names = tuple(name.lower() for name in brand_words.model_words())
    free = [[names if kind == "name" else language.free[kind] for language in languages] for kind in FREE]
    return _Tables(
        words=_map(seamed, lambda word: word.replace(misspell.SEAM, "")),
        seamed=seamed,
        attributes=tuple(
            np.array(
                [
                    [
                        pad(tuple(pad(forms, n_forms) for forms in wordings), int(lexicon.n_wordings[:, a].max()))
                        for wordings in language.attributes[a]
                    ]
                    for language in languages
                ],
                dtype=object,
            )
            for a in range(len(ATTRIBUTES))
        ),
        free=tuple(
            np.array([pad(words, max(map(len, of_kind))) for words in of_kind], dtype=object) for of_kind in free
        ),
        n_free=np.array([[len(words) for words in of_kind] for of_kind in free]).T,
        order_edges=np.array([np.pad(e / e[-1], (0, n_orders - len(e)), constant_values=1.0) for e in edges]),
        orders=np.array([[slots for slots, _ in of_one] for of_one in orders]),
        agrees=np.array([[agrees for _, agrees in of_one] for of_one in orders]),
        spellings=tuple(load_spelling(language.locale) for language in languages),
    )


def _map(words: _Words, change: Callable[[str], str]) -> _Words:
    return np.array([change(word) for word in words.ravel()], dtype=object).reshape(words.shape)


def _order(template: Template, locale: str) -> tuple[tuple[int, ...], bool]:
    names = re.findall(r"\{(\w+)\}", template.pattern)
    agrees = "agreeing" in names
    slots = ["colour" if name == "agreeing" else name for name in names]
    if sorted(slots) != sorted(SLOTS):
        raise errors.UserError(
            f"{locale}.toml: query order '{template.pattern}' must have each of {', '.join(SLOTS)} once, in "
            "braces, with {colour} or {agreeing} for the colour."
        )
    return tuple(SLOTS.index(slot) for slot in slots), agrees


def _pieces(
    lexicon: Lexicon, brands: tuple[str, ...], parts: QueryParts, said: npt.NDArray[np.bool_]
) -> tuple[_Words, npt.NDArray[np.int64]]:
    """The words of the slots and their order, both (N, S): see `_Written`."""
    tables = _tables(lexicon)
    n = len(parts.key)
    order = (hashing.uniform(hashing.absorb(parts.key, _ORDER))[:, None] >= tables.order_edges[parts.locale, :-1]).sum(
        axis=1
    )
    category = np.maximum(parts.terms[:, CATEGORY], 0)
    form = np.where(said[:, CATEGORY], lexicon.word_form[parts.locale, category, parts.category_variant], 0)
    pieces = np.full((n, len(SLOTS)), "", dtype=object)
    rows = np.flatnonzero(said[:, CATEGORY])
    pieces[rows, CATEGORY] = tables.words[parts.locale[rows], category[rows], parts.category_variant[rows]]
    rows = np.flatnonzero(said[:, BRAND])
    pieces[rows, BRAND] = np.array([*(brand.lower() for brand in brands), ""], dtype=object)[parts.terms[rows, BRAND]]
    for slot in range(COLOUR, len(SLOTS)):
        rows = np.flatnonzero(said[:, slot])
        if not len(rows):
            continue
        at = parts.locale[rows]
        if slot < len(TERMS):
            value = parts.terms[rows, slot]
            wording = hashing.integers(
                hashing.absorb(parts.key[rows], _WORDING[slot]), lexicon.n_wordings[at, slot - COLOUR, value]
            )
            agrees = tables.agrees[at, order[rows]] if slot == COLOUR else True
            pieces[rows, slot] = tables.attributes[slot - COLOUR][at, value, wording, np.where(agrees, form[rows], 0)]
        else:
            kind = slot - len(TERMS)
            pieces[rows, slot] = tables.free[kind][at, _free_word(parts.key[rows], kind, tables.n_free[at, kind])]
    return pieces, tables.orders[parts.locale, order]


def _free_word(key: hashing.Keys, kind: int, n: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return hashing.integers(hashing.absorb(key, _WORDING[len(TERMS) + kind]), n)


def _join(pieces: _Words, order: npt.NDArray[np.int64]) -> list[str]:
    return [" ".join(filter(None, words)) for words in np.take_along_axis(pieces, order, axis=1).tolist()]


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
        seamed = tables.seamed[parts.locale[rows], parts.terms[rows, CATEGORY], parts.category_variant[rows]]
        words = np.where(term == CATEGORY, seamed[i], pieces[i, term])
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

"""Misspellings in the mix that was measured on real shop queries.

Counts are of the preDict test set (searchhub, 7,433 German shop-query variants, selected by a vendor): what shoppers
typed against what they meant. The mix is measured; the overall rate of misspelling is not known and belongs to the
caller. Where a word cannot have a kind of mistake (no umlaut, no seam), a spelling mistake takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.language.spelling import Spelling, load_spelling

# Kinds of mistake, in variants of the test set.
CLASS_COUNTS = {"spelling": 5116, "inflection": 1353, "split": 281, "transliteration": 255}
# Edits (Damerau-Levenshtein) of the spelling mistakes; "three" gathers three and more.
EDIT_COUNTS = {1: 4218, 2: 515, 3: 383}
# Kinds of edit where there was a single one.
OPERATION_COUNTS = {"omission": 2042, "insertion": 1457, "substitution": 656, "transposition": 63}
DOUBLING_SHARE = 797 / (2042 + 1457)  # of omissions and insertions: a letter undoubled or doubled
ADJACENT_SHARE = 294 / 656  # of substitutions: a neighbouring key
FIRST_LETTER_SHARE = 156 / (156 + 250 + 3749)  # of omissions, insertions and substitutions
HYPHEN_SHARE = 0.5  # of split compounds: hyphen, else space. Not measured: the test set hardly has spaces.

SEAM = "+"  # marks, in a word that is handed in, where a compound could be split
SHORTEST_STEM = 3  # letters that must remain when an ending is dropped

N_DRAWS = 22  # uniforms that one misspelling uses: 4 choices, then 6 for each of up to 3 edits
_FIRST_EDIT, _DRAWS_PER_EDIT = 4, 6

CLASSES = tuple(CLASS_COUNTS)
_CLASS_EDGES = (np.cumsum(list(CLASS_COUNTS.values())) / sum(CLASS_COUNTS.values())).tolist()
_EDIT_EDGES = (np.cumsum(list(EDIT_COUNTS.values())) / sum(EDIT_COUNTS.values())).tolist()
_OPERATION_EDGES = (np.cumsum(list(OPERATION_COUNTS.values())) / sum(OPERATION_COUNTS.values())).tolist()


def misspell(word: str, locale: str, key: int) -> str:
    """A misspelling of a word or phrase, never the word itself.

    Args:
        word: Lower case; `+` marks compound seams ("lauf+schuhe").
        locale: For example "de-DE".
        key: A uint64 key; the same key gives the same misspelling.

    Returns:
        The misspelt word, without seam marks. It may happen to be another word: who needs a word that no dictionary
        has asks again with the next key.

    Raises:
        UserError: There is no such locale.
    """
    return misspell_with(word, load_spelling(locale), draws(np.array([key], dtype=np.uint64))[0].tolist())


def draws(keys: hashing.Keys) -> npt.NDArray[np.float64]:
    """The uniforms that misspellings with these keys use, (M, N_DRAWS)."""
    return hashing.uniform(hashing.absorb(keys[:, None], np.arange(N_DRAWS)))


def misspell_with(word: str, spelling: Spelling, u: Sequence[float]) -> str:
    """`misspell` from uniforms already drawn.

    Args:
        word: Lower case; `+` marks compound seams.
        spelling: How the locale is spelt.
        u: `N_DRAWS` uniforms in [0, 1), see `draws`.
    """
    plain = word.replace(SEAM, "")
    kind = mistake_class(u[0])
    wrong = plain
    if kind == "inflection":
        wrong = _one_of(inflections(plain, spelling, u[2]), u[1], plain)
    elif kind == "split":
        wrong = _one_of(splits(word, u[2]), u[1], plain)
    elif kind == "transliteration":
        wrong = transliterate(plain, spelling, u[1])
    if wrong == plain:
        for e in range(n_edits(u[3])):
            start = _FIRST_EDIT + e * _DRAWS_PER_EDIT
            wrong = edit(wrong, spelling, u[start : start + _DRAWS_PER_EDIT])
        wrong = " ".join(wrong.split())
    return wrong if wrong != plain else plain + plain[-1]  # edits that cancel each other


def mistake_class(u: float) -> str:
    """Which kind of mistake a uniform stands for: a key of `CLASS_COUNTS`."""
    return CLASSES[_bin(_CLASS_EDGES, u)]


def n_edits(u: float) -> int:
    """How many edits a spelling mistake has: 1, 2 or 3."""
    return _bin(_EDIT_EDGES, u) + 1


def edit(word: str, spelling: Spelling, u: Sequence[float]) -> str:
    """One edit of a word.

    Args:
        word: Lower case, at least one letter.
        spelling: How the locale is spelt.
        u: Six uniforms: operation, first letter or not, position, doubling, letter, neighbouring key.
    """
    at = range(len(word)) if word.isalpha() else [i for i, letter in enumerate(word) if letter.isalpha()]
    operation = _bin(_OPERATION_EDGES, u[0])
    if operation == 0 and len(at) > 1:
        return _omit(word, at, u)
    if operation == 2:
        return _substitute(word, at, spelling, u)
    if operation == 3:
        swappable = [i for i in at[1:] if i + 1 < len(word) and word[i + 1].isalpha() and word[i] != word[i + 1]]
        if swappable:
            i = swappable[int(u[2] * len(swappable))]
            return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    return _insert(word, at, spelling, u)


def inflections(phrase: str, spelling: Spelling, u: float) -> list[str]:
    """The phrase with another ending on one of its longer words; empty where none has one.

    Args:
        phrase: Lower case, without seam marks.
        spelling: How the locale is spelt.
        u: Chooses the word among those that are long enough.
    """
    words = phrase.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > SHORTEST_STEM] or [len(words) - 1]
    chosen = long[int(u * len(long))]
    word = words[chosen]
    bare = [word[: -len(ending)] for ending in spelling.endings if _ends(word, ending)]
    others = {stem + ending for stem in bare or [word] for ending in spelling.endings if _takes(stem, ending)}
    others.update(bare)
    others.discard(word)
    return [" ".join((*words[:chosen], other, *words[chosen + 1 :])) for other in sorted(others)]


def splits(word: str, u: float) -> list[str]:
    """A compound written apart or with a hyphen, a phrase written together; empty where nothing can be.

    Args:
        word: Lower case, `+` marks compound seams.
        u: Chooses between hyphen and space, or hyphen and nothing.
    """
    plain = word.replace(SEAM, "")
    found = []
    for i, mark in enumerate(word):
        if mark == SEAM:
            shown = i - word[:i].count(SEAM)
            found.append(plain[:shown] + ("-" if u < HYPHEN_SHARE else " ") + plain[shown:])
    for i, mark in enumerate(plain):
        if mark in " -":
            other = "-" if mark == " " else " "
            found.append(plain[:i] + (other if u < HYPHEN_SHARE else "") + plain[i + 1 :])
    return found


def transliterate(word: str, spelling: Spelling, u: float) -> str:
    """The word with plain letters for accented ones, all in one manner ("ae" throughout, or "a")."""
    for letter, plain in spelling.transliteration.items():
        if letter in word:
            word = word.replace(letter, plain[int(u * len(plain))])
    return word


def _omit(word: str, at: Sequence[int], u: Sequence[float]) -> str:
    second = [i for i in at[1:] if word[i] == word[i - 1]]
    if second and u[3] < DOUBLING_SHARE:
        i = second[int(u[2] * len(second))]
    else:
        if second:
            at = [i for i in at if i == at[0] or (i not in second and i + 1 not in second)]
        i = _position(at, u)
    return word[:i] + word[i + 1 :]


def _insert(word: str, at: Sequence[int], spelling: Spelling, u: Sequence[float]) -> str:
    if u[3] < DOUBLING_SHARE:
        if u[1] < FIRST_LETTER_SHARE or len(at) == 1:
            i = at[0]
        else:
            usual = [i for i in at[1:] if word[i] in spelling.doubled] or at[1:]
            i = usual[int(u[2] * len(usual))]
        return word[:i] + word[i] + word[i:]
    i = _position([*at, at[-1] + 1], u)
    return word[:i] + _letter(spelling.letters, u[4], word[max(i - 1, 0) : i + 1]) + word[i:]


def _substitute(word: str, at: Sequence[int], spelling: Spelling, u: Sequence[float]) -> str:
    i = _position(at, u)
    near = spelling.neighbours.get(word[i], "")
    if near and u[5] < ADJACENT_SHARE:
        letter = near[int(u[4] * len(near))]
    else:
        letter = _letter(spelling.letters, u[4], word[i] + near)
    return word[:i] + letter + word[i + 1 :]


def _position(at: Sequence[int], u: Sequence[float]) -> int:
    if u[1] < FIRST_LETTER_SHARE or len(at) == 1:
        return at[0]
    return at[1 + int(u[2] * (len(at) - 1))]


def _letter(letters: str, u: float, but: str) -> str:
    i = int(u * len(letters))
    while letters[i] in but:
        i = (i + 1) % len(letters)
    return letters[i]


def _ends(word: str, ending: str) -> bool:
    stem = len(word) - len(ending)
    return word.endswith(ending) and stem >= SHORTEST_STEM and word[stem - 1] != ending[0]


def _takes(stem: str, ending: str) -> bool:
    return stem[-1] != ending[0] and not (stem[-1] == "s" and ending == "'s")


def _one_of(options: Sequence[str], u: float, otherwise: str) -> str:
    return options[int(u * len(options))] if options else otherwise


def _bin(edges: Sequence[float], u: float) -> int:
    for i, edge in enumerate(edges):
        if u < edge:
            return i
    return len(edges) - 1

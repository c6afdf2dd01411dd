"""How a locale is spelt: keyboard, letters, endings and plain letters for accented ones.

`simenv.language.misspell` reads these to make the mistakes that people make in that locale.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from simenv import errors
from simenv.language import data_files


@dataclass(frozen=True, eq=False)
class Spelling:
    """What a locale's mistakes are made of.

    Attributes:
        neighbours: Letter -> the letters whose keys touch its key.
        letters: Letters in rough proportion to their use, repeated.
        doubled: Letters that people double by mistake.
        endings: Word endings that are added, dropped or exchanged.
        transliteration: Letter -> plain replacements ("ä" -> "ae", "a"), all of them with the same number or one.
    """

    neighbours: Mapping[str, str]
    letters: str
    doubled: frozenset[str]
    endings: tuple[str, ...]
    transliteration: Mapping[str, tuple[str, ...]]


@functools.cache
def load_spelling(locale: str) -> Spelling:
    """The spelling section of a locale's file.

    Args:
        locale: For example "de-DE".

    Raises:
        UserError: There is no such locale.
    """
    known = data_files.read("taxonomy")["locales"]
    if locale not in known:
        raise errors.unknown_name("locale", locale, known)
    section = data_files.read_locale(locale)["spelling"]
    return Spelling(
        neighbours=keyboard_neighbours(tuple(section["keyboard"])),
        letters=section["letters"],
        doubled=frozenset(section["doubled"]),
        endings=tuple(section["endings"]),
        transliteration={letter: tuple(plain) for letter, plain in section["transliteration"].items()},
    )


def keyboard_neighbours(rows: tuple[str, ...]) -> dict[str, str]:
    """Which keys touch which: beside, and the two above and below, as rows are shifted by half a key.

    Args:
        rows: The letter rows from the top, each starting at the left edge.
    """
    at = {(r, c): letter for r, row in enumerate(rows) for c, letter in enumerate(row)}
    steps = ((0, -1), (0, 1), (-1, 0), (-1, 1), (1, -1), (1, 0))
    return {
        letter: "".join(at[r + down, c + right] for down, right in steps if (r + down, c + right) in at)
        for (r, c), letter in at.items()
    }

"""What a user can get wrong, said so that they can put it right.

The command line turns `UserError` into one line on stderr and exit code 2; a library caller sees a `ValueError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave is wrong; the message says what, what was expected, and what to do."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """An error for a name that is in no registry, with the nearest known name.

    Args:
        kind: What the name should have named ("world", "policy").
        name: What was given.
        known: The names that exist.
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return UserError(f"there is no {kind} '{name}'.{hint} Known: {', '.join(names)}.")

"""Leaving a page without a click: because the page itself answered (good), or in frustration (bad).

And the hidden label of how every page ended, whatever the market. Good abandonment after Li, Huffman and Tokuda, "Good
abandonment in mobile and PC internet search", 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from simenv.catalogue import F32
from simenv.errors import UserError

Bools = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]

ENDINGS = (
    "bought", "satisfied click", "good abandonment", "bad abandonment", "next page", "asked again", "left",
)  # fmt: skip


class Ending(IntEnum):
    """Places in `ENDINGS`: how a page ended. LEFT is leaving after clicks that neither sold nor satisfied."""

    BOUGHT, SATISFIED, GOOD, BAD, NEXT_PAGE, ASKED_AGAIN, LEFT = range(7)


@dataclass(frozen=True)
class Abandonment:
    """Who leaves without a click, beyond running out of patience; nobody by default.

    Attributes:
        good: Chance that a shopper who clicked nothing and examined an answer leaves content; 0 = off. An answer is an
            item of at least `relevant` relevance whose price is within `price_gap` standard deviations (of its
            category) of the one they like.
        bad: Chance that a shopper who clicked nothing and examined nothing of `useless` relevance or more leaves at
            once; 0 = off.
    """

    good: float = 0.0
    bad: float = 0.0
    relevant: float = 0.9
    price_gap: float = 0.5
    useless: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what is no chance."""
        for name in ("good", "bad"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"abandonment: {name} is {getattr(self, name)}; expected a chance between 0 and 1.")


def answered(params: Abandonment, clicked: Bools, examined: Bools, relevance: F32, gap: F32, u: F64) -> Bools:
    """Who is content without a click, (N,).

    Args:
        params: The parameters.
        clicked: (N, M) of the whole page.
        examined: (N, M) likewise.
        relevance: (N, M) of what is shown, 0 at empty slots.
        gap: (N, M) distance of its price from the one they like, in standard deviations.
        u: (N,) uniforms.
    """
    answers = examined & (relevance >= params.relevant) & (gap <= params.price_gap)
    content: Bools = ~clicked.any(axis=1) & answers.any(axis=1) & (u < params.good)
    return content


def frustrated(params: Abandonment, clicked: Bools, examined: Bools, relevance: F32, u: F64) -> Bools:
    """Who leaves at once, (N,). Arguments as for `answered`."""
    useful = (examined & (relevance >= params.useless)).any(axis=1)
    gone: Bools = ~clicked.any(axis=1) & ~useful & (u < params.bad)
    return gone


def endings(
    purchased: Bools, content: Bools, clicked: Bools, satisfied: Bools, next_page: Bools, next_search: Bools
) -> npt.NDArray[np.int8]:
    """How each page ended, (N,) places in `ENDINGS`.

    Args:
        purchased: (N, M) of the whole page.
        content: (N,) `answered`.
        clicked: (N, M) of the whole page.
        satisfied: (N, M) clicks that satisfied.
        next_page: (N,) whether the shopper looks at the next page.
        next_search: (N,) whether they ask again.
    """
    made = np.where(clicked.any(axis=1), Ending.LEFT, Ending.BAD).astype(np.int8)
    for rows, ending in (
        (next_search, Ending.ASKED_AGAIN),
        (next_page, Ending.NEXT_PAGE),
        (content, Ending.GOOD),
        (satisfied.any(axis=1), Ending.SATISFIED),
        (purchased.any(axis=1), Ending.BOUGHT),
    ):
        made[rows] = ending
    return made

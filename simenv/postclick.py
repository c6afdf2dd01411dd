"""After the click: how long an item is looked at, and whether what was bought is sent back.

Both follow utility, which is not attraction: a look is long where the item is worth it, and a purchase is sent back
where attraction promised more than utility gave, that is where bait is high and quality low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32
from simenv.errors import UserError


@dataclass(frozen=True)
class PostClick:
    """What follows a click beside carts and purchases; nothing by default.

    Attributes:
        dwell: Median seconds that a relevant item of average quality is looked at; 0 = off, dwell is not recorded.
        dwell_utility: What one unit of utility (log-odds of the cart) adds to the logarithm of these seconds.
        dwell_spread: Standard deviation of the logarithm of the seconds.
        returns: Chance that a purchase is sent back that is worth as much as it promised; 0 = off, nothing is.
        regret: What one unit of promise beyond utility (both log-odds) adds to the log-odds of sending it back.
    """

    dwell: float = 0.0
    dwell_utility: float = 0.5
    dwell_spread: float = 0.8
    returns: float = 0.0
    regret: float = 1.5

    def __post_init__(self) -> None:
        """Refuse chances outside [0, 1) and times below 0."""
        if not 0.0 <= self.returns < 1.0:
            raise UserError(f"post_click: returns is {self.returns}; expected a chance of at least 0, below 1.")
        for name in ("dwell", "dwell_spread"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise UserError(f"post_click: {name} is {getattr(self, name)}; expected a number of at least 0.")


def sent_back(params: PostClick, disappointment: F32) -> F32:
    """P(returned | purchase) from promise less utility (log-odds; `simenv.behaviour.disappointment`), same shape."""
    chance: F32 = np.float32(1.0) / (
        1.0 + np.float32((1.0 - params.returns) / params.returns) * np.exp(np.float32(-params.regret) * disappointment)
    )
    return chance


def dwell(
    params: PostClick, clicked: npt.NDArray[np.bool_], utility: F32, items: I32, key: hashing.Keys
) -> npt.NDArray[np.float32]:
    """Seconds that clicked items are looked at: log-normal, longer where utility is.

    Args:
        params: The parameters.
        clicked: (N, K).
        utility: (N, K) log-odds beyond those of a relevant item of average quality.
        items: (N, K) ids, which name the luck.
        key: (N,) of the page's stream for dwells.

    Returns:
        (N, K) float32, 0 where nothing was clicked.
    """
    made = np.zeros(clicked.shape, dtype=np.float32)
    if params.dwell > 0.0:
        row, slot = np.nonzero(clicked)
        luck = hashing.normal(hashing.absorb(key[row], items[row, slot]))
        made[row, slot] = params.dwell * np.exp(params.dwell_utility * utility[row, slot] + params.dwell_spread * luck)
    return made

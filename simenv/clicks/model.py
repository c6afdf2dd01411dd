"""What the market needs of a click model, and what a click model is told of a page.

Draws are handed in as uniforms: examination keyed by the slot, what happens to an item keyed by the item. So the models
are pure functions, and two policies that face the same shoppers share their luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Appeal:
    """How the shown items strike the shoppers of N pages; hidden truth.

    attraction: (N, K) probability that an examined item is clicked; 0 marks an empty slot.
    satisfaction: (N, K) probability that a clicked item satisfies, so that the shopper reads no further. Only dynamic
        Bayesian networks look at it.
    """

    attraction: Floats
    satisfaction: Floats


class ClickModel(Protocol):
    """What the market needs of a click model."""

    @property
    def name(self) -> str:
        """A word for tables; the model's key in `CLICK_MODELS`."""

    @property
    def identified_by(self) -> str:
        """The weakest propensities that identify the value of a ranking: "item-position", "prefix" or "joint".

        "item-position": a click at a slot depends on the item there alone. "prefix": on that and the items above.
        "joint": on the whole slate.
        """

    def sample(self, appeal: Appeal, u_examine: Floats, u_item: Floats) -> tuple[Bools, Bools]:
        """Examined and clicked slots, each (N, K) bool, from uniforms of shape (N, K): a slot's and an item's."""

    def satisfied(self, appeal: Appeal, u_examine: Floats, u_item: Floats, clicked: Bools) -> Bools | None:
        """Clicked slots that satisfied and ended the look at the page, (N, K); None where the model knows of no such.

        Args:
            appeal: As given to `sample`.
            u_examine: As given to `sample`.
            u_item: As given to `sample`.
            clicked: What `sample` gave.
        """

    def log_prob(self, appeal: Appeal, clicks: Bools) -> Floats:
        """Log-probability of each row's click pattern, (N,); -inf where impossible."""

    def click_probability(self, appeal: Appeal) -> Floats:
        """Probability of a click at each slot given the whole slate, (N, K)."""


def require_probabilities(what: str, values: Sequence[float]) -> None:
    """Refuse parameters outside [0, 1].

    Raises:
        UserError: naming the first bad one.
    """
    for k, value in enumerate(values):
        if not 0.0 <= value <= 1.0:
            raise UserError(f"{what} is {value} at slot {k + 1}; expected a probability between 0 and 1.")


def for_slots(what: str, values: Sequence[float], n_slots: int) -> npt.NDArray[np.float64]:
    """The first `n_slots` of the numbers given for each slot.

    Raises:
        UserError: if there are too few.
    """
    if n_slots > len(values):
        raise UserError(
            f"the slate has {n_slots} slots and {what} is given for {len(values)}; give one number for each slot."
        )
    return np.asarray(values[:n_slots], dtype=np.float64)

"""Feedback as it arrives: late, in any order, twice, and of a world that drifts; what is kept is exact sums.

Three ways to remember: everything; with weights that halve every `half_life` of time; or the last `window` whole units
of time. In each the sums are a function of which feedback has arrived, not of when, in what order or in what
batches (up to the rounding of float64 sums). A window adds up its units anew, so nothing is ever subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.kernels.ridge import Sums, no_sums, sums_by_arm
from simenv.errors import UserError

Tensors = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Forgetting:
    """How old feedback fades; not at all where both are None.

    Attributes:
        half_life: Time after which feedback counts half.
        window: Units of time that are remembered, the present one included.

    Raises:
        UserError: where both are given or one is not positive.
    """

    half_life: float | None = None
    window: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no way to forget."""
        if self.half_life is not None and self.window is not None:
            raise UserError("half_life and window are two ways to forget; expected one of them.")
        for name, given in (("half_life", self.half_life), ("window", self.window)):
            if given is not None and not 0 < given < math.inf:
                raise UserError(f"{name} is {given}; expected a positive number of units of time, or none.")


class Feedback:
    """The sums of all feedback that counts, for A arms of P weights."""

    def __init__(self, shape: tuple[int, int], forgetting: Forgetting, device: torch.device | str = "cpu") -> None:
        """Nothing has arrived; `shape` is (A, P)."""
        self.shape, self.forgetting, self.device = shape, forgetting, torch.device(device)
        self._buckets: dict[int, Sums] = {}
        self._now = -math.inf
        self._delivered = np.empty(0, dtype=np.uint64)

    def unseen(self, ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which of these deliveries are first ones, (n,) bool; from now on they have been delivered."""
        first = first_deliveries(ids, self._delivered)
        self._delivered = np.union1d(self._delivered, ids)
        return first

    def add(self, x: Tensor, y: Tensor, arm: Tensor | None = None, time: Tensor | None = None) -> None:
        """Take examples x (n, P) with rewards y (n,), of arms (n,) (the first where None), at times (n,) (0)."""
        if not len(x):
            return
        arm = torch.zeros(len(x), dtype=torch.int64, device=x.device) if arm is None else arm.long()
        at = torch.zeros(len(x), dtype=torch.float64, device=x.device) if time is None else time.double()
        last, now = self._now, max(self._now, float(at.max()))
        self._now = now
        if self.forgetting.window is not None:
            self._add_units(x, y, arm, torch.floor(at).long())
            return
        weight = torch.ones_like(at)
        if self.forgetting.half_life is not None:
            weight = 0.5 ** ((now - at) / self.forgetting.half_life)
            if self._buckets and now > last:
                self._buckets[0] = self._buckets[0].scaled(0.5 ** ((now - last) / self.forgetting.half_life))
        self._put(0, sums_by_arm(x, y, weight, arm, self.shape[0]))

    def total(self) -> Sums:
        """The sums of what counts now."""
        made = no_sums(self.shape, self.device)
        for unit in sorted(self._buckets):
            made = made + self._buckets[unit]
        return made

    def tensors(self) -> Tensors:
        """What a saved model holds."""
        units = sorted(self._buckets)
        kept = [self._buckets[unit] for unit in units] or [no_sums(self.shape, self.device)]
        return {
            "gram": torch.stack([each.gram for each in kept]).cpu().numpy(),
            "moment": torch.stack([each.moment for each in kept]).cpu().numpy(),
            "weight": torch.stack([each.weight for each in kept]).cpu().numpy(),
            "units": np.array(units or [0], dtype=np.int64),
            "now": np.array(max(self._now, -1.0)),
            "delivered": self._delivered,
        }

    def restore(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the state of a saved one of the same shape.

        Raises:
            ValueError: for another shape.
            RuntimeError: for sums that no examples have.
        """
        n, (arms, size) = len(tensors["units"]), self.shape
        for name, expected in (("gram", (n, arms, size, size)), ("moment", (n, arms, size)), ("weight", (n, arms))):
            if tensors[name].shape != expected:
                raise ValueError(f"{name} has shape {tensors[name].shape}; expected {expected}")
        gram, moment, weight = (
            torch.from_numpy(np.array(tensors[name], dtype=np.float64)).to(self.device)
            for name in ("gram", "moment", "weight")
        )
        torch.linalg.cholesky(gram + torch.eye(size, dtype=torch.float64, device=self.device))
        self._buckets = {int(unit): Sums(gram[i], moment[i], weight[i]) for i, unit in enumerate(tensors["units"])}
        self._now = float(tensors["now"].item())
        self._delivered = np.array(tensors["delivered"], dtype=np.uint64)

    def _add_units(self, x: Tensor, y: Tensor, arm: Tensor, unit: Tensor) -> None:
        oldest = math.floor(self._now) - int(self.forgetting.window or 0) + 1
        for one in torch.unique(unit).tolist():
            rows = unit == one
            if one >= oldest:
                self._put(one, sums_by_arm(x[rows], y[rows], torch.ones_like(y[rows]), arm[rows], self.shape[0]))
        self._buckets = {one: sums for one, sums in self._buckets.items() if one >= oldest}

    def _put(self, unit: int, sums: Sums) -> None:
        self._buckets[unit] = self._buckets[unit] + sums if unit in self._buckets else sums


def first_deliveries(ids: npt.NDArray[np.uint64], delivered: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which of ids (n,) are the first of their name, and not among those delivered before; (n,) bool."""
    first = np.zeros(len(ids), dtype=bool)
    first[np.unique(ids, return_index=True)[1]] = True
    return first & ~np.isin(ids, delivered)

"""What a benchmark is: one rate, how it is measured, and whose figure stands beside it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """A measurement: what one round does, and the peer's figure for the like.

    Attributes:
        unit: Of the rate.
        rate: Runs one round and returns units per CPU-second.
        peer: Whose figure stands beside, with the version; "" where nobody does the like.
        peer_value: Their figure in the same unit.
        beside: Name of the benchmark that measures the peer here, whose figure of the same run is preferred.
        needs: Package without which it is left out; "" for what we bring ourselves.
    """

    unit: str
    rate: Callable[[], float]
    peer: str = ""
    peer_value: float | None = None
    beside: str = ""
    needs: str = ""

    @property
    def can_run(self) -> bool:
        """Whether the package that it needs is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None

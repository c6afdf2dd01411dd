"""What remains of SlateQ from a log: SlateQ's scorer under a name and with settings of its own.

It needs torch, and not the library that trained it (`policies.rllib.slateq_offline_training`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.examples import Examples
from policies.settings import chosen
from policies.slateq import SlateQScorer
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError

DEFAULTS: dict[str, Any] = {
    "alpha": 0.1, "gamma": 0.95, "returns": "shopper", "method": "q-learning", "optimiser": "optimal",
    "serve": "optimal", "passes": 10, "batch": 512, "learning_rate": 0.001, "copy_every": 25, "hidden": 64, "seed": 0,
}  # fmt: skip


class OfflineSlateQScorer(SlateQScorer):
    """SlateQ's networks, learned from a log."""

    kind = "slateq-offline"

    def __init__(self, catalogue: PublicCatalogue, n_slots: int, settings: dict[str, Any]) -> None:
        """Untrained weights.

        Args:
            catalogue: Public columns.
            n_slots: K.
            settings: alpha: weight of the penalty on what was not tried. gamma: discount from a page to the next.
                returns: where a life ends, "session" or "shopper". method, optimiser, serve, hidden: as of SlateQ.
                passes: over the log. batch: pages a gradient. learning_rate: of Adam; it falls to a tenth.
                copy_every: updates between copies of the target network. seed: of weights and order.
        """
        super().__init__(catalogue, n_slots, settings["hidden"], settings["seed"], settings["serve"])
        self.settings = settings

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> OfflineSlateQScorer:
        """Untrained, from the settings of a saved one or from defaults."""
        return OfflineSlateQScorer(catalogue, n_slots, chosen("slateq-offline", settings, DEFAULTS))

    def update(self, examples: Examples) -> None:
        """Refused: what follows a page is not in shown slots."""
        raise UserError(
            "policy 'slateq-offline' learns from whole stays in a log, not from shown slots; train it with "
            "slatelab train SCENARIO --policy slateq-offline --log LOG, or policies.rllib.slateq_offline_training."
        )

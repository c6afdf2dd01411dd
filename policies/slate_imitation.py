"""What remains of BC and MARWIL over slates: a scorer that is saved, loaded, logged and judged like any other learner.

It needs torch, and not the library that trained it (`policies.rllib.offline_training`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from policies.examples import Examples
from policies.ranking import F32
from policies.settings import chosen
from policies.slate_net import SlateScorer
from simenv.catalogue import PublicCatalogue
from simenv.decision import Truth
from simenv.errors import UserError
from simenv.world import Page

CLONING: dict[str, Any] = {"hidden": 64, "passes": 2, "batch": 512, "learning_rate": 0.005, "seed": 0}
WEIGHING: dict[str, Any] = {**CLONING, "beta": 3.0, "gamma": 0.5, "returns": "session", "weight_clip": 50.0}


@dataclass(frozen=True)
class Imitation:
    """A way to imitate: its name in POLICIES and the settings that a scenario may give it."""

    kind: str
    defaults: Mapping[str, Any]

    def empty(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> ImitationScorer:
        """Untrained, from the settings of a saved one or from defaults."""
        return ImitationScorer(self.kind, catalogue, n_slots, chosen(self.kind, settings, self.defaults))


BC_SLATE = Imitation("bc-slate", CLONING)
MARWIL_SLATE = Imitation("marwil-slate", WEIGHING)


class ImitationScorer:
    """A network that learned to show what a logger showed, or what of that went well."""

    def __init__(self, kind: str, catalogue: PublicCatalogue, n_slots: int, settings: dict[str, Any]) -> None:
        """Untrained weights.

        Args:
            kind: "bc-slate" or "marwil-slate".
            catalogue: Public columns.
            n_slots: K; one scorer serves any number.
            settings: hidden: width of the network. passes: over the log. batch: pages a gradient. learning_rate: of
                Adam; it falls to a tenth. seed: of weights and order. And for MARWIL beta, weight_clip, gamma and
                returns, see `policies.rllib.offline` and `policies.rllib.offline_data.Reading`.
        """
        self.kind, self.settings = kind, settings
        self.slates = SlateScorer(catalogue, n_slots, settings["hidden"], settings["seed"])
        self.feature_map = self.slates.feature_map
        self.n_searches = 0
        self.metrics: dict[str, float] = {}

    def update(self, examples: Examples) -> None:
        """Refused: a return is made of several pages, and examples come one by one."""
        raise UserError(
            f"policy '{self.kind}' learns from whole sessions of a log, not from shown slots; train it with "
            f"slatelab train SCENARIO --policy {self.kind} --log LOG, or policies.rllib.offline_training."
        )

    def finish(self) -> None:
        """Nothing left to do: training ends with the last batch."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Log-weights of the candidates up to a constant per page, -inf at holes."""
        return self.slates.score(page, truth)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a saved model holds."""
        return self.slates.tensors() | {"n_searches": np.array(self.n_searches)}

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take the weights of a saved model of the same shape."""
        self.slates.restore(tensors)
        self.n_searches = self.slates.n_searches

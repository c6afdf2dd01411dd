"""LambdaMART: gradient-boosted trees on the order of a page, the strong plain baseline.

Pairs of a page are pulled apart by how much their swap would change NDCG (Burges, "From RankNet to LambdaRank to
LambdaMART: an overview", 2010), by LightGBM. Plain means that a click is taken for relevance and a slot for nothing:
what stood high is clicked more, and is ranked higher for it. It reads features, no ids. LightGBM trains; the trees are
kept, saved and evaluated as arrays (`policies.kernels.trees`), so a trained model needs no LightGBM.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from policies.examples import Examples
from policies.features import CHUNK, FeatureMap, page_tensors
from policies.kernels.feedback import Tensors
from policies.kernels.trees import FIELDS, Sum, Trees, from_dump, no_trees
from policies.ranking import F32
from policies.replay import Replay
from policies.settings import chosen
from simenv import hashing
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.errors import UserError
from simenv.world import Page

HELD_OUT = 0.1  # of the shoppers, who say when to stop
PATIENCE = 20  # trees without a better order for them
LABELS = ("clicks", "gain")


class LambdaMart:
    """Boosted trees that learn in rounds: `update` keeps, `finish` trains on everything kept.

    A restored model ranks; what it learns next it learns from what it is given then, for its examples are not saved.

    Attributes:
        trees: The trees on their device.
        n_searches: How many searches it has learned from; a second delivery of one does not count.
    """

    kind = "lambdamart"

    def __init__(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> None:
        """Start without trees.

        Args:
            catalogue: Public columns.
            n_slots: K.
            settings: `trees` at most; `leaves` of each at most; `learning_rate`; `leaf_size`, the fewest slots in a
                leaf; `label`, "clicks" or "gain" (clicked without gain, with a gain up to the median, above it);
                `memory` in searches; `seed` of which are kept; `stop_early`, at the best order of a tenth of the
                shoppers, who are held out, which on pages of five stops after a dozen trees, on unlucky logs after
                fewer than are good; all 200 take twenty times as long to rank a page;
                `personal`, `reader` and `session` of `FeatureMap`; `device` to rank on.

        Raises:
            UserError: for an unknown label or setting.
        """
        defaults = {
            "trees": 200, "leaves": 31, "learning_rate": 0.05, "leaf_size": 50, "label": "clicks", "memory": 200_000,
            "stop_early": True, "seed": 0, "personal": True, "reader": None, "session": None,
        }  # fmt: skip
        self.settings: dict[str, Any] = chosen(self.kind, settings, defaults)
        if self.settings["label"] not in LABELS:
            raise UserError(f"lambdamart: label is '{self.settings['label']}'; expected one of {', '.join(LABELS)}.")
        self.device = torch.device(settings.get("device", "cpu"))
        seen = (self.settings[name] for name in ("personal", "reader", "session"))
        self.feature_map = FeatureMap(catalogue, *seen).to(self.device)
        self.n_slots, self.n_searches = n_slots, 0
        self.replay = Replay(self.settings["memory"], self.settings["seed"], with_pages=True)
        self.trees = self._sum(no_trees())

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> LambdaMart:
        """Without trees, from the settings of a saved one or from defaults."""
        return LambdaMart(catalogue, n_slots, settings)

    def update(self, examples: Examples) -> None:
        """Keep a batch of searches.

        Raises:
            UserError: for examples without their pages, which say whose they are.
        """
        if examples.page is None:
            raise UserError("policy 'lambdamart' holds shoppers out: it needs examples with their pages.")
        self.n_searches += len(self.replay.add(examples))

    def finish(self) -> None:
        """Train on everything kept, where something was clicked.

        Raises:
            UserError: where LightGBM is not installed.
        """
        lightgbm, kept = _lightgbm(), self.replay.kept()
        if kept is None or not kept.reward.any():
            return
        shopper = np.zeros(len(kept), dtype=np.int64) if kept.page is None else kept.page.shopper
        held = hashing.uniform(hashing.absorb(hashing.stream(0, "lambdamart, held out"), shopper)) < HELD_OUT
        held &= self.settings["stop_early"]
        label = _labels(kept, self.settings["label"])
        train = _data(lightgbm, take(kept, ~held), label[~held])
        watch = [_data(lightgbm, take(kept, held), label[held], train)] if label[held].any() else []
        booster = lightgbm.train(
            self._parameters(),
            train,
            num_boost_round=self.settings["trees"],
            valid_sets=watch,
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)] if watch else [],
        )
        self.trees = self._sum(from_dump(booster.dump_model(num_iteration=booster.best_iteration)))

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Sums of the trees, (N, C)."""
        made = []
        with torch.no_grad():
            for first in range(0, max(len(page), 1), CHUNK):
                x = self.feature_map(page_tensors(take(page, slice(first, first + CHUNK)), self.device))
                made.append(self.trees.values(x.flatten(0, 1)).float().reshape(x.shape[:2]).cpu().numpy())
        return np.concatenate(made)

    def tensors(self) -> Tensors:
        """What a saved model holds: the trees, and which deliveries are in them; not the examples."""
        held: Tensors = {name: getattr(self.trees.trees, name) for name in FIELDS}
        return held | {"n_searches": np.array(self.n_searches), "delivered": self.replay.delivered}

    def restore(self, tensors: Tensors) -> None:
        """Take the trees of a saved model.

        Raises:
            KeyError: where an array is missing. ValueError: for arrays that are no trees over these features.
        """
        kinds = {name: getattr(no_trees(), name).dtype for name in FIELDS}
        self.trees = self._sum(Trees(**{name: np.array(tensors[name], dtype=kinds[name]) for name in FIELDS}))
        self.n_searches = int(tensors["n_searches"].item())
        self.replay.delivered = np.array(tensors["delivered"], dtype=np.uint64)

    def _sum(self, trees: Trees) -> Sum:
        return Sum(trees, len(self.feature_map.feature_names), self.device)

    def _parameters(self) -> dict[str, Any]:
        own = self.settings
        return {
            "objective": "lambdarank", "metric": "ndcg", "eval_at": [self.n_slots], "num_leaves": own["leaves"],
            "learning_rate": own["learning_rate"], "min_data_in_leaf": own["leaf_size"], "num_threads": 1,
            "deterministic": True, "force_row_wise": True, "seed": own["seed"], "verbosity": -1,
        }  # fmt: skip


def _labels(kept: Examples, label: str) -> npt.NDArray[np.int32]:
    """Grades (n, K) of slots."""
    clicked = (kept.reward > 0).astype(np.int32)
    if label == "clicks" or kept.gain is None or not (kept.gain > 0).any():
        return clicked
    middle = np.median(kept.gain[kept.gain > 0])
    grades: npt.NDArray[np.int32] = clicked + clicked * (kept.gain > 0) + clicked * (kept.gain > middle)
    return grades


def _data(lightgbm: ModuleType, kept: Examples, label: npt.NDArray[np.int32], like: Any = None) -> Any:
    """Shown slots as LightGBM takes them, a page a group."""
    shown = kept.shown.sum(axis=1)
    options: dict[str, Any] = {"group": shown[shown > 0], "reference": like, "params": {"verbosity": -1}}
    return lightgbm.Dataset(kept.features[kept.shown], label[kept.shown], **options)


def _lightgbm() -> ModuleType:
    try:
        import lightgbm
    except ImportError as error:
        raise UserError(
            "policy 'lambdamart' is trained by LightGBM, which is not installed; pip install 'slatelab[trees]'."
        ) from error
    module: ModuleType = lightgbm
    return module

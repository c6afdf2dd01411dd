"""`SlateNet` as an RLlib module: scores become Plackett-Luce slates, the value serves as PPO's and APPO's critic."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import TARGET_NETWORK_ACTION_DIST_INPUTS, InferenceOnlyAPI, TargetNetworkAPI
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from torch import Tensor
from typing_extensions import override

from policies.rllib.distribution import slate_distribution
from policies.rllib.environment import PageLayout, page_layout
from policies.rllib.offline_data import log_layout
from policies.slate_net import SlateNet
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError, unknown_name
from simenv.log.read import Log
from simenv.worlds import load_world

DEFAULT_SLATES = {"hidden": 64, "floor": 0.01, "seed": 0}
SETTINGS = ("world", "log", *DEFAULT_SLATES)
RLLIBS = {field.name for field in dataclasses.fields(DefaultModelConfig)}


class SlateModule(TorchRLModule, ValueFunctionAPI, TargetNetworkAPI, InferenceOnlyAPI):  # type: ignore[misc]
    """A stateless slate policy at temperature 1; APPO's learner gives it a target network, which no runner needs.

    `model_config`: world (a name or a file) or log (a folder, whose catalogue and sizes serve), and, DEFAULT_SLATES
    where left out, hidden (width), floor, seed (of the weights and of the slates that it explores with). Observations
    are those of `policies.rllib.environment.FlatSearchEnv`.
    """

    @override
    def setup(self) -> None:
        """Build the network; the weights and the noise come from local generators."""
        refuse_unknown_settings(self.model_config)
        settings = DEFAULT_SLATES | self.model_config
        catalogue, self.layout, n_slots = _shop(settings)
        self.net = SlateNet(catalogue, settings["hidden"], torch.Generator().manual_seed(settings["seed"]))
        self.target: SlateNet | None = None
        self.generator = torch.Generator().manual_seed(settings["seed"] + 1)
        self.action_dist_cls = slate_distribution(n_slots, settings["floor"])

    @override
    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        scores, embedding = self.net(self.layout.page(batch[Columns.OBS]))
        return {Columns.ACTION_DIST_INPUTS: scores, Columns.EMBEDDINGS: embedding}

    @override
    def _forward_inference(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self._forward(batch)[Columns.ACTION_DIST_INPUTS]}

    @override
    def _forward_exploration(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """The slates and their log-probability, from the same numbers that drew them."""
        scores = self._forward(batch)[Columns.ACTION_DIST_INPUTS]
        distribution = self.action_dist_cls(scores)
        slate = distribution.sample(generator=self.generator)
        return {
            Columns.ACTION_DIST_INPUTS: scores,
            Columns.ACTIONS: slate,
            Columns.ACTION_LOGP: distribution.logp(slate),
        }

    @override
    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """The value of pages (N,)."""
        if embeddings is None:
            embeddings = self.net(self.layout.page(batch[Columns.OBS]))[1]
        return self.net.value(embeddings)

    @override
    def make_target_networks(self) -> None:
        """Called by learners that want one, and by no other."""
        self.target = make_target_network(self.net)

    @override
    def get_target_network_pairs(self) -> list[tuple[Any, Any]]:
        """The network and its copy, where there is one."""
        return [] if self.target is None else [(self.net, self.target)]

    @override
    def forward_target(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Scores of the target network, without a gradient."""
        assert self.target is not None
        with torch.no_grad():
            return {TARGET_NETWORK_ACTION_DIST_INPUTS: self.target(self.layout.page(batch[Columns.OBS]))[0]}

    @override
    def get_non_inference_attributes(self) -> list[str]:
        """What runners go without."""
        return ["target"]


def refuse_unknown_settings(settings: Mapping[str, Any]) -> None:
    """Refuse a setting that is neither ours nor RLlib's, which hands its own to every module.

    Raises:
        UserError: naming it.
    """
    for name in settings:
        if name not in SETTINGS and name not in RLLIBS:
            raise unknown_name("setting of SlateModule", name, SETTINGS)


def _shop(settings: Mapping[str, Any]) -> tuple[PublicCatalogue, PageLayout, int]:
    """The catalogue, the layout of pages and the number of slots, of a world or of a log."""
    if "log" not in settings:
        if "world" not in settings:
            raise UserError(
                "SlateModule knows no market; say which world it plays in, or which log it learns from: "
                'model_config={"world": "default"}.'
            )
        world = load_world(settings["world"])
        return world.catalogue.public(), page_layout(world), world.params.n_slots
    log = Log.open(Path(settings["log"]))
    return log.catalogue(), log_layout(log), log.manifest["n_slots"]

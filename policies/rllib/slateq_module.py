"""SlateQ's networks as an RLlib module. It explores by Plackett-Luce slates, whose log-probabilities are exact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI, TargetNetworkAPI
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from torch import Tensor, nn
from typing_extensions import override

from policies.rllib.distribution import slate_distribution
from policies.rllib.slateq_loss import Transitions, slate_scores
from policies.rllib.slateq_worlds import SlateQWorld, slateq_log_world, slateq_world
from policies.slateq_net import SlateValues
from simenv.log.read import Log

SLATE, NEXT_SLATE = Columns.ACTIONS, "next_actions"


class SlateQModule(TorchRLModule, InferenceOnlyAPI, TargetNetworkAPI):  # type: ignore[misc]
    """A stateless slate policy.

    `model_config`: world and episode, or log (a folder); hidden (width), seed (of the weights and of the slates that it
    explores with), serve (an optimiser), temperature and floor. Observations are those of
    `policies.rllib.slateq_worlds.ToldEnv`.
    """

    @override
    def setup(self) -> None:
        """Build the networks; the weights and the noise come from local generators."""
        settings = self.model_config
        self.world = world = _world(settings)
        self.pages = world.pages
        self.net = SlateValues(world.shape(settings["hidden"]), torch.Generator().manual_seed(settings["seed"]))
        self.generator = torch.Generator().manual_seed(settings["seed"] + 1)
        self.action_dist_cls = slate_distribution(world.n_slots, settings["floor"])
        self.n_slots = world.n_slots

    @override
    def make_target_networks(self) -> None:
        self.target = make_target_network(self.net.values)

    @override
    def get_target_network_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        return [(self.net.values, self.target)]

    @override
    def forward_target(self, batch: dict[str, Any]) -> dict[str, Any]:
        items, null = self.target(self.pages(batch[Columns.OBS]))
        return {"items": items, "null": null}

    @override
    def get_non_inference_attributes(self) -> list[str]:
        return ["target"]

    @override
    def _forward_inference(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        with torch.no_grad():
            return {Columns.ACTION_DIST_INPUTS: self.scores(batch[Columns.OBS])}

    @override
    def _forward_exploration(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """The slates and their log-probability, from the same numbers that drew them."""
        with torch.no_grad():
            scores = self.scores(batch[Columns.OBS])
            distribution = self.action_dist_cls(scores)
            slate = distribution.sample(generator=self.generator)
            return {
                Columns.ACTION_DIST_INPUTS: scores,
                Columns.ACTIONS: slate,
                Columns.ACTION_LOGP: distribution.logp(slate),
            }

    @override
    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Nothing: the learner reads the networks themselves."""
        return {}

    def scores(self, flat: Tensor) -> Tensor:
        """What it ranks flat rows by, over the temperature; (N, C)."""
        settings = self.model_config
        temperature: float = settings["temperature"]
        return slate_scores(self.net.worth(self.pages(flat)), settings["serve"]) / temperature

    def transitions(self, batch: dict[str, Any]) -> Transitions:
        """A training batch with features in the place of flat rows."""
        following = batch[Columns.NEXT_OBS]
        return Transitions(
            page=self.pages(batch[Columns.OBS]),
            slate=batch[SLATE].long(),
            clicked=following[:, -self.n_slots :] > 0,
            reward=batch[Columns.REWARDS].float(),
            over=batch[Columns.TERMINATEDS].bool(),
            next_page=self.pages(following),
            next_slate=batch[NEXT_SLATE].long(),
        )


def _world(settings: Mapping[str, Any]) -> SlateQWorld:
    """Of a log where one is named."""
    if "log" in settings:
        return slateq_log_world(Log.open(Path(settings["log"])))
    return slateq_world(settings["world"], settings["episode"])

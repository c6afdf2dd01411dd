"""Training BC and MARWIL from a log in this process: RLlib's learner, our reader, without starting Ray.

A trainer of `policies.rllib.trainer`: stopped at any moment and started again, it comes to the same weights bit for bit
on one machine's CPU, since the order of the pages is a function of seed and pass, and nothing else is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.offline import SlateBCConfig, SlateMARWILConfig, learner_batch, log_spaces
from policies.rllib.offline_data import Batches, count_pages, windows
from policies.rllib.quiet import one_thread, quiet, without_news_of_the_stack
from policies.rllib.train import place
from policies.rllib.trainer import Assignment
from policies.settings import COUNT, POSITIVE, check_ranges
from policies.slate_imitation import BC_SLATE, MARWIL_SLATE, Imitation, ImitationScorer
from simenv.catalogue import I64
from simenv.errors import UserError

LAST_RATE = 0.1  # the learning rate falls to that share of the first
OFFLINE_RANGES = {"hidden": COUNT, "batch": COUNT, "learning_rate": POSITIVE}


class OfflineTrainer:
    """One training of BC or MARWIL; see `policies.rllib.trainer.Trainer`."""

    def __init__(self, imitation: Imitation, config: SlateMARWILConfig, settings: dict[str, Any]) -> None:
        """Build the learner.

        Args:
            imitation: What the scorer will be.
            config: With a log.
            settings: Of the scorer; `passes` says how often the log is read.

        Raises:
            UserError: for settings that do not go together, or where there is nothing to learn from.
        """
        with quiet(), without_news_of_the_stack():
            config.validate()
            self._log, passes = config.log(), settings["passes"]
            self._imitation, self._settings = imitation, settings
            self._batches = Batches(self._log, config.reading(), windows, config.train_batch_size_per_learner, passes)
            self.searches, self.budget = 0, passes * count_pages(self._log, config.half)
            if self.budget < 1:
                raise UserError(f"passes is {passes}; expected at least 1.")
            config.training(lr=[[0, config.lr], [self.budget, LAST_RATE * config.lr]])
            self._learner = config.build_learner(spaces={DEFAULT_MODULE_ID: log_spaces(self._log)})

    def step(self) -> Mapping[str, float]:
        """Learn from the next batch; returns `logp` of its slates and, of MARWIL, how its weights stand."""
        pages = self._batches.next()
        assert pages is not None  # until `searches` reaches `budget` there is one
        self.searches += len(pages)
        with one_thread():
            self._learner.update(
                batch=learner_batch(pages, self._batches), timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.searches}
            )
        return {**self._learner.told, "logger_logp": float(pages.logp.mean())}

    def state(self) -> dict[str, Any]:
        """See `policies.rllib.trainer.Trainer.state`."""
        norms = self._learner.moving_avg_sqd_adv_norms_per_module
        return {
            "module": self._learner.module[DEFAULT_MODULE_ID].unwrapped(),
            "optimiser": self._learner.get_optimizer(DEFAULT_MODULE_ID),
            "norm": np.float32(norms[DEFAULT_MODULE_ID].item()),
            "searches": self.searches,
            "batches": self._batches.standing(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `policies.rllib.trainer.Trainer.load_state`."""
        norms = self._learner.moving_avg_sqd_adv_norms_per_module
        norms[DEFAULT_MODULE_ID] = torch.full_like(norms[DEFAULT_MODULE_ID], float(state["norm"]))
        self.searches = int(state["searches"])
        self._batches.go_on_from(state["batches"])

    def scorer(self) -> ImitationScorer:
        """A copy of the policy as it stands, on the CPU."""
        made = self._imitation.empty(self._log.catalogue(), self._log.manifest["n_slots"], self._settings)
        net = self._learner.module[DEFAULT_MODULE_ID].unwrapped().net
        made.slates.net.load_state_dict(net.state_dict())
        made.n_searches = self.searches
        return made

    def shoppers(self) -> I64:
        """Ids of those it has learned from."""
        return self._batches.shoppers()

    def close(self) -> None:
        """Nothing to let go of."""


def offline_trainer(assignment: Assignment) -> OfflineTrainer:
    """The trainer of `bc-slate` or `marwil-slate`, from its entry in POLICIES.

    Raises:
        UserError: where there is no log, or for wrong settings.
    """
    imitation = {each.kind: each for each in (BC_SLATE, MARWIL_SLATE)}[assignment.policy]
    log = assignment.log
    if log is None:
        raise UserError(
            f"'{assignment.policy}' imitates what a log shows, so it needs one: add --log LOG, a folder by "
            "'slatelab simulate' or one that follows docs/log-schema.md."
        )
    n_slots = log.manifest["n_slots"]
    settings = imitation.empty(log.catalogue(), n_slots, {**assignment.settings, "seed": assignment.seed}).settings
    check_ranges(assignment.policy, settings, OFFLINE_RANGES)
    config = SlateBCConfig() if imitation is BC_SLATE else SlateMARWILConfig()
    config.offline_data(input_=log.folder, half=assignment.half).debugging(seed=assignment.seed)
    config.training(lr=settings["learning_rate"], train_batch_size_per_learner=settings["batch"])
    if imitation is MARWIL_SLATE:
        config.offline_data(returns=settings["returns"])
        config.training(beta=settings["beta"], gamma=settings["gamma"], weight_clip=settings["weight_clip"])
    config.rl_module(
        model_config={"hidden": settings["hidden"], "floor": assignment.exploration[1], "seed": assignment.seed}
    )
    place(config, assignment.device)
    return OfflineTrainer(imitation, config, settings)

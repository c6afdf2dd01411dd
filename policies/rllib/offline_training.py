"""Training BC and MARWIL from a log in this process: RLlib's learner, our reader, without starting Ray."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.offline import SlateBCConfig, SlateMARWILConfig, learner_batch, spaces_of
from policies.rllib.offline_data import Batches
from policies.slate_imitation import ImitationScorer
from simenv.log.read import Log


class OfflineTraining:
    """One training in the middle: `step` until it says 0, then `scorer`."""

    def __init__(self, config: SlateMARWILConfig, passes: int) -> None:
        """Build the learner.

        Args:
            config: Of BC or MARWIL, with a log.
            passes: Over the log.
        """
        config.validate()
        log = config.log()
        self.config, self.passes = config, passes
        self.batches = Batches(log, config.reading(), config.train_batch_size_per_learner, passes)
        self.learner = config.build_learner(spaces={DEFAULT_MODULE_ID: spaces_of(log)})
        self.pages = 0
        self.told: dict[str, float] = {}

    def step(self) -> int:
        """Learn from the next batch; how many pages it had, 0 where there is none."""
        pages = self.batches.next()
        if pages is None:
            return 0
        self.pages += len(pages)
        found = self.learner.update(
            batch=learner_batch(pages, self.batches), timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.pages}
        )
        self.told = found
        return len(pages)

    def scorer(self, kind="marwil-slate", settings=None) -> ImitationScorer:
        from policies.slate_imitation import BC_SLATE, MARWIL_SLATE
        log = self.config.log()
        made = MARWIL_SLATE.empty(log.catalogue(), log.manifest["n_slots"], {})
        made.slates.net.load_state_dict(self.learner.module[DEFAULT_MODULE_ID].unwrapped().net.state_dict())
        return made

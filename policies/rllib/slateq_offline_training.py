"""Training SlateQ from a log in this process: RLlib's learner, our reader, without starting Ray.

A trainer of `policies.rllib.trainer`: stopped at any moment and started again, it comes to the same weights bit for bit
on one machine's CPU, since the order of the pages is a function of seed and pass, and nothing else is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.offline_data import Batches
from policies.rllib.offline_training import LAST_RATE, OFFLINE_RANGES
from policies.rllib.quiet import one_thread, quiet, without_news_of_the_stack
from policies.rllib.slateq import training_batch
from policies.rllib.slateq_log import count_transitions, transitions
from policies.rllib.slateq_module import SlateQModule
from policies.rllib.slateq_offline import SlateCQLConfig, unit_of
from policies.rllib.train import place
from policies.rllib.trainer import Assignment
from policies.settings import COUNT, check_ranges
from policies.slateq_offline import OfflineSlateQScorer
from simenv.catalogue import I64
from simenv.errors import UserError


class OfflineSlateQTrainer:
    """One training of SlateQ from a log; see `policies.rllib.trainer.Trainer`."""

    def __init__(self, config: SlateCQLConfig, settings: dict[str, Any]) -> None:
        """Build the learner.

        Args:
            config: With a log.
            settings: Of the scorer; `passes` says how often the log is read.

        Raises:
            UserError: for settings that do not go together, or where there is nothing to learn from.
        """
        with quiet(), without_news_of_the_stack():
            config.validate()
            self._log, self._settings, passes = config.log(), settings, settings["passes"]
            size = config.train_batch_size_per_learner
            self._batches = Batches(self._log, config.reading(), transitions, size, passes)
            self.searches, self.budget = 0, passes * count_transitions(self._log, config.reading())
            if self.budget < 1:
                raise UserError(f"passes is {passes}; expected at least 1.")
            config.training(lr=[[0, config.lr], [self.budget, LAST_RATE * config.lr]])
            spaces = config.observation_space, config.action_space
            self._learner: Learner = config.build_learner(spaces={DEFAULT_MODULE_ID: spaces})
        self._learner.set_scale(unit_of(self._batches))

    def step(self) -> Mapping[str, float]:
        """Learn from the next batch; returns the losses, the mean value of what was chosen, and the penalty."""
        pages = self._batches.next()
        assert pages is not None  # until `searches` reaches `budget` there is one
        self.searches += len(pages)
        with one_thread():
            self._learner.update(
                batch=training_batch(pages.rows()), timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.searches}
            )
        told: dict[str, float] = self._learner.told
        return told

    def state(self) -> dict[str, Any]:
        """See `policies.rllib.trainer.Trainer.state`."""
        return {
            "module": self._module,
            "optimiser": self._learner.get_optimizer(DEFAULT_MODULE_ID),
            "searches": self.searches,
            "copied_at": self._learner.copied_at,
            "batches": self._batches.standing(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `policies.rllib.trainer.Trainer.load_state`."""
        self.searches, self._learner.copied_at = int(state["searches"]), int(state["copied_at"])
        self._batches.go_on_from(state["batches"])

    def scorer(self) -> OfflineSlateQScorer:
        """A copy of the policy as it stands, on the CPU."""
        made = OfflineSlateQScorer(self._log.catalogue(), self._log.manifest["n_slots"], self._settings)
        made.net.load_state_dict(self._module.net.state_dict())
        made.n_searches = self.searches
        return made

    def shoppers(self) -> I64:
        """Ids of those it has learned from."""
        return self._batches.shoppers()

    def close(self) -> None:
        """Nothing to let go of."""

    @property
    def _module(self) -> SlateQModule:
        made: SlateQModule = self._learner.module[DEFAULT_MODULE_ID].unwrapped()
        return made


def offline_slateq_trainer(assignment: Assignment) -> OfflineSlateQTrainer:
    """The trainer of `slateq-offline`, from its entry in POLICIES.

    Raises:
        UserError: where there is no log, or for wrong settings.
    """
    log = assignment.log
    if log is None:
        raise UserError(
            f"'{assignment.policy}' learns from a log, so it needs one: add --log LOG, a folder by 'slatelab simulate' "
            "or one that follows docs/log-schema.md. SlateQ that plays in the market is 'slateq'."
        )
    given = {**assignment.settings, "seed": assignment.seed}
    settings = OfflineSlateQScorer.empty(log.catalogue(), log.manifest["n_slots"], given).settings
    check_ranges(assignment.policy, settings, {**OFFLINE_RANGES, "copy_every": COUNT})
    config = SlateCQLConfig().debugging(seed=assignment.seed)
    config.training(
        alpha=settings["alpha"],
        gamma=settings["gamma"],
        lr=settings["learning_rate"],
        train_batch_size_per_learner=settings["batch"],
        target_network_update_freq=settings["copy_every"] * settings["batch"],
        method=settings["method"],
        slate_optimiser=settings["optimiser"],
        serve=settings["serve"],
    )
    config.offline_data(input_=log.folder, half=assignment.half, returns=settings["returns"])
    config.rl_module(model_config={"hidden": settings["hidden"], "seed": assignment.seed})
    place(config, assignment.device)
    return OfflineSlateQTrainer(config, settings)

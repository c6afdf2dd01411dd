"""SlateQ from a log, conservatively: `SlateCQLConfig().offline_data(input_=LOG).training(alpha=0.1)`.

Q-learning from a log believes whatever nobody tried: a value that errs upward is picked by the slate optimiser, and
nothing that the log holds corrects it. Conservative Q-learning adds to the loss how much more is promised for what
could be done than for what was done. Here, over pages s with candidates C(s) and the logged slate A, the mean of

    alpha * (tau log mean over i in C(s) of exp(q(s, i) / tau)  -  mean over i in A of q(s, i)),

item by item, as SlateQ's values are: a logged slate counts as K evenly drawn items. It fits the decomposition, in which
a slate is worth Q(s, A) = sum_i P(i | s, A) q(s, i), a mean of its items' values with weights that this leaves alone:
where no item is promised too much, no slate is, and C terms do for C!/(C - K)! slates. Only values are doubted; the
choice model is supervised by clicks. tau is 0.1 of the unit of values: within a page they differ by a small part.

The same for whole slates, Q(s, best slate) - Q(s, A), can be had as well, as the optimiser finds that slate. It was
tried and is worse: it doubts what would be chosen most, not what was shown least (docs/offline-rl.md).

Kumar, Zhou, Tucker and Levine, "Conservative Q-learning for offline reinforcement learning", 2020 (the form with the
soft maximum); SlateQ as in `policies.rllib.slateq`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.learner.learner import Learner
from ray.rllib.policy.sample_batch import MultiAgentBatch
from ray.rllib.utils.metrics import (
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    TIMERS,
)
from torch import Tensor
from typing_extensions import override

from policies.rllib.log_config import LogConfig, LogData
from policies.rllib.offline import log_spaces
from policies.rllib.offline_data import Batches
from policies.rllib.slateq import SlateQ, SlateQConfig, SlateQTorchLearner, training_batch
from policies.rllib.slateq_log import Followed, transitions
from policies.rllib.slateq_loss import Goal, Transitions, filled_slots, losses
from policies.slateq_net import SlateValues
from simenv.errors import UserError
from simenv.log.read import Log

LOW = -1e9  # for holes; minus infinity would have no gradient where there is no candidate at all
TAU = 0.1  # temperature of the soft maximum over a page's candidates, in units of values


def conservative_penalty(net: SlateValues, batch: Transitions) -> Tensor:
    """How much more candidates promise than what was shown, in units of scale; its gradient reaches the values alone.

    Args:
        net: Learns.
        batch: Pages and the slates that were logged; pages on which nothing was found count as 0.
    """
    here, filled = batch.page.here, filled_slots(batch.slate, batch.page.here)
    q = net.values(batch.page)[0]  # (N, C); the 1 that values start from would cancel out
    n = here.sum(dim=1).clamp(min=1)
    soft = TAU * (torch.logsumexp((q / TAU).masked_fill(~here, LOW), dim=1) - n.log())
    shown = (q.gather(1, batch.slate) * filled).sum(dim=1) / filled.sum(dim=1).clamp(min=1)
    penalty: Tensor = ((soft - shown) * here.any(dim=1)).mean()
    return penalty


class SlateCQLLearner(SlateQTorchLearner):
    """SlateQ's learner with the penalty of `conservative_penalty`; `told` holds the figures of the last batch."""

    told: dict[str, float]

    @override
    def compute_loss_for_module(
        self, *, module_id: str, config: AlgorithmConfig, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        module = self.module[module_id].unwrapped()
        pages = module.transitions(batch)
        made = losses(module.net, module.target, pages, Goal(config.gamma, config.method, config.slate_optimiser))
        total: Tensor = config.choice_loss_coeff * made.choice + made.value
        told = {"choice_loss": made.choice, "value_loss": made.value, "mean_value": made.mean_value}
        if config.alpha > 0.0:
            told["penalty"] = penalty = conservative_penalty(module.net, pages)
            total = total + config.alpha * penalty
        self.told = {name: float(value.detach()) for name, value in told.items()}
        self.metrics.log_dict(self.told, key=module_id, window=1)
        return total


class SlateCQLConfig(LogConfig, SlateQConfig):
    """Conservative SlateQ from a log of ours; `offline_data(input_=LOG)` says which.

    `rl_module(model_config={...})` takes hidden and seed; the seed of the order of pages is that of `debugging`.
    """

    def __init__(self, algo_class: type[Algorithm] | None = None) -> None:
        """Defaults, tuned a little on the world "long-term"."""
        super().__init__(algo_class=algo_class or SlateCQL)
        self._is_online = False
        self.env, self.env_config = None, {}
        self.alpha = 0.1
        self.returns = "shopper"
        self.offline_data_class = SlateQLogData
        self.train_batch_size_per_learner = 512
        self.target_network_update_freq = 12_800
        self.grad_clip, self.grad_clip_by = 10.0, "global_norm"

    @override
    def training(self, *, alpha: float = NotProvided, **kwargs: Any) -> SlateCQLConfig:
        """SlateQ's settings, and ours.

        Args:
            alpha: Weight of the penalty, in units of values; 0 is SlateQ as it is, which believes what nobody tried.
            kwargs: As `SlateQConfig` and RLlib take them; those of playing and remembering say nothing here.
        """
        super().training(**kwargs)
        self.alpha = self.alpha if alpha is NotProvided else alpha
        return self

    @override
    def spaces_of(self, log: Log) -> tuple[spaces.Box, spaces.MultiDiscrete]:
        seen, slates = log_spaces(log)
        return spaces.Box(-np.inf, np.inf, (seen.shape[0] + len(slates.nvec),), np.float32), slates

    @override
    def validate(self) -> None:
        """RLlib's checks and SlateQ's, and what a log cannot do."""
        super().validate()
        if not self.alpha >= 0.0:
            raise UserError(f"alpha is {self.alpha}; expected at least 0: above 0, what nobody tried is doubted.")
        if self.num_learners:
            raise UserError(f"num_learners is {self.num_learners}; the reader of logs serves one local learner (0).")

    @property
    @override
    def _model_config_auto_includes(self) -> dict[str, Any]:
        return super()._model_config_auto_includes | {"log": self.input_}

    @override
    def get_default_learner_class(self) -> type[Learner]:
        return SlateCQLLearner


class SlateQLogData(LogData[Followed]):
    """A log in batches of pages and what followed them."""

    @override
    def batches_of(self, config: LogConfig) -> Batches[Followed]:
        return Batches(config.log(), config.reading(), transitions, config.train_batch_size_per_learner)

    @override
    def training_batch(self, pages: Followed) -> MultiAgentBatch:
        return training_batch(pages.rows())


class SlateCQL(SlateQ):
    """Conservative SlateQ from a log, on Ray."""

    @classmethod
    @override
    def get_default_config(cls) -> SlateCQLConfig:
        return SlateCQLConfig()

    @override
    def setup(self, config: AlgorithmConfig) -> None:
        super().setup(config)
        self.learned = 0

    @override
    def training_step(self) -> None:
        if not self.is_scaled:
            scale, self.is_scaled = unit_of(self.offline_data.batches), True
            self.learner_group.foreach_learner(lambda learner: learner.set_scale(scale))
        batch = self.offline_data.sample(self.config.train_batch_size_per_learner)
        self.learned += batch.env_steps()
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            told = self.learner_group.update(batch=batch, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.learned})
        self.metrics.aggregate(told, key=LEARNER_RESULTS)


def unit_of(batches: Batches[Followed]) -> float:
    """The unit of values: what a logged page and those after it brought on average; 1 where that is nothing."""
    return abs(batches.mean) or 1.0

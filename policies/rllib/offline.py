"""BC and MARWIL over our logs, as configurations that users of RLlib recognise.

    SlateMARWILConfig().offline_data(input_="LOG", half=0, returns="session").training(beta=1.0)

is RLlib's MARWIL with our slates (`SlateModule`), our reader, and a clip on its weights: `build_algo()` runs it on Ray,
`policies.rllib.offline_training` in this process without.

    loss = -mean(min(exp(beta * A / c), clip) * log p(slate | page)) + vf_coeff / 2 * mean(A^2),    A = G - V(page)

G is what the page and those after it brought, V a learned value, c^2 the running mean of A^2; no gradient passes
through the weight. At beta = 0 it is behaviour cloning. The optimum is the logger's policy tilted by exp(beta * A / c):
MARWIL finds nothing that the logger never shows, needs no propensities, and cannot tell a good slate from a lucky one.

Wang, Xiong, Han, Sun, Liu and Zhang, "Exponentially weighted imitation learning for batched historical data", 2018.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from gymnasium import spaces
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.rllib.algorithms.bc import BC
from ray.rllib.algorithms.marwil import MARWIL, MARWILConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from typing_extensions import override

from policies.rllib.log_config import LogConfig, LogData
from policies.rllib.module import DEFAULT_SLATES, SlateModule
from policies.rllib.offline_data import Batches, Logged, log_layout, windows
from policies.rllib.offline_learner import SlateMARWILLearner
from simenv.errors import UserError
from simenv.log.read import Log


class SlateMARWILConfig(LogConfig, MARWILConfig):  # type: ignore[misc]
    """MARWIL from a log of ours; `offline_data(input_=LOG)` says which, and RLlib's other methods serve as they do.

    `rl_module(model_config={...})` takes hidden, floor and seed of `policies.rllib.module.SlateModule`; the seed of
    the order of rows is that of `debugging`.
    """

    def __init__(self, algo_class: type[Algorithm] | None = None) -> None:
        """Defaults that were tuned on the world "default"."""
        super().__init__(algo_class=algo_class or SlateMARWIL)
        self.beta: float
        self.weight_clip = 50.0
        self.offline_data_class = SlateLogData
        self.dataset_num_iters_per_learner = 1
        self.training(beta=3.0, gamma=0.5, lr=0.005, train_batch_size_per_learner=512, vf_coeff=0.5, grad_clip=1.0,
                      # Returns come in units of their spread, so c^2 starts at 1. RLlib's own rate of 1e-8 would never
                      # move c from its start, which is 10, and nothing would be weighed at all.
                      moving_average_sqd_adv_norm_start=1.0, moving_average_sqd_adv_norm_update_rate=0.01)  # fmt: skip
        self.grad_clip_by = "global_norm"

    @override
    def training(self, *, weight_clip: float = NotProvided, **kwargs: Any) -> Self:
        """RLlib's settings, and ours.

        Args:
            weight_clip: No page counts for more than that many average ones.
            kwargs: As RLlib takes them.
        """
        super().training(**kwargs)
        self.weight_clip = self.weight_clip if weight_clip is NotProvided else weight_clip
        return self

    @override
    def spaces_of(self, log: Log) -> tuple[spaces.Box, spaces.MultiDiscrete]:
        return log_spaces(log)

    @override
    def get_default_learner_class(self) -> type[SlateMARWILLearner]:
        return SlateMARWILLearner

    @override
    def get_default_rl_module_spec(self) -> RLModuleSpec:
        settings = {**DEFAULT_SLATES, **self._model_config, "log": self.input_}
        return RLModuleSpec(module_class=SlateModule, model_config=settings)

    @override
    def validate(self) -> None:
        """RLlib's checks, and what slates from a log cannot do."""
        beta: float = self.beta
        if beta < 0.0:
            raise UserError(f"beta is {beta}; expected at least 0: above 0, better pages count for more.")
        # RLlib takes beta up to 1. Where rewards are mostly luck, as clicks are, advantages of whole pages over their
        # spread are small, and larger ones are of use; the paper sets no bound.
        self.beta = min(beta, 1.0)
        try:
            super().validate()
        finally:
            self.beta = beta
        if not self.weight_clip >= 1.0:
            raise UserError(f"weight_clip is {self.weight_clip}; expected at least 1, the weight of an average page.")
        if self.bc_logstd_coeff:
            raise UserError(
                "bc_logstd_coeff needs a Gaussian policy; slates have no standard deviation. Leave it at 0."
            )
        if self.num_learners or self.dataset_num_iters_per_learner != 1:
            raise UserError(
                f"num_learners is {self.num_learners} and dataset_num_iters_per_learner "
                f"{self.dataset_num_iters_per_learner}; the reader of logs serves one local learner (0), a batch at a "
                "time (1)."
            )


class SlateBCConfig(SlateMARWILConfig):
    """Behaviour cloning from a log of ours: MARWIL at beta = 0, which learns no value and reads no rewards."""

    def __init__(self, algo_class: type[Algorithm] | None = None) -> None:
        """As MARWIL, at beta = 0."""
        super().__init__(algo_class=algo_class or SlateBC)
        self.training(beta=0.0)

    @override
    def validate(self) -> None:
        """Refuse another beta."""
        super().validate()
        if self.beta != 0.0:
            raise UserError(f"beta is {self.beta}; behaviour cloning has 0. Use SlateMARWILConfig for another one.")


class SlateMARWIL(MARWIL):  # type: ignore[misc]
    """MARWIL over slates, on Ray."""

    @classmethod
    @override
    def get_default_config(cls) -> SlateMARWILConfig:
        return SlateMARWILConfig()


class SlateBC(BC):  # type: ignore[misc]
    """Behaviour cloning of slates, on Ray."""

    @classmethod
    @override
    def get_default_config(cls) -> SlateBCConfig:
        return SlateBCConfig()


class SlateLogData(LogData[Logged]):
    """A log in batches for BC and MARWIL."""

    @override
    def batches_of(self, config: LogConfig) -> Batches[Logged]:
        return Batches(config.log(), config.reading(), windows, config.train_batch_size_per_learner)

    @override
    def training_batch(self, pages: Logged) -> MultiAgentBatch:
        return learner_batch(pages, self.batches)


def learner_batch(pages: Logged, batches: Batches[Logged]) -> MultiAgentBatch:
    """Pages as RLlib's learners take them; returns in units of their spread."""
    columns = {
        Columns.OBS: pages.observation,
        Columns.ACTIONS: pages.slate,
        Columns.VALUE_TARGETS: (pages.returns - np.float32(batches.mean)) / np.float32(batches.spread),
    }
    return MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(columns)}, env_steps=len(pages))


def log_spaces(log: Log) -> tuple[spaces.Box, spaces.MultiDiscrete]:
    """Of flat observations and of slates, as `policies.rllib.environment.FlatSearchEnv` has them."""
    n_candidates, n_slots = log.manifest["n_candidates"], log.manifest["n_slots"]
    seen = spaces.Box(-np.inf, np.inf, (log_layout(log).width,), np.float32)
    return seen, spaces.MultiDiscrete([n_candidates] * n_slots)

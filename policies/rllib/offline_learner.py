"""The loss of BC and MARWIL over slates, and what is told of each step.

RLlib's own learner computes the same but for the clip: a single lucky session may weigh exp(3 * 6) times another there,
and the policy then copies a handful of pages. Weights of advantage-weighted imitation are clipped as in Peng, Kumar,
Zhang and Levine, "Advantage-weighted regression", 2019.
"""

from __future__ import annotations

import math
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.marwil.torch.marwil_torch_learner import MARWILTorchLearner
from ray.rllib.core.columns import Columns
from torch import Tensor
from typing_extensions import override


class SlateMARWILLearner(MARWILTorchLearner):  # type: ignore[misc]
    """RLlib's learner for MARWIL with clipped weights; `told` holds the figures of the last batch."""

    told: dict[str, float]

    @override
    def compute_loss_for_module(
        self, *, module_id: str, config: AlgorithmConfig, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """-mean(min(exp(beta * A / c), clip) * log p(slate)) + vf_coeff / 2 * mean(A^2); no value at beta = 0."""
        module = self.module[module_id].unwrapped()
        logp: Tensor = (
            module.get_train_action_dist_cls()
            .from_logits(fwd_out[Columns.ACTION_DIST_INPUTS])
            .logp(batch[Columns.ACTIONS])
        )  # (N,)
        if config.beta == 0.0:
            loss = -logp.mean()
            self._tell(module_id, {"logp": -float(loss.detach())})
            return loss
        value = module.compute_values(batch, embeddings=fwd_out.get(Columns.EMBEDDINGS))
        advantage = batch[Columns.VALUE_TARGETS] - value  # (N,)
        squared = advantage.square().mean()
        norm, rate = self.moving_avg_sqd_adv_norms_per_module[module_id], config.moving_average_sqd_adv_norm_update_rate
        norm = norm + rate * (squared.detach() - norm)
        self.moving_avg_sqd_adv_norms_per_module[module_id] = norm
        logw = config.beta * advantage.detach() / norm.sqrt().clamp(min=1e-8)
        weight = logw.clamp(max=math.log(config.weight_clip)).exp()
        share = weight.sum().square() / (weight.square().sum() * len(weight))
        self._tell(
            module_id,
            {
                "logp": float(logp.detach().mean()),
                "value_error": float(squared.detach().sqrt()),
                "effective_share": float(
                    share
                ),  # how much of the batch the policy learns from; 1 where all count alike
            },
        )
        total: Tensor = -(weight * logp).mean() + 0.5 * config.vf_coeff * squared
        return total

    def _tell(self, module_id: str, figures: dict[str, float]) -> None:
        self.told = figures
        self.metrics.log_dict(figures, key=module_id, window=1)

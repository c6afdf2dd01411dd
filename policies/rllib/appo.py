"""`SlateAPPOConfig`: asynchronous PPO over Plackett-Luce slates, as users of RLlib configure an algorithm.

    SlateAPPOConfig().environment(env_config={"world": "default"}).env_runners(num_env_runners=4).build_algo().train()

Runners play on while the learner learns, so that what it learns from was played by policies of before. Two corrections
bear that, both by exact probabilities of whole slates: V-trace (Espeholt et al., "IMPALA: scalable distributed deep-RL
with importance weighted actor-learner architectures", 2018) weighs what followed, and a target network stands between
the policy that played and the one that is learned (Luo, Yao, Zhong, Lou, Lin, Jordan and Stoica, "IMPACT: importance
weighted asynchronous architectures with clipped target networks", 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.appo.torch.appo_torch_learner import APPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from torch import Tensor
from typing_extensions import override

from policies.rllib.environment import with_market
from policies.rllib.ppo import SEARCHES, refuse_unplayable, slate_figures, slate_module_spec
from policies.rllib.quiet import without_news_of_the_stack
from policies.rllib.runner import BatchedEnvRunner
from policies.settings import COUNT, DISCOUNT, FLOOR, POSITIVE, check_ranges

RANGES = {
    "gamma": DISCOUNT, "learning_rate": POSITIVE, "batch": COUNT, "epochs": COUNT, "clip": POSITIVE,
    "target_every": COUNT, "hidden": COUNT, "floor": FLOOR,
}  # fmt: skip


@dataclass(frozen=True)
class APPOSettings:
    """How APPO learns; what is not said here is as in `policies.rllib.ppo.PPOSettings`.

    Attributes:
        gamma: Discount from a page to the shopper's next one.
        learning_rate: Of Adam; it falls to a tenth over the training.
        batch: Searches between two updates, and in a gradient: V-trace reads whole chunks of episodes.
        epochs: Gradients from a batch.
        clip: Range of the ratio of slates, of the policy that is learned to the target network's.
        target_every: Batches from which the target network is a copy of the learned one.
        hidden: Width of the network.
        floor: Of the policy that plays and learns.
    """

    gamma: float = 0.0
    learning_rate: float = 0.01
    batch: int = 512
    epochs: int = 2
    clip: float = 0.2
    target_every: int = 1
    hidden: int = 64
    floor: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse what nobody can learn by, before RLlib starts."""
        check_ranges("appo-slate", vars(self), RANGES)


TUNED = APPOSettings()
RUNNERS = 2  # of a configuration that names none, as RLlib's own
ROWS = 128  # shoppers side by side in each runner


class SlateAPPOLearner(APPOTorchLearner):  # type: ignore[misc]
    """RLlib's APPO with two things set right, which also tells `slate_kl` and `slate_entropy`.

    What follows a chunk that the sampling cut off. RLlib lengthens each chunk by a step for its value alone, and its
    V-trace (2.60) corrects that step too, toward the reward that nobody got there, 0: every cut would count as an end.
    Here the reward of that step is its value, so that there is nothing to correct.

    Snapshots. RLlib updates in a thread, and another one reads the state for a checkpoint, maybe between two weights of
    the same step. Here a step of the optimiser, or a copy into the target network, is whole or not begun when a state
    is read.
    """

    @override
    def compute_loss_for_module(
        self, *, module_id: str, config: APPOConfig, batch: dict[str, Any], fwd_out: dict[str, Tensor]
    ) -> Tensor:
        """The loss of APPO; figures of the slates on the way."""
        module = self.module[module_id].unwrapped()
        with torch.no_grad():
            value = module.compute_values(batch, embeddings=fwd_out[Columns.EMBEDDINGS])
            rewards = torch.where(batch[Columns.LOSS_MASK], batch[Columns.REWARDS], value)
        loss: Tensor = super().compute_loss_for_module(
            module_id=module_id, config=config, batch={**batch, Columns.REWARDS: rewards}, fwd_out=fwd_out
        )
        figures = slate_figures(module.get_train_action_dist_cls(), batch, fwd_out)
        self.metrics.log_dict(figures, key=module_id, window=1)
        return loss

    @override
    def apply_gradients(self, gradients_dict: dict[Any, Tensor]) -> None:
        """A step of the optimiser, in which no state is read."""
        with self._model_io_lock:
            super().apply_gradients(gradients_dict)

    @override
    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Maybe a copy into the target network, in which no state is read."""
        with self._model_io_lock:
            super().after_gradient_based_update(timesteps=timesteps)

    @override
    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Of a moment between two steps; RLlib makes copies."""
        with self._model_io_lock:
            state: dict[str, Any] = super().get_state(*args, **kwargs)
            return state


class SlateAPPOConfig(APPOConfig):  # type: ignore[misc]
    """APPO in a market; everything is set as in RLlib, and as in `policies.rllib.ppo.SlatePPOConfig`.

    Leave `minibatch_size` unset: at the end of a minibatch that cuts an episode RLlib takes the value of another one.
    """

    @override
    def __init__(self, algo_class: Any = None) -> None:
        """The tuned settings, two runners, the world "default"."""
        super().__init__(algo_class=algo_class)
        with_market(self, "default", ROWS)
        # RLlib's fragments of 50 pages would make batches of 50 times the shoppers, however small a batch is asked for.
        self.env_runners(num_env_runners=RUNNERS, env_runner_cls=BatchedEnvRunner, rollout_fragment_length="auto")
        self.learners(num_learners=0, learner_class=SlateAPPOLearner)
        set_appo(self, TUNED, SEARCHES)

    @override
    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """`SlateModule` for the world of the environment."""
        return slate_module_spec(self)

    @override
    def validate(self) -> None:
        """As RLlib does; an unknown world, or what `BatchedEnvRunner` leaves out, is refused before anything starts.

        Raises:
            UserError: for either.
        """
        with without_news_of_the_stack():
            super().validate()
        refuse_unplayable(self)


def appo_config(world_name: str, seed: int, searches: int, num_envs: int, settings: APPOSettings) -> SlateAPPOConfig:
    """The configuration of a training as `policies.rllib.train` uses it; see `policies.rllib.ppo.ppo_config`."""
    config = SlateAPPOConfig()
    with_market(config, world_name, num_envs, seed=seed)
    set_appo(config, settings, searches)
    return config


def set_appo(config: SlateAPPOConfig, settings: APPOSettings, searches: int) -> None:
    """Write settings into a configuration, in place."""
    config.training(
        gamma=settings.gamma,
        lr=[[0, settings.learning_rate], [max(1, searches), 0.1 * settings.learning_rate]],
        train_batch_size_per_learner=settings.batch,
        num_epochs=settings.epochs,
        clip_param=settings.clip,
        # A queue in order that holds the sampling up when it is full: RLlib's ring drops batches and waits by spinning.
        use_circular_buffer=False,
        simple_queue_size=1,
        # RLlib counts the target network's age in steps that were learned from, of every epoch, by a ring's size.
        circular_buffer_num_batches=1,
        circular_buffer_iterations_per_batch=1,
        target_network_update_freq=settings.target_every * settings.epochs,
        # The divergence and the entropy that RLlib could use are those of the first slot alone.
        use_kl_loss=False,
        entropy_coeff=0.0,
        vf_loss_coeff=0.5,
        grad_clip=1.0,
        grad_clip_by="global_norm",
    )
    config.rl_module(model_config={"hidden": settings.hidden, "floor": settings.floor})

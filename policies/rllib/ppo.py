"""`SlatePPOConfig`: PPO over Plackett-Luce slates, as users of RLlib configure an algorithm.

    SlatePPOConfig().environment(env_config={"world": "default"}).training(gamma=0.9).build_algo().train()

Schulman, Wolski, Dhariwal, Radford and Klimov, "Proximal policy optimization algorithms", 2017; the ratio is that of
whole slates. Right where the market may be played; a log cannot be learned from in this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from torch import Tensor
from typing_extensions import override

from policies.rllib.distribution import SlateDistribution
from policies.rllib.environment import refuse_unknown_context, with_market
from policies.rllib.module import SlateModule, refuse_unknown_settings
from policies.rllib.quiet import without_news_of_the_stack
from policies.rllib.runner import BatchedEnvRunner, refuse_unsupported
from policies.settings import COUNT, DISCOUNT, FLOOR, POSITIVE, SHARE, check_ranges
from simenv.worlds import world_params

RANGES = {
    "gamma": DISCOUNT, "lambda_": SHARE, "learning_rate": POSITIVE, "batch": COUNT, "minibatch": COUNT,
    "epochs": COUNT, "clip": POSITIVE, "hidden": COUNT, "floor": FLOOR,
}  # fmt: skip


@dataclass(frozen=True)
class PPOSettings:
    """How PPO learns. The defaults were tuned on the world "default".

    Attributes:
        gamma: Discount from a page to the shopper's next one. 0, since what is judged is the value per search: a page
            is paid its own reward, and what later pages bring would be noise to its gradient. Raise it, and lambda_
            below 1, to learn for what comes after.
        lambda_: Of generalised advantage estimation; idle at gamma 0.
        learning_rate: Of Adam; it falls to a tenth over the training.
        batch: Searches between two updates. Small and fresh beats large: an update leaves the clipping range soon.
        minibatch: Searches per gradient.
        epochs: Passes over a batch.
        clip: Range of the ratio of slates.
        hidden: Width of the network.
        floor: Of the policy that plays and learns; to be wrapped with the same or less. Scores grow apart until the
            lower slots weigh less than any large floor, which then fills them: see docs/rllib.md.
    """

    gamma: float = 0.0
    lambda_: float = 1.0
    learning_rate: float = 0.015
    batch: int = 1024
    minibatch: int = 512
    epochs: int = 2
    clip: float = 0.2
    hidden: int = 64
    floor: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse what nobody can learn by, before RLlib starts."""
        check_ranges("ppo-slate", vars(self), RANGES)


TUNED = PPOSettings()
SEARCHES = 150_000  # over which the learning rate falls


class SlatePPOLearner(PPOTorchLearner):  # type: ignore[misc]
    """RLlib's PPO, which also tells how far whole slates have moved.

    `slate_kl`: divergence of the policy that played from the one that is learned, estimated from the slates that were
    played: the mean of r - 1 - log r with r the ratio of their probabilities, unbiased and never negative (J. Schulman,
    "Approximating KL divergence", 2020). `slate_entropy`: of the policy that played, the mean of -log p of its slates.
    The entropy and divergence that RLlib itself tells are those of the first slot alone.
    """

    @override
    def compute_loss_for_module(
        self, *, module_id: str, config: PPOConfig, batch: dict[str, Any], fwd_out: dict[str, Tensor]
    ) -> Tensor:
        """The loss of PPO; figures of the slates on the way."""
        loss: Tensor = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        kind = self.module[module_id].unwrapped().get_train_action_dist_cls()
        self.metrics.log_dict(slate_figures(kind, batch, fwd_out), key=module_id, window=1)
        return loss


def slate_figures(
    kind: type[SlateDistribution], batch: Mapping[str, Tensor], fwd_out: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """`slate_kl` and `slate_entropy` of a batch; see `SlatePPOLearner`.

    Args:
        kind: Of the distribution that is learned.
        batch: With what was played and its log-probability.
        fwd_out: The module's outputs for the batch.
    """
    with torch.no_grad():
        # RLlib lengthens each episode by a step that nobody played, for its value alone.
        real = batch.get(Columns.LOSS_MASK, torch.ones_like(batch[Columns.ACTION_LOGP], dtype=torch.bool))
        played = batch[Columns.ACTION_LOGP][real]
        learned = kind.from_logits(fwd_out[Columns.ACTION_DIST_INPUTS][real])
        log_ratio = learned.logp(batch[Columns.ACTIONS][real]) - played
        return {"slate_kl": (torch.expm1(log_ratio) - log_ratio).mean(), "slate_entropy": -played.mean()}


class SlatePPOConfig(PPOConfig):  # type: ignore[misc]
    """PPO in a market, tuned; everything is set as in RLlib.

    `.environment(env_config={...})`: `world` (a name of `simenv.worlds.WORLDS`), `episode` ("shopper" or "session") and
    `seed` (of luck, weights and noise). `.rl_module(model_config={...})`: `hidden` (width) and `floor`.
    """

    @override
    def __init__(self, algo_class: Any = None) -> None:
        """The tuned settings, 256 shoppers side by side in this process, the world "default"."""
        super().__init__(algo_class=algo_class)
        with_market(self, "default", 256)
        self.env_runners(num_env_runners=0, env_runner_cls=BatchedEnvRunner)
        self.learners(num_learners=0, learner_class=SlatePPOLearner)

        set_ppo(self, TUNED, SEARCHES)

    @override
    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """`SlateModule` for the world of the environment."""
        return slate_module_spec(self)

    @override
    def validate(self) -> None:
        """As RLlib does; what is unknown, or left out by `BatchedEnvRunner`, is refused before anything starts.

        Raises:
            UserError: for a world, a key of `env_config` or of `model_config`, or what the runner leaves out.
        """
        with without_news_of_the_stack():
            super().validate()
        refuse_unplayable(self)


def slate_module_spec(config: AlgorithmConfig) -> RLModuleSpec:
    """`SlateModule` for the world of a configuration's environment."""
    seed = config.env_config["seed"]
    chosen = {"hidden": TUNED.hidden, "floor": TUNED.floor, **config.model_config}
    chosen |= {"world": config.env_config["world"], "seed": seed if seed is not None else config.seed or 0}
    return RLModuleSpec(module_class=SlateModule, model_config=chosen)


def refuse_unplayable(config: AlgorithmConfig) -> None:
    """Refuse what no runner could play, before anything starts.

    Raises:
        UserError: for a world, a key of `env_config` or of `model_config`, or what `BatchedEnvRunner` leaves out.
    """
    refuse_unknown_context(config.env_config)
    world_params(config.env_config["world"])
    if config._rl_module_spec is None:  # a module of the user's has settings of its own
        refuse_unknown_settings(config.model_config)
    if config.env_runner_cls is BatchedEnvRunner:
        refuse_unsupported(config)


def ppo_config(world_name: str, seed: int, searches: int, num_envs: int, settings: PPOSettings) -> SlatePPOConfig:
    """The configuration of a training as `policies.rllib.train` uses it; `build_algo()` runs the same on Ray.

    Args:
        world_name: A name of `simenv.worlds.WORLDS`.
        seed: Of luck, weights and noise.
        searches: Over which the learning rate falls.
        num_envs: Shoppers side by side in each runner.
        settings: How PPO learns.
    """
    config = SlatePPOConfig()
    with_market(config, world_name, num_envs, seed=seed)
    set_ppo(config, settings, searches)
    return config


def set_ppo(config: SlatePPOConfig, settings: PPOSettings, searches: int) -> None:
    """Write settings into a configuration, in place."""
    config.training(
        gamma=settings.gamma,
        lambda_=settings.lambda_,
        lr=[[0, settings.learning_rate], [max(1, searches), 0.1 * settings.learning_rate]],
        train_batch_size_per_learner=settings.batch,
        minibatch_size=settings.minibatch,
        num_epochs=settings.epochs,
        clip_param=settings.clip,
        # The divergence and the entropy that RLlib could use are those of the first slot alone.
        use_kl_loss=False,
        entropy_coeff=0.0,
        vf_loss_coeff=0.5,
        vf_clip_param=float("inf"),
        grad_clip=1.0,
        grad_clip_by="global_norm",
    )
    config.rl_module(model_config={"hidden": settings.hidden, "floor": settings.floor})

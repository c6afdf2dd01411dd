"""Training a slate policy by PPO: RLlib's learner in this process, and runners here or, through Ray, in others.

The loop is RLlib's own, written out: play with the learner's weights, update, again. Without remote runners it starts
in a second, leaves no processes behind, starts no Ray and seeds no global generator; on one machine's CPU the same seed
gives the same weights, also when it was killed and went on from a checkpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.environment import make_environment, register, spaces_of
from policies.rllib.players import LocalPlayer, Player, RemotePlayers
from policies.rllib.ppo import SEARCHES, TUNED, PPOSettings, SlatePPOConfig, ppo_config
from policies.rllib.quiet import one_thread, quiet
from policies.rllib.trainer import Assignment
from policies.settings import COUNT, check_ranges, chosen
from policies.slate_net import SlateScorer
from simenv.catalogue import I64
from simenv.errors import UserError
from simenv.worlds import load_world

ROWS = 256  # shoppers side by side
TOLD = {
    "policy_loss": "policy_loss", "vf_loss": "value_loss", "vf_explained_var": "value_explained_variance",
    "slate_kl": "slate_kl", "slate_entropy": "slate_entropy", "entropy": "first_slot_entropy",
    "default_optimizer_learning_rate": "learning_rate",
}  # fmt: skip


class PPOTrainer:
    """PPO by steps, a `policies.rllib.trainer.Trainer`; a step is one batch and the updates from it."""

    def __init__(self, config: SlatePPOConfig, budget: int, player: Player) -> None:
        """Make the learner.

        Args:
            config: As `ppo_config` makes it, with a seed.
            budget: Searches to learn from; exceeded by less than a step of every row.
            player: Plays under the same configuration.
        """
        self.config, self._budget, self.player = config, budget, player
        self._searches = self._updates = 0
        self._order = np.random.default_rng(config.env_config["seed"])
        with quiet():
            env = make_environment({**config.env_config, "num_envs": 1})
            self.learner: Learner = config.build_learner(spaces=spaces_of(env))

    @property
    def searches(self) -> int:
        """See `Trainer.searches`."""
        return self._searches

    @property
    def budget(self) -> int:
        """See `Trainer.budget`."""
        return self._budget

    def step(self) -> dict[str, float]:
        """See `Trainer.step`."""
        self._updates += 1
        n_updates = max(1, round(self._budget / self.config.train_batch_size_per_learner))
        wanted = round(self._budget * self._updates / n_updates) - self._searches
        with one_thread():
            episodes = self.player.play(self.learner.module.get_state(), max(1, wanted))
            n_steps = sum(len(episode) for episode in episodes)
            self._searches += n_steps
            # RLlib would shuffle with numpy's global generator. Whole stays of shoppers are shuffled here instead.
            told = self.learner.update(
                episodes=[episodes[i] for i in self._order.permutation(len(episodes))],
                timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self._searches},
                num_epochs=self.config.num_epochs,
                minibatch_size=self.config.minibatch_size,
                shuffle_batch_per_epoch=False,
            )
        reward = sum(float(episode.get_return()) for episode in episodes)
        return {"reward_per_search": reward / n_steps, **_figures(told[DEFAULT_MODULE_ID])}

    def state(self) -> dict[str, Any]:
        """See `Trainer.state`."""
        return {
            "net": self._net(),
            "optimizer": self.learner.get_optimizer(DEFAULT_MODULE_ID),
            "order": self._order,
            "player": self.player.standing(),
            "searches": self._searches,
            "updates": self._updates,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `Trainer.load_state`."""
        self.player.go_on_from(state["player"])
        self._searches, self._updates = state["searches"], state["updates"]

    def scorer(self) -> SlateScorer:
        """See `Trainer.scorer`."""
        net, seed = self._net(), self.config.env_config["seed"]
        world = load_world(self.config.env_config["world"])
        scorer = SlateScorer(world.catalogue.public(), world.params.n_slots, net.hidden.out_features, seed)
        scorer.net.load_state_dict(net.state_dict())
        scorer.n_searches = self._searches
        return scorer

    def shoppers(self) -> I64 | None:
        """See `Trainer.shoppers`; remote runners do not tell."""
        return None

    def close(self) -> None:
        """See `Trainer.close`."""
        self.player.close()

    def _net(self) -> Any:
        return self.learner.module[DEFAULT_MODULE_ID].unwrapped().net


def ppo_trainer(assignment: Assignment) -> PPOTrainer:
    """The trainer of `ppo-slate`; its settings are those of `PPOSettings` but the floor, and `rows` side by side.

    Raises:
        UserError: for a log, an unknown setting, an unknown world, or fewer than one search.
    """
    if assignment.log is not None:
        raise UserError(f"'{assignment.policy}' learns by acting in the market; leave out --log.")
    defaults = {**dataclasses.asdict(TUNED), "rows": ROWS}
    del defaults["floor"]
    given = chosen(assignment.policy, assignment.settings, defaults)
    named = {field.name: given[field.name] for field in dataclasses.fields(PPOSettings) if field.name in given}
    settings = PPOSettings(**named, floor=assignment.exploration[1])
    check_ranges(assignment.policy, given, {"rows": COUNT})
    return new_ppo(assignment, settings, given["rows"])


def new_ppo(assignment: Assignment, settings: PPOSettings, rows: int) -> PPOTrainer:
    """A trainer of PPO with these settings.

    Args:
        assignment: World, seed, searches, device and runners are read.
        settings: How PPO learns.
        rows: Shoppers side by side in each runner.
    """
    if assignment.searches < 1:
        raise UserError(f"searches is {assignment.searches}; expected at least 1.")
    load_world(assignment.world)  # refuses an unknown name before RLlib starts
    config = ppo_config(assignment.world, assignment.seed, assignment.searches, rows, settings)
    place(config, assignment.device)
    playing = config.copy(copy_frozen=False)
    player = RemotePlayers(playing, assignment.runners, register) if assignment.runners else LocalPlayer(playing)
    return PPOTrainer(config, assignment.searches, player)


def train_ppo(
    world_name: str,
    *,
    seed: int,
    searches: int = SEARCHES,
    device: str = "auto",
    settings: PPOSettings = TUNED,
    on_step: Callable[[PPOTrainer, Mapping[str, float]], object] = lambda trainer, figures: None,
) -> SlateScorer:
    """Train in a market, in this process.

    Args:
        world_name: A name of `simenv.worlds.WORLDS`.
        seed: Of the shoppers' luck, the weights, the slates that are tried and the order of the batches.
        searches: How many pages may be shown; exceeded by less than the 256 shoppers that search side by side.
        device: Of the learner: "cpu", "cuda", "cuda:1", or "auto" for CUDA where there is one.
        settings: How PPO learns.
        on_step: Handed the trainer and the figures of each step.

    Returns:
        The scorer, on the CPU. It learned as a Plackett-Luce policy at temperature 1 with `settings.floor`, and that
        is how to wrap it: `RankingPolicy("ppo-slate", scorer, temperature=1.0, floor=settings.floor)`.

    Raises:
        UserError: for an unknown world, a device that is not there, or fewer than one search.
    """
    exploration = (1.0, settings.floor)
    trainer = new_ppo(Assignment("ppo-slate", world_name, seed, searches, exploration, device=device), settings, ROWS)
    while trainer.searches < trainer.budget:
        on_step(trainer, trainer.step())
    trainer.close()
    return trainer.scorer()


def place(config: AlgorithmConfig, device: str) -> None:
    """Set where the learner computes; runners stay on the CPU, beside the market.

    Raises:
        UserError: for a device that is not there.
    """
    found = torch.cuda.is_available()
    wanted = torch.device(("cuda" if found else "cpu") if device == "auto" else device)
    if wanted.type == "cpu":
        return
    if wanted.type != "cuda" or not found:
        raise UserError(
            f"device '{device}' is not available; expected 'auto', 'cpu', or 'cuda' where CUDA is installed."
        )
    config.learners(num_gpus_per_learner=1, local_gpu_idx=wanted.index or 0)


def _figures(told: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(told[key].peek()) for key, name in TOLD.items() if key in told}

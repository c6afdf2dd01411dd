"""Training a slate policy by PPO or APPO: RLlib's learner in this process, and runners here or, through Ray, in others.

The loop is RLlib's own, written out: play with the learner's weights, update, again. Without remote runners it starts
in a second, leaves no processes behind, starts no Ray and seeds no global generator; on one machine's CPU the same seed
gives the same weights, also when it was killed and went on from a checkpoint. APPO's runners do not wait for the
update: no two of its trainings are the same to the byte.
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
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME, NUM_ENV_STEPS_TRAINED_LIFETIME

from policies.rllib import appo
from policies.rllib.environment import make_environment, register, spaces_of
from policies.rllib.players import EagerPlayers, LocalPlayer, Player, RemotePlayers
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
    """PPO or APPO by steps, a `policies.rllib.trainer.Trainer`; a step is one batch and the updates from it."""

    def __init__(
        self, config: SlatePPOConfig | appo.SlateAPPOConfig, budget: int, player: Player, kind: str = "ppo-slate"
    ) -> None:
        """Make the learner.

        Args:
            config: As `ppo_config` or `policies.rllib.appo.appo_config` makes it, with a seed.
            budget: Searches to learn from; exceeded by less than a step of every row.
            player: Plays under the same configuration.
            kind: Of the scorer, a name in POLICIES.
        """
        self.config, self._budget, self.player, self.kind = config, budget, player, kind
        self._searches = self._updates = 0
        self._order = np.random.default_rng(config.env_config["seed"])
        with quiet():
            env = make_environment({**config.env_config, "num_envs": 1})
            self.learner: Learner = config.build_learner(spaces=spaces_of(env))
        self.learner.shutdown()  # APPO's updates in a thread; here nothing moves between two steps

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
            episodes = self.player.play(self.learner.module.get_state(inference_only=True), max(1, wanted))
            n_steps = sum(len(episode) for episode in episodes)
            self._searches += n_steps
            # RLlib would shuffle with numpy's global generator. Whole stays of shoppers are shuffled here instead.
            # The learner's class may hand its update to a thread; this is what that thread would call.
            told = Learner.update(
                self.learner,
                episodes=[episodes[i] for i in self._order.permutation(len(episodes))],
                timesteps={
                    NUM_ENV_STEPS_SAMPLED_LIFETIME: self._searches,
                    NUM_ENV_STEPS_TRAINED_LIFETIME: self._searches * self.config.num_epochs,
                },
                num_epochs=self.config.num_epochs,
                minibatch_size=self.config.minibatch_size,
                shuffle_batch_per_epoch=False,
            )
        reward = sum(float(episode.get_return()) for episode in episodes)
        return {"reward_per_search": reward / n_steps, **_figures(told[DEFAULT_MODULE_ID])}

    def state(self) -> dict[str, Any]:
        """See `Trainer.state`."""
        return {
            "net": self._module.net,
            "targets": [target for _, target in self._module.get_target_network_pairs()],
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
        net, seed = self._module.net, self.config.env_config["seed"]
        world = load_world(self.config.env_config["world"])
        scorer = SlateScorer(world.catalogue.public(), world.params.n_slots, net.hidden.out_features, seed, self.kind)
        scorer.net.load_state_dict(net.state_dict())
        scorer.n_searches = self._searches
        return scorer

    def shoppers(self) -> I64 | None:
        """See `Trainer.shoppers`; remote runners do not tell."""
        return None

    def close(self) -> None:
        """See `Trainer.close`."""
        self.player.close()

    @property
    def _module(self) -> Any:
        return self.learner.module[DEFAULT_MODULE_ID].unwrapped()


def ppo_trainer(assignment: Assignment) -> PPOTrainer:
    """The trainer of `ppo-slate`; its settings are those of `PPOSettings` but the floor, and `rows` side by side.

    Raises:
        UserError: for a log, an unknown setting, an unknown world, or fewer than one search.
    """
    given, rows = _given(assignment, dataclasses.asdict(TUNED), ROWS)
    return new_ppo(assignment, PPOSettings(**given), rows)


def appo_trainer(assignment: Assignment) -> PPOTrainer:
    """The trainer of `appo-slate`; settings: those of `policies.rllib.appo.APPOSettings` but the floor, and `rows`.

    Raises:
        UserError: as `ppo_trainer`, and where no runners are asked for.
    """
    given, rows = _given(assignment, dataclasses.asdict(appo.TUNED), appo.ROWS)
    return new_appo(assignment, appo.APPOSettings(**given), rows)


def new_ppo(assignment: Assignment, settings: PPOSettings, rows: int) -> PPOTrainer:
    """A trainer of PPO with these settings.

    Args:
        assignment: World, seed, searches, device and runners are read.
        settings: How PPO learns.
        rows: Shoppers side by side in each runner.
    """
    _refuse_nonsense(assignment)
    config = ppo_config(assignment.world, assignment.seed, assignment.searches, rows, settings)
    place(config, assignment.device)
    playing = config.copy(copy_frozen=False)
    player = RemotePlayers(playing, assignment.runners, register) if assignment.runners else LocalPlayer(playing)
    return PPOTrainer(config, assignment.searches, player)


def new_appo(assignment: Assignment, settings: appo.APPOSettings, rows: int) -> PPOTrainer:
    """A trainer of APPO with these settings; see `new_ppo`.

    Raises:
        UserError: as `new_ppo`, and where no runners are asked for: in one process nobody could play on.
    """
    _refuse_nonsense(assignment)
    if not assignment.runners:
        raise UserError(
            f"'{assignment.policy}' plays in other processes while this one learns; say how many with --runners N, "
            "or train ppo-slate, which needs none."
        )
    config = appo.appo_config(assignment.world, assignment.seed, assignment.searches, rows, settings)
    config.env_runners(num_env_runners=assignment.runners)
    place(config, assignment.device)
    player = EagerPlayers(config.copy(copy_frozen=False), assignment.runners, register)
    return PPOTrainer(config, assignment.searches, player, "appo-slate")


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


def _given(assignment: Assignment, tuned: dict[str, Any], rows: int) -> tuple[dict[str, Any], int]:
    """What an assignment says of an algorithm's settings, over the tuned ones, and how many rows."""
    if assignment.log is not None:
        raise UserError(f"'{assignment.policy}' learns by acting in the market; leave out --log.")
    defaults = {**tuned, "rows": rows}
    del defaults["floor"]
    given = chosen(assignment.policy, assignment.settings, defaults)
    check_ranges(assignment.policy, given, {"rows": COUNT})
    named = {name: given[name] for name in tuned if name in given}
    return {**named, "floor": assignment.exploration[1]}, given["rows"]


def _refuse_nonsense(assignment: Assignment) -> None:
    if assignment.searches < 1:
        raise UserError(f"searches is {assignment.searches}; expected at least 1.")
    load_world(assignment.world)  # refuses an unknown name before RLlib starts


def _figures(told: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(told[key].peek()) for key, name in TOLD.items() if key in told}

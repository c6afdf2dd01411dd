"""Training SlateQ: a batched market, a flat memory, and RLlib's learner in this process.

The market is beside the learner, without Ray, or in other processes; see `policies.rllib.slateq_players`. The same seed
gives the same weights on one machine's CPU, also where a training was killed and went on from a checkpoint; no global
generator is seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from policies.rllib.quiet import one_thread, quiet
from policies.rllib.slate_optimisers import optimiser
from policies.rllib.slateq import ENVIRONMENT, SlateQConfig, scale_of, training_batch
from policies.rllib.slateq_loss import known_method, slate_scores
from policies.rllib.slateq_module import SlateQModule
from policies.rllib.slateq_players import MarketHere, MarketsElsewhere, SlateQPlayer
from policies.rllib.slateq_replay import FlatReplay
from policies.rllib.slateq_worlds import slateq_world
from policies.rllib.trainer import Assignment
from policies.settings import COUNT, DISCOUNT, FLOOR, NOT_NEGATIVE, POSITIVE, check_ranges, chosen
from policies.slateq import SlateQScorer
from simenv import hashing
from simenv.catalogue import I64
from simenv.errors import UserError
from simenv.peers.peer_world import F64, Observation
from simenv.peers.rankers import Ranker
from simenv.worlds import load_world

F32 = npt.NDArray[np.float32]


RANGES = {
    "gamma": DISCOUNT, "learning_rate": POSITIVE, "batch": COUNT, "copy_every": COUNT, "warm_up": NOT_NEGATIVE,
    "hidden": COUNT, "capacity": COUNT, "temperature": POSITIVE, "floor": FLOOR,
}  # fmt: skip


@dataclass(frozen=True)
class SlateQSettings:
    """How SlateQ learns. The defaults were tuned on interest evolution, a little.

    Attributes:
        gamma: Discount from a page to the shopper's next one; 0 is the myopic learner. Lives end by themselves, so 1
            is fine.
        method: "q-learning" or "sarsa".
        optimiser: Of the slate in the target of "q-learning".
        serve: Of the slates shown.
        learning_rate: Of Adam; it falls to a tenth over the training.
        batch: Transitions in an update.
        copy_every: Updates between copies of the target network.
        warm_up: Pages before the first update; they set the unit of values.
        hidden: Width of the networks.
        capacity: Transitions that are remembered.
        temperature: Of the policy that explores, in standard deviations of a page's scores.
        floor: Of the policy that explores.
    """

    gamma: float = 1.0
    method: str = "q-learning"
    optimiser: str = "optimal"
    serve: str = "optimal"
    learning_rate: float = 1e-3
    batch: int = 1024
    copy_every: int = 25
    warm_up: int = 10_000
    hidden: int = 64
    capacity: int = 100_000
    temperature: float = 0.3
    floor: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is not known, before RLlib starts."""
        optimiser(self.optimiser)
        optimiser(self.serve)
        known_method(self.method)
        check_ranges("slateq", vars(self), RANGES)


TUNED = SlateQSettings()


@dataclass(frozen=True)
class SlateQRun:
    """How much is played.

    Attributes:
        world: A name that `policies.rllib.slateq_worlds.slateq_world` knows.
        seed: Of the shoppers' luck, the weights, the slates that are tried and what is remembered.
        pages: How many are shown; exceeded by less than a step.
        num_envs: Shoppers side by side, in each process that plays.
        episode: "session" or "shopper"; of the search market.
        device: "cpu" or "cuda".
        runners: Processes that play, through Ray; 0 to play in this one, without Ray.
    """

    world: str
    seed: int
    pages: int
    num_envs: int = 256
    episode: str = "shopper"
    device: str = "cpu"
    runners: int = 0


def slateq_config(run: SlateQRun, settings: SlateQSettings = TUNED) -> SlateQConfig:
    """RLlib's configuration of that training; `slateq_config(...).build_algo()` runs it on Ray."""
    config = SlateQConfig()
    config.environment(ENVIRONMENT, env_config={"world": run.world, "episode": run.episode, "seed": run.seed})
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=run.num_envs)
    config.learners(num_learners=0, num_gpus_per_learner=int(run.device != "cpu"))
    config.rl_module(model_config={"hidden": settings.hidden})
    config.training(
        gamma=settings.gamma,
        lr=[[0, settings.learning_rate], [max(1, run.pages), 0.1 * settings.learning_rate]],
        train_batch_size=settings.batch,
        grad_clip=10.0,
        grad_clip_by="global_norm",
        method=settings.method,
        slate_optimiser=settings.optimiser,
        serve=settings.serve,
        temperature=settings.temperature,
        floor=settings.floor,
        replay_capacity=settings.capacity,
        target_network_update_freq=settings.copy_every * run.num_envs,
        num_steps_sampled_before_learning_starts=settings.warm_up,
    )
    return config


class SlateQTrainer:
    """SlateQ by steps, a `policies.rllib.trainer.Trainer`; a step is a few pages of every row, an update after each."""

    def __init__(self, run: SlateQRun, settings: SlateQSettings = TUNED) -> None:
        """Make the market and the learner, and show the first pages.

        Raises:
            UserError: for fewer than one page, an unknown world, method or optimiser.
        """
        if run.pages < 1:
            raise UserError(f"searches is {run.pages}; expected at least 1.")
        self.run, self.settings, self.searches = run, settings, 0
        self.world = slateq_world(run.world, run.episode)
        env = self.world.make(1 if run.runners else run.num_envs, run.seed)
        config = slateq_config(run, settings)
        spaces = (env.single_observation_space, env.single_action_space)
        with quiet():
            self.learner: Learner = config.build_learner(spaces={DEFAULT_MODULE_ID: spaces})
        self.module: SlateQModule = self.learner.module[DEFAULT_MODULE_ID].unwrapped()
        self.player: SlateQPlayer = (
            MarketsElsewhere(config.copy(copy_frozen=False), run.runners, self.learner)
            if run.runners
            else MarketHere(env, self.module)
        )
        self.replay = FlatReplay(settings.capacity, env.width, self.world.n_slots, run.seed)
        self.is_scaled = False

    @property
    def budget(self) -> int:
        """Pages that may be shown."""
        return self.run.pages

    def step(self) -> dict[str, float]:
        """See `Trainer.step`."""
        reward, n, told = 0.0, 0, {}
        with one_thread():
            for rows, n_updates in self.player.pages():
                self.replay.add(rows)
                reward, n = reward + float(rows.reward.sum(dtype=np.float64)), n + len(rows.reward)
                self.searches += len(rows.reward)
                if self.searches >= self.settings.warm_up:
                    for _ in range(n_updates):
                        told = self._learn()
        return {"reward_per_search": reward / max(n, 1), **told}

    def state(self) -> dict[str, Any]:
        """See `Trainer.state`. Of the search market; a peer's keeps no standing."""
        return {
            "module": self.module, "player": self.player.standing(),
            "optimiser": self.learner.get_optimizers_for_module(DEFAULT_MODULE_ID)[0][1],
            "replay": self.replay.state(), "draws": self.replay.rng,
            "told": {"searches": self.searches, "is_scaled": self.is_scaled, "copied_at": self.learner.copied_at},
        }  # fmt: skip

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `Trainer.load_state`."""
        self.replay.load_state(state["replay"])
        self.player.go_on_from(state["player"])
        told = state["told"]
        self.searches, self.is_scaled, self.learner.copied_at = told["searches"], told["is_scaled"], told["copied_at"]

    def scorer(self) -> SlateQScorer:
        """See `Trainer.scorer`: of the search market."""
        world, settings = load_world(self.run.world), self.settings
        made = SlateQScorer(
            world.catalogue.public(), world.params.n_slots, settings.hidden, self.run.seed, settings.serve
        )
        made.net.load_state_dict(self.module.net.state_dict())
        made.n_searches = self.searches
        return made

    def ranker(self, serve: str) -> Ranker:
        """The policy as it stands as a ranker of a peer's market, its slates by an optimiser of choice."""
        flat, module = self.world.flat, self.module

        def scores(page: Observation, luck: hashing.Keys, truth: F64 | None) -> F32:
            with torch.no_grad():
                made: F32 = slate_scores(module.net.worth(module.pages(torch.from_numpy(flat(page)))), serve).numpy()
            return made

        return Ranker(f"SlateQ, slates by the {serve} optimiser", scores)

    def shoppers(self) -> I64 | None:
        """See `Trainer.shoppers`: those of the search market who have arrived; remote runners do not tell."""
        return self.player.shoppers()

    def close(self) -> None:
        """See `Trainer.close`."""
        self.player.close()

    def _learn(self) -> dict[str, float]:
        if not self.is_scaled:
            self.learner.set_scale(scale_of(self.replay, self.settings.gamma))
            self.is_scaled = True
        batch = training_batch(self.replay.sample(self.settings.batch))
        told = self.learner.update(batch=batch, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.searches})
        own = told[DEFAULT_MODULE_ID]
        return {name: float(own[name].peek()) for name in ("choice_loss", "value_loss", "mean_value")}


def slateq_trainer(assignment: Assignment) -> SlateQTrainer:
    """The trainer of an assignment in the search market.

    Raises:
        UserError: for an unknown setting, or too few searches to learn anything.
    """
    own = chosen("slateq", assignment.settings, vars(TUNED))
    settings = SlateQSettings(**own)
    if 0 < assignment.searches <= settings.warm_up:
        raise UserError(
            f"policy 'slateq' learns nothing from {assignment.searches:,} searches: its first update comes after "
            f"warm_up = {settings.warm_up:,}. Give it more searches, or a smaller warm_up in its settings."
        )
    run = SlateQRun(
        assignment.world, assignment.seed, assignment.searches, device=assignment.device, runners=assignment.runners
    )
    return SlateQTrainer(run, settings)


def train_slateq(
    run: SlateQRun, settings: SlateQSettings = TUNED, advance: Callable[[int], None] = lambda _: None
) -> SlateQTrainer:
    """Train to the end.

    Args:
        run: Where and how long.
        settings: How it learns.
        advance: Told how many pages have been shown since last time.

    Returns:
        The trainer, whose `scorer()` or `ranker()` is what it learned.
    """
    trainer = SlateQTrainer(run, settings)
    while trainer.searches < trainer.budget:
        before = trainer.searches
        trainer.step()
        advance(trainer.searches - before)
    trainer.close()
    return trainer

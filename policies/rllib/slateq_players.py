"""Who shows SlateQ's pages: the market beside the learner, or env runners in other processes, through Ray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import Learner

from policies.rllib.players import RemotePlayers
from policies.rllib.slateq import SlateQConfig, episode_rows, register
from policies.rllib.slateq_module import SlateQModule
from policies.rllib.slateq_replay import F32, Rows
from policies.rllib.slateq_worlds import ToldEnv
from simenv.catalogue import I64

ROUNDS = 4  # pages of each shopper in a step, each followed by an update


class SlateQPlayer(Protocol):
    """Shows pages, by the learner's module as it stands."""

    def pages(self) -> Iterator[tuple[Rows, int]]:
        """The pages of a step, in parts, each with how many updates follow it before the next is shown."""

    def standing(self) -> dict[str, Any]:
        """What going on needs, as `policies.training_state.packed` takes it."""

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """Stand where another of the same configuration stood."""

    def shoppers(self) -> I64 | None:
        """Ids of those who were shown something; None where nobody took note."""

    def close(self) -> None:
        """Let go of processes."""


class MarketHere:
    """The market in this process: all rows step together and the learner's own module plays, without weights."""

    def __init__(self, env: ToldEnv, module: SlateQModule) -> None:
        """Show the first pages.

        Args:
            env: Not yet reset.
            module: Of the learner.
        """
        self.env, self.module = env, module
        self.obs, _ = env.reset()
        self.slate = self._explored(self.obs)
        self.over = np.zeros(env.num_envs, dtype=bool)

    def pages(self) -> Iterator[tuple[Rows, int]]:
        """See `SlateQPlayer.pages`: a page of every row, an update, and again."""
        for _ in range(ROUNDS):
            yield self._play(), 1

    def standing(self) -> dict[str, Any]:
        """See `SlateQPlayer.standing`."""
        return {
            "market": self.env.standing(), "noise": self.module.generator,
            "obs": self.obs, "slate": self.slate, "over": self.over,
        }  # fmt: skip

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """See `SlateQPlayer.go_on_from`."""
        self.env.go_on_from(standing["market"])
        self.obs, self.slate, self.over = standing["obs"], standing["slate"], standing["over"]

    def shoppers(self) -> I64:
        """See `SlateQPlayer.shoppers`."""
        rows, past = self.env.num_envs, self.env.standing().next
        return np.sort(np.concatenate([np.arange(row, past[row], rows, dtype=np.int64) for row in range(rows)]))

    def close(self) -> None:
        """Nothing to let go of."""

    def _play(self) -> Rows:
        """Show what was chosen, choose again: the pages of all rows that were shown something."""
        was_over = self.over
        following, reward, terminated, truncated, _ = self.env.step(self.slate)
        next_slate = self._explored(following)
        rows = Rows(self.obs, self.slate, reward.astype(np.float32), terminated, following, next_slate)
        self.obs, self.slate, self.over = following, next_slate, terminated | truncated
        return rows if not was_over.any() else Rows(**{name: each[~was_over] for name, each in vars(rows).items()})

    def _explored(self, obs: F32) -> npt.NDArray[np.int64]:
        seen = {Columns.OBS: torch.from_numpy(obs).to(self.module.net.scale.device)}
        made: npt.NDArray[np.int64] = self.module.forward_exploration(seen)[Columns.ACTIONS].cpu().numpy()
        return made


class MarketsElsewhere:
    """Env runners in other processes, each with shoppers of its own, handed the learner's weights at every step."""

    def __init__(self, config: SlateQConfig, n_runners: int, learner: Learner) -> None:
        """Nothing is started before the first pages.

        Args:
            config: Of a runner, not frozen.
            n_runners: How many processes.
            learner: Whose weights play.
        """
        self.config, self.n_runners, self.learner = config, n_runners, learner
        self._players = RemotePlayers(config, n_runners, register)

    def pages(self) -> Iterator[tuple[Rows, int]]:
        """See `SlateQPlayer.pages`: a few pages of every row, then as many updates as beside the learner."""
        rows = self.config.num_envs_per_env_runner
        weights = self.learner.module.get_state(inference_only=True)
        episodes = self._players.play(weights, ROUNDS * self.n_runners * rows)
        made = episode_rows(episodes, is_next_needed=self.config.method == "sarsa")
        # Beside the learner there is one for every row's page; rows that only start an episode show none.
        yield made, -(-sum(len(episode) for episode in episodes) // rows)

    def standing(self) -> dict[str, Any]:
        """See `SlateQPlayer.standing`."""
        return self._players.standing()

    def go_on_from(self, standing: Mapping[str, Any]) -> None:
        """See `SlateQPlayer.go_on_from`."""
        self._players.go_on_from(standing)

    def shoppers(self) -> None:
        """See `SlateQPlayer.shoppers`; runners do not tell."""

    def close(self) -> None:
        """See `SlateQPlayer.close`."""
        self._players.close()

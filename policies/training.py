"""Training: the one loop in which bandits learn, in the market or from a log, and in which they stop and go on.

    a source gives examples -> the learner updates -> now and then it finishes a round -> now and then a checkpoint

Stopped at any moment, also by force, and started again with the same arguments, it comes to the same model byte for
byte (on one machine's CPU; a GPU adds up in an order of its own): a checkpoint holds where the source stands and the
learner's whole state, and every draw of the market and of the policy is named by what it decides.

Learning in the market, the learner's own policy plays, and learns from every page before the next one is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from policies.checkpoint import damaged, read_checkpoint, remove_checkpoint, write_checkpoint
from policies.examples import Examples, Shown, batch_examples, examples
from policies.learning import Learner, in_half
from policies.plackett_luce import log_weights
from policies.ranking import RankingPolicy, reads_query
from simenv.catalogue import I64
from simenv.columns import take
from simenv.decision import with_query
from simenv.log.read import Log
from simenv.vector_env import SearchVectorEnv, Standing
from simenv.world import policy_keys


class Source(Protocol):
    """Where examples come from."""

    def next(self) -> Examples | None:
        """The next batch, or None where there is no more."""

    def standing(self) -> Any:
        """Where it stands, as `policies.training_state.packed` takes it."""

    def go_on_from(self, standing: Any) -> None:
        """Stand where another of the same arguments stood."""

    def shoppers(self) -> I64:
        """Ids of those it has told of so far, each once."""


@dataclass(frozen=True)
class Plan:
    """How long to learn, and what is kept on the way.

    Attributes:
        searches: Pages to learn from, about (a batch is never split); None for all that the source has.
        finish_every: Searches between rounds of training; None for one at the end.
        checkpoint: The file to keep, and to go on from where it is there; None for none.
        checkpoint_every: Searches between checkpoints.
        training: Arguments that say which training it is; a checkpoint of others is refused.
    """

    searches: int | None
    finish_every: int | None
    checkpoint: Path | None = None
    checkpoint_every: int = 10_000
    training: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Progressed:
    """How far a training is: searches so far, rounds of training among them, and what was clicked.

    `clicks` and `since` are of the round that is going on: slots clicked in that many searches. `last` are clicks a
    search of the round before.
    """

    searches: int = 0
    rounds: int = 0
    clicks: float = 0.0
    since: int = 0
    last: float = 0.0
    next_round: int = 0
    next_checkpoint: int = 0


@dataclass(frozen=True)
class Watch:
    """Who is told, and who may stop it.

    Attributes:
        on_batch: Told how far it is and how many clicks a search the batch had; of what a checkpoint brought back once,
            with the clicks of its last round.
        on_round: Told how far it is after each round of training, and at the end.
        on_checkpoint: Told how many searches a checkpoint holds, and whether it is one that was gone on from.
        stop: Asked after every batch; where it says yes, a checkpoint is written and `KeyboardInterrupt` raised.
    """

    on_batch: Callable[[Progressed, float], object] = lambda now, clicks: None
    on_round: Callable[[Progressed], object] = lambda _: None
    on_checkpoint: Callable[[int, bool], object] = lambda searches, resumed: None
    stop: Callable[[], bool] = lambda: False


UNWATCHED = Watch()


def train(learner: Learner, source: Source, plan: Plan, watch: Watch = UNWATCHED) -> dict[str, float]:
    """Learn until the plan is fulfilled or the source has no more.

    Args:
        learner: Learns. Untrained, where a checkpoint may be gone on from.
        source: Where examples come from; in the market, from what the learner itself shows.
        plan: How long.
        watch: Who is told.

    Returns:
        What its card tells of the training: searches, clicks a search in the last round.

    Raises:
        UserError: for a checkpoint of another training, or a damaged one.
        KeyboardInterrupt: where it was asked to stop; a checkpoint has been written if the plan has one.
    """
    now = Progressed(next_round=plan.finish_every or 0, next_checkpoint=plan.checkpoint_every)
    if plan.checkpoint is not None and plan.checkpoint.exists():
        now = _gone_on(learner, source, plan, plan.checkpoint)
        watch.on_batch(now, now.last)
        watch.on_checkpoint(now.searches, True)
    while plan.searches is None or now.searches < plan.searches:
        batch = source.next()
        if batch is None:
            break
        learner.update(batch)
        now = _learned(now, batch)
        watch.on_batch(now, _clicks(batch) / max(len(batch), 1))
        if plan.finish_every is not None and now.searches >= now.next_round:
            now = _round(learner, dataclasses.replace(now, next_round=now.searches + plan.finish_every), watch)
        stop = watch.stop()
        if plan.checkpoint is not None and (stop or now.searches >= now.next_checkpoint):
            now = dataclasses.replace(now, next_checkpoint=now.searches + plan.checkpoint_every)
            parts = {"learner": learner, "source": source.standing(), "progress": now}
            write_checkpoint(plan.checkpoint, plan.training, parts)
            watch.on_checkpoint(now.searches, False)
        if stop:
            raise KeyboardInterrupt
    now = _round(learner, now, watch)
    return {"searches": float(now.searches), "clicks_per_search": now.last}


def end_training(plan: Plan) -> None:
    """Remove the checkpoint of a training whose model is saved."""
    if plan.checkpoint is not None:
        remove_checkpoint(plan.checkpoint)


class Market:
    """The market as a source: the learner's own policy plays, N shoppers side by side."""

    def __init__(self, learner: Learner, env: SearchVectorEnv, seed: int, exploration: tuple[float, float]) -> None:
        """Reset the market.

        Args:
            learner: Scores what is shown.
            env: The market.
            seed: Of the shoppers' luck and of the policy's.
            exploration: Temperature and floor of the policy that acts.
        """
        self.policy, self.feature_map = RankingPolicy(learner.kind, learner, *exploration), learner.feature_map
        self.env, self.seed = env, seed
        self._met: list[I64] = []
        env.reset(seed=seed)
        self._over = np.zeros(env.num_envs, dtype=bool)

    def next(self) -> Examples:
        """Show a page to every shopper."""
        env = self.env
        page, played = env.page, ~self._over  # rows whose episode is over only start their next one
        if self.policy.reads_query:
            page = with_query(env.world, env.state, page)
        decision = self.policy.act(page, env.world.params.n_slots, policy_keys(env.state, self.seed))
        slate = decision.slate
        # An empty slot is told to the environment as a repeat of the first one, or as a hole where nothing was found.
        _, _, terminated, truncated, info = env.step(np.where(slate < 0, slate[:, :1].clip(min=0), slate))
        self._over = terminated | truncated
        self._met.append(page.shopper[played & (page.visit == 0) & (page.search == 0) & (page.page == 0)])
        temperature, floor = self.policy.temperature, self.policy.floor
        logw = log_weights(decision.scores, temperature, floor) if temperature > 0 else None
        shown = Shown(slate, info["clicked"], info["slot_reward"], decision.logp.logp, logw)
        return examples(self.feature_map, take(page, played), take(shown, played))

    def standing(self) -> tuple[Standing, npt.NDArray[np.bool_], I64]:
        """See `Source.standing`."""
        return self.env.standing(), self._over, self.shoppers()

    def go_on_from(self, standing: tuple[Standing, npt.NDArray[np.bool_], I64]) -> None:
        """See `Source.go_on_from`."""
        where, self._over, met = standing
        self.env.go_on_from(where)
        self._met = [met]

    def shoppers(self) -> I64:
        """Those who were shown something."""
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *self._met]))


class LogHalf:
    """A log as a source, batch after batch in its order."""

    def __init__(self, learner: Learner, log: Log, half: int | None) -> None:
        """Start at its beginning, with the shoppers of that half (`policies.learning.in_half`); all where None."""
        self.feature_map, self.log, self.half = learner.feature_map, log, half
        self._want_query = reads_query(learner)
        self._met: I64 = np.empty(0, dtype=np.int64)
        self._begin(0)

    def next(self) -> Examples | None:
        """The next rows."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        self._taken += 1
        self._met = np.union1d(self._met, batch.page.shopper)
        return batch_examples(self.feature_map, batch)

    def standing(self) -> tuple[int, I64]:
        """See `Source.standing`."""
        return self._taken, self._met

    def go_on_from(self, standing: tuple[int, I64]) -> None:
        """See `Source.go_on_from`."""
        taken, self._met = standing
        self._begin(taken)

    def shoppers(self) -> I64:
        """Those of the rows so far."""
        return self._met

    def n_rows(self) -> int:
        """How many rows it gives, from its beginning to its end."""
        keep = self._keep()
        return self.log.n_rows if keep is None else self.log.n_rows_of(keep)

    def _begin(self, taken: int) -> None:
        batches = self.log.batches(self._keep(), want_query=self._want_query)
        self._batches: Iterator[Any] = islice(batches, taken, None)
        self._taken = taken

    def _keep(self) -> Callable[[I64], npt.NDArray[np.bool_]] | None:
        half = self.half
        return None if half is None else (lambda shopper: in_half(shopper, half))


def _round(learner: Learner, now: Progressed, watch: Watch) -> Progressed:
    """A round of training ends."""
    learner.finish()
    rate = now.clicks / now.since if now.since else now.last
    now = dataclasses.replace(now, rounds=now.rounds + 1, last=rate, clicks=0.0, since=0)
    watch.on_round(now)
    return now


def _learned(now: Progressed, batch: Examples) -> Progressed:
    n = len(batch)
    return dataclasses.replace(now, searches=now.searches + n, since=now.since + n, clicks=now.clicks + _clicks(batch))


def _clicks(batch: Examples) -> float:
    return float(batch.reward[batch.shown].sum(dtype=np.float64))


def _gone_on(learner: Learner, source: Source, plan: Plan, path: Path) -> Progressed:
    """Put a checkpoint back into the learner and the source.

    Raises:
        UserError: where it is damaged or of another training.
    """
    found = read_checkpoint(path, plan.training)
    try:
        found.part("learner", learner)
        source.go_on_from(found.part("source", source.standing()))
        now: Progressed = found.part("progress")
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, IndexError) as error:
        raise damaged(path, error) from error
    return now

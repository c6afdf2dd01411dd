"""What configurations that learn from a log of ours share: which log, which shoppers, how far a return reaches."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Generic, Self

from gymnasium import Space
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.offline.offline_data import OfflineData
from ray.rllib.policy.sample_batch import MultiAgentBatch
from typing_extensions import override

from policies.rllib.offline_data import Batches, Pages, Reading, Span
from simenv.errors import UserError
from simenv.log.read import Log


class LogConfig(AlgorithmConfig):  # type: ignore[misc]
    """A configuration whose `offline_data(input_=LOG)` names a log of ours; stands before RLlib's own as a base.

    Attributes:
        half, returns: See `policies.rllib.offline_data.Reading`.
    """

    half: int | None = None
    returns: Span = "session"

    @override
    def offline_data(self, *, half: int | None = NotProvided, returns: Span = NotProvided, **kwargs: Any) -> Self:
        """RLlib's settings, and ours.

        Args:
            half: Learn from that half of the shoppers alone (`policies.learning.in_half`); from all where None.
            returns: How far a return reaches: "session" or "shopper", see `policies.rllib.offline_data.Reading`.
            kwargs: As RLlib takes them; `input_` is the folder of a log.

        Raises:
            UserError: where `input_` is no log of ours.
        """
        super().offline_data(**kwargs)
        self.half = self.half if half is NotProvided else half
        self.returns = self.returns if returns is NotProvided else returns
        if "input_" in kwargs:
            self.input_ = str(kwargs["input_"])
            seen, slates = self.spaces_of(self.log())
            self.environment(observation_space=seen, action_space=slates)
        return self

    @abstractmethod
    def spaces_of(self, log: Log) -> tuple[Space[Any], Space[Any]]:
        """What a module sees of a page of that log, and what it answers."""

    def log(self) -> Log:
        """The log to learn from.

        Raises:
            UserError: where none was named.
        """
        if self.input_ == "sampler":
            raise UserError("there is nothing to learn from; name a log by .offline_data(input_=LOG).")
        return Log.open(Path(self.input_))

    def reading(self) -> Reading:
        """How the log is read."""
        return Reading(self.half, self.returns, float(self.gamma), int(self.seed or 0))


class LogData(OfflineData, Generic[Pages]):  # type: ignore[misc]
    """Our reader in the place of RLlib's, which would go over rows one by one and forget what came after them."""

    batches: Batches[Pages]

    def __init__(self, config: LogConfig) -> None:
        """Open the log that the configuration names; RLlib's own reader is not set up, so Ray need not run."""
        self.config = config
        self.batches = self.batches_of(config)
        self.iter_batches_kwargs: dict[str, Any] = {}

    @abstractmethod
    def batches_of(self, config: LogConfig) -> Batches[Pages]:
        """The log in batches, from the beginning, without an end."""

    @abstractmethod
    def training_batch(self, pages: Pages) -> MultiAgentBatch:
        """Pages as the learner takes them."""

    @override
    def sample(
        self,
        num_samples: int,
        return_iterator: bool = False,
        num_shards: int = 1,
        module_state: dict[str, Any] | None = None,
    ) -> MultiAgentBatch:
        """The next batch; after the last one of the log the first again, in another order."""
        pages = self.batches.next()
        assert pages is not None  # without a number of passes there is always a next one
        return self.training_batch(pages)

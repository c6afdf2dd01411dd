"""Plain contextual bandits over K arms, by the same networks and kernels that rank pages: for published test beds.

A round shows one context x (d,), one arm is chosen, and its reward in {0, 1} is seen. Arm k's features are x in the
k-th of K blocks of zeros (the disjoint encoding of the papers), so arms are candidates of a page of one slot, whose
examination is certain: the networks' position-based likelihood is then the logistic one.

Zhou, Li and Gu, "Neural contextual bandits with UCB-based exploration", 2020, whose protocol this is, with the
training of each round cut to one step of Adam over a batch of the past.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.click_training import ClickNet
from policies.examples import Examples
from policies.kernels import diagonal, ensemble, mlp, ridge
from policies.kernels.ridge import Posterior
from policies.neural_beliefs import Belief, Diagonal, LastLayer
from policies.neural_ensemble import EnsembleNet, Members
from policies.position_based import PositionBasedNet
from simenv import hashing
from simenv.errors import unknown_name

F32 = npt.NDArray[np.float32]
BATCH = 256  # rounds of the past in a step
REFRESH = 100  # rounds between posteriors of a last layer, which takes all of the past


class Arms(Protocol):
    """A policy over arms."""

    def choose(self, x: F32) -> int:
        """The arm for a context (d,); changes nothing but the policy's luck."""

    def learn(self, x: F32, arm: int, reward: float) -> None:
        """What came of it."""


class LinearArms:
    """LinUCB, or LinTS, with a model for each arm: ridge regression at lambda 1."""

    def __init__(self, shape: tuple[int, int], is_thompson: bool, width: float, seed: int) -> None:
        """Cold; shape is (d, K), width the bound's in deviations, or the scale of the draws."""
        d, self.n_arms = shape
        self.is_thompson, self.width = is_thompson, width
        self.generator = torch.Generator().manual_seed(seed)
        self.sums = [ridge.no_sums((d,)) for _ in range(self.n_arms)]
        self.beliefs = [ridge.posterior(each, 1.0) for each in self.sums]

    def choose(self, x: F32) -> int:
        """See `Arms`."""
        row = torch.from_numpy(x).double()
        mean = torch.stack([each.mean for each in self.beliefs]) @ row
        spread = torch.linalg.vector_norm(torch.stack([each.root for each in self.beliefs]) @ row, dim=1)
        luck = torch.randn(self.n_arms, generator=self.generator) if self.is_thompson else torch.ones(self.n_arms)
        return int((mean + self.width * luck * spread).argmax())

    def learn(self, x: F32, arm: int, reward: float) -> None:
        """See `Arms`."""
        row = torch.from_numpy(x)[None]
        self.sums[arm] = self.sums[arm] + ridge.sums_of(row, torch.tensor([reward]))
        self.beliefs[arm] = ridge.posterior(self.sums[arm], 1.0)


class NeuralArms:
    """A network that takes one step after every round, and a rule by which it explores."""

    def __init__(self, shape: tuple[int, int], rule: str, settings: Mapping[str, Any], seed: int) -> None:
        """Untrained.

        Args:
            shape: (d, K).
            rule: Of NEURAL_RULES.
            settings: In place of those in ARM_SETTINGS.
            seed: Of the weights, the batches and the draws.

        Raises:
            UserError: for an unknown rule or setting.
        """
        if rule not in NEURAL_RULES:
            raise unknown_name("rule", rule, NEURAL_RULES)
        for name in settings:
            if name not in ARM_SETTINGS:
                raise unknown_name("setting", name, ARM_SETTINGS)
        self.settings = ARM_SETTINGS | dict(settings) | {"seed": seed}
        (self.d, self.n_arms), self.seed = shape, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.belief, self.values = NEURAL_RULES[rule](self)
        parameters = [each for each in _parameters(self.belief.net) if each.numel()]  # one slot has no curve
        self.optimiser = torch.optim.Adam(parameters, lr=self.settings["learning_rate"], fused=True)
        self.x, self.arm, self.reward = (
            np.empty((0, self.d), np.float32),
            np.empty(0, np.int64),
            np.empty(0, np.float32),
        )
        self.n_rounds = 0

    def choose(self, x: F32) -> int:
        """See `Arms`."""
        every = np.arange(self.n_arms)
        with torch.no_grad():
            return int(self.values(torch.from_numpy(self._encode(np.tile(x, (self.n_arms, 1)), every)[None])).argmax())

    def learn(self, x: F32, arm: int, reward: float) -> None:
        """See `Arms`."""
        if self.n_rounds == len(self.x):  # twice the room
            room = max(1024, len(self.x))
            self.x = np.concatenate([self.x, np.empty((room, self.d), np.float32)])
            self.arm = np.concatenate([self.arm, np.empty(room, np.int64)])
            self.reward = np.concatenate([self.reward, np.empty(room, np.float32)])
        self.x[self.n_rounds], self.arm[self.n_rounds], self.reward[self.n_rounds] = x, arm, reward
        self.n_rounds += 1
        past = torch.randint(self.n_rounds, (BATCH,), generator=self.generator).numpy()
        self.optimiser.zero_grad()
        self.belief.net.loss(*self.belief.net.batch(self._examples(past))).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.belief.learned(self._examples(np.array([self.n_rounds - 1])))
        if self.n_rounds % REFRESH == 0 and type(self.belief) is LastLayer:
            self.belief.refresh(self._examples(np.arange(self.n_rounds)), 1.0)

    def _examples(self, rounds: npt.NDArray[np.int64]) -> Examples:
        n = len(rounds)
        features = self._encode(self.x[rounds], self.arm[rounds])[:, None]
        names = hashing.absorb(hashing.stream(self.seed, "round"), rounds)
        return Examples(features, self.reward[rounds, None], np.ones((n, 1), dtype=bool), id=names)

    def _encode(self, x: F32, arm: npt.NDArray[np.int64]) -> F32:
        """Contexts (n, d) in the blocks of arms (n,): (n, K d)."""
        made = np.zeros((len(x), self.n_arms, self.d), dtype=np.float32)
        made[np.arange(len(x)), arm] = x
        return made.reshape(len(x), -1)


ARM_SETTINGS: dict[str, Any] = {
    "hidden": (64, 32), "learning_rate": 3e-3, "regularisation": 1.0, "width": 0.01, "n_members": 10,
}  # fmt: skip

Rule = tuple[Belief, Callable[[Tensor], Tensor]]


def _parameters(net: ClickNet) -> list[torch.nn.Parameter]:
    made: list[torch.nn.Parameter] = list(net.parameters())  # type: ignore[attr-defined]
    return made


def _network(arms: NeuralArms) -> PositionBasedNet:
    return PositionBasedNet(arms.d * arms.n_arms, 1, arms.settings["hidden"], arms.generator)


def _greedy(arms: NeuralArms) -> Rule:
    net = _network(arms)
    return LastLayer(net, arms.settings), lambda x: mlp.value(net.weights(), x)[0]


def _neural_linear(arms: NeuralArms) -> Rule:
    net = _network(arms)
    belief = LastLayer(net, arms.settings)

    def values(x: Tensor) -> Tensor:
        weights = net.weights()
        own = Posterior(torch.cat([weights.w3, weights.b3.reshape(1)]), arms.settings["width"] * belief.root.double())
        theta = ridge.draw_theta(own, torch.randn(1, 1, len(own.mean), generator=arms.generator))
        return mlp.last_layer_draws(weights, theta, x)[0, 0]

    return belief, values


def _neural_ucb(arms: NeuralArms) -> Rule:
    net = _network(arms)
    belief = Diagonal(net, arms.settings)

    def values(x: Tensor) -> Tensor:
        mean, spread = diagonal.beliefs(net.weights(), belief.precision, x)
        return torch.add(mean, spread, alpha=arms.settings["width"])[0]

    return belief, values


def _neural_ts(arms: NeuralArms) -> Rule:
    net = _network(arms)
    belief, width = Diagonal(net, arms.settings), arms.settings["width"]

    def values(x: Tensor) -> Tensor:
        mean, spread = diagonal.beliefs(net.weights(), belief.precision, x)
        return torch.addcmul(mean, torch.randn(mean.shape, generator=arms.generator), spread, value=width)[0]

    return belief, values


def _ensemble(arms: NeuralArms) -> Rule:
    net = EnsembleNet(arms.d * arms.n_arms, 1, arms.settings, arms.generator)

    def values(x: Tensor) -> Tensor:
        member = int(torch.randint(net.n_members, (1,), generator=arms.generator))
        return ensemble.values(net.weights(), x)[0, member]

    return Members(net), values


NEURAL_RULES: dict[str, Callable[[NeuralArms], Rule]] = {
    "greedy network": _greedy,
    "NeuralLinear": _neural_linear,
    "NeuralUCB": _neural_ucb,
    "NeuralTS": _neural_ts,
    "ensemble": _ensemble,
}

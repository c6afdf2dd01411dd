"""What the kernels are timed at: each job makes its inputs, and returns the work as a function without arguments.

Sizes beside contexts and candidates are those of the published figures: 32 features, slates of 10, 20,000 items,
networks of 32-64-32-1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from policies.kernels import diagonal, ensemble, mlp, ridge
from policies.kernels.mlp import Weights
from policies.kernels.pl_rank import Gains, pl_rank
from policies.kernels.ridge import Posterior
from policies.kernels.slates import draw_slates

F, K, ITEMS = 32, 10, 20_000
HIDDEN, MEMBERS, STEP, SAMPLES = (64, 32), 10, 512, 10

Work = Callable[[], object]


def linucb(n: int, n_candidates: int) -> Work:
    """The best upper bound of each context, from given features."""
    x, belief, _ = _linear(n, n_candidates)
    return lambda: ridge.linucb(belief, x, 1.0).argmax(dim=1)


def lints(n: int, n_candidates: int) -> Work:
    """The best under a theta drawn for each context, from given features."""
    x, belief, generator = _linear(n, n_candidates)
    return lambda: ridge.value(_theta(belief, n, generator), x).argmax(dim=1)


def lints_from_ids(n: int, n_candidates: int) -> Work:
    """The same, with features gathered from the table of items."""
    _, belief, generator = _linear(n, n_candidates)
    table = torch.randn(ITEMS, F, generator=generator)
    items = torch.randint(ITEMS, (n, n_candidates), generator=generator)
    return lambda: ridge.value_of_items(_theta(belief, n, generator), table, items).argmax(dim=1)


def slates(n: int, n_candidates: int) -> Work:
    """Slates from given float32 scores with a generator's luck, and their log-probabilities."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(n, n_candidates, generator=generator)
    return lambda: draw_slates(scores, K, generator)


def neural_linear(n: int, n_candidates: int) -> Work:
    """The best upper bound of each context by a network with a Bayesian last layer."""
    x, net, generator = _network(n, n_candidates, ())
    root = torch.randn(HIDDEN[1] + 1, HIDDEN[1] + 1, generator=generator, dtype=torch.float64).tril()
    return lambda: torch.add(*mlp.last_layer_beliefs(net, root, x)).argmax(dim=1)


def neural_linear_ts(n: int, n_candidates: int) -> Work:
    """The best under a last layer drawn for each context."""
    x, net, generator = _network(n, n_candidates, ())
    last = torch.cat([net.w3, net.b3.reshape(1)]).double()
    belief = Posterior(last, 0.1 * torch.eye(len(last), dtype=torch.float64))

    def work() -> Tensor:
        theta = ridge.draw_theta(belief, torch.randn(n, 1, len(last), generator=generator))
        return mlp.last_layer_draws(net, theta, x)[:, 0].argmax(dim=1)

    return work


def neural_ucb(n: int, n_candidates: int) -> Work:
    """The best upper bound of each context by the diagonal over all weights of a network."""
    x, net, _ = _network(n, n_candidates, ())
    precision = diagonal.no_squares(net) + 1.0
    return lambda: torch.add(*diagonal.beliefs(net, precision, x)).argmax(dim=1)


def ensemble_scores(n: int, n_candidates: int) -> Work:
    """The best of each context by the mean of an ensemble."""
    x, net, _ = _network(n, n_candidates, (MEMBERS,))
    return lambda: ensemble.values(net, x).mean(dim=1).argmax(dim=1)


def ensemble_update(n: int, n_candidates: int) -> Work:
    """Steps of Adam of an ensemble on n examples, STEP at a time; returns the last losses of the members."""
    _, net, generator = _network(1, 1, (MEMBERS,))
    x, y = torch.randn(n, F, generator=generator), torch.rand(n, generator=generator).round()
    count = torch.ones(MEMBERS, n)
    parameters = [each.requires_grad_() for each in (net.w1, net.b1, net.w2, net.b2, net.w3, net.b3)]
    optimiser = torch.optim.Adam(parameters, fused=True)

    def work() -> Tensor:
        loss = torch.zeros(MEMBERS)
        for first in range(0, n, STEP):
            rows = slice(first, first + STEP)
            optimiser.zero_grad()
            cost = torch.nn.functional.binary_cross_entropy_with_logits(
                ensemble.rows(net, x[rows]), y[rows].expand(MEMBERS, -1), count[:, rows], reduction="none"
            )
            loss = cost.mean(dim=1)
            loss.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return loss.detach()

    return work


def pl_rank_gradient(n: int, n_candidates: int) -> Work:
    """Gradients of a ranking's worth from ten slates each, drawing them included, in float32."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(n, n_candidates, generator=generator)
    gains = Gains(torch.rand(n, n_candidates, generator=generator), 1.0 / torch.arange(2.0, K + 2.0).log2())

    def work() -> Tensor:
        drawn = draw_slates(scores.repeat_interleave(SAMPLES, dim=0), K, generator)[0]
        return pl_rank(scores, drawn.reshape(n, SAMPLES, K), gains)

    return work


JOBS: dict[str, Callable[[int, int], Work]] = {
    "linucb": linucb,
    "lints": lints,
    "lints-from-ids": lints_from_ids,
    "slates": slates,
    "neural-linear": neural_linear,
    "neural-linear-ts": neural_linear_ts,
    "neural-ucb": neural_ucb,
    "ensemble": ensemble_scores,
    "ensemble-update": ensemble_update,
    "pl-rank": pl_rank_gradient,
}


def _linear(n: int, n_candidates: int) -> tuple[Tensor, Posterior, torch.Generator]:
    """Features (n, C, F), and a posterior that has seen those of a few contexts."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, n_candidates, F, generator=generator)
    seen = x[:n_candidates].reshape(-1, F)
    sums = ridge.sums_of(seen, torch.randn(len(seen), generator=generator))
    return x, ridge.posterior(sums, 1.0), generator


def _theta(belief: Posterior, n: int, generator: torch.Generator) -> Tensor:
    return ridge.draw_theta(belief, torch.randn(n, F, generator=generator))


def _network(n: int, n_candidates: int, lead: tuple[int, ...]) -> tuple[Tensor, Weights, torch.Generator]:
    """Features (n, C, F), and a network of random numbers, or as many as an ensemble has."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        made: Tensor = torch.randn((*lead, *shape), generator=generator) / (shape or (1,))[-1] ** 0.5
        return made

    one, two = HIDDEN
    layers = (drawn(one, F), drawn(one), drawn(two, one), drawn(two), drawn(two), drawn())
    x = torch.randn(n, n_candidates, F, generator=generator)
    return x, Weights(torch.zeros(F), torch.ones(F), *layers), generator

"""What the kernels are timed at: each job makes its inputs, and returns the work as a function without arguments.

Sizes beside contexts and candidates are those of the published figures: 32 features, slates of 10, 20,000 items.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from policies.kernels import ridge
from policies.kernels.ridge import Posterior
from policies.kernels.slates import draw_slates

F, K, ITEMS = 32, 10, 20_000

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


JOBS: dict[str, Callable[[int, int], Work]] = {
    "linucb": linucb,
    "lints": lints,
    "lints-from-ids": lints_from_ids,
    "slates": slates,
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

"""The best ranking that public information allows, as closely as a regression on hidden truth can find it.

A page's expected reward under a position-based model is a sum of examination times the expected attraction of what is
shown, so the best public policy sorts by E[attraction * value | what is public]. That conditional expectation is
approached from below by a network that is trained on the *true* attraction of every candidate: labels that no learner
ever sees. It is a yardstick, not a policy that could be shipped: `gap closed` is measured against it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from policies.features import CHUNK, FeatureMap, page_tensors
from policies.position_based import Torso
from policies.ranking import F32
from simenv.catalogue import I64
from simenv.columns import take
from simenv.decision import Policy, Truth
from simenv.play import play, truth
from simenv.world import Page, World

BATCH = 2048  # candidates per gradient
TAKEN = 16  # candidates of a page that are learned from, spread over the engine's ranks
ITEM_RATE = 2e-2  # learning rate of the item effects
SHRINK = 0.05  # weight decay of the item effects


class PublicOracle:
    """Scores by the fitted E[attraction * value | public]; higher is better."""

    kind = "public-oracle"

    def __init__(self, world: World, hidden: tuple[int, int] = (96, 48), seed: int = 0, personal: bool = True) -> None:
        """Start untrained; `fit_public_oracle` trains it. `personal`: see `FeatureMap`."""
        self.generator = torch.Generator().manual_seed(seed)
        self.feature_map = FeatureMap(world.catalogue.public(), personal)
        self.torso = Torso(len(self.feature_map.feature_names), hidden, self.generator)
        self.head = nn.Linear(hidden[1], 1)
        self.item = nn.Embedding(world.catalogue.n_items, 1)
        for weight in (self.head.weight, self.head.bias, self.item.weight):
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, item: Tensor) -> Tensor:
        """Log of the expected worth, up to a constant: features (.., F) and item ids (..) -> (..)."""
        own: Tensor = self.head(self.torso(x)).squeeze(-1) + self.item(item).squeeze(-1)
        return own

    def score(self, page: Page, truth: Truth | None) -> F32:
        """See `policies.ranking.Scorer`."""
        made = []
        with torch.no_grad():
            for first in range(0, len(page), CHUNK):
                part = page_tensors(take(page, slice(first, first + CHUNK)))
                item = part["candidates"].long().clamp(min=0)
                made.append(self.forward(self.feature_map(part), item).numpy())
        return np.concatenate(made)


def fit_public_oracle(
    world: World, behaviour: Policy, seed: int, shoppers: I64, personal: bool = True, epochs: int = 4
) -> PublicOracle:
    """Regress the true worth of candidates on public features, over the contexts that a policy meets.

    Args:
        world: The market.
        behaviour: Whose contexts to fit on; the shopper's history depends on what was shown.
        seed: Luck of the shoppers; not that of any log or truth.
        shoppers: (U,) ids.
        personal: Whether what the shopper clicked before counts as known. Without it this is the best ranking that is
            the same for everybody, and what it lacks is what personalisation is worth.
        epochs: Passes.
    """
    oracle = PublicOracle(world, seed=seed % 2**31, personal=personal)
    rng = np.random.default_rng(seed)
    xs, items, ys = [], [], []
    for step in play(world, behaviour, seed, shoppers):
        known = truth(world, step.state, step.page)
        positions = rng.integers(0, world.params.n_candidates, (len(step.page), TAKEN))
        worth = np.take_along_axis(known.attraction * known.value, positions, axis=1)
        real = np.take_along_axis(step.page.candidates, positions, axis=1) >= 0
        with torch.no_grad():
            x = oracle.feature_map(page_tensors(step.page), torch.from_numpy(positions))
        xs.append(x[torch.from_numpy(real)])
        items.append(torch.from_numpy(np.take_along_axis(step.page.candidates, positions, axis=1)[real]).long())
        ys.append(torch.from_numpy(worth[real].astype(np.float32)))
    _fit(oracle, torch.cat(xs), torch.cat(items), torch.cat(ys), epochs)
    return oracle


def _fit(oracle: PublicOracle, x: Tensor, item: Tensor, worth: Tensor, epochs: int) -> None:
    """Least squares of exp(score) to worth in units of its mean, by Adam with a falling rate.

    Item effects are shrunk to 0: an item's own worth is public to whoever has seen it often, and hidden qualities that
    go with the id must be in the yardstick.
    """
    oracle.torso.mean.copy_(x.mean(dim=0))
    oracle.torso.scale.copy_(x.std(dim=0).clamp(min=0.05))
    y = worth / worth.mean()
    nets = [*oracle.torso.parameters(), *oracle.head.parameters()]
    optimiser = torch.optim.AdamW(
        [{"params": nets, "weight_decay": 0.0}, {"params": oracle.item.parameters(), "weight_decay": SHRINK}]
    )
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [6e-3, ITEM_RATE], total_steps=steps + 1)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x), generator=oracle.generator), BATCH):
            optimiser.zero_grad()
            expected = oracle.forward(x[rows], item[rows]).clamp(max=6.0).exp()
            nn.functional.mse_loss(expected, y[rows]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()

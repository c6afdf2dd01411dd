"""Training of a network on clicks: a step with every batch as it arrives, and rounds over all that is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from policies.examples import Examples
from policies.replay import Replay

LEAST_STEPS = 500  # of a round of training
CURVE_RATE = 10.0  # learning rate of the examination curve, in those of the network


class ClickNet(Protocol):
    """A torch module that can be trained here."""

    @property
    def examination(self) -> nn.Parameter:
        """What the examination curve is made of."""

    @property
    def loss(self) -> Callable[..., Tensor]:
        """What to make small, of a batch."""

    def own(self) -> list[nn.Parameter]:
        """What each item has of its own, which is shrunk to 0; empty where items are known by their features alone."""

    def standardise(self, x: Tensor) -> None:
        """Set what features are standardised by, from examples (n, F)."""

    def batch(self, kept: Examples) -> tuple[Tensor, ...]:
        """What `loss` is asked for; the first axis of each is the search."""


class ClickTraining:
    """A network, its optimiser, and what it is trained on.

    Attributes:
        is_scaled: Whether what features are standardised by is set; true of a restored network that has learned.
    """

    def __init__(
        self,
        net: ClickNet,
        settings: dict[str, Any],
        generator: torch.Generator,
        with_pages: bool = False,
    ) -> None:
        """Start untrained.

        Args:
            net: The network, on its device.
            settings: `learning_rate` of Adam; `weight_decay` of the network, in AdamW's units; `batch`, searches per
                gradient of a round; `epochs`, passes of a round, more where that would be fewer than LEAST_STEPS steps;
                `memory` in searches; `seed`; `shrink`, the share of what an item has of its own that a step at the full
                learning rate takes away, where the network has such.
            generator: Of the order of training.
            with_pages: Whether the network needs pages beside features.
        """
        self.net, self.generator, self.epochs, self.rows = net, generator, settings["epochs"], settings["batch"]
        self.replay = Replay(settings["memory"], settings["seed"], with_pages)
        # A handful of numbers that every click speaks of can, and must, move faster than the network: at its rate the
        # curve is still where it started when the log ends, and what stood low on the page counts as bad.
        rate, curve = settings["learning_rate"], net.examination
        apart = {id(each) for each in (curve, *net.own())}
        rest = [each for each in cast(nn.Module, net).parameters() if id(each) not in apart]
        groups: list[dict[str, Any]] = [
            {"params": rest, "weight_decay": settings["weight_decay"]},
            {"params": [curve], "lr": CURVE_RATE * rate},
        ]
        groups += [{"params": [each], "weight_decay": settings["shrink"] / rate} for each in net.own()]
        self.is_scaled = False
        self.optimiser = torch.optim.AdamW(groups, lr=rate, weight_decay=0.0, fused=True)

    def learn(self, examples: Examples) -> Examples:
        """Keep a batch of searches, and take one step on it: learning as it goes.

        The first batch in which something was shown decides for good what features are standardised by.

        Args:
            examples: Searches; a second delivery of one is left out.

        Returns:
            Those that are new.
        """
        new = self.replay.add(examples)
        if not new.shown.any():
            return new
        if not self.is_scaled:
            self.net.standardise(torch.from_numpy(new.features[new.shown]))
            self.is_scaled = True
        self._descend(*self.net.batch(new))
        return new

    def round(self) -> Examples | None:
        """Train on everything kept, in random order; returns it, or None where there is nothing.

        The learning rate falls to a tenth over the passes, and is set back at the end.
        """
        kept = self.replay.kept()
        if kept is None:
            return None
        batch = self.net.batch(kept)
        passes = max(self.epochs, -(-LEAST_STEPS * self.rows // len(kept)))
        start = [group["lr"] for group in self.optimiser.param_groups]
        steps = passes * -(-len(kept) // self.rows)
        schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimiser, 0.1 ** (1.0 / steps))
        for _ in range(passes):
            order = torch.randperm(len(kept), generator=self.generator).to(batch[0].device)
            for rows in torch.split(order, self.rows):
                self._descend(*(each[rows] for each in batch))
                schedule.step()
        for group, rate in zip(self.optimiser.param_groups, start, strict=True):
            group["lr"] = rate
        return kept

    def _descend(self, *batch: Tensor) -> None:
        self.optimiser.zero_grad()
        self.net.loss(*batch).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

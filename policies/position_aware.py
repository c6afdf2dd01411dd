"""A ranker that takes clicks for what they are: seen through a slot, helped by trust, and not yet a gain.

Clicks. P(click at k) = v_k * (t_k + (1 - t_k) * a(x)), v_1 = 1 and t_K = 0. The slot does two things: it is looked at
or not (v_k), and whoever trusts the ranking clicks what is not attractive because it stands high (t_k). Written as
alpha_k * a + beta_k this is the affine model of Vardasbi, Oosterhuis and de Rijke, "When inverse propensity scoring
does not work: affine corrections for unbiased learning to rank", 2020, for the bias of Agarwal, Wang, Li, Bendersky and
Najork, "Addressing trust bias for unbiased learning-to-rank", 2019.

Gains. A click is not relevance. Where examples say what the market counts, a second network learns E[gain | click], by
the quasi-likelihood of Poisson (right for any gain of at least 0 whose mean is right), and the score is
log a(x) + log E[gain | click]: the log of the expected gain, where trust adds nothing. Where the gain is the click, the
second part stays at 0, for it has nothing to learn. Each item has a part of its own in both, which is where bait and
quality show that no column tells.

Identified where items change slots: with one item always first, a and (v, t) cannot be told apart. Where they do,
examination and the chances of clicking the attractive and the unattractive are 3 K numbers of which the log tells
2 K - 2, since any affine map of a gives the same clicks; v_1 = 1 and t_K = 0 choose one of these maps, in which the
last slot is the one nobody trusts. The order by a is the same in all of them. The order by a * gain is not: it is the
right one for the last slot, and higher up it errs where clicks by trust are many and gains differ. Wrong where clicks
above a slot matter (cascades).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from policies.network_ranker import NetworkKind, RankingNet
from policies.position_based import Torso, set_scale
from policies.searches import Feedback, Searches
from simenv.catalogue import PublicCatalogue

LITTLE_TRUST = -1.5  # log-odds of t_k before anything is learned
# What slots do and how attractive items are move together along a ridge of nearly equal likelihood. Faster still than
# other rankers' curves, these get to its end in five passes; at their rate it takes twenty.
SEEN_RATE, TRUST_RATE = 2.0, 4.0
LEVEL_RATE = 10.0  # of the mean gain, in learning rates of the network: it may be cents or hundreds


class PositionAware(RankingNet):
    """a(x), E[gain | click], and what slots do."""

    def __init__(
        self,
        catalogue: PublicCatalogue,
        feature_names: tuple[str, ...],
        n_slots: int,
        settings: Mapping[str, Any],
        generator: torch.Generator,
    ) -> None:
        """Draw the weights.

        Args:
            catalogue: Public columns.
            feature_names: F of them.
            n_slots: K.
            settings: `hidden` and `value_hidden`, widths of the two layers of each network; `trust`, False for t = 0,
                which is the plain position-based model; `value`, False to rank by attraction alone; `item_ids`,
                whether each item has parts of its own.
            generator: Of the draws.
        """
        super().__init__("position-aware", n_slots)
        self.has_trust, self.has_value, self.has_own = settings["trust"], settings["value"], settings["item_ids"]
        self.examination = nn.Parameter(torch.zeros(2, n_slots - 1))  # of v at slots 2 to K, of t at slots 1 to K - 1
        n = len(feature_names)
        self.torso = Torso(n, (settings["hidden"][0], settings["hidden"][1]), generator)
        self.value_torso = Torso(n, (settings["value_hidden"][0], settings["value_hidden"][1]), generator)
        self.head, self.value_head = nn.Linear(settings["hidden"][1], 1), nn.Linear(settings["value_hidden"][1], 1)
        self.item_own = nn.Embedding(len(catalogue.category), 2)
        self.level = nn.Parameter(torch.zeros(()))
        for zero in (self.head.weight, self.value_head.weight, self.value_head.bias, self.item_own.weight):
            nn.init.zeros_(zero)
        nn.init.constant_(self.head.bias, -2.0)

    def slots(self) -> tuple[Tensor, Tensor]:
        """Log v (K,), 0 at the first slot, and t (K,), 0 at the last."""
        end = self.examination.new_zeros(1)
        trust = torch.sigmoid(TRUST_RATE * self.examination[1] + LITTLE_TRUST) * float(self.has_trust)
        return torch.cat([end, -nn.functional.softplus(SEEN_RATE * self.examination[0])]), torch.cat([trust, end])

    def log_odds(self, searches: Searches) -> Tensor:
        """Of attraction, (n, M)."""
        return self.head(self.torso(searches.x))[..., 0] + self._own(searches.item)[..., 0]  # type: ignore[no-any-return]

    def log_gain(self, searches: Searches) -> Tensor:
        """Log of E[gain | click], (n, M)."""
        made = self.value_head(self.value_torso(searches.x))[..., 0] + self._own(searches.item)[..., 1]
        return made + LEVEL_RATE * self.level  # type: ignore[no-any-return]

    def score(self, searches: Searches) -> Tensor:
        """Log of the expected gain in the last slot, up to a constant, (n, M)."""
        attraction = nn.functional.logsigmoid(self.log_odds(searches))
        return attraction + self.log_gain(searches) if self.has_value else attraction

    def cost(self, searches: Searches, feedback: Feedback) -> Tensor:
        """See `RankingNet.cost`: of the click, and of the gain where there was one."""
        (log_v, trust), f = self.slots(), self.log_odds(searches)
        # t + (1 - t) a, whose complement is (1 - t) (1 - a): both without cancellation
        attraction = nn.functional.logsigmoid(f)
        log_p = log_v + (torch.log(trust + (1.0 - trust) * attraction.exp()) if self.has_trust else attraction)
        log_q = torch.log(-torch.expm1(log_p.clamp(max=-1e-6)))
        clicks = -(feedback.reward * log_p + (1.0 - feedback.reward) * log_q)
        if not self.has_value:
            return clicks
        log_gain = self.log_gain(searches)
        return clicks + feedback.reward * (log_gain.clamp(max=20.0).exp() - feedback.gain * log_gain)

    def standardise(self, x: Tensor) -> None:
        """See `RankingNet.standardise`."""
        for torso in (self.torso, self.value_torso):
            set_scale(torso.mean, torso.scale, x)

    def own(self) -> list[nn.Parameter]:
        """See `RankingNet.own`."""
        return list(self.item_own.parameters())

    def _own(self, item: Tensor) -> Tensor:
        return self.item_own(item) * float(self.has_own)  # type: ignore[no-any-return]


POSITION_AWARE = NetworkKind(
    "position-aware",
    {"hidden": [64, 32], "value_hidden": [32, 16], "trust": True, "value": True, "item_ids": True},
    PositionAware,
)

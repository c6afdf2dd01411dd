"""The network behind slate policies that learn by gradients of whole slates, and the learned scorer that remains.

`SlateNet` gives every candidate a score (Plackett-Luce turns scores into slates) and every page a value, which only
training reads. `SlateScorer` is what is saved, loaded, logged and judged like any other learner; it needs torch, not
the library that trained it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from policies.examples import Examples
from policies.features import CHUNK, FeatureMap, page_tensors
from policies.ranking import F32
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.decision import Truth
from simenv.errors import UserError
from simenv.world import Page

# Where training starts from: what any shop would show before it has learned anything. Log-odds per unit of feature.
START = {"category_match": 2.0, "brand_match": 1.0, "colour_match": 0.5, "popularity": 0.5}


class SlateNet(nn.Module):
    """Scores and a value for pages.

    score_c = w . x_c + g(x_c), linear plus a hidden layer that starts at zero.
    value = h(mean of x, mean of x weighted by softmax(score)): what could be shown, and what is shown, without a
    gradient into the scores.
    """

    def __init__(self, catalogue: PublicCatalogue, hidden: int, generator: torch.Generator) -> None:
        """Weights from the given generator.

        Args:
            catalogue: Public columns.
            hidden: Width of the hidden layers.
            generator: A CPU generator; nothing else is drawn from.
        """
        super().__init__()
        self.feature_map = FeatureMap(catalogue)
        names = self.feature_map.feature_names
        n_features = len(names)
        self.linear = _unset(n_features, 1, bias=False)
        self.hidden, self.head = _unset(n_features, hidden), _unset(hidden, 1, bias=False)
        self.value_hidden, self.value_head = _unset(2 * n_features, hidden), _unset(hidden, 1)
        for layer in (self.hidden, self.value_hidden):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
        for last in (self.head, self.value_head):
            nn.init.zeros_(last.weight)
        nn.init.zeros_(self.value_head.bias)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[START.get(name, 0.0) for name in names]]))

    def forward(self, page: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores and the embedding that `value` reads.

        Args:
            page: The fields of `simenv.world.Page` that features need, as tensors.

        Returns:
            Scores (N, C), -inf at holes, and an embedding (N, 2 F) that carries no gradient.
        """
        x = self.feature_map(page)  # (N, C, F)
        score = (self.linear(x) + self.head(torch.relu(self.hidden(x)))).squeeze(-1)
        here = page["candidates"] >= 0
        score = score.masked_fill(~here, -torch.inf)
        with torch.no_grad():
            even = here.float() / here.sum(dim=1, keepdim=True).clamp(min=1)
            shown = torch.softmax(score, dim=1).nan_to_num()  # 0 where nothing was found
            weight = torch.stack([even, shown], dim=1)  # (N, 2, C)
            embedding = torch.bmm(weight, x).flatten(start_dim=1)
        return score, embedding

    def value(self, embedding: Tensor) -> Tensor:
        """Expected return of pages (N,), from the embedding of `forward`."""
        made: Tensor = self.value_head(torch.relu(self.value_hidden(embedding))).squeeze(-1)
        return made


class SlateScorer:
    """A trained `SlateNet` as a `policies.ranking.Scorer`."""

    def __init__(
        self, catalogue: PublicCatalogue, n_slots: int, hidden: int = 64, seed: int = 0, kind: str = "ppo-slate"
    ) -> None:
        """Untrained weights; `restore` or a training run puts in better ones.

        Args:
            catalogue: Public columns.
            n_slots: Not used: one scorer serves any number of slots. Taken so that all learners are made alike.
            hidden: Width of the hidden layers.
            seed: Of the weights.
            kind: Which algorithm trains it, a name in POLICIES.
        """
        self.kind = kind
        self.settings: dict[str, Any] = {"hidden": hidden, "seed": seed}
        self.net = SlateNet(catalogue, hidden, torch.Generator().manual_seed(seed))
        self.feature_map = self.net.feature_map
        self.n_searches = 0

    def update(self, examples: Examples) -> None:
        """Refused: PPO learns from slates that it draws itself."""
        raise UserError(
            f"policy '{self.kind}' learns by playing in a market, not from shown slots; train it with "
            f"slatelab train SCENARIO --policy {self.kind}, or policies.rllib.train."
        )

    def finish(self) -> None:
        """Nothing left to do: training ends with the last update."""

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Log-weights of the candidates up to a constant per page, -inf at holes."""
        made = []
        with torch.no_grad():
            for first in range(0, len(page), CHUNK):
                made.append(self.net(page_tensors(take(page, slice(first, first + CHUNK))))[0].numpy())
        return np.concatenate(made)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a saved model holds."""
        weights: dict[str, npt.NDArray[np.generic]] = {
            name: value.cpu().numpy().copy() for name, value in self.net.state_dict().items()
        }
        return weights | {"n_searches": np.array(self.n_searches)}

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take the weights of a saved model of the same shape."""
        held = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        self.n_searches = int(held.pop("n_searches"))
        self.net.load_state_dict(held)


@dataclass(frozen=True)
class PlayedSlates:
    """An algorithm that learns slates by playing: its name in POLICIES."""

    kind: str

    def empty(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> SlateScorer:
        """Untrained, from the settings of a saved one or from defaults."""
        own = chosen(self.kind, settings, {"hidden": 64, "seed": 0})
        return SlateScorer(catalogue, n_slots, own["hidden"], own["seed"], self.kind)


PPO_SLATE = PlayedSlates("ppo-slate")
APPO_SLATE = PlayedSlates("appo-slate")


def _unset(n_in: int, n_out: int, bias: bool = True) -> nn.Linear:
    """A layer whose weights are still to be set: torch's own start would draw from the global generator."""
    made: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)  # type: ignore[no-untyped-call]
    return made

"""The networks of SlateQ: what a candidate's choice weighs and what comes of choosing it, for items and for nothing.

A page comes as features of its items (N, C, F) and of itself (N, G). Where they come from is another's business: the
search market's pages here (`SearchPages`), a peer's in `policies.rllib.slateq_worlds`. Training is in `policies.rllib`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from policies.features import FeatureMap
from policies.rllib.slate_optimisers import Worth
from simenv.catalogue import PublicCatalogue

LOGIT_LIMIT = 30.0  # of choice: exp(30) is far beyond any odds, and float32 holds it


@dataclass(frozen=True)
class PageFeatures:
    """Features of pages. items: (N, C, F). context: (N, G). here: (N, C) bool, whether there is a candidate."""

    items: Tensor
    context: Tensor
    here: Tensor

    def at(self, slate: Tensor) -> PageFeatures:
        """The page with the items at positions (N, K) alone."""
        wide = slate[:, :, None].expand(-1, -1, self.items.shape[2])
        return PageFeatures(self.items.gather(1, wide), self.context, self.here.gather(1, slate))


class SearchPages(nn.Module):
    """Features of the search market's pages: those of every candidate, and as context their mean over the page."""

    def __init__(self, catalogue: PublicCatalogue) -> None:
        """Hold the catalogue's public columns."""
        super().__init__()
        self.feature_map = FeatureMap(catalogue)
        self.n_items = self.n_context = len(self.feature_map.feature_names)

    def forward(self, page: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> PageFeatures:
        """Features, of that type, from the fields of `simenv.world.Page` that they need, as tensors."""
        items = self.feature_map(page).to(dtype)
        here = page["candidates"] >= 0
        even = here.to(dtype) / here.sum(dim=1, keepdim=True).clamp(min=1)
        return PageFeatures(items, torch.einsum("nc,ncf->nf", even, items), here)


class ItemNet(nn.Module):
    """A number for every item of a page and one for none of them: two layers over item and context; zero at first."""

    def __init__(self, n_items: int, n_context: int, hidden: int, generator: torch.Generator) -> None:
        """Weights from the generator.

        Args:
            n_items: F.
            n_context: G.
            hidden: Width.
            generator: A CPU generator; nothing else is drawn from.
        """
        super().__init__()
        self.item, self.context = _unset(n_items, hidden), _unset(n_context, hidden, bias=False)
        self.deep, self.head = _unset(hidden, hidden), _unset(hidden, 1)
        self.null, self.null_head = _unset(n_context, hidden), _unset(hidden, 1)
        for layer in (self.item, self.context, self.deep, self.null):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
        for layer in (self.item, self.deep, self.null):
            nn.init.zeros_(layer.bias)
        for last in (self.head, self.null_head):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, page: PageFeatures) -> tuple[Tensor, Tensor]:
        """Numbers (N, C) and (N,)."""
        first = torch.relu(self.item(page.items) + self.context(page.context).unsqueeze(1))
        items = self.head(torch.relu(self.deep(first))).squeeze(-1)
        null = self.null_head(torch.relu(self.null(page.context))).squeeze(-1)
        return items, null


@dataclass(frozen=True)
class Shape:
    """How large the networks are, and how many slots a page has.

    Attributes:
        n_items: F, features of an item.
        n_context: G, features of a page.
        n_slots: K.
        hidden: Width.
        falls: Whether attention may fall from slot to slot. Without, all slots of a slate are alike, as in the paper.
    """

    n_items: int
    n_context: int
    n_slots: int
    hidden: int
    falls: bool


class SlateValues(nn.Module):
    """The user choice model and the item-wise values of SlateQ.

    Choice: multinomial logit, P(slot k) = w_k v_i / (v_0 + sum w v) with v = exp(logit). Values: scale * (1 + net), so
    that they start from `scale`, which training sets to what a page and its future are worth at random.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        """Weights from the generator."""
        super().__init__()
        self.shape = shape
        self.choice = ItemNet(shape.n_items, shape.n_context, shape.hidden, generator)
        self.values = ItemNet(shape.n_items, shape.n_context, shape.hidden, generator)
        # A little attention is lost from slot to slot at first: log w_k = -sum softplus(fall).
        self.fall = nn.Parameter(torch.full((shape.n_slots - 1,), -3.0), requires_grad=shape.falls)
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(()))

    def log_attention(self) -> Tensor:
        """Log of the slots' weights (K,); the first has 0."""
        lost = nn.functional.softplus(self.fall) * float(self.shape.falls)
        return torch.cat([lost.new_zeros(1), -lost.cumsum(dim=0)])

    def logits(self, page: PageFeatures) -> tuple[Tensor, Tensor]:
        """Log weights of choice (N, C), -inf at holes, and of choosing nothing (N,)."""
        items, null = self.choice(page)
        limit = LOGIT_LIMIT
        return items.clamp(-limit, limit).masked_fill(~page.here, -torch.inf), null.clamp(-limit, limit)

    def worth(self, page: PageFeatures, values: ItemNet | None = None) -> Worth:
        """What the candidates are worth, by these values or a target network's. Only training scales with `scale`."""
        logit, null_logit = self.logits(page)
        peak = torch.maximum(logit.amax(dim=1), null_logit)
        q, null_q = (self.values if values is None else values)(page)
        return Worth(
            v=(logit - peak[:, None]).exp(),
            q=1.0 + q,
            null_v=(null_logit - peak).exp(),
            null_q=1.0 + null_q,
            attention=self.log_attention().exp()[: page.here.shape[1]],  # no more slots than candidates
            here=page.here,
        )


def _unset(n_in: int, n_out: int, bias: bool = True) -> nn.Linear:
    """A layer whose weights are still to be set: torch's own start would draw from the global generator."""
    made: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)  # type: ignore[no-untyped-call]
    return made

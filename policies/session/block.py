"""What the last clicks say of a candidate, as features of (search, candidate), for every ranker.

From a session model the product of the shopper's vector with the candidate's, and how much the candidate is like the
clicked items that it is most like (attention over them). From counting alone how often the item, its category and its
brand stand among the last clicks, which is all there is without a model ("counts").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.session.encoder import item_columns, session_net
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError

COUNTS = "counts"  # the setting that asks for counts alone
RECENT_FIELDS = ("recent", "recent_bought", "recent_age")  # of a page
COUNTED = ("seen_item", "seen_category", "seen_brand")
SESSION_FEATURES = ("session_fit", "session_alike", *COUNTED)
SHARPNESS = 4.0  # of the attention over cosines


class CountsBlock(torch.nn.Module):
    """Features (N, M, 3) of items (N, M): shares of the last L clicks."""

    names = COUNTED

    def __init__(self, catalogue: PublicCatalogue) -> None:
        """Hold the items' categories and brands."""
        super().__init__()
        self.category: Tensor
        self.brand: Tensor
        for name in ("category", "brand"):
            column = torch.from_numpy(getattr(catalogue, name).astype(np.int64))
            self.register_buffer(name, column, persistent=False)

    def forward(self, page: Mapping[str, Tensor], item: Tensor) -> Tensor:
        """See `counted`; `page` has RECENT_FIELDS."""
        return counted(page["recent"].long(), item, self.category, self.brand)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """Nothing: there are no weights."""
        return {}

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Nothing to take."""


class SessionBlock(torch.nn.Module):
    """Features (N, M, 5) of items (N, M) by a session model, and by counting."""

    names = SESSION_FEATURES

    def __init__(self, catalogue: PublicCatalogue, described: Mapping[str, Any]) -> None:
        """A model without its weights; `restore` brings them.

        Args:
            catalogue: Public columns.
            described: `policies.session.encoder.described_shape`.

        Raises:
            UserError: for a damaged description, or a catalogue with more values than the model was made for.
        """
        super().__init__()
        self.net = session_net(described).eval().requires_grad_(False)
        self.counts = CountsBlock(catalogue)
        self.terms: Tensor
        self.rest: Tensor
        self.embedding: Tensor
        terms, rest = item_columns(catalogue)
        shape = self.net.shape
        if (terms.amax(dim=0) >= torch.tensor(shape.n_values)).any() or rest.shape[1] != shape.n_style + 1:
            raise UserError("the session model was trained on a catalogue of another shape. Train one on this.")
        self.register_buffer("terms", terms, persistent=False)
        self.register_buffer("rest", rest, persistent=False)
        self.register_buffer("embedding", self.net.items(terms, rest), persistent=False)

    def forward(self, page: Mapping[str, Tensor], item: Tensor) -> Tensor:
        """Features (N, M, 5) float32; `page` has RECENT_FIELDS."""
        recent = page["recent"].long()
        here, clicked = recent >= 0, self.embedding[recent.clamp(min=0)]  # (N, L, W)
        h = self.net(clicked, here, page["recent_bought"], page["recent_age"])
        candidate = self.embedding[item]
        fit = torch.einsum("nmd,nd->nm", candidate, h)
        own = torch.stack([fit, alike(candidate, clicked, here)], dim=2)
        return torch.cat([own, self.counts(page, item)], dim=2)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The model's weights."""
        return {name: value.cpu().numpy() for name, value in self.net.state_dict().items()}

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take the model's weights; torch raises `RuntimeError` where they do not fit."""
        self.net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
        self.embedding.copy_(self.net.items(self.terms, self.rest))


def counted(recent: Tensor, item: Tensor, category: Tensor, brand: Tensor) -> Tensor:
    """Shares of the last clicks that are the item, or of its category, or of its brand, (N, M, 3).

    Args:
        recent: (N, L) clicked items, -1 for none.
        item: (N, M).
        category: (I,) of the catalogue.
        brand: (I,) of the catalogue.
    """
    here, known = recent >= 0, recent.clamp(min=0)
    columns = [
        ((of_recent[:, None, :] == of_item[:, :, None]) & here[:, None, :]).float().sum(dim=2)
        for of_recent, of_item in ((known, item), (category[known], category[item]), (brand[known], brand[item]))
    ]
    return torch.stack(columns, dim=2) / max(1, recent.shape[1])


def alike(candidate: Tensor, clicked: Tensor, here: Tensor) -> Tensor:
    """Cosine (N, M) of candidates (N, M, W) with clicked items (N, L, W), the most alike weighing most; 0 of none."""
    cosine = torch.nn.functional.normalize(candidate, dim=2) @ torch.nn.functional.normalize(clicked, dim=2).mT
    there = here[:, None, :]
    weight = torch.exp(SHARPNESS * (cosine - 1.0)) * there  # (N, M, L); at least exp(-8) where there is a click
    return (weight * cosine).sum(dim=2) / weight.sum(dim=2).clamp(min=1e-6)


def session_block(catalogue: PublicCatalogue, session: str | Mapping[str, Any]) -> SessionBlock | CountsBlock:
    """The features of a session model: "counts", or `described_shape` of a model.

    Raises:
        UserError: for another word, or a damaged description.
    """
    if session == COUNTS:
        return CountsBlock(catalogue)
    if isinstance(session, str):
        raise UserError(f"there is no session model '{session}'; expected '{COUNTS}' or the folder of a saved one.")
    return SessionBlock(catalogue, session)

"""Public features of (search, candidate), in torch, gathered from ids.

One definition serves learners, the reward model and the RLlib module. Catalogue columns are tables on the device;
pages bring ids and small contexts; features are made for the candidates that are asked for and never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.query.block import READ_FEATURES, ReaderBlock, query_bytes, reader_block
from policies.session.block import RECENT_FIELDS, session_block
from simenv.catalogue import PublicCatalogue, price_spread
from simenv.world import Page

CHUNK = 1024  # rows scored at once: memory does not grow with the log

PAGE_FIELDS = (
    "candidates", "query_terms", "locale", "device", "history", "history_weight", "last_brand", "page", "search",
    "discount",
)  # fmt: skip
N_LOCALES, N_DEVICES = 10, 3
READER, SESSION = "reader.", "session."  # before the names of their tensors in a saved model
PERSONAL = ("last_brand_match", "style_fit", "price_gap", "style_fit_sure", "history_sure")  # and the history itself


class FeatureMap(torch.nn.Module):
    """Features (N, M, F) of items (N, M) on pages.

    Groups: match with the recognised words; the item itself; the item against the shopper's public history; the
    context. `feature_names` lists them in order.
    """

    def __init__(
        self,
        catalogue: PublicCatalogue,
        personal: bool = True,
        reader: str | Mapping[str, Any] | None = None,
        session: str | Mapping[str, Any] | None = None,
    ) -> None:
        """Hold the catalogue's public columns as tables (buffers: they move with the module, they are not saved).

        Args:
            catalogue: Public columns.
            personal: Whether to make features of the shopper's history in the mean. Without them, and without
                `session`, all shoppers of a locale and device who ask the same are ranked for alike.
            reader: Whose readings of the queries are features too: "dictionary", or what `QueryEncoder.as_json` says of
                an encoder. Of the latter `restore` brings the weights, and pages must carry the queries.
            session: What reads the shopper's last clicks: "counts", or what `described_shape` of `policies.session`
                says of a session model, whose weights `restore` brings. Its features are personal, also where
                `personal` is False.
        """
        super().__init__()
        for name in ("category", "department", "brand", "colour"):
            self.register_buffer(name, _tensor(getattr(catalogue, name)).long(), persistent=False)
        for name in ("price_z", "rating", "popularity", "style"):
            self.register_buffer(name, _tensor(getattr(catalogue, name)).float(), persistent=False)
        spread = price_spread(catalogue.price, catalogue.category, int(catalogue.category.max()) + 1)
        self.register_buffer("price_spread", _tensor(spread), persistent=False)
        first = np.full(int(catalogue.category.max()) + 2, -1, dtype=np.int64)
        first[catalogue.category] = catalogue.department  # -1: of a category that is unrecognised or has no item
        self.register_buffer("department_of", torch.from_numpy(first), persistent=False)
        self.n_style = catalogue.style.shape[1]
        self.n_candidates_scale = 1.0 / 50.0
        self.personal = personal
        kept = [f for f, name in enumerate(self._all_names) if name not in PERSONAL and not name.startswith("history_")]
        self.register_buffer("kept", torch.tensor(kept), persistent=False)
        self.reader = None if reader is None else reader_block(catalogue, reader)
        self.session = None if session is None else session_block(catalogue, session)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The F names, in order."""
        names = self._all_names
        own = names if self.personal else tuple(names[f] for f in self.kept.tolist())  # type: ignore[operator]
        read = () if self.reader is None else READ_FEATURES
        return (*own, *read, *(() if self.session is None else self.session.names))

    @property
    def reads_query(self) -> bool:
        """Whether pages must carry the queries as typed."""
        return type(self.reader) is ReaderBlock

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a saved model must hold of the features: the weights of what reads queries or last clicks."""
        made = {}
        for prefix, block in ((READER, self.reader), (SESSION, self.session)):
            held = {} if block is None else block.tensors()
            made.update({f"{prefix}{name}": value for name, value in held.items()})
        return made

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take what `tensors` gives of the tensors of this; torch raises `RuntimeError` where they do not fit."""
        for prefix, block in ((READER, self.reader), (SESSION, self.session)):
            if block is not None:
                own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
                block.restore(own)

    @property
    def _all_names(self) -> tuple[str, ...]:
        style = [f"style_{d}" for d in range(self.n_style)]
        history = [f"history_{d}" for d in range(self.n_style + 1)]
        return (
            "category_match", "department_match", "category_unknown", "brand_match", "brand_other", "colour_match",
            "colour_other", "popularity", "rating", "price", "price_squared", "last_brand_match", "style_fit",
            "price_gap", "style_fit_sure", "history_sure", "engine_rank", "later_page", "asked_again",
            *style, *history, *[f"locale_{i}" for i in range(N_LOCALES)], *[f"device_{i}" for i in range(N_DEVICES)],
        )  # fmt: skip

    def forward(self, page: Mapping[str, Tensor], positions: Tensor | None = None) -> Tensor:
        """Features of the candidates, or of those at the given positions.

        Args:
            page: The fields of `simenv.world.Page` as tensors, at least `PAGE_FIELDS`.
            positions: (N, M) int64 positions into the candidates, or None for all C.

        Returns:
            (N, M, F) float32. Holes get the features of item 0; mask them.
        """
        candidates = page["candidates"].long()
        item = candidates.clamp(min=0)
        rank = torch.arange(candidates.shape[1], device=item.device).expand_as(item)
        discount = page["discount"].float()
        if positions is not None:
            item, rank, discount = (each.gather(1, positions) for each in (item, rank, discount))
        terms = page["query_terms"].long()
        wanted, brand, colour = terms[:, 0:1], terms[:, 1:2], terms[:, 2:3]
        category, item_brand, item_colour = self.category[item], self.brand[item], self.colour[item]  # type: ignore[index]
        style = self.style[item]  # type: ignore[index]
        price = self.price_z[item] + discount / self.price_spread[category]  # type: ignore[index]
        history, weight = page["history"].float(), page["history_weight"].float().reshape(-1, 1)
        fit = torch.einsum("nmd,nd->nm", style, history[:, :-1])
        sure = weight / (weight + 5.0)
        columns = [
            category == wanted,
            self.department[item] == self.department_of[wanted.clamp(max=len(self.department_of) - 1)],  # type: ignore[index,arg-type]
            (wanted < 0).expand_as(item),
            item_brand == brand,
            (brand >= 0) & (item_brand != brand),
            (colour >= 0) & (item_colour == colour),
            (colour >= 0) & (item_colour != colour),
            self.popularity[item],  # type: ignore[index]
            self.rating[item] - 3.7,  # type: ignore[index]
            price,
            price**2,
            item_brand == page["last_brand"].long().reshape(-1, 1),
            fit,
            (price - history[:, -1:]).abs(),
            fit * sure,
            sure.expand_as(item),
            rank * self.n_candidates_scale,
            (page["page"].reshape(-1, 1) > 0).expand_as(item),
            (page["search"].reshape(-1, 1) > 0).expand_as(item),
        ]
        n, m = item.shape
        locale = torch.nn.functional.one_hot(page["locale"].long().reshape(-1), N_LOCALES)
        device = torch.nn.functional.one_hot(page["device"].long().reshape(-1), N_DEVICES)
        context = torch.cat([history, locale.float(), device.float()], dim=1)
        made = torch.cat(
            [torch.stack([c.float() for c in columns], dim=2), style, context[:, None, :].expand(n, m, -1)], dim=2
        )
        made = made if self.personal else made[..., self.kept]  # type: ignore[index]
        read = [block(page, item) for block in (self.reader, self.session) if block is not None]
        return torch.cat([made, *read], dim=2) if read else made


def page_tensors(page: Page, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The fields that features may need, as tensors; `query` where the page carries it, as `query_bytes`."""
    made = {name: _tensor(getattr(page, name)).to(device) for name in (*PAGE_FIELDS, *RECENT_FIELDS)}
    return made if page.query is None else made | {"query": torch.from_numpy(query_bytes(page.query)).to(device)}


def features(feature_map: FeatureMap, page: Page, positions: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Features of given positions (N, M) as numpy, (N, M, F); position -1 is read as 0."""
    with torch.no_grad():
        device = feature_map.style.device
        safe = torch.from_numpy(np.maximum(positions, 0).astype(np.int64)).to(device)  # type: ignore[arg-type]
        made: npt.NDArray[np.float32] = feature_map(page_tensors(page, device), safe).cpu().numpy()  # type: ignore[arg-type]
    return made


def _tensor(array: npt.NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.array(array))

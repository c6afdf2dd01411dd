"""Searches as tensors: what a ranking network is told of a page and of the items it ranks on it.

Networks that embed ids need more than features: which words were recognised, where, and which items. One record holds
both, for the shown items of a log and for the candidates of a page alike.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from policies.examples import Examples
from policies.features import FeatureMap, page_tensors
from simenv.errors import UserError
from simenv.world import Page


@dataclass(frozen=True)
class Searches:
    """n searches, each with M items to rank.

    x: (n, M, F) float32 features. item: (n, M) int64 ids, 0 at holes. terms: (n, T) int64 recognised words, -1 none.
    locale, device, last_brand: (n,) int64. history: (n, D + 1) float32. history_weight: (n,) float32.
    """

    x: Tensor
    item: Tensor
    terms: Tensor
    locale: Tensor
    device: Tensor
    last_brand: Tensor
    history: Tensor
    history_weight: Tensor

    def __len__(self) -> int:
        """Number of searches, n."""
        return len(self.item)


@dataclass(frozen=True)
class Feedback:
    """What came of n searches with K slots each, (n, K) float32.

    reward: clicks. gain: what the market counts; the clicks themselves where examples hold nothing else. shown: 1, or 0
    for an empty slot.
    """

    reward: Tensor
    gain: Tensor
    shown: Tensor


def of_page(feature_map: FeatureMap, page: Page, device: torch.device) -> Searches:
    """The searches of a page with all of its candidates."""
    tensors = page_tensors(page, device)
    return _searches(feature_map(tensors), tensors["candidates"].long().clamp(min=0), tensors)


def tensors_of(kind: str, examples: Examples, device: torch.device) -> tuple[Tensor, ...]:
    """The fields of `Searches` over the items that were shown, and those of `Feedback`, in their order.

    Raises:
        UserError: for examples without their pages or items, or a gain below 0.
    """
    if examples.page is None or examples.item is None:
        raise UserError(f"policy '{kind}' learns from ids: it needs examples with their pages; see policies.examples.")
    gain = examples.reward if examples.gain is None else examples.gain
    if (gain < 0).any():
        raise UserError(f"policy '{kind}': a slot's gain is {gain.min()}; expected 0 or more.")
    item = torch.from_numpy(np.maximum(examples.item, 0).astype(np.int64)).to(device)
    features = torch.from_numpy(examples.features).to(device)
    searches = _searches(features, item, page_tensors(examples.page, device))
    told = [torch.from_numpy(part.astype(np.float32)).to(device) for part in (examples.reward, gain, examples.shown)]
    return (*(getattr(searches, field.name) for field in dataclasses.fields(Searches)), *told)


def from_tensors(tensors: tuple[Tensor, ...]) -> tuple[Searches, Feedback]:
    """What `tensors_of` took apart."""
    n = len(dataclasses.fields(Searches))
    return Searches(*tensors[:n]), Feedback(*tensors[n:])


def _searches(x: Tensor, item: Tensor, page: dict[str, Tensor]) -> Searches:
    flat = {name: page[name].long().reshape(-1) for name in ("locale", "device", "last_brand")}
    return Searches(
        x=x,
        item=item,
        terms=page["query_terms"].long(),
        history=page["history"].float(),
        history_weight=page["history_weight"].float().reshape(-1),
        **flat,
    )

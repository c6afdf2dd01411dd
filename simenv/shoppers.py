"""Shoppers: who they are, as a pure function of (seed, shopper id).

Nothing about a shopper is stored between visits that could be computed again from the id; what changes (taste,
history, satisfaction) lives in the world's state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32, I64
from simenv.params import Shoppers

DEVICES = ("phone", "desktop", "tablet")  # in the order of `Shoppers.device_share`


@dataclass(frozen=True)
class Traits:
    """What a shopper brings. Public: locale, device. All else is hidden.

    locale, device: (N,) int8. segment: (N,) int32. taste: (N, D) float32. price_taste: (N,) float32, the price level
    (in standard deviations within a category) they like best. patience: (N,) float32 in (0, 1). gap_days: (N,) float32,
    mean days between visits.
    """

    locale: npt.NDArray[np.int8]
    device: npt.NDArray[np.int8]
    segment: I32
    taste: F32
    price_taste: F32
    patience: F32
    gap_days: F32


def traits(params: Shoppers, world_seed: int, n_style: int, keys: hashing.Keys) -> Traits:
    """The traits of shoppers, from one key each.

    Args:
        params: The population's parameters.
        world_seed: Seeds what belongs to the market: the centres of the segments.
        n_style: D.
        keys: (N,) uint64, one key a shopper.
    """
    n = params.n_segments
    locale = _choose(hashing.uniform(hashing.absorb(keys, 0)), np.asarray(params.locale_share)).astype(np.int8)
    # A locale prefers its own segments, which is all that a shop knows of a first-time visitor.
    preferred = (hashing.uniform(hashing.absorb(keys, 1)) < 0.5).astype(np.int64)
    anywhere = hashing.integers(hashing.absorb(keys, 2), n)
    own = (2 * locale.astype(np.int64) + hashing.integers(hashing.absorb(keys, 3), 2)) % n
    segment = np.where(preferred == 1, own, anywhere).astype(np.int32)

    centres = segment_centres(params, world_seed, n_style)
    own_taste = params.taste_spread * hashing.normal(
        hashing.absorb(hashing.absorb(keys, 4)[:, None], np.arange(n_style))
    )
    gap = params.mean_gap_days * (0.4 + 1.2 * hashing.uniform(hashing.absorb(keys, 7)))
    return Traits(
        locale=locale,
        device=_choose(hashing.uniform(hashing.absorb(keys, 8)), np.asarray(params.device_share)).astype(np.int8),
        segment=segment,
        taste=(centres[segment] + own_taste).astype(np.float32),
        price_taste=(0.8 * hashing.normal(hashing.absorb(keys, 9))).astype(np.float32),
        patience=(0.15 + 0.8 * hashing.uniform(hashing.absorb(keys, 10))).astype(np.float32),
        gap_days=gap.astype(np.float32),
    )


def first_favourite(params: Shoppers, n_brands: int, keys: hashing.Keys) -> I32:
    """The favourite brand that shoppers come with, (N,) in [0, n_brands), -1 none; arguments as for `traits`."""
    is_loyal = hashing.uniform(hashing.absorb(keys, 5)) < params.loyal_share
    favourite = hashing.integers(hashing.absorb(keys, 6), n_brands)
    return np.where(is_loyal, favourite, -1).astype(np.int32)


def segment_centres(params: Shoppers, world_seed: int, n_style: int) -> npt.NDArray[np.float64]:
    """The mean taste of each segment, (S, D); they belong to the market."""
    keys = hashing.absorb(hashing.stream(world_seed, "segment"), np.arange(params.n_segments))
    return params.segment_spread * hashing.normal(hashing.absorb(keys[:, None], np.arange(n_style)))


def _choose(u: npt.NDArray[np.float64], share: npt.NDArray[np.float64]) -> I64:
    """Index of the share that each uniform falls into."""
    edges = np.cumsum(share / share.sum())[:-1]
    return np.searchsorted(edges, u, side="right")

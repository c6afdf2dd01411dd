"""Step 1 of one row: twins of `world.begin` and `shoppers.traits`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.catalogue import F32, I32, I64
from simenv.compiled.asking import write_intent
from simenv.compiled.hashing import absorb, entry, integer, normal, place_among, uniform
from simenv.compiled.tables import Tables
from simenv.state import Draw

_RETURN = int(Draw.RETURN)


class Arrived(NamedTuple):
    """What `begin` fills: columns of a `State`, of its `Traits` and of its `Mind`."""

    key: hashing.Keys
    day: I32
    intent: I32
    locale: npt.NDArray[np.int8]
    device: npt.NDArray[np.int8]
    segment: I32
    taste: F32
    price_taste: F32
    favourite_brand: I32
    patience: F32
    gap_days: F32
    satiation: F32  # none yet


@entry
def begin(tables: Tables, streams: hashing.Keys, shoppers: I64, arrived: Arrived) -> None:
    """Twin of `world.begin` and `shoppers.traits`; `streams` holds the roots of luck and of traits."""
    n = tables.numbers[0]
    for i in range(len(shoppers)):
        key, own = absorb(streams[0], shoppers[i]), absorb(streams[1], shoppers[i])
        locale = place_among(tables.locale_edges, uniform(absorb(own, 0)))
        if uniform(absorb(own, 1)) < 0.5:
            segment = (2 * locale + integer(absorb(own, 3), 2)) % n.n_segments
        else:
            segment = integer(absorb(own, 2), n.n_segments)
        style = absorb(own, 4)
        for d in range(arrived.taste.shape[1]):
            arrived.taste[i, d] = tables.centres[segment, d] + n.taste_spread * normal(absorb(style, d))
        favourite = -1
        if uniform(absorb(own, 5)) < n.loyal_share:
            favourite = integer(absorb(own, 6), n.n_brands)
        arrived.key[i], arrived.locale[i], arrived.segment[i] = key, locale, segment
        arrived.favourite_brand[i] = favourite
        arrived.gap_days[i] = n.mean_gap_days * (0.4 + 1.2 * uniform(absorb(own, 7)))
        arrived.device[i] = place_among(tables.device_edges, uniform(absorb(own, 8)))
        arrived.price_taste[i] = 0.8 * normal(absorb(own, 9))
        arrived.patience[i] = 0.15 + 0.8 * uniform(absorb(own, 10))
        arrived.day[i] = integer(absorb(key, _RETURN), max(1, n.horizon_days // 4))
        write_intent(tables, key, (0, arrived.day[i], favourite), arrived.satiation, arrived.intent, i)

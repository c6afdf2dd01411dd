"""What the two kernels of a step fill: a page as it is looked at, and what came of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simenv.catalogue import F32, I32
from simenv.compiled.tables import F64, Bools, Places


class Shown(NamedTuple):
    """What a page is to the shoppers, (N, K + H) each; hidden. The last four columns are for click models in numpy.

    relevance, match: of the items. click: probability of a click at the place given the page.
    carted and purchased are False already, and are written into where something was clicked.
    chosen: (K + H,) and taste: (D,) are room to work in: some of the places or the items of one page, and the taste of
    one day.
    """

    items: I32
    relevance: F32
    match: F32
    examined: Bools
    clicked: Bools
    satisfied: Bools
    carted: Bools
    purchased: Bools
    click: F64
    attraction: F32
    satisfaction: F32
    u_examine: F64
    u_item: F64
    chosen: Places
    taste: F32


class After(NamedTuple):
    """What the page brought: columns of an `Outcome`, then those of the next `State`; all to be filled.

    The first six are those of `Shown` where the house has no places. What needs a click is 0 or False already, and is
    written into where there was one; the last clicks are those before the page already.
    """

    items: I32  # (N, K), and so the columns down to `returned`
    examined: Bools
    clicked: Bools
    satisfied: Bools
    carted: Bools
    purchased: Bools
    revenue: F64
    reward: F64
    expected: F64
    dwell: F32
    returned: Bools
    house_examined: Bools  # (N, H), and so the next four
    house_clicked: Bools
    house_carted: Bools
    house_purchased: Bools
    ad_revenue: F64
    ending: npt.NDArray[np.int8]
    session_over: Bools
    gone: Bools
    truncated: Bools
    visit: I32
    day: I32
    search: I32
    page: I32
    step: I32
    taste: F32
    favourite_brand: I32
    trust: F32
    satiation: F32
    recent: F32
    intent: I32
    shown: Bools
    history: F32
    history_weight: F32
    last_brand: I32
    recent_item: I32
    recent_bought: Bools
    recent_day: I32
    satisfaction: F32
    visit_satisfaction: F32

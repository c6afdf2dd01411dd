"""A fitted world recovers what was planted, and a mechanism that it lacks is flagged.

The planted world differs from the default one in sixteen numbers. Intervals are 95% ones; of sixteen sound ones more
than three miss with a chance of 0.7%, and none may miss by more than four standard errors. Of sound statistics one in
ten lies outside its 90% interval; as many of them go together, a quarter is allowed, which is where the page warns.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from policies.registry import named_policy
from scenarios.fit import FitSettings, fit_log
from scenarios.fitting.check import MOST_MUST_FIT
from scenarios.fitting.folder import Found
from scenarios.fitting.knobs import with_setting
from scenarios.progress import SilentProgress
from simenv.clicks import Cascade, PositionBased
from simenv.invented import category_shares
from simenv.language import load_lexicon
from simenv.log import write_log
from simenv.params import WorldParams
from simenv.play import shopper_range
from simenv.world import make_world
from simenv.worlds import WORLDS, load_world

pytestmark = pytest.mark.slow

DEFAULT = WORLDS["default"]
LEXICON = load_lexicon()
MIX = category_shares(DEFAULT.queries, LEXICON)[::-1] / category_shares(DEFAULT.queries, LEXICON).sum()
EXAMINATION = (1.0, 0.5, 0.3, 0.2, 0.12)
PLANTED = dataclasses.replace(
    DEFAULT,
    click_model=PositionBased(EXAMINATION),
    shoppers=dataclasses.replace(
        DEFAULT.shoppers,
        locale_share=(0.5, 0.1, 0.1, 0.1, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01),
        device_share=(0.2, 0.7, 0.1),
        mean_gap_days=5.0,
    ),
    attraction=dataclasses.replace(DEFAULT.attraction, base=-4.6, price=0.15, taste=0.5, popularity=0.4),
    dynamics=dataclasses.replace(DEFAULT.dynamics, page_down=0.8, reformulate=0.6),
    queries=dataclasses.replace(
        with_setting(DEFAULT, "queries.wants.size", 0.3).queries,
        misspelling_rate=0.2,
        category_share=tuple(MIX.tolist()),
    ),
)
TOLD = {
    "attraction.base": -4.6,
    "attraction.price": 0.15,
    "attraction.taste": 0.5,
    "shoppers.mean_gap_days": 5.0,
    "dynamics.page_down": 0.8,
    "dynamics.reformulate": 0.6,
    "attraction.popularity": 0.4,
    "queries.misspelling_rate": 0.2,
    "queries.wants.size": 0.3,
    f"queries.category_share[{LEXICON.categories[-1]}]": float(MIX[-1]),
    "shoppers.locale_share[en-GB]": 0.5,
    "shoppers.device_share[desktop]": 0.7,
    **{f"click_model.examination[{slot}]": EXAMINATION[slot - 1] for slot in range(2, 6)},
}


def fit_of(params: WorldParams, n_shoppers: int, settings: FitSettings, folder: Path) -> Found:
    market = make_world(params)
    policy = named_policy("production", market.catalogue.public())
    log = write_log(market, "planted", policy, 11, shopper_range(n_shoppers), folder / "log")
    return fit_log(log, folder / "fit", settings, SilentProgress())


def test_planted_parameters_lie_in_their_intervals_and_the_log_is_imitated(tmp_path: Path) -> None:
    found = fit_of(PLANTED, 2_000, FitSettings(draws=30), tmp_path)
    rows = {str(row["parameter"]): row for row in found.parameters}
    missed = {}
    for name, planted in TOLD.items():
        estimate, low, high = (float(str(rows[name][key])) for key in ("estimate", "low", "high"))
        assert not math.isnan(low), name
        if not low <= planted <= high:
            missed[name] = (planted, low, high)
        assert abs(planted - estimate) < 2.1 * max(high - estimate, estimate - low), (name, planted, low, high)
    assert len(missed) <= 3, missed
    inside = sum(row["flag"] == "inside" for row in found.statistics)
    assert inside >= MOST_MUST_FIT * len(found.statistics), found.finding
    assert load_world(str(tmp_path / "fit" / "world.toml")).params == found.params


def test_a_cascade_that_is_fitted_as_position_based_is_flagged(tmp_path: Path) -> None:
    cascade = dataclasses.replace(DEFAULT, click_model=Cascade(0.8))
    found = fit_of(cascade, 1_500, FitSettings(click_model="position-based", draws=20), tmp_path)
    flags = {row["statistic"]: row["flag"] for row in found.statistics}
    assert flags["pages with two clicks or more"] == "far outside"
    assert flags["click rate below a click"] == "far outside"
    assert "Do not take this world for the log's" in found.finding

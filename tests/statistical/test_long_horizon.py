"""Where bait is clicked and forgotten and only good buys bring shoppers back, looking further than the page pays."""

from __future__ import annotations

import dataclasses

import pytest

from policies.index_search import long_horizon_oracles, tune_pleasing
from policies.oracles import pleasing
from simenv.play import shopper_range
from simenv.truth import lives
from simenv.twins import difference
from simenv.world import World, make_world
from simenv.worlds import world_params


def faithful() -> World:
    """One page a visit; who is not satisfied does not come back; quality sells, bait draws clicks."""
    params = world_params("default")
    return make_world(
        dataclasses.replace(
            params,
            max_pages=1,
            shoppers=dataclasses.replace(params.shoppers, mean_gap_days=1.0),
            attraction=dataclasses.replace(params.attraction, bait=1.2, quality=0.0),
            conversion=dataclasses.replace(params.conversion, cart_base=-2.0, cart_quality=3.0, buy_base=4.0),
            dynamics=dataclasses.replace(
                params.dynamics, max_searches=1, return_base=0.0, return_gain=1.0, satisfaction_memory=0.5
            ),
        )
    )


@pytest.mark.slow
def test_long_horizon_oracles_beat_the_myopic_one_on_shoppers_they_were_not_tuned_on() -> None:
    """The index by four standard errors of twins; looking ahead from it loses nothing beyond four."""
    world = faithful()
    tuned = tune_pleasing(world, 1, shopper_range(800))
    assert tuned.weight > 0
    played = lives(world, {"oracle": pleasing(0.0), **long_horizon_oracles(world, tuned)}, 2, shopper_range(800))
    values = {name: life.per_shopper() for name, life in played.items()}
    gain = difference(values["oracle-index"], values["oracle"])
    print(f"weight {tuned.weight:.2f}: {gain.value / values['oracle'].value:+.1%} over the myopic oracle")
    assert gain.value > 4 * gain.stderr
    ahead = difference(values["oracle-long"], values["oracle-index"])
    print(f"looking ahead from it: {ahead.value:+.4f} +- {ahead.stderr:.4f}")
    assert ahead.value > -4 * ahead.stderr
    assert difference(values["oracle-long"], values["oracle"]).value > 0

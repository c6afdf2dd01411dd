"""Simulating a log: a world, a policy, shoppers, days."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from policies.registry import load_policy
from scenarios.progress import Progress
from simenv.log import write_log
from simenv.play import shopper_range
from simenv.world import make_world
from simenv.worlds import world_params


def simulate_log(
    world: str, policy: str, shoppers: int, days: int, out: Path, *, seed: int, progress: Progress
) -> Path:
    """Let shoppers search in a world under one policy for some days and write the log.

    Args:
        world: Name in WORLDS.
        policy: Registry name, saved model, or module:function.
        shoppers: How many.
        days: The horizon.
        out: The log's folder, to be made.
        seed: The shoppers' luck.
        progress: Told shoppers done.

    Raises:
        UserError: for unknown names, or where `out` exists.
    """
    params = world_params(world)
    params = dataclasses.replace(params, shoppers=dataclasses.replace(params.shoppers, horizon_days=days))
    market = make_world(params)
    ranker = load_policy(policy, market.catalogue.public(), params.n_slots)
    advance = progress.task("log the market", shoppers)
    return write_log(market, world, ranker, seed, shopper_range(shoppers), out, advance)

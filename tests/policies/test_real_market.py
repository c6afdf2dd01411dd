"""Policies in a real market, where items may have no colour and the catalogue's ids are its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from policies.baselines import Lexical
from policies.features import FeatureMap, features
from policies.public_oracle import fit_public_oracle
from policies.registry import load_policy
from simenv.play import shopper_range
from simenv.world import World, begin, observe
from simenv.worlds import load_world

HEADS = {
    "products.csv": "id,title,brand,category,price,colour\n",
    "queries.csv": "query\n",
    "market.toml": 'unjudged = "lexical"\n[products]\nfile = "products.csv"\ncolour = "colour"\n'
    '[queries]\nfile = "queries.csv"\n[world]\nn_candidates = 6\nn_slots = 3\n',
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Eight red or colourless lamps and tents."""
    rows = ""
    for i in range(8):
        colour, kind = ["", "red"][i % 2], ["lamp", "tent"][i // 4]
        rows += f"{i},{colour} {kind} {i},Alfa,{kind},{9 + i},{colour}\n"
    for name, text in HEADS.items():
        more = {"products.csv": rows, "queries.csv": "lamp\nred lamp\nred tent\n"}.get(name, "")
        (tmp_path / name).write_text(text + more, encoding="utf-8")
    return load_world(str(tmp_path / "market.toml"))


def test_an_item_without_colour_matches_no_query_without_colour(world: World) -> None:
    page = observe(world, begin(world, 3, shopper_range(200)))
    items = np.maximum(page.candidates, 0)
    named, has = page.query_terms[:, 2:3] >= 0, world.catalogue.colour[items] >= 0
    assert named.any()
    assert not named.all()
    assert (has.any(), has.all()) == (True, False)
    mapped = FeatureMap(world.catalogue.public())
    x = features(mapped, page, np.tile(np.arange(6), (200, 1)))
    assert np.array_equal(x[..., mapped.feature_names.index("colour_match")], (named & has).astype(np.float32))
    score = Lexical(world.catalogue.public()).score(page, None)
    without = Lexical(world.catalogue.public()).score(
        dataclasses.replace(page, query_terms=np.where(np.arange(7) == 2, -1, page.query_terms)), None
    )
    assert np.array_equal(score - without, 0.5 * (named & has))


def test_baselines_and_the_public_oracle_rank_a_real_market(world: World) -> None:
    page = observe(world, begin(world, 3, shopper_range(20)))
    for name in ("uniform", "popularity", "lexical", "production"):
        policy = load_policy(name, world.catalogue.public(), 3)
        assert policy.name == name
    uniform = load_policy("uniform", world.catalogue.public(), 3)
    oracle = fit_public_oracle(world, uniform, 3, shopper_range(50), epochs=1)
    assert np.isfinite(oracle.score(page, None)).all()

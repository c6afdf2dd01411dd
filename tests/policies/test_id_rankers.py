"""Networks that read ids: what they are told, what repeats, and what the towers can be asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from policies.examples import Examples
from policies.id_tables import COLUMNS, IdTables
from policies.network_ranker import NetworkRanker
from policies.registry import new_learner
from policies.searches import of_page
from policies.two_tower import TwoTower
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.play import Step

NAMES = ("two-tower", "cross", "position-aware")


def stepped(name: str, catalogue: PublicCatalogue, batches: list[Examples], seed: int = 0) -> NetworkRanker:
    """A ranker that has only learned as it goes, which is quick."""
    learner = new_learner(name, catalogue, 3, seed)
    for batch in batches:
        learner.update(batch)
    assert isinstance(learner, NetworkRanker)
    return learner


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    batches, page = [take(seen, slice(at, at + 100)) for at in (0, 100)], take(steps.page, slice(0, 20))
    first, again, other = (stepped(name, catalogue, batches, seed).score(page, None) for seed in (0, 0, 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_second_delivery_teaches_nothing(name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    batch, page = take(seen, slice(0, 100)), take(steps.page, slice(0, 20))
    once, twice = stepped(name, catalogue, [batch]), stepped(name, catalogue, [batch, batch])
    assert once.n_searches == twice.n_searches == 100
    assert once.score(page, None).tobytes() == twice.score(page, None).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_examples_without_pages_are_refused(name: str, seen: Examples, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match=f"policy '{name}' learns from ids"):
        stepped(name, catalogue, [dataclasses.replace(seen, page=None)])


def test_a_gain_below_nothing_is_refused(seen: Examples, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match=r"gain is -1\.0; expected 0 or more"):
        stepped("position-aware", catalogue, [dataclasses.replace(seen, gain=-np.ones_like(seen.reward))])


def test_a_shared_set_of_candidates_is_scored_by_one_product(
    seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """The table of all items times the searches' vectors; equal up to float32 sums of 100 numbers."""
    learner = stepped("two-tower", catalogue, [take(seen, slice(0, 200))])
    net, page = learner.net, take(steps.page, slice(0, 30))
    assert isinstance(net, TwoTower)
    with torch.no_grad():
        vectors, _ = net.search_vectors(of_page(learner.feature_map, page, torch.device("cpu")))
        scores = (vectors @ net.item_table().T).numpy()
    picked = np.take_along_axis(scores, np.maximum(page.candidates, 0).astype(np.int64), axis=1)
    here = page.candidates >= 0
    np.testing.assert_allclose(picked[here], learner.score(page, None)[here], rtol=1e-5, atol=1e-5)


def test_words_and_items_of_one_meaning_share_a_row_and_strangers_have_none(catalogue: PublicCatalogue) -> None:
    tables = IdTables(catalogue, 4, 1.0, torch.Generator().manual_seed(0))
    item = torch.arange(50)
    own = np.stack([getattr(catalogue, name)[:50] for name in COLUMNS], axis=1)
    assert torch.equal(tables.words(torch.from_numpy(own).long()), tables.items(item))
    assert torch.equal(tables.brand(torch.from_numpy(own[:, 1]).long()), tables.items(item)[:, 1])
    strange = tables.words(torch.tensor([[-1] * len(COLUMNS), [10_000] * len(COLUMNS)]))
    assert not strange.any()
    rows = {tuple(tables.items(item)[:, t].unique(dim=0)[0].tolist()) for t in range(len(COLUMNS))}
    assert len(rows) == len(COLUMNS)

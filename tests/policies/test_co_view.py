"""Co-view: counts that can be made by hand, in any order, and scores that follow from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from policies.co_view import CoView
from policies.examples import Examples
from policies.registry import new_learner
from simenv.catalogue import PublicCatalogue
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.play import Step


def taught(catalogue: PublicCatalogue, batches: list[Examples], weight: float = 3.0) -> CoView:
    learner = new_learner("co-view", catalogue, 3, 0, settings={"weight": weight})
    assert isinstance(learner, CoView)
    for batch in batches:
        learner.update(batch)
    return learner


def test_pairs_are_counted_as_by_hand(seen: Examples, catalogue: PublicCatalogue) -> None:
    """Last clicks before the click, and the other clicks of its page."""
    some = take(seen, slice(0, 400))
    counted: dict[int, int] = {}
    assert some.item is not None
    assert some.page is not None
    for row in range(400):
        clicked = [int(item) for item, click in zip(some.item[row], some.reward[row], strict=True) if click]
        for b in clicked:
            for a in [*some.page.recent[row].tolist(), *[other for other in clicked if other != b]]:
                if a >= 0 and a != b:
                    key = a * len(catalogue.category) + b
                    counted[key] = counted.get(key, 0) + 1
    found = taught(catalogue, [some])
    assert dict(zip(found.pair.tolist(), found.count.tolist(), strict=True)) == counted
    assert len(counted) > 30


def test_neither_order_nor_batches_nor_repeats_change_a_byte(
    seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    parts = [take(seen, slice(at, at + 150)) for at in range(0, 600, 150)]
    whole, turned = taught(catalogue, [join(parts)]), taught(catalogue, [*parts[::-1], parts[0]])
    assert whole.n_searches == turned.n_searches == 600
    for name, value in whole.tensors().items():
        assert value.tobytes() == turned.tensors()[name].tobytes()
    page = take(steps.page, slice(0, 50))
    assert whole.score(page, None).tobytes() == turned.score(page, None).tobytes()


def test_what_was_clicked_together_is_ranked_up(seen: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    """For the shopper who clicked the one, and by weight / (sqrt(c_a c_b) + damping) of a pair seen once."""
    learner, plain = taught(catalogue, [seen]), taught(catalogue, [seen], weight=0.0)
    pair = int(learner.pair[np.argmax(learner.count)])
    a, b = divmod(pair, learner.n_items)
    page = take(steps.page, slice(0, 1))
    recent = np.where(np.arange(8) == 0, a, -1)[None].astype(np.int32)
    page = dataclasses.replace(page, candidates=np.full_like(page.candidates, b), recent=recent)
    gain = learner.score(page, None) - plain.score(page, None)
    from_a = learner.count[learner.pair // learner.n_items == a].sum()
    to_b = learner.count[learner.pair % learner.n_items == b].sum()
    np.testing.assert_allclose(gain, 3.0 * learner.count.max() / (np.sqrt(from_a * to_b) + 3.0), rtol=1e-5)


def test_standing_high_is_not_popularity(seen: Examples, catalogue: PublicCatalogue) -> None:
    """Two items with the rate of their slots, one always first and one always last, are as popular as each other."""
    item = np.tile(np.array([[0, 1, 2]], dtype=np.int32), (len(seen), 1))
    row = np.arange(len(seen))
    reward = np.stack([row % 2 == 0, row % 4 == 0, row % 8 == 0], axis=1).astype(np.float32)
    learner = taught(catalogue, [dataclasses.replace(seen, item=item, reward=reward, shown=np.ones_like(seen.shown))])
    assert np.abs(learner.popularity()[:3]).max() < 1e-12


def test_counts_that_are_none_are_refused(seen: Examples, catalogue: PublicCatalogue) -> None:
    held = taught(catalogue, [seen]).tensors()
    for name, value in (("pair", held["pair"][::-1]), ("count", held["count"][:-1]), ("clicks", held["clicks"][:5])):
        with pytest.raises(ValueError, match=r"no counts of pairs|has shape"):
            taught(catalogue, []).restore(held | {name: value})
    with pytest.raises(UserError, match="needs examples with their pages"):
        taught(catalogue, [dataclasses.replace(seen, page=None)])

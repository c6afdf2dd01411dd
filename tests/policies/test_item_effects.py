"""What an item adds of its own to a neural bandit: found where it is planted, shrunk where little is known."""

from __future__ import annotations

import numpy as np
import pytest

from policies.examples import Examples
from policies.exploration.estimates import Needs
from policies.neural import NEURAL_LINEAR
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.play import Step

SETTINGS = {"item_effects": True, "learning_rate": 8e-3, "epochs": 10, "batch": 512}


def test_a_planted_effect_of_items_is_found_and_of_unseen_ones_there_is_none(
    steps: Step, seen: Examples, catalogue: PublicCatalogue
) -> None:
    """10,000 searches of 20 items that look alike, half of which are clicked more.

    Each item is looked at 1,500 times, so its click rate is good to 1.2% and the order of .2 and .5 is certain.
    """
    rng = np.random.default_rng(0)
    item = rng.integers(0, 20, (10_000, 3)).astype(np.int32)
    x = np.broadcast_to(seen.features[:1, :1], (10_000, 3, seen.features.shape[2])).copy()
    click = (rng.random(item.shape) < np.where(item < 10, 0.5, 0.2)).astype(np.float32)
    learner = NEURAL_LINEAR.empty(catalogue, 3, SETTINGS)
    learner.update(
        Examples(x, click, np.ones(item.shape, dtype=bool), item=item, id=np.arange(10_000, dtype=np.uint64))
    )
    learner.finish()
    effect = learner.net.own()[0].detach().numpy()[:, 0]
    assert effect[:10].min() > effect[10:20].max()
    assert np.all(effect[20:] == 0.0)
    page = take(steps.page, slice(0, 20))
    assert np.isfinite(learner.score(page, None)).all()
    restored = NEURAL_LINEAR.empty(catalogue, 3, SETTINGS)
    restored.restore(learner.tensors())
    assert restored.score(page, None).tobytes() == learner.score(page, None).tobytes()
    drawn = learner.estimates(page, None, Needs(spread=True, n_draws=200))
    error = np.abs(drawn.draws_of("it").mean(axis=1) - drawn.scores) / np.maximum(drawn.spread_of("it"), 1e-6)
    assert error[drawn.here].max() < 6 / np.sqrt(200)  # draws are about the score that items add to, too


def test_without_the_setting_nothing_changes_and_with_it_items_must_be_told(
    seen: Examples, catalogue: PublicCatalogue
) -> None:
    plain = NEURAL_LINEAR.empty(catalogue, 3, {})
    assert not plain.net.own()
    assert not any(name.startswith("item") for name in plain.tensors())
    with pytest.raises(UserError, match="which items were shown"):
        NEURAL_LINEAR.empty(catalogue, 3, SETTINGS).update(
            Examples(seen.features[:10], seen.reward[:10], seen.shown[:10])
        )

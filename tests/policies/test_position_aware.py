"""The position-aware ranker: slots and trust are told from attraction, and a click from what it is worth."""

from __future__ import annotations

import numpy as np
import torch

from policies.examples import Examples
from policies.network_ranker import NetworkRanker
from policies.position_aware import PositionAware
from policies.registry import new_learner
from policies.searches import of_page
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.play import Step

V, T = np.array([1.0, 0.8, 0.5]), np.array([0.4, 0.2, 0.0])


def planted(seen: Examples, n: int, worth: float) -> Examples:
    """Searches whose items stand in random slots: attraction from two features, gains where another is above 0.

    Items of their own have nothing: all are item 0. A click is worth 1, or 1 + `worth`.
    """
    rng = np.random.default_rng(0)
    flat = seen.features.reshape(-1, seen.features.shape[2])
    x = flat[rng.integers(0, len(flat), (n, 3))]
    attraction = 1 / (1 + np.exp(-(2 * x[:, :, 7] + 2 * x[:, :, 0] - 1.5)))
    click = (rng.random((n, 3)) < V * (T + (1 - T) * attraction)).astype(np.float32)
    gain = click * (1 + worth * (x[:, :, 9] > 0)).astype(np.float32)
    everywhere, page = np.ones((n, 3), dtype=bool), take(seen.page, np.arange(n) % len(seen))  # type: ignore[type-var]
    return Examples(x, click, everywhere, item=np.zeros((n, 3), np.int32), gain=gain, page=page)


def taught(catalogue: PublicCatalogue, examples: Examples, trust: bool = True) -> NetworkRanker:
    learner = new_learner("position-aware", catalogue, 3, 0, settings={"trust": trust})
    learner.update(examples)
    learner.finish()
    assert isinstance(learner, NetworkRanker)
    return learner


def test_planted_slots_and_trust_are_found_and_worth_beside_them(
    seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """20,000 searches. Clicks at a slot are good to 1%; v and t stand at the ends of attraction, where there is less
    of it, and the network is flexible: .06. Of the step in worth it makes a slope: .3. Without the correction the last
    slot is taken for unseen.
    """
    examples = planted(seen, 20_000, worth=3.0)
    learner = taught(catalogue, examples)
    net = learner.net
    assert isinstance(net, PositionAware)
    with torch.no_grad():
        log_v, trust = net.slots()
        searches = of_page(learner.feature_map, steps.page, torch.device("cpu"))
        log_gain, score = net.log_gain(searches), net.score(searches)
        expected = torch.nn.functional.logsigmoid(net.log_odds(searches)) + log_gain
    assert np.abs(log_v.exp().numpy() - V).max() < 0.06
    assert np.abs(trust.numpy() - T).max() < 0.06
    assert torch.equal(score, expected)
    dear = searches.x[..., 9] > 0
    assert abs(float(log_gain[dear].mean()) - np.log(4)) < 0.3
    assert abs(float(log_gain[~dear].mean())) < 0.3
    blind = taught(catalogue, examples, trust=False).net
    assert isinstance(blind, PositionAware)
    assert float(blind.slots()[0][2].exp().detach()) < 0.43


def test_where_the_gain_is_the_click_worth_stays_at_nothing(
    seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    learner = new_learner("position-aware", catalogue, 3, 0)
    learner.update(seen)
    assert isinstance(learner, NetworkRanker)
    net = learner.net
    assert isinstance(net, PositionAware)
    with torch.no_grad():
        assert not net.log_gain(of_page(learner.feature_map, steps.page, torch.device("cpu"))).any()

"""Features against a plain reference, one candidate at a time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from policies import features as module
from policies.features import N_LOCALES, FeatureMap, features, page_tensors
from policies.linear import LinearBandit
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.play import Step
from simenv.world import Page


def reference(catalogue: PublicCatalogue, page: Page, row: int, place: int) -> dict[str, float]:
    """Features of one candidate by name, in plain Python."""
    item = int(page.candidates[row, place])
    category, brand, colour = (int(term) for term in page.query_terms[row, :3])
    department = dict(zip(catalogue.category.tolist(), catalogue.department.tolist(), strict=True))
    same = catalogue.category == catalogue.category[item]
    discount = float(page.discount[row, place]) / max(np.log(catalogue.price[same].astype(np.float64)).std(), 0.05)
    history, weight = page.history[row].astype(np.float64), float(page.history_weight[row])
    style, price = catalogue.style[item].astype(np.float64), float(catalogue.price_z[item]) + discount
    fit, sure = float(style @ history[:-1]), weight / (weight + 5.0)
    made = {
        "category_match": catalogue.category[item] == category,
        "department_match": department.get(category) == catalogue.department[item],
        "category_unknown": category < 0,
        "brand_match": catalogue.brand[item] == brand,
        "brand_other": brand >= 0 and catalogue.brand[item] != brand,
        "colour_match": catalogue.colour[item] == colour,
        "colour_other": colour >= 0 and catalogue.colour[item] != colour,
        "popularity": catalogue.popularity[item],
        "rating": catalogue.rating[item] - 3.7,
        "price": price,
        "price_squared": price**2,
        "last_brand_match": catalogue.brand[item] == page.last_brand[row],
        "style_fit": fit,
        "price_gap": abs(price - history[-1]),
        "style_fit_sure": fit * sure,
        "history_sure": sure,
        "engine_rank": place / 50,
        "later_page": page.page[row] > 0,
        "asked_again": page.search[row] > 0,
    }
    made |= {f"style_{d}": value for d, value in enumerate(style)}
    made |= {f"history_{d}": value for d, value in enumerate(history)}
    made |= {f"locale_{i}": page.locale[row] == i for i in range(N_LOCALES)}
    made |= {f"device_{i}": page.device[row] == i for i in range(3)}
    return {name: float(value) for name, value in made.items()}


@pytest.mark.parametrize("depth", [0.0, 0.4])
def test_features_are_what_their_names_say(steps: Step, catalogue: PublicCatalogue, depth: float) -> None:
    """Every 97th page, all candidates, at the catalogue's prices and at others; float32 sums agree to 1e-5."""
    feature_map = FeatureMap(catalogue)
    page = take(steps.page, np.arange(0, len(steps.page), 97))
    changes = -depth * np.random.default_rng(0).random(page.candidates.shape)
    page = dataclasses.replace(page, discount=changes.astype(np.float32))
    assert (page.query_terms < 0).any()
    assert (page.history_weight > 0).any()
    made = features(feature_map, page, np.tile(np.arange(8), (len(page), 1)))
    for row, place in np.argwhere(page.candidates >= 0):
        expected = reference(catalogue, page, int(row), int(place))
        assert tuple(expected) == feature_map.feature_names
        assert np.allclose(made[row, place], list(expected.values()), atol=1e-5), (row, place)


def test_features_of_positions_are_rows_of_all_features(steps: Step, catalogue: PublicCatalogue) -> None:
    """A hole or an empty slot reads as the first item, and is finite: it is masked, not computed around."""
    feature_map = FeatureMap(catalogue)
    page = take(steps.page, steps.page.page > 0)
    assert (page.candidates < 0).any()
    with torch.no_grad():
        whole = feature_map(page_tensors(page)).numpy()
    slate = steps.decision.slate[steps.page.page > 0]
    made = features(feature_map, page, slate)
    at = np.maximum(slate, 0)[:, :, None].astype(np.int64)
    assert np.allclose(made, np.take_along_axis(whole, at, axis=1), atol=1e-5)  # sums in another order
    assert np.isfinite(whole).all()
    assert np.allclose(features(feature_map, page, np.full((len(page), 1), -1))[:, 0], whole[:, 0], atol=1e-5)


def test_scores_do_not_depend_on_the_chunk(
    steps: Step, catalogue: PublicCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = LinearBandit(catalogue, 3, alpha=1.0)
    learner.moment = np.linspace(-1, 1, len(learner.moment))
    page = take(steps.page, slice(0, 300))
    whole = learner.score(page, None)
    monkeypatch.setattr("policies.linear.CHUNK", 7)
    assert np.allclose(learner.score(page, None), whole, atol=1e-6)
    assert module.CHUNK < 10_000


def test_a_query_may_name_a_category_that_the_catalogue_does_not_sell(steps: Step, catalogue: PublicCatalogue) -> None:
    """It matches no department; a small shop's catalogue has gaps below and above its own categories."""
    kept = (catalogue.category % 2 == 1) & (catalogue.category < 14)
    small = PublicCatalogue(**{name: value[kept] for name, value in vars(catalogue).items()})
    page = take(steps.page, slice(0, 200))
    page = dataclasses.replace(page, candidates=page.candidates % int(kept.sum()))
    names = FeatureMap(small).feature_names
    made = features(FeatureMap(small), page, np.zeros((200, 1)))
    sold = np.isin(page.query_terms[:, 0], small.category)
    assert (~sold & (page.query_terms[:, 0] >= 0)).any()
    assert (made[~sold, 0, names.index("department_match")] == 0).all()
    assert (made[sold, 0, names.index("department_match")] == 1).any()

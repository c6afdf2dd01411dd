"""Settings of learners, and what personalisation is."""

import dataclasses

import numpy as np
import pytest

from policies.examples import Examples, in_features_of
from policies.features import FeatureMap, features
from policies.registry import POLICIES, new_learner
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.play import Step

BANDITS = [name for name, entry in POLICIES.items() if entry.learns and not entry.trained_by]


@pytest.mark.parametrize("name", [name for name, entry in POLICIES.items() if entry.learns])
def test_an_unknown_setting_is_refused_by_name(name: str, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match=rf"policy '{name}' has no setting 'lambda'; expected "):
        new_learner(name, catalogue, 3, 0, settings={"lambda": 1})


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("linear", {"alpha": "much"}, "'alpha' is 'much'; expected a number"),
        ("linear", {"session": 3}, "'session' is 3; expected a name or a folder"),
        ("neural-ucb", {"hidden": 64}, "'hidden' is 64; expected a list"),
        ("neural-ucb", {"epochs": 2.5}, "'epochs' is 2.5; expected a whole number"),
        ("lambdamart", {"trees": True}, "'trees' is True; expected a whole number"),
        ("co-view", {"personal": "no"}, "'personal' is 'no'; expected true or false"),
    ],
)
def test_a_setting_of_another_kind_is_refused_before_training(
    name: str, settings: dict[str, object], message: str, catalogue: PublicCatalogue
) -> None:
    with pytest.raises(UserError, match=f"policy '{name}': setting {message}"):
        new_learner(name, catalogue, 3, 0, settings=settings)


HEAVY = ("ensemble", "two-tower", "cross", "position-aware", "pl-gradient", "neural-ts", "neural-ucb")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in BANDITS]
)
def test_without_personalisation_a_shoppers_past_changes_nothing(
    name: str, seen: Examples, steps: Step, catalogue: PublicCatalogue
) -> None:
    """And with it, it does: the same pages with the history of others."""
    others = dataclasses.replace(
        steps.page,
        history=steps.page.history[::-1].copy(),
        history_weight=steps.page.history_weight[::-1].copy(),
        last_brand=steps.page.last_brand[::-1].copy(),
        recent=steps.page.recent[::-1].copy(),
    )
    for personal in (True, False):
        learner = new_learner(name, catalogue, 3, 0, settings={"personal": personal})
        learner.update(in_features_of(learner.feature_map, seen))
        learner.finish()
        same = np.array_equal(learner.score(steps.page, None), learner.score(others, None))
        assert same is not personal
        assert learner.settings["personal"] is personal


def test_features_of_the_past_are_left_out_whole(steps: Step, catalogue: PublicCatalogue) -> None:
    whole, blind = FeatureMap(catalogue), FeatureMap(catalogue, personal=False)
    kept = [whole.feature_names.index(name) for name in blind.feature_names]
    assert not any("history" in name or name.startswith("style_fit") for name in blind.feature_names)
    slate = steps.decision.slate
    assert np.array_equal(features(blind, steps.page, slate), features(whole, steps.page, slate)[..., kept])


def test_examples_without_pages_cannot_change_their_features(seen: Examples, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="without their pages"):
        in_features_of(FeatureMap(catalogue, personal=False), dataclasses.replace(seen, page=None))

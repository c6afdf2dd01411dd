"""LambdaMART: it learns an order, needs LightGBM only to learn, and says so where it is missing."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from policies.examples import Examples
from policies.learning import Learner
from policies.persistence import MODEL_FILE, LearnedFrom, load_model, save_model
from policies.registry import new_learner
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.play import Step

pytest.importorskip("lightgbm", reason="LambdaMART is trained by LightGBM")


def taught(catalogue: PublicCatalogue, examples: Examples, label: str = "clicks") -> Learner:
    learner = new_learner("lambdamart", catalogue, 3, 0, settings={"label": label, "leaf_size": 20})
    learner.update(examples)
    learner.finish()
    return learner


def test_it_puts_first_what_is_clicked(seen: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    """Every click on the dearest shown item: scores of candidates then go with the price inside a page."""
    price = seen.features[..., 9]
    planted = (price == np.where(seen.shown, price, -9.0).max(axis=1, keepdims=True)) & seen.shown
    learner = taught(catalogue, dataclasses.replace(seen, reward=planted.astype(np.float32)))
    scores = learner.score(steps.page, None)
    dear = catalogue.price_z[np.maximum(steps.page.candidates, 0)]
    varied = (scores.std(axis=1) > 0) & (steps.page.candidates >= 0).all(axis=1)
    within = [np.corrcoef(s, d)[0, 1] for s, d in zip(scores[varied], dear[varied], strict=True)]
    assert varied.mean() > 0.5
    assert np.mean(within) > 0.8


def test_gains_grade_clicks(seen: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    gain = seen.reward * (seen.features[..., 9] > 0)
    paid = dataclasses.replace(seen, gain=gain.astype(np.float32))
    by_clicks, by_gain = (taught(catalogue, paid, label).score(steps.page, None) for label in ("clicks", "gain"))
    assert not np.array_equal(by_clicks, by_gain)
    with pytest.raises(UserError, match="label is 'revenue'; expected one of clicks, gain"):
        new_learner("lambdamart", catalogue, 3, 0, settings={"label": "revenue"})


def test_training_twice_gives_the_same_bytes(seen: Examples, steps: Step, catalogue: PublicCatalogue) -> None:
    first, again = (taught(catalogue, seen).score(steps.page, None).tobytes() for _ in range(2))
    assert first == again


def test_without_lightgbm_it_ranks_and_says_what_training_needs(
    trained: dict[str, Learner], tmp_path: Path, steps: Step, seen: Examples, catalogue: PublicCatalogue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = save_model(trained["lambdamart"], tmp_path / "model", 3, LearnedFrom("", "", 1, None, 1), {})
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    policy = load_model(folder, catalogue, 3)
    assert np.array_equal(policy.scorer.score(steps.page, None), trained["lambdamart"].score(steps.page, None))
    with pytest.raises(UserError, match=r"pip install 'slatelab\[trees\]'"):
        taught(catalogue, seen)


def test_saved_trees_that_are_none_are_refused(
    trained: dict[str, Learner], tmp_path: Path, catalogue: PublicCatalogue
) -> None:
    """A loop among the nodes would never end, and a leaf that is not there would be read beside the array."""
    folder = save_model(trained["lambdamart"], tmp_path / "model", 3, LearnedFrom("", "", 1, None, 1), {})
    for name, value in (("left", 0), ("right", -1000), ("feature", 10_000)):
        held = load_file(folder / MODEL_FILE)
        held[name] = held[name].copy()
        held[name][0, 0] = value
        save_file(held, folder / MODEL_FILE)
        with pytest.raises(UserError, match=r"is damaged or of another shape \((left|right|feature)"):
            load_model(folder, catalogue, 3)


def test_examples_of_nobody_are_refused(seen: Examples, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="needs examples with their pages"):
        taught(catalogue, dataclasses.replace(seen, page=None))

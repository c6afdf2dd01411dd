"""Export to ONNX: every registered learner gives the same probabilities and slates there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies import plackett_luce
from policies.examples import Examples, in_features_of
from policies.exploration.registry import EXPLORATIONS, exploration
from policies.learning import Learner
from policies.ranking import RankingPolicy
from policies.registry import POLICIES, named_policy, new_learner
from policies.rllib.slate_optimisers import OPTIMISERS
from policies.shipping.learners import EXPORTS
from policies.shipping.onnx_export import OUTPUTS, compare, export_policy, feeds, onnx_bytes, session
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.play import Step
from simenv.world import Page

LEARNERS = [name for name, entry in POLICIES.items() if entry.learns]
CARD = {"kind": "it"}


def policy_of(name: str, trained: dict[str, Learner]) -> RankingPolicy:
    """A trained learner as the registry has it played."""
    return RankingPolicy(name, trained[name], POLICIES[name].temperature, POLICIES[name].floor)


def test_every_learner_is_exported() -> None:
    assert set(EXPORTS) == set(LEARNERS)


@pytest.mark.parametrize("name", LEARNERS)
def test_an_export_shows_what_the_policy_shows(
    name: str, tmp_path: Path, trained: dict[str, Learner], steps: Step
) -> None:
    """On every page of 600 shoppers; in one run, and page by page for some."""
    policy, out = policy_of(name, trained), tmp_path / "it.onnx"
    checked = export_policy(policy, 3, CARD, out, steps.page)
    assert checked.pages == len(steps.page)
    assert checked.probability_error <= 1e-5
    assert checked.inputs.keys() == feeds(policy, steps.page).keys()
    if EXPORTS[name].reads_features:
        assert checked.inputs["features"][1:] == ["C", len(trained[name].feature_map.feature_names)]
    run = session(out.read_bytes())
    assert json.loads(run.get_modelmeta().custom_metadata_map["slatelab_card"]) == CARD
    for row in range(3):
        compare(policy, out.read_bytes(), 3, take(steps.page, slice(row, row + 1)))
    assert [path.name for path in tmp_path.iterdir()] == ["it.onnx"]


@pytest.mark.parametrize("name", ["linear", "linear-disjoint", "logistic", "neural-linear", "neural-ucb", "ensemble"])
def test_a_bound_is_exported_too(
    name: str, trained: dict[str, Learner], catalogue: PublicCatalogue, steps: Step
) -> None:
    """The same state with alpha above 0: its bonus moves the scores, and the graph's with them."""
    kind = trained[name]
    bold = new_learner(name, catalogue, 3, 1, settings={**kind.settings, "alpha": 1.7})
    bold.restore(kind.tensors())
    page = take(steps.page, slice(0, 200))
    assert np.abs(bold.score(page, None) - kind.score(page, None)).max() > 1e-3
    policy = RankingPolicy(name, bold, 0.3, 0.02)
    assert compare(policy, onnx_bytes(policy, 3, CARD), 3, page).probability_error < 1e-5


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("neural-linear", {"item_effects": True}),
        ("neural-linear", {"item_effects": True, "alpha": 1.0}),
        ("two-tower", {"personal": False, "item_ids": False}),
        ("position-aware", {"value": False}),
        ("position-aware", {"trust": False, "item_ids": False}),
        ("co-view", {"personal": False}),
    ],
)
def test_a_ranker_that_reads_ids_is_exported_with_every_setting(
    name: str, settings: dict[str, Any], catalogue: PublicCatalogue, seen: Examples, steps: Step
) -> None:
    learner = new_learner(name, catalogue, 3, 1, settings=settings)
    learner.update(in_features_of(learner.feature_map, take(seen, slice(0, None, 4))))
    learner.finish()
    policy = RankingPolicy(name, learner, 0.1, 1e-4)
    compare(policy, onnx_bytes(policy, 3, CARD), 3, take(steps.page, slice(0, 500)))


@pytest.mark.parametrize("name", [name for name in LEARNERS if "item" in EXPORTS[name].inputs])
def test_ids_that_nobody_knows_and_a_past_of_nothing_are_the_same(
    name: str, trained: dict[str, Learner], steps: Step
) -> None:
    """Words and a brand beyond the catalogue's, and pages that tell no last clicks; items that are turned round."""
    policy, page = policy_of(name, trained), take(steps.page, slice(0, 50))
    content = onnx_bytes(policy, 3, CARD)
    compare(policy, content, 3, dataclasses.replace(page, query_terms=page.query_terms + 10_000))
    compare(policy, content, 3, dataclasses.replace(page, last_brand=np.full_like(page.last_brand, 10_000)))
    compare(policy, content, 3, dataclasses.replace(page, recent=page.recent[:, :0]))
    fed = feeds(policy, page)
    turned = fed | {"item": fed["item"][:, ::-1].copy()}
    run = session(content)
    assert not np.array_equal(run.run(["scores"], turned)[0], run.run(["scores"], fed)[0])


@pytest.mark.parametrize("name", list(EXPLORATIONS))
def test_a_scheme_that_reads_scores_is_in_the_graph(name: str, trained: dict[str, Learner], steps: Step) -> None:
    policy = RankingPolicy("linear", trained["linear"], exploration=exploration(name))
    if name in ("softmax", "plackett-luce", "epsilon-greedy", "squarecb"):
        checked = compare(policy, onnx_bytes(policy, 3, CARD), 3, steps.page)
        assert checked.pages == len(steps.page)
    else:
        with pytest.raises(UserError, match="which reads spreads or posterior draws"):
            onnx_bytes(policy, 3, CARD)


@pytest.mark.parametrize(("temperature", "floor"), [(0.0, 0.0), (0.03, 0.0), (5.0, 0.3)])
def test_greedy_sharp_and_flat_policies_are_the_same(
    temperature: float, floor: float, trained: dict[str, Learner], steps: Step
) -> None:
    policy = RankingPolicy("logistic", trained["logistic"], temperature, floor)
    compare(policy, onnx_bytes(policy, 3, CARD), 3, steps.page)


def with_candidates(page: Page, candidates: np.ndarray) -> Page:
    """The same searches with other candidates."""
    discount = np.zeros(candidates.shape, dtype=np.float32)
    return dataclasses.replace(page, candidates=candidates.astype(np.int32), discount=discount)


@pytest.mark.parametrize("serve", OPTIMISERS)
def test_slateqs_search_for_the_best_slate_is_in_the_graph(
    serve: str, trained: dict[str, Learner], catalogue: PublicCatalogue, steps: Step
) -> None:
    """Thousands of pages as they are, with holes, with nothing, and with fewer candidates than slots.

    Both compute in float64 from the same float32 features, so that scores differ by a rounding to float32 at most:
    6e-8 of their size, which is below sqrt(8).
    """
    learner = new_learner("slateq", catalogue, 3, 1, settings={"serve": serve})
    learner.restore(trained["slateq"].tensors())
    policy, greedy = RankingPolicy("slateq", learner, 0.3, 1e-4), RankingPolicy("slateq", learner, 0.0)
    content, of_greedy = (onnx_bytes(each, 3, CARD) for each in (policy, greedy))
    rng, rows = np.random.default_rng(0), steps.page.candidates.copy()
    rows[rng.random(rows.shape) < 0.5] = -1
    rows[:3] = -1
    narrow = with_candidates(steps.page, rows[:, :2])
    for page in (steps.page, with_candidates(steps.page, rows), narrow):
        checked = compare(policy, content, 3, page)
        assert checked.pages > 1000
        assert checked.score_error < 2e-7
        assert checked.other_slates == compare(greedy, of_greedy, 3, page).other_slates == 0


@pytest.mark.parametrize("greedy", [False, True])
def test_holes_ties_and_short_lists_are_the_same(greedy: bool, trained: dict[str, Learner], steps: Step) -> None:
    """A page of nothing, one of a single item, one of a single item eight times, and fewer candidates than slots."""
    one = RankingPolicy("linear", trained["linear"], 0.0 if greedy else 0.05, 0.0 if greedy else 0.1)
    page = take(steps.page, slice(0, 3))
    content = onnx_bytes(one, 3, CARD)
    rows = np.full((3, 8), -1)
    rows[1, 4] = 17
    rows[2] = 17
    # The features tell the engine's rank; leave it out, so that equal items tie.
    strange = with_candidates(page, rows)
    scores, p, slate = session(content).run(list(OUTPUTS), feeds(one, strange))
    assert np.isneginf(scores[0]).all()
    assert p[0].tolist() == [0.0] * 8
    assert p[1].tolist() == [0.0] * 4 + [1.0] + [0.0] * 3
    assert slate[:2].tolist() == [[-1, -1, -1], [4, -1, -1]]
    compare(one, content, 3, strange)
    compare(one, content, 3, with_candidates(page, rows[:, :2]))
    tied = feeds(one, strange) | {"features": np.zeros((3, 8, scores_width(one)), dtype=np.float32)}
    _, p, slate = session(content).run(list(OUTPUTS), tied)
    assert slate[2].tolist() == plackett_luce.top(np.zeros((1, 8), dtype=np.float32), 3)[0].tolist() == [0, 1, 2]
    assert p[2].tolist() == ([1.0] + [0.0] * 7 if greedy else pytest.approx([0.125] * 8))


def scores_width(policy: RankingPolicy) -> int:
    made: Any = policy.scorer
    return len(made.feature_map.feature_names)


def test_a_graph_that_is_not_the_policys_is_refused(
    tmp_path: Path, trained: dict[str, Learner], steps: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's weights, an order that is turned, and probabilities that forget the floor; no file is left."""
    policy = policy_of("linear", trained)
    right = onnx_bytes(policy, 3, CARD)
    with pytest.raises(UserError, match="gives a probability that differs by"):
        compare(policy, onnx_bytes(policy_of("logistic", trained), 3, CARD), 3, steps.page)
    with pytest.raises(UserError, match="gives a probability that differs by"):
        compare(policy, onnx_bytes(dataclasses.replace(policy, floor=0.0), 3, CARD), 3, steps.page)
    monkeypatch.setattr("policies.shipping.onnx_export.onnx_bytes", lambda *_: right)
    with pytest.raises(UserError, match="gives a probability"):
        export_policy(dataclasses.replace(policy, temperature=0.5), 3, CARD, tmp_path / "it.onnx", steps.page)
    assert list(tmp_path.iterdir()) == []


def test_a_slate_in_another_order_is_refused(trained: dict[str, Learner], steps: Step) -> None:
    """The same graph asked for less slots and filled up by the worst is no tie."""
    from policies.shipping.onnx_export import _are_ties

    scores = policy_of("linear", trained).scores(steps.page)
    best = plackett_luce.top(scores, 3)
    assert _are_ties(scores, best.astype(np.int64), best)
    assert not _are_ties(scores, best[:, ::-1].astype(np.int64), best)
    twice = best.copy()
    twice[:, 1] = twice[:, 0]
    assert not _are_ties(np.zeros_like(scores), twice.astype(np.int64), best)


def test_what_does_not_learn_and_what_is_there_already_are_refused(
    tmp_path: Path, trained: dict[str, Learner], catalogue: PublicCatalogue, steps: Step
) -> None:
    with pytest.raises(UserError, match="'lexical' cannot be exported: no graph is written for a Lexical"):
        export_policy(named_policy("lexical", catalogue), 3, CARD, tmp_path / "it.onnx", steps.page)
    (tmp_path / "it.onnx").touch()
    with pytest.raises(UserError, match="exists already"):
        export_policy(policy_of("linear", trained), 3, CARD, tmp_path / "it.onnx", steps.page)


def test_without_the_libraries_it_says_what_to_install(
    tmp_path: Path, trained: dict[str, Learner], steps: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"exporting needs onnx, .*slatelab\[ship\]"):
        export_policy(policy_of("linear", trained), 3, CARD, tmp_path / "it.onnx", steps.page)

"""Understanding is scored as its words say, from arrays, from the world and from a log alike."""

from __future__ import annotations

import dataclasses
import doctest
import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

import simenv.intent_score
from simenv.check.ranker import UniformByHash
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.intent_score import (
    MEASURES,
    LabelledQueries,
    labelled_queries,
    pick,
    score_queries,
    score_terms,
    table,
)
from simenv.language.words import CATEGORY, SIZE, TERMS
from simenv.log import Log, write_log
from simenv.log.labels import read_labels
from simenv.play import play, shopper_range
from simenv.world import World, begin
from simenv.worlds import load_world

N = 6_000
REST = [-1] * 6


@pytest.fixture(scope="module")
def world() -> World:
    return load_world("default")


@pytest.fixture(scope="module")
def asked(world: World) -> LabelledQueries:
    return labelled_queries(world, begin(world, 0, shopper_range(N)))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels") / "log"
    return write_log(load_world("tiny"), "tiny", UniformByHash(), 3, shopper_range(200), out)


def of_categories(*categories: int) -> npt.NDArray[np.int64]:
    return np.array([[category, *REST] for category in categories])


def test_each_measure_is_what_its_definition_counts() -> None:
    """Five queries by hand: right, wrong, missed, rightly silent, and guessed though nothing was said."""
    intent = of_categories(4, 5, 6, 7, 8)
    said = of_categories(4, 5, 6, -1, -1)
    predicted = of_categories(4, 3, -1, -1, 8)
    scores = score_terms(predicted, intent, said, np.arange(5))
    found = {measure: pick(scores, "category", measure) for measure in MEASURES}
    assert {name: (score.value, score.queries) for name, score in found.items()} == {
        "precision": (2 / 3, 3),
        "recall": (1 / 3, 3),
        "accuracy": (3 / 5, 5),
        "coverage": (2 / 5, 5),
    }
    brand = pick(scores, "brand", "precision")
    assert np.isnan(brand.value)
    assert brand.queries == 0
    assert pick(scores, "brand", "accuracy").value == 1.0


def test_standard_errors_are_those_of_a_ratio_of_sums_over_shoppers() -> None:
    """Two shoppers of two queries, one all right and one all wrong: residues 1 and -1, so se = sqrt(2 * 2) / 4."""
    wanted = of_categories(1, 1, 1, 1)
    predicted = of_categories(1, 1, 0, 0)
    apart, together = (
        pick(score_terms(predicted, wanted, wanted, shopper), "category", "recall")
        for shopper in (np.arange(4), np.array([9, 9, 3, 3]))
    )
    assert (apart.value, apart.shoppers) == (0.5, 4)
    assert (together.value, together.shoppers) == (0.5, 2)
    assert together.stderr == pytest.approx(0.5)
    assert apart.stderr == pytest.approx(np.std([1, 1, 0, 0], ddof=1) / 2)
    one = pick(score_terms(predicted, wanted, wanted, np.zeros(4, int)), "category", "recall")
    assert np.isnan(one.stderr)


def test_the_stated_errors_are_the_spread_over_worlds_of_shoppers(world: World) -> None:
    """The spread of 40 estimates is known to 1 / sqrt(2 * 39) = 11% of itself: within four of those."""
    values, stated = [], []
    for seed in range(40):
        sample = labelled_queries(world, begin(world, 1_000 + seed, shopper_range(300)))
        score = pick(score_queries(sample.recognised, sample), "category", "recall")
        values.append(score.value)
        stated.append(score.stderr)
    assert np.std(values, ddof=1) == pytest.approx(np.sqrt(np.mean(np.square(stated))), rel=4 / np.sqrt(2 * 39))


def test_who_repeats_what_is_said_or_knows_what_is_wanted_scores_one(asked: LabelledQueries) -> None:
    for predicted, covers in [(asked.said, False), (asked.intent, True)]:
        scores = score_queries(predicted, asked)
        for term, measure in itertools.product(TERMS, ("precision", "recall")):
            assert pick(scores, term, measure).value == 1.0
        assert (pick(scores, "category", "coverage").value == 1.0) == covers
        assert (pick(scores, "colour", "coverage").value == 1.0) == covers
    assert all(pick(score_queries(asked.said, asked), term, "accuracy").value == 1.0 for term in TERMS)
    assert all(pick(score_queries(asked.intent, asked), term, "accuracy").value == 1.0 for term in TERMS)


def test_who_says_nothing_is_right_where_nothing_was_said_only(asked: LabelledQueries) -> None:
    scores = score_queries(np.full_like(asked.said, -1), asked)
    for at, term in enumerate(TERMS):
        assert pick(scores, term, "recall").value == 0.0
        assert pick(scores, term, "accuracy").value == pytest.approx((asked.said[:, at] < 0).mean())
        assert np.isnan(pick(scores, term, "precision").value)


def test_the_dictionary_is_better_without_misspellings(asked: LabelledQueries) -> None:
    """By more than five standard errors; and perfect at what can be no ambiguous word."""
    scores = score_queries(asked.recognised, asked)
    for term in ("category", "brand", "colour", "material", "audience", "use"):
        right, wrong = (pick(scores, term, "recall", group) for group in ("spelt right", "misspelt"))
        assert right.value - wrong.value > 5 * np.hypot(right.stderr, wrong.stderr), term
        if term != "category":
            assert right.value == pick(scores, term, "precision", "spelt right").value == 1.0, term
    assert pick(scores, "size", "recall").value == 1.0  # nobody misspells a size


def test_ambiguous_words_alone_cost_category_accuracy_where_nothing_is_misspelt(
    world: World, asked: LabelledQueries
) -> None:
    parts = world.demand.parts(begin(world, 0, shopper_range(N)))
    g = np.maximum(parts.terms[:, CATEGORY], 0)
    other = world.demand.other_meaning[parts.locale, g, parts.category_variant] >= 0
    plain = take(asked, np.flatnonzero(~asked.misspelt.any(axis=1)))
    kept = (asked.said[:, CATEGORY] >= 0) & ~asked.misspelt.any(axis=1)
    words = np.where(other & (asked.said[:, CATEGORY] >= 0), "ambiguous", "plain")[~asked.misspelt.any(axis=1)]
    scores = score_terms(plain.recognised, plain.intent, plain.said, plain.shopper, {"words": words})
    assert pick(scores, "category", "accuracy", "plain").value == 1.0
    ambiguous = pick(scores, "category", "recall", "ambiguous")
    assert ambiguous.queries > 200
    assert 0.1 < ambiguous.value < 0.9  # right for the one category, wrong for the other
    assert pick(scores, "category", "recall").queries == kept.sum()


def test_groups_divide_the_queries(asked: LabelledQueries) -> None:
    scores = score_queries(asked.recognised, asked)
    for by, n_groups in [("locale", 10), ("intent", 3), ("spelling", 2)]:
        of_one = [score for score in scores if (score.by, score.term, score.measure) == (by, "category", "accuracy")]
        assert len(of_one) == n_groups
        assert sum(score.queries for score in of_one) == N
        mean = sum(score.queries * score.value for score in of_one) / N
        assert mean == pytest.approx(pick(scores, "category", "accuracy").value)


def test_a_log_has_the_labels_of_the_queries_that_were_played(log: Path) -> None:
    world = load_world("tiny")
    steps = join(list(play(world, UniformByHash(), 3, shopper_range(200))))
    order = np.lexsort((steps.state.step, steps.state.visit, steps.state.shopper))
    state = take(steps.state, order[steps.state.page[order] == 0])
    expected, found = labelled_queries(world, state), read_labels(Log.open(log))
    assert len(found) == len(expected) > 300
    for field in dataclasses.fields(expected):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)
    assert score_queries(found.recognised, found)[0] == score_queries(expected.recognised, expected)[0]
    assert found.misspelt.any()
    assert not found.misspelt[found.said < 0].any()
    assert not found.misspelt[:, SIZE].any()


def test_a_log_whose_hidden_truth_cannot_be_used_says_why(log: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(log, tmp_path / "log"))
    part = copy / "hidden" / "part-00000.parquet"
    truth = pq.read_table(part)
    pq.write_table(truth.slice(1), part)
    with pytest.raises(UserError, match="not of the same rows"):
        read_labels(Log.open(copy))
    pq.write_table(truth.drop_columns(["said"]), part)
    with pytest.raises(UserError, match="has no column said"):
        read_labels(Log.open(copy))
    part.write_bytes(b"PAR1")
    with pytest.raises(UserError, match="cannot be read"):
        read_labels(Log.open(copy))
    part.unlink()
    with pytest.raises(UserError, match="without its hidden truth"):
        read_labels(Log.open(copy))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predicted": np.zeros((3, 3), int)}, r"predicted has shape \(3, 3\)"),
        ({"predicted": np.zeros((3, 7))}, "whole numbers"),
        ({"predicted": np.full((3, 7), -2)}, "whole numbers"),
        ({"said": of_categories(1, 2, 4)}, "query 2 says what is not wanted"),
        ({"shopper": np.zeros(0, int)}, "no query"),
        ({"groups": {"locale": np.array(["a"])}}, r"groups by locale have shape \(1,\)"),
        ({"groups": {"all": np.array(["a"] * 3)}}, "another name"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    whole = of_categories(1, 2, 3)
    given = {"predicted": whole, "intent": whole, "said": whole, "shopper": np.arange(3), "groups": {}} | change
    with pytest.raises(UserError, match=message):
        score_terms(**given)  # type: ignore[arg-type]


def test_a_score_that_does_not_exist_is_refused_with_the_nearest(asked: LabelledQueries) -> None:
    scores = score_queries(asked.recognised, asked)
    with pytest.raises(UserError, match="Did you mean 'category'"):
        pick(scores, "categorie", "recall")
    with pytest.raises(UserError, match="Did you mean 'de-DE'"):
        pick(scores, "category", "recall", "de-D")


def test_inputs_stay_as_they_were_and_rows_may_come_in_any_order(asked: LabelledQueries) -> None:
    before = [column.copy() for column in (asked.recognised, asked.intent, asked.said)]
    whole = score_queries(asked.recognised, asked)
    assert all(
        np.array_equal(old, new) for old, new in zip(before, (asked.recognised, asked.intent, asked.said), strict=True)
    )
    turned = take(asked, np.arange(N)[::-1])
    for one, other in zip(whole, score_queries(turned.recognised, turned), strict=True):
        assert one == other or np.isnan(one.value) or one.stderr == pytest.approx(other.stderr)


def test_the_example_of_the_module_runs() -> None:
    assert doctest.testmod(simenv.intent_score).failed == 0


def test_the_documented_scores_are_those_of_the_dictionary(repository: Path) -> None:
    """Each within four standard errors of itself, plus the rounding: words may be added without printing them anew."""
    text = (repository / "docs" / "query-understanding.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    made: dict[str, object] = {}
    exec(compile(code[1], "docs/query-understanding.md", "exec"), made)
    number = re.compile(r"([\d.]+|nan) ± ([\d.]+|nan)")
    for name in ("by_term", "by_group"):
        lines = str(made[name]).splitlines()
        printed = text.split(f"(`print({name})`)")[1].strip(":\n").splitlines()
        stated = printed[: printed.index("")]
        for line, now in zip(stated, lines, strict=True):
            assert line.split(" | ")[:3] == now.split(" | ")[:3]
            for (one, error), (other, _) in zip(number.findall(line), number.findall(now), strict=True):
                assert abs(float(one) - float(other)) <= 4 * float(error) + 0.002, line


def test_the_documented_scoring_of_a_log_runs(repository: Path, log: Path) -> None:
    text = (repository / "docs" / "query-understanding.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[1]
    exec(
        compile(code, "docs/query-understanding.md", "exec"),
        {"LOG": log, "table": table, "score_queries": score_queries},
    )

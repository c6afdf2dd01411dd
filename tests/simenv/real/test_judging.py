"""Text scores agree with their formulas, and NDCG and agreement with what others published or computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simenv.metrics import ndcg
from simenv.real.dry_run import judged
from simenv.real.icecat import categories
from simenv.real.index import K1, B, Scores, best, text_index
from simenv.real.judging import Ranked, ndcg_at
from simenv.real.raters import agreement, ceiling, krippendorff, rater_noise
from simenv.real.words import dictionary, terms_of, tokens

TEXTS = ["red running shoe", "blue running shoe for long running", "red coat", "coffee machine"]


def test_bm25_is_its_formula() -> None:
    found = text_index(TEXTS).scores("red running shoes").bm25
    documents = [tokens(text) for text in TEXTS]
    mean = np.mean([len(each) for each in documents])
    for document, score in zip(documents, found, strict=True):
        expected = 0.0
        for word in ("red", "running", "shoe"):
            holding = sum(word in each for each in documents)
            n = document.count(word)
            rarity = np.log(1 + (len(TEXTS) - holding + 0.5) / (holding + 0.5))
            expected += rarity * n * (K1 + 1) / (n + K1 * (1 - B + B * len(document) / mean))
        assert score == pytest.approx(expected, rel=1e-12)  # float64 throughout


def test_the_index_is_the_same_when_it_is_built_again_and_signs_are_settled() -> None:
    first, second = text_index(TEXTS), text_index(TEXTS)
    assert first.style(3).tobytes() == second.style(3).tobytes()
    loadings = first.svd.components_
    largest = np.abs(loadings).argmax(axis=1)
    assert (loadings[np.arange(len(loadings)), largest] > 0).all()


def test_equal_scores_stay_in_the_catalogue_s_order_and_holes_come_last() -> None:
    same = Scores(np.array([1.0, 2.0, 0.0, 2.0]), np.zeros(4), np.zeros(4))
    assert best(same, "bm25", 6).tolist() == [1, 3, 0, -1, -1, -1]


def test_the_dictionary_knows_whole_names_and_endings_that_are_one_category_s_own() -> None:
    known = dictionary(
        ["camera lens", "USB cable", "wireless headset", "video cable", "(no category)"],
        ["Best Buy", "Red"],
        [["Red", "Navy Blue"]],
        frozenset({"(no category)"}),
    )
    queries = ["red headsets", "cable", "best buy usb cables navy blue", "no category", "camera"]
    assert terms_of(known, queries).tolist() == [[2, 1, 0], [-1, -1, -1], [1, 0, 1], [-1, -1, -1], [-1, -1, -1]]


def test_ndcg_of_judged_products_is_that_of_the_whole_candidate_list() -> None:
    rng = np.random.default_rng(0)
    grade, order = rng.integers(0, 4, 12) / 3, rng.permutation(12)
    place = np.argsort(order)
    ranked = Ranked({"one": place}, grade, np.zeros((12, 0)))
    for reading in ("unjudged = 0", "condensed"):
        assert ndcg_at(ranked, "one", grade, 5, reading) == pytest.approx(ndcg(grade[None], order[None, :5])[0])
    # Twenty unjudged products above each judged one push all but the first out of the page, and condensing undoes it.
    pushed = Ranked({"one": 21 * place}, grade, np.zeros((12, 0)))
    assert ndcg_at(pushed, "one", grade, 5, "condensed") == ndcg_at(ranked, "one", grade, 5, "condensed")
    gains = -np.sort(-grade)[:5] / np.log2(np.arange(5) + 2.0)
    assert ndcg_at(pushed, "one", grade, 5, "unjudged = 0") == pytest.approx(grade[order[0]] / gains.sum())


def test_krippendorff_s_alpha_is_the_published_one() -> None:
    """His example of four observers and twelve units with gaps: 0.815 for ordinal data."""
    gap = np.nan
    observers = np.array([
        [1, 2, 3, 3, 2, 1, 4, 1, 2, gap, gap, gap],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, gap, 3],
        [gap, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, gap],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, gap],
    ])  # fmt: skip
    assert krippendorff(observers.T) == pytest.approx(0.815, abs=5e-4)  # three published digits
    assert krippendorff(np.ones((5, 3))) == 1.0


def test_raters_who_agree_make_no_noise_and_one_of_them_is_the_oracle() -> None:
    rng = np.random.default_rng(1)
    ranked = []
    for _ in range(4):
        grade = np.append(rng.integers(0, 4, 9), 3) / 3
        places = {"bm25": rng.permutation(10), "other": rng.permutation(10)}
        ranked.append(Ranked(places, grade, np.repeat(grade[:, None], 3, axis=1)))
    for noise in rater_noise(ranked, ["bm25", "other"], 5):
        assert noise.spread < 1e-12  # the same numbers, summed
        assert noise.sign_kept == 1.0
    assert ceiling(ranked, 5) == pytest.approx([1.0, 1.0, 1.0])
    mixed = [Ranked(each.rank, each.grade, np.column_stack([each.raters[:, :2], rng.integers(0, 4, 10) / 3]))
             for each in ranked]  # fmt: skip
    assert min(noise.spread for noise in rater_noise(mixed, ["bm25", "other"], 5)) > 1e-3
    assert ceiling(mixed, 5)[2] < min(ceiling(mixed, 5)[:2])


def test_agreement_counts_only_what_all_raters_graded() -> None:
    found = agreement(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, np.nan, 1.0], [1.0, 1.0, 1.0]]))
    assert (found.pairs, found.raters) == (3, 3)
    assert found.unanimous == pytest.approx(2 / 3)


def test_the_tiny_market_is_judged_and_letters_beat_chance(market: Path) -> None:
    told = judged(market)
    score = {(row["ranker"], row["reading"]): row for row in told["rankings"]}
    assert score["oracle", "unjudged = 0"]["ndcg"] == 1.0
    assert score["random", "unjudged = 0"]["difference_high"] < 0
    assert score["bm25", "condensed"]["ndcg"] > score["random", "condensed"]["high"]
    assert told["agreement"]["unanimous"] == pytest.approx(0.8)  # every fifth pair has a rater of another mind


def test_icecat_categories_are_read_from_titles() -> None:
    def product(supplier: str, name: str, rest: str) -> dict[str, str]:
        return {"supplier": supplier, "name": name, "title": f"{supplier} {name} {rest}".strip()}

    known = [product("HP", f"X{i}", "toner cartridge Original Black 1 pc(s)") for i in range(9)]
    odd = [
        product("Sony", "MDR 7", "Original Black"),
        product("ACT", "UTP patch cable, 3m monitor", "3 m"),
        product("HP", "Toner cartridges twin pack", "2 pc(s)"),
    ]
    assert categories([*known, *odd]) == [*["toner cartridge"] * 9, "", "monitor", "toner cartridge"]

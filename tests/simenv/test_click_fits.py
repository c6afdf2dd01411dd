"""Fits of click models: their derivatives, their closed forms, what they recover and what they refuse."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from simenv.check.ranker import UniformByHash
from simenv.clicks import (
    CLICK_FITS,
    CLICK_MODELS,
    Appeal,
    Cascade,
    ClickModel,
    DependentClick,
    DynamicBayesian,
    MultinomialLogit,
    PositionBased,
    ProportionalChoice,
    SimplifiedDynamicBayesian,
    TrustBias,
    UserBrowsing,
    ascent,
    click_perplexity,
    fit_click_model,
)
from simenv.clicks.posing import Pages
from simenv.columns import join
from simenv.errors import UserError
from simenv.play import play, shopper_range
from simenv.world import make_world
from simenv.worlds import world_params

DOCUMENTS = 8
ATTRACTION = np.linspace(0.1, 0.7, DOCUMENTS)
SATISFACTION = np.array([0.5, 0.3, 0.7, 0.2, 0.6, 0.4, 0.8, 0.35])
TRUE: dict[str, ClickModel] = {
    "position-based": PositionBased((1.0, 0.7, 0.5, 0.35)),
    "trust-bias": TrustBias((1.0, 0.8, 0.65, 0.5), (0.95, 0.93, 0.9, 0.9), (0.2, 0.15, 0.1, 0.05)),
    "cascade": Cascade(0.8),
    "dependent-click": DependentClick((0.7, 0.6, 0.5, 0.9)),
    "simplified-dbn": SimplifiedDynamicBayesian(),
    "dbn": DynamicBayesian(0.8),
    "user-browsing": UserBrowsing(((1.0,), (0.8, 0.6), (0.7, 0.5, 0.4), (0.75, 0.55, 0.45, 0.3))),
    "multinomial-logit": MultinomialLogit(1.0, (1.0, 0.8, 0.6, 0.45)),
    "proportional": ProportionalChoice(0.5, (1.0, 0.8, 0.6, 0.45)),
}
PARAMETERS: dict[str, dict[str, float]] = {
    "position-based": {"examination[2]": 0.7, "examination[3]": 0.5, "examination[4]": 0.35},
    "cascade": {"continuation": 0.8},
    "dependent-click": {"continuation[1]": 0.7, "continuation[2]": 0.6, "continuation[3]": 0.5},
    "simplified-dbn": {},
    "dbn": {"continuation": 0.8},
    "multinomial-logit": {"prominence[2]": 0.8, "prominence[3]": 0.6, "prominence[4]": 0.45},
    "proportional": {"prominence[2]": 0.8, "prominence[3]": 0.6, "prominence[4]": 0.45},
    "user-browsing": {
        f"examination[{k}][{d}]": p
        for k, row in ((2, (0.8, 0.6)), (3, (0.7, 0.5, 0.4)), (4, (0.75, 0.55, 0.45, 0.3)))
        for d, p in enumerate(row, start=1)
    },
}

Ids = npt.NDArray[np.int64]
Clicks = npt.NDArray[np.bool_]


def make_log(model: ClickModel, n: int, seed: int = 0, empty: float = 0.0) -> tuple[Ids, Clicks]:
    """Pages of random documents, some slots empty, with clicks drawn from the model."""
    rng = np.random.default_rng(seed)
    documents = np.argsort(rng.random((n, DOCUMENTS)), axis=1)[:, :4]
    hole = rng.random((n, 4)) < empty
    appeal = Appeal(np.where(hole, 0.0, ATTRACTION[documents]), SATISFACTION[documents])
    _, clicks = model.sample(appeal, rng.random((n, 4)), rng.random((n, 4)))
    return np.where(hole, -1, documents), clicks


def true_parameters(name: str) -> dict[str, float]:
    if name != "trust-bias":
        return PARAMETERS[name]
    t, p, m = np.array([[1.0, 0.8, 0.65, 0.5], [0.95, 0.93, 0.9, 0.9], [0.2, 0.15, 0.1, 0.05]])
    slope = t * (p - m) / (t[0] * (p[0] - m[0]))
    offset = t * m - slope * t[0] * m[0]
    return {f"{kind}[{k + 1}]": float(v[k]) for kind, v in (("offset", offset), ("slope", slope)) for k in (1, 2, 3)}


@pytest.mark.parametrize("name", CLICK_FITS)
def test_gradients_and_informations_are_the_derivatives_of_the_likelihood(name: str) -> None:
    """Central differences of step 1e-5 are good to about 1e-9 of the largest entry; away from the top on purpose."""
    documents, clicks = make_log(TRUE[name], 800, empty=0.1)
    number = np.where(documents < 0, DOCUMENTS, documents)
    posed = CLICK_FITS[name](Pages(np.arange(DOCUMENTS), number, clicks))
    x = posed.start + 0.05 * np.random.default_rng(0).normal(size=len(posed.start))
    likelihood, at, step = posed.likelihood, posed.likelihood.local(x), 1e-5 * np.eye(len(posed.start))
    slope = np.array([likelihood.value(x + e) - likelihood.value(x - e) for e in step]) / 2e-5
    bend = np.array([likelihood.local(x - e).gradient - likelihood.local(x + e).gradient for e in step]) / 2e-5
    information = np.array([at.information(e) for e in np.eye(len(x))])
    assert at.value == pytest.approx(likelihood.value(x), rel=1e-14)
    np.testing.assert_allclose(at.gradient, slope, atol=1e-6 * abs(slope).max())
    np.testing.assert_allclose(information, bend, atol=1e-6 * abs(bend).max())
    assert (at.scale > 0).all()


@pytest.mark.parametrize("name", CLICK_FITS)
def test_a_fit_finds_the_planted_parameters_and_a_likelihood_that_its_model_confirms(name: str) -> None:
    """Within 4.5 standard errors: about one in 10,000 for each of some 35 numbers."""
    documents, clicks = make_log(TRUE[name], 6_000, seed=1, empty=0.1)
    fitted = fit_click_model(name, documents, clicks)
    assert fitted.converged
    assert fitted.model.name == name
    assert list(fitted.parameters) == list(true_parameters(name))
    for parameter, true in true_parameters(name).items():
        assert abs(fitted.parameters[parameter] - true) <= 4.5 * fitted.stderr[parameter]
        low, high = fitted.interval(parameter)
        assert high - low == pytest.approx(2 * 1.959964 * fitted.stderr[parameter])
    logp = fitted.model.log_prob(fitted.appeal(documents), clicks)
    assert fitted.log_likelihood == pytest.approx(logp.sum(), rel=1e-10)
    hidden = Appeal(np.where(documents >= 0, ATTRACTION[documents], 0.0), SATISFACTION[documents])
    assert fitted.log_likelihood > TRUE[name].log_prob(hidden, clicks).sum()
    oracle = click_perplexity(TRUE[name], hidden, clicks, documents >= 0)
    np.testing.assert_allclose(fitted.perplexity, oracle, atol=0.01)
    assert (fitted.satisfaction is not None) == ("dbn" in name)


@pytest.mark.parametrize("name", CLICK_FITS)
def test_a_fit_depends_on_nothing_but_who_stood_where_and_was_clicked(name: str) -> None:
    """Rows in another order and documents under other ids: the same to rounding (sums of 2,000 terms)."""
    documents, clicks = make_log(TRUE[name], 2_000, seed=2)
    before = documents.copy(), clicks.copy()
    fitted = fit_click_model(name, documents, clicks)
    order = np.random.default_rng(0).permutation(len(documents))
    again = fit_click_model(name, (10_000 - 7 * documents)[order].astype(np.int32), clicks[order])
    np.testing.assert_allclose(list(again.parameters.values()), list(fitted.parameters.values()), rtol=1e-5)
    np.testing.assert_allclose(again.attraction[::-1], fitted.attraction, rtol=1e-5)
    np.testing.assert_allclose(again.covariance, fitted.covariance, rtol=1e-4, atol=1e-9)
    assert np.array_equal(again.documents[::-1], 10_000 - 7 * fitted.documents)
    assert np.array_equal(documents, before[0])
    assert np.array_equal(clicks, before[1])


def test_one_document_under_a_position_based_model_has_a_closed_form() -> None:
    """examination[k] is a ratio of two binomial rates, with the delta method's variance."""
    rng = np.random.default_rng(3)
    n, true = 5_000, np.array([0.4, 0.25, 0.1])
    clicks = rng.random((n, 3)) < true
    fitted = fit_click_model("position-based", np.full((n, 3), 77), clicks, document_errors=True)
    rate = clicks.mean(axis=0)
    ratio = rate[1:] / rate[0]
    relative = (1 - rate) / (n * rate)
    np.testing.assert_allclose(list(fitted.parameters.values()), ratio, rtol=1e-5)
    np.testing.assert_allclose(np.diag(fitted.covariance), ratio**2 * (relative[1:] + relative[0]), rtol=1e-4)
    assert fitted.covariance[0, 1] == pytest.approx(ratio[0] * ratio[1] * relative[0], rel=1e-4)
    assert fitted.attraction[0] == pytest.approx(rate[0], rel=1e-5)
    assert fitted.attraction_stderr is not None
    assert fitted.attraction_stderr[0] == pytest.approx(np.sqrt(rate[0] * (1 - rate[0]) / n), rel=1e-4)
    np.testing.assert_allclose(fitted.perplexity, 2 ** -(rate * np.log2(rate) + (1 - rate) * np.log2(1 - rate)))


def test_a_cascade_of_two_slots_has_a_closed_form() -> None:
    """Of the pages without a click on top, continuation * attraction are clicked below; attraction is seen on top."""
    documents, clicks = np.zeros((4_000, 2), dtype=np.int64), np.zeros((4_000, 2), dtype=bool)
    clicks[:1_600, 0] = True
    clicks[1_600:2_200, 1] = True
    fitted = fit_click_model("cascade", documents, clicks)
    assert fitted.attraction[0] == pytest.approx(0.4, rel=1e-5)
    assert fitted.parameters["continuation"] == pytest.approx(600 / 2_400 / 0.4, rel=1e-4)


def test_a_document_without_clicks_has_no_attraction_and_tells_nothing() -> None:
    documents, clicks = make_log(TRUE["position-based"], 3_000, seed=4)
    dull = documents == 3
    with_dull = fit_click_model("position-based", documents, clicks & ~dull)
    without = fit_click_model("position-based", np.where(dull, -1, documents), clicks & ~dull)
    assert with_dull.attraction[3] == 0.0
    assert 3 not in without.documents
    np.testing.assert_allclose(list(with_dull.parameters.values()), list(without.parameters.values()), rtol=1e-9)
    assert with_dull.perplexity[0] < without.perplexity[0]


def test_parameters_at_their_bound_have_no_standard_error() -> None:
    documents, clicks = make_log(PositionBased((1.0, 0.7, 0.0, 0.35)), 2_000, seed=5)
    fitted = fit_click_model("position-based", documents, clicks)
    assert fitted.converged
    assert fitted.parameters["examination[3]"] < 1e-5
    assert np.isnan(fitted.stderr["examination[3]"])
    assert np.isnan(fitted.interval("examination[3]")).all()
    assert 0 < fitted.stderr["examination[2]"] < 0.1


def test_satisfaction_that_the_log_cannot_tell_is_no_number() -> None:
    """A document that is clicked in the last slot alone might satisfy or not; nobody would see."""
    documents, clicks = make_log(TRUE["dbn"], 2_000, seed=6)
    documents[:, :3] += documents[:, :3] >= 5
    documents[:, 3] = np.where(clicks[:, 3], 5, documents[:, 3] + (documents[:, 3] >= 5))
    fitted = fit_click_model("dbn", documents, clicks, document_errors=True)
    assert fitted.satisfaction is not None
    assert fitted.satisfaction_stderr is not None
    assert np.isnan(fitted.satisfaction).tolist() == [each == 5 for each in fitted.documents]
    assert np.isnan(fitted.satisfaction_stderr[5])
    assert np.isfinite(fitted.appeal(documents).satisfaction).all()


def test_a_climb_that_is_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ascent, "MOST_STEPS", 2)
    assert not fit_click_model("dbn", *make_log(TRUE["dbn"], 500)).converged


def test_a_page_of_one_slot_leaves_nothing_to_tell_but_attraction() -> None:
    documents, clicks = make_log(TRUE["position-based"], 2_000, seed=7)
    for name in ("position-based", "trust-bias", "user-browsing", "dependent-click", "simplified-dbn"):
        fitted = fit_click_model(name, documents[:, :1], clicks[:, :1])
        rate = np.bincount(documents[:, 0], clicks[:, 0]) / np.bincount(documents[:, 0])
        np.testing.assert_allclose(fitted.model.click_probability(fitted.appeal(np.arange(8)[:, None]))[:, 0], rate)
        assert fitted.parameters == {}


def test_the_examination_of_a_market_is_found_in_its_log() -> None:
    """Attraction differs between shoppers there; under a random ranker the product of averages still holds.

    Pages of one shopper are alike, so the standard errors are somewhat too small: six of them.
    """
    world = make_world(dataclasses.replace(world_params("default"), n_items=400, n_brands=8))
    steps = join(list(play(world, UniformByHash(), 0, shopper_range(1_500))))
    fitted = fit_click_model("position-based", steps.outcome.items, steps.outcome.clicked)
    true = CLICK_MODELS["position-based"](5).click_probability(Appeal(np.ones((1, 5)), np.ones((1, 5))))[0]
    assert fitted.converged
    for k in range(1, 5):
        name = f"examination[{k + 1}]"
        assert abs(fitted.parameters[name] - true[k]) <= 6 * fitted.stderr[name]
        assert fitted.stderr[name] < 0.1


@pytest.mark.parametrize("name", CLICK_FITS)
def test_small_and_odd_logs_converge_or_are_refused(name: str) -> None:
    """Few pages, many documents, empty slots, clicks from another model; likelihoods that run into their bounds."""
    n_fitted = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n, n_slots, n_documents = (int(rng.choice(sizes)) for sizes in ([3, 30, 300], [1, 2, 5], [1, 3, 100]))
        documents = rng.integers(0, n_documents, (n, n_slots))
        documents[rng.random(documents.shape) < 0.1] = -1
        attraction, satisfaction = rng.uniform(0.0, rng.choice([0.05, 1.0]), n_documents), rng.random(n_documents)
        appeal = Appeal(np.where(documents >= 0, attraction[documents], 0.0), satisfaction[documents])
        source = "cascade" if name == "cascade" else str(rng.choice(list(CLICK_MODELS)))
        draws = rng.random((2, *documents.shape))
        clicks = CLICK_MODELS[source](n_slots).sample(appeal, *draws)[1]
        try:
            fitted = fit_click_model(name, documents, clicks)
        except UserError:
            continue
        assert fitted.converged
        logp = fitted.model.log_prob(fitted.appeal(documents), clicks)
        assert fitted.log_likelihood == pytest.approx(logp.sum(), rel=1e-8, abs=1e-6)
        n_fitted += 1
    assert n_fitted > 5


def test_a_trust_bias_is_told_from_position_based_clicks_to_be_none() -> None:
    """Also where a document was never clicked, which puts the fit at a bound."""
    documents, clicks = make_log(TRUE["position-based"], 6_000, seed=8)
    told = fit_click_model("trust-bias", documents, clicks)
    plain = fit_click_model("position-based", documents, clicks)
    assert 0 <= told.log_likelihood - plain.log_likelihood < 12  # half a chi-square of 3 at 1e-5
    for k in (2, 3, 4):
        assert abs(told.parameters[f"offset[{k}]"]) < 4.5 * told.stderr[f"offset[{k}]"]
    dull = fit_click_model("trust-bias", documents, clicks & (documents != 0))
    assert dull.converged
    assert dull.parameters["slope[2]"] == pytest.approx(0.7, abs=0.1)


def test_documents_that_never_move_cannot_tell_examination_from_attraction() -> None:
    clicks = make_log(TRUE["position-based"], 500)[1]
    with pytest.raises(ValueError, match=r"cannot tell the parameters of a position-based model apart"):
        fit_click_model("position-based", np.tile(np.arange(4), (500, 1)), clicks)


def test_what_cannot_be_fitted_is_refused() -> None:
    documents, clicks = make_log(TRUE["dbn"], 200)
    none = np.zeros_like(clicks)
    with pytest.raises(ValueError, match=r"there is no click model to fit 'cascad'. Did you mean 'cascade'"):
        fit_click_model("cascad", documents, clicks)
    with pytest.raises(ValueError, match=r"documents have shape \(200, 4\) and clicks \(200, 3\)"):
        fit_click_model("dbn", documents, clicks[:, :3])
    with pytest.raises(ValueError, match="documents are float64 and clicks bool; expected integer ids and bool"):
        fit_click_model("dbn", documents.astype(float), clicks)
    with pytest.raises(ValueError, match="the log has no clicks"):
        fit_click_model("dbn", documents, none)
    with pytest.raises(ValueError, match=r"page \d+: an empty slot .* was clicked"):
        fit_click_model("dbn", np.where(clicks, -1, documents), clicks)
    with pytest.raises(ValueError, match=r"a page has . clicks and a cascade allows one"):
        fit_click_model("cascade", documents, clicks)
    with pytest.raises(ValueError, match=r"no page that tells examination\[2\]\[1\]"):
        fit_click_model("user-browsing", documents, np.where(np.arange(4) == 3, clicks, False))
    fitted = fit_click_model("dbn", documents, clicks)
    with pytest.raises(ValueError, match="document 99 was not in the log"):
        fitted.appeal(np.array([[99, -1]]))
    with pytest.raises(ValueError, match="there is no parameter 'continuaton'"):
        fitted.interval("continuaton")

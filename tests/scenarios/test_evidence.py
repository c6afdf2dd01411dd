"""Policies joined to a log: replaying the logger gives back the log, and nobody is judged on what they learned from."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import Evidence, evaluate
from offpolicy.slates.pseudoinverse import plackett_luce_weights
from policies import plackett_luce
from policies.exploration.registry import exploration
from policies.exploration.slotwise import AnyPolicy, Slotwise, SlotwisePolicy
from policies.learning import in_half
from policies.persistence import LearnedFrom, save_model, shoppers_digest
from policies.ranking import RankingPolicy
from policies.registry import named_policy, new_learner
from scenarios.config import Estimation
from scenarios.evaluate import evaluate_native
from scenarios.evidence import Joined, join_log
from scenarios.held_out import unseen_half
from scenarios.progress import SilentProgress
from scenarios.pseudoinverse import target_weights
from simenv.catalogue import PublicCatalogue
from simenv.columns import join
from simenv.errors import UserError
from simenv.log import Log, LogBatch, write_log
from simenv.log.schema import MANIFEST_FILE
from simenv.play import shopper_range
from simenv.world import World


def joined(folder: Path, targets: Mapping[str, AnyPolicy], half: int | None = None) -> Joined:
    return join_log(Log.open(folder), targets, half, Estimation(), 0, lambda n=1: None)


@pytest.fixture(scope="module")
def rows(log_folder: Path) -> LogBatch:
    return join(list(Log.open(log_folder).batches()))


@pytest.fixture(scope="module")
def catalogue(tiny: World) -> PublicCatalogue:
    return tiny.catalogue.public()


@pytest.fixture(scope="module")
def replay(log_folder: Path, catalogue: PublicCatalogue) -> Evidence:
    """The logger judged from its own log."""
    return joined(log_folder, {"production": named_policy("production", catalogue)}).evidence["production"]


def test_replaying_the_logger_gives_weights_of_exactly_one(replay: Evidence) -> None:
    assert np.array_equal(replay.target.logp, replay.logger.logp)
    assert replay.target_marginal is not None
    assert replay.logger_marginal is not None
    assert np.array_equal(replay.target_marginal.logp, replay.logger_marginal.logp)


def test_replaying_the_logger_gives_the_logged_mean(replay: Evidence, rows: LogBatch) -> None:
    """To the rounding of a sum of float64."""
    mean = rows.reward.sum(axis=1).mean()
    for estimate in evaluate(replay, ["ips", "snips", "ips-item", "snips-item"]):
        record = estimate.record()
        assert record["value"] == pytest.approx(mean, rel=1e-12)
        assert record["lift"] == pytest.approx(0.0, abs=1e-12)
        assert record["effective_rows"] == pytest.approx(len(rows), rel=1e-9)


def test_evidence_holds_the_log_row_by_row(replay: Evidence, rows: LogBatch) -> None:
    assert np.array_equal(replay.reward, rows.reward)
    assert np.array_equal(replay.cluster, rows.page.shopper)
    assert replay.cluster_name == "shopper"
    assert replay.propensity_kind == "exact"
    assert replay.q_logged is not None
    assert (replay.q_logged[rows.slate < 0] == 0).all()


def test_marginals_are_those_of_all_slates(log_folder: Path, catalogue: PublicCatalogue, rows: LogBatch) -> None:
    """Ten rows enumerated: 336 slates, or fewer on later pages."""
    from itertools import permutations

    policy = named_policy("lexical", catalogue)
    evidence = joined(log_folder, {"lexical": policy}).evidence["lexical"]
    assert evidence.target_marginal is not None
    from simenv.columns import take

    for row in range(0, len(rows), len(rows) // 10):
        here = np.flatnonzero(rows.page.candidates[row] >= 0)
        if len(here) < 3:
            continue
        slates = np.array(list(permutations(here, 3)), dtype=np.int32)
        pages = take(rows.page, np.full(len(slates), row))
        p = np.exp(policy.log_prob(pages, slates).prefix().joint)
        for k in range(3):
            exact = p[slates[:, k] == rows.slate[row, k]].sum()
            assert np.exp(evidence.target_marginal.logp[row, k]) == pytest.approx(exact, abs=1e-9)


def test_a_target_with_estimated_propensities_makes_estimated_evidence(
    log_folder: Path, catalogue: PublicCatalogue
) -> None:
    """No verdict on it is trust, whoever logged."""
    honest = named_policy("lexical", catalogue)
    doubtful = RankingPolicy("doubtful", honest.scorer, 0.4, 0.02, propensity_kind="estimated", propensity_error=0.1)
    found = joined(log_folder, {"lexical": honest, "doubtful": doubtful}).evidence
    assert found["lexical"].propensity_kind == "exact"
    assert found["doubtful"].propensity_kind == "estimated"


def test_a_policy_that_explores_slot_by_slot_is_judged_by_its_own_propensities(
    log_folder: Path, catalogue: PublicCatalogue
) -> None:
    """Softmax over what is left is Plackett-Luce: the same columns, to what race quadrature states of its error."""
    whole = named_policy("production", catalogue).with_exploration(0.5, 0.0)
    slots = SlotwisePolicy("slots", whole.scorer, exploration("softmax", {"temperature": 0.5}))
    found = joined(log_folder, {"whole": whole, "slots": slots})
    one, other = found.evidence["whole"], found.evidence["slots"]
    assert other.target.logp == pytest.approx(one.target.logp, abs=1e-5)  # scores are float32
    assert one.target_marginal is not None
    assert other.target_marginal is not None
    off = np.abs(np.exp(one.target_marginal.logp) - np.exp(other.target_marginal.logp)).max()
    assert off <= found.marginal_error + 1e-6
    # what the reward model expects: two draws of a few slates each, paired by nothing
    assert one.q_target is not None
    assert other.q_target is not None
    apart = one.q_target - other.q_target
    assert abs(apart.mean()) < 5 * apart.std() / np.sqrt(len(apart))


def test_without_marginals_a_saved_slotwise_model_is_judged_by_whole_slates_alone(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where slates are too many to enumerate, item-position estimates are absent and the others are there."""
    learner, seen = new_learner("linear", catalogue, 3, 0), LearnedFrom("another log", "", None, None, 10)
    scheme = Slotwise(exploration("epsilon-greedy", {"epsilon": 0.5}))
    model = str(save_model(learner, tmp_path / "model", 3, seen, {}, scheme))
    told = {}
    for most in (5_000, 300):  # a page has 336
        monkeypatch.setattr("policies.exploration.slotwise.MAX_SLATES", most)
        found = evaluate_native(log_folder, model, estimators=None, level=0.95, seed=0, progress=SilentProgress())
        told[most] = {row["estimator"]: row for row in found.records()}
    assert {"ips", "snips", "dr"} <= told[300].keys() < told[5_000].keys()
    assert {"ips-item", "dr-item"} <= told[5_000].keys() - told[300].keys()
    assert told[300]["ips"]["value"] == told[5_000]["ips"]["value"]


def altered(folder: Path, to: Path, column: str, values: npt.NDArray[np.float64]) -> Path:
    """A copy of a log with one column of lists changed."""
    copy = Path(shutil.copytree(folder, to))
    part = copy / "part-00000.parquet"
    table = pq.read_table(part)
    place = table.schema.get_field_index(column)
    flat = pa.array(values.reshape(-1), type=table.schema.field(column).type.value_type)
    made = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    pq.write_table(table.set_column(place, table.schema.field(column), made), part)
    return copy


def test_a_propensity_that_the_scores_do_not_give_is_refused_by_its_row(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue, rows: LogBatch
) -> None:
    """Off by 1e-4 at one slot of row 137: a log of remembered, rounded or floored-afterwards propensities."""
    logp = rows.logp.logp.copy()
    logp[137, 1] -= 1e-4
    bad = altered(log_folder, tmp_path / "bad", "logp_conditional", logp)
    with pytest.raises(UserError, match="log row 137: the logged log-probabilities"):
        joined(bad, {"uniform": named_policy("uniform", catalogue)})
    logp[137, 1] += 1e-4 - 1e-7  # within what is promised
    fine = altered(log_folder, tmp_path / "fine", "logp_conditional", logp)
    joined(fine, {"uniform": named_policy("uniform", catalogue)})


def test_the_bad_row_is_named_by_its_place_in_the_whole_log(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue, rows: LogBatch
) -> None:
    """Also where only one half of the shoppers is read."""
    row = int(np.flatnonzero(in_half(rows.page.shopper, 1))[50])
    logp = rows.logp.logp.copy()
    logp[row, 0] -= 0.5
    bad = altered(log_folder, tmp_path / "bad", "logp_conditional", logp)
    with pytest.raises(UserError, match=f"log row {row}:"):
        joined(bad, {"uniform": named_policy("uniform", catalogue)}, half=1)
    joined(bad, {"uniform": named_policy("uniform", catalogue)}, half=0)


def model_that_saw(folder: Path, catalogue: PublicCatalogue, seen: LearnedFrom) -> str:
    learner = new_learner("linear", catalogue, 3, 0)
    return str(save_model(learner, folder, 3, seen, {}))


def test_a_model_is_judged_on_the_half_that_it_never_saw(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue, rows: LogBatch
) -> None:
    manifest = Log.open(log_folder).manifest
    for half in (0, 1):
        seen = LearnedFrom(manifest["log_hash"], manifest["world_hash"], manifest["seed"], half, 10)
        model = model_that_saw(tmp_path / f"half {half}", catalogue, seen)
        evaluation = evaluate_native(
            log_folder, model, estimators=["ips"], level=0.95, seed=0, progress=SilentProgress()
        )
        assert evaluation.records()[0]["rows"] == in_half(rows.page.shopper, 1 - half).sum()
        assert any("judged on the other half" in note for note in evaluation.notes)


def test_a_model_that_saw_all_shoppers_is_refused(log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue) -> None:
    """By the log's own hash, and by another logger's log over the very same people."""
    manifest = Log.open(log_folder).manifest
    for place, (log_hash, seed) in enumerate([(manifest["log_hash"], 999), ("another log", manifest["seed"])]):
        seen = LearnedFrom(log_hash, manifest["world_hash"], seed, None, 10)
        model = model_that_saw(tmp_path / str(place), catalogue, seen)
        with pytest.raises(UserError, match="learned from the shoppers of this log"):
            evaluate_native(log_folder, model, estimators=None, level=0.95, seed=0, progress=SilentProgress())


def test_a_model_that_saw_other_shoppers_is_judged_on_all(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue
) -> None:
    log = Log.open(log_folder)
    seen = LearnedFrom("another log", log.manifest["world_hash"], log.manifest["seed"] + 1, None, 10)
    assert unseen_half(model_that_saw(tmp_path / "model", catalogue, seen), log) == (None, [])
    assert unseen_half("lexical", log) == (None, [])


def of_real_shoppers(folder: Path, to: Path, **others: object) -> Log:
    """A copy of a log whose manifest names no seed, and says other things too."""
    copy = Path(shutil.copytree(folder, to))
    manifest = json.loads((copy / MANIFEST_FILE).read_text())
    (copy / MANIFEST_FILE).write_text(json.dumps(manifest | {"seed": None} | others))
    return Log.open(copy)


def test_real_shoppers_are_known_again_in_another_log(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue, rows: LogBatch
) -> None:
    """By the digest of the ids that were learned from; ids of simulated shoppers name nobody without their seed."""
    simulated, real = Log.open(log_folder), of_real_shoppers(log_folder, tmp_path / "real")
    everybody = rows.page.shopper
    assert real.shoppers().tolist() == sorted(set(everybody.tolist()))
    half = shoppers_digest(everybody[in_half(everybody, 1)])
    first = LearnedFrom("last week's log", "", None, 1, 10, half)
    assert unseen_half(model_that_saw(tmp_path / "first", catalogue, first), real)[0] == 0
    assert unseen_half(model_that_saw(tmp_path / "same", catalogue, first), simulated) == (None, [])
    all_of_them = LearnedFrom("last week's log", "", None, None, 10, shoppers_digest(everybody))
    with pytest.raises(UserError, match="learned from the shoppers of this log"):
        unseen_half(model_that_saw(tmp_path / "all", catalogue, all_of_them), real)
    others = LearnedFrom("last week's log", "", None, None, 10, shoppers_digest(everybody[:5]))
    assert unseen_half(model_that_saw(tmp_path / "others", catalogue, others), real) == (None, [])


def test_a_manifest_cannot_pass_a_log_off_as_another(
    log_folder: Path, tmp_path: Path, catalogue: PublicCatalogue
) -> None:
    """Its hash is taken from the files, when a model is trained and when one is judged."""
    forged = of_real_shoppers(log_folder, tmp_path / "forged", log_hash="0" * 64)
    model = model_that_saw(tmp_path / "model", catalogue, LearnedFrom(Log.open(log_folder).digest, "", None, None, 10))
    with pytest.raises(UserError, match=r"does not hold what its log\.json says"):
        unseen_half(model, forged)
    assert Log.open(log_folder).verified_digest() == Log.open(log_folder).digest


def test_the_oracle_is_not_judged_from_a_log(log_folder: Path) -> None:
    with pytest.raises(UserError, match="ranks by hidden truth"):
        evaluate_native(log_folder, "oracle", estimators=None, level=0.95, seed=0, progress=SilentProgress())


def test_the_reward_model_pays_nothing_for_empty_slots(
    log_folder: Path, rows: LogBatch, catalogue: PublicCatalogue
) -> None:
    """Where fewer candidates than slots are left, the model's expectation is that of the shown items alone."""
    short = (rows.page.candidates >= 0).sum(axis=1) < rows.slate.shape[1]
    assert short.any()
    target = named_policy("uniform", catalogue)
    evidence = join_log(Log.open(log_folder), {"it": target}, None, Estimation(), 0, lambda n=1: None).evidence["it"]
    assert evidence.q_logged is not None
    assert evidence.q_target is not None
    assert (evidence.q_logged[rows.slate < 0] == 0.0).all()
    shown = (rows.slate >= 0).sum(axis=1)
    per_slot = evidence.q_logged.max(axis=0)  # the most that any item was expected to earn at a slot
    most = np.cumsum(per_slot)[np.maximum(shown - 1, 0)] * (shown > 0)
    assert (evidence.q_target[short] <= 1.5 * most[short]).all()


def test_prefix_weights_of_the_logger_give_back_the_log(replay: Evidence, rows: LogBatch) -> None:
    """And the model's columns are there, 0 at empty slots; the estimators by default include those that use them."""
    (rips,) = evaluate(replay, ["rips"])
    assert rips.interval.value == pytest.approx(rows.reward.sum(axis=1).mean(), rel=1e-12)
    assert replay.q_prefix is not None
    assert (replay.q_prefix[rows.slate < 0] == 0.0).all()
    assert np.abs(replay.q_prefix - np.asarray(replay.q_logged)).max() > 1e-3  # what stands above is heard
    assert {"rips", "cascade-dr"} <= {one.estimator for one in evaluate(replay)}
    assert (replay.pseudoinverse, replay.q_click) == (None, None)  # computed only where it is asked for


@pytest.fixture(scope="module")
def uniform_log(tmp_path_factory: pytest.TempPathFactory, tiny: World) -> Path:
    """60 shoppers whose pages were shuffled."""
    logger = named_policy("uniform", tiny.catalogue.public())
    return write_log(tiny, "tiny", logger, 3, shopper_range(60), tmp_path_factory.mktemp("uniform") / "log")


def fed(log: Path, target: RankingPolicy, *estimators: str) -> Evidence:
    settings = Estimation(estimators=list(estimators), folds=2)
    return join_log(Log.open(log), {"it": target}, None, settings, 0, lambda n=1: None).evidence["it"]


@pytest.mark.parametrize("greedy", [False, True])
def test_pseudoinverse_weights_of_a_shuffling_logger_are_those_of_all_slates(
    uniform_log: Path, catalogue: PublicCatalogue, greedy: bool
) -> None:
    """The closed form against enumeration, for a soft and a greedy target; marginals err by less than 1e-9 each."""
    target = named_policy("lexical", catalogue)
    if greedy:
        target = dataclasses.replace(target, temperature=0.0, floor=0.0)
    evidence = fed(uniform_log, target, "pi", "snpi")
    assert evidence.pseudoinverse is not None
    rows = join(list(Log.open(uniform_log).batches()))
    logw = plackett_luce.log_weights(rows.scores, 1.0, 0.0)
    theirs = target_weights(target, target.scores(rows.page))
    exact = plackett_luce_weights(np.exp(logw), np.exp(theirs), rows.slate)
    assert np.allclose(evidence.pseudoinverse, exact, rtol=0.0, atol=1e-7)
    assert np.ptp(exact) > 1.0
    found = {one.estimator: one for one in evaluate(evidence, ["pi", "snpi"])}
    assert found["pi"].diagnostics.mean_weight == pytest.approx(1.0, abs=4 * np.std(exact) / np.sqrt(len(exact)))


def test_pseudoinverse_weights_of_a_small_production_logger_are_enumerated(
    log_folder: Path, catalogue: PublicCatalogue
) -> None:
    """Its own replay weighs 1 everywhere; pages of too many slates are refused with the reason."""
    production = named_policy("production", catalogue)
    evidence = fed(log_folder, production, "pi")
    assert evidence.pseudoinverse == pytest.approx(np.ones(evidence.n_rows), abs=1e-6)


def test_pages_are_weighed_by_the_categories_that_they_show_and_by_each_shoppers_way_of_reading(
    uniform_log: Path, log_folder: Path, catalogue: PublicCatalogue
) -> None:
    """Self-replay weighs 1; elsewhere the mean weight of what pages are about is 1, as that of whole pages is."""
    target = named_policy("lexical", catalogue)
    evidence = fed(uniform_log, target, "lips", "aips", "recent-dr-item")
    assert evidence.abstraction is not None
    found = {one.estimator: one for one in evaluate(evidence, ["lips", "ips", "aips", "recent-dr-item:0.5"])}
    off = evidence.abstraction - 1.0
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))
    assert off.std() > 0.05
    assert found["lips"].diagnostics.effective_rows > found["ips"].diagnostics.effective_rows
    assert all(one.verdict.word != "trust" for name, one in found.items() if name != "ips")
    production = named_policy("production", catalogue)
    again = fed(log_folder, production, "lips")
    assert again.abstraction == pytest.approx(np.ones(again.n_rows), abs=1e-6)


def test_a_click_model_is_fitted_where_it_is_asked_for_and_never_trusted(
    uniform_log: Path, catalogue: PublicCatalogue
) -> None:
    evidence = fed(uniform_log, named_policy("lexical", catalogue), "pbm")
    (found,) = evaluate(evidence, ["pbm"])
    mean = evidence.reward.sum(axis=1).mean()
    assert 0.5 * mean < found.interval.value < 2.0 * mean
    assert found.verdict.word != "trust"

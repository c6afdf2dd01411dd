"""What a policy owes its users: the slates it draws are as likely as it says, and nothing but its own luck moves them.

For people who add a policy of their own: pass it here before anybody logs with it. Every property is proved on pages
small enough to enumerate all slates, so a world like "tiny" (8 candidates, 3 slots, 336 slates) is expected.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import permutations
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import stats

from policies.exploration.estimates import Estimates, Needs, Uncertain
from policies.exploration.slotwise import AnyPolicy
from policies.ranking import F32, Scorer, reads_query
from simenv import hashing
from simenv.columns import join, take
from simenv.decision import Decision, Truth
from simenv.errors import UserError
from simenv.hashing import Keys
from simenv.play import play, shopper_range, truth
from simenv.world import Page, World, policy_keys

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

N_SHOPPERS = 40  # whose pages are looked at
N_ENUMERATED = 10  # pages whose slates are all enumerated
MAX_SLATES = 5_000  # that a page may have
ALPHA = 1e-6  # of the test of frequencies
EXACT = 1e-9  # of float64 logarithms summed over a page
BETWEEN_BATCHES = 1e-6  # of a network's scores between batch sizes, see DESIGN


@dataclass(frozen=True)
class _Met:
    """Pages that a policy met: some with holes, some with fewer candidates than slots; and each row's luck."""

    page: Page
    truth: Truth | None
    keys: Keys


@dataclass(frozen=True)
class _Scaled:
    """A scorer whose scores are larger by a factor."""

    scorer: Scorer
    factor: float

    @property
    def reads_query(self) -> bool:
        """As the scorer."""
        return reads_query(self.scorer)

    def score(self, page: Page, truth: Truth | None) -> F32:
        """See `policies.ranking.Scorer`."""
        return (self.scorer.score(page, truth) * self.factor).astype(np.float32)

    def estimates(self, page: Page, truth: Truth | None, needs: Needs) -> Estimates:
        """See `policies.exploration.estimates.Uncertain`; asked only where the scorer has it."""
        made = cast(Uncertain, self.scorer).estimates(page, truth, needs)
        return Estimates(
            made.scores * self.factor,
            made.here,
            None if made.spread is None else made.spread * self.factor,
            None if made.draws is None else made.draws * self.factor,
        )


def check_policy(policy: AnyPolicy, world: World, seed: int = 0, n_draws: int = 50_000) -> None:
    """Prove that a policy keeps the contract of `simenv.decision.Policy`, with exact propensities.

    What it draws has the log-probability it says, to 1e-9. The probabilities of all first choices and of all slates sum
    to one, with and without holes; sampled slates have these probabilities (chi-square at 1e-6); marginals are those of
    the enumeration. Holes and repeats are never shown, a slot is empty only where candidates have run out. Acting
    changes neither the policy nor what it was given; the same keys give the same bytes and others give other slates.
    A row's result depends neither on its batch nor, where its scores do not, on the order of the candidates. Scores a
    hundred times as large leave every probability finite and every sum one.

    Args:
        policy: What to check.
        world: A small market, for example `simenv.worlds.load_world("tiny")`.
        seed: Of the shoppers and of the draws.
        n_draws: Slates drawn on one page for the test of frequencies.

    Raises:
        AssertionError: naming the property that fails.
        UserError: where the world has too many slates to enumerate, or the scorer gives NaN or infinity.
    """
    met = _meet(policy, world, seed)
    decision = _act(policy, met, world.params.n_slots)
    _check_scores(met, decision)
    _check_slates(met, decision)
    _check_reported(policy, met, decision)
    _check_pure(policy, met, decision)
    _check_alone(policy, met, decision)
    _check_order(policy, met, decision)
    some = take(met, _some(met, world.params.n_slots))
    loud = dataclasses.replace(policy, scorer=_Scaled(policy.scorer, 100.0))
    for each in (policy, loud):
        _check_enumeration(each, some, world.params.n_slots)
        _check_reported(each, some, _act(each, some, world.params.n_slots))
    _check_frequencies(policy, take(some, np.zeros(n_draws, dtype=np.int64)), world.params.n_slots, seed)


def _meet(policy: AnyPolicy, world: World, seed: int) -> _Met:
    """Pages met in play; every second one has holes knocked into it, down to a single candidate."""
    n_candidates, n_slots = world.params.n_candidates, world.params.n_slots
    n_slates = float(np.prod(np.arange(n_candidates - n_slots + 1, n_candidates + 1, dtype=np.float64)))
    if n_slates > MAX_SLATES:
        raise UserError(
            f"a page of this world has {n_slates:,.0f} slates; check_policy enumerates at most {MAX_SLATES:,}. Use the "
            "world 'tiny', or one of fewer candidates and slots."
        )
    steps = list(play(world, policy, seed, shopper_range(N_SHOPPERS)))
    state, page = join([step.state for step in steps]), join([step.page for step in steps])
    keys = policy_keys(state, seed)
    luck = hashing.uniform(hashing.absorb(hashing.absorb(keys, 1)[:, None], np.arange(n_candidates)))
    luck[page.candidates < 0] = 2.0
    behind = np.argsort(np.argsort(luck, axis=1), axis=1)
    n_kept = np.where(np.arange(len(page)) % 2 == 0, n_candidates, 1 + np.arange(len(page)) // 2 % n_candidates)
    candidates = np.where(behind < n_kept[:, None], page.candidates, np.int32(-1))
    page = dataclasses.replace(page, candidates=candidates)
    return _Met(page, truth(world, state, page) if policy.sees_truth else None, keys)


def _act(policy: AnyPolicy, met: _Met, n_slots: int) -> Decision:
    return policy.act(met.page, n_slots, met.keys, met.truth)


def _check_scores(met: _Met, decision: Decision) -> None:
    here = met.page.candidates >= 0
    assert decision.scores.shape == here.shape, f"scores have shape {decision.scores.shape}; expected {here.shape}"
    assert np.isfinite(decision.scores[here]).all(), "a candidate's score is NaN or infinite"
    assert np.isneginf(decision.scores[~here]).all(), "a hole has a score; expected -inf"


def _check_slates(met: _Met, decision: Decision) -> None:
    slate, here = decision.slate, met.page.candidates >= 0
    shown = slate >= 0
    assert ((slate >= -1) & (slate < here.shape[1])).all(), "a slate holds a position that does not exist"
    assert np.take_along_axis(here, np.maximum(slate, 0).astype(np.int64), axis=1)[shown].all(), "a hole is shown"
    for k in range(1, slate.shape[1]):
        again = (slate[:, :k] == slate[:, k : k + 1]).any(axis=1) & shown[:, k]
        assert not again.any(), "a slate shows a candidate twice"
    n_shown = np.minimum(here.sum(axis=1), slate.shape[1])
    assert np.array_equal(shown, np.arange(slate.shape[1]) < n_shown[:, None]), (
        "a slot is empty while candidates are left, or filled where none is"
    )


def _check_reported(policy: AnyPolicy, met: _Met, decision: Decision) -> None:
    logp, shown = decision.logp.logp, decision.slate >= 0
    assert np.isfinite(logp).all(), "the log-probability of a drawn slate is not finite"
    assert (logp <= 0).all(), "a drawn slate has a probability above one"
    assert (logp[~shown] == 0).all(), "an empty slot has a log-probability; expected 0"
    again = policy.log_prob(met.page, decision.slate, met.truth).logp
    off = float(np.abs(again - logp).max())
    assert off <= EXACT, f"log_prob of what was drawn differs by {off:.3g} from what the decision says"


def _check_pure(policy: AnyPolicy, met: _Met, decision: Decision) -> None:
    n_slots = decision.slate.shape[1]
    before = take(met.page, np.arange(len(met.keys)))  # a copy
    keys = met.keys.copy()
    other = policy.act(met.page, n_slots, hashing.absorb(met.keys, 1), met.truth)
    policy.log_prob(met.page, other.slate, met.truth)
    _act(policy, take(met, slice(0, 1)), n_slots)
    again = _act(policy, met, n_slots)
    for field in dataclasses.fields(before):
        same = np.array_equal(getattr(before, field.name), getattr(met.page, field.name))
        assert same, f"acting changed {field.name} of the page"
    assert np.array_equal(keys, met.keys), "acting changed the keys"
    same = again.slate.tobytes() == decision.slate.tobytes() and again.scores.tobytes() == decision.scores.tobytes()
    assert same, "the same page and keys gave another slate or other scores: acting changed the policy"
    assert again.logp.logp.tobytes() == decision.logp.logp.tobytes(), "the same slate got another log-probability"
    # Drawing all of these slates once more has the product of their probabilities.
    if decision.logp.prefix().joint.sum() < np.log(ALPHA):
        assert not np.array_equal(other.slate, decision.slate), "other keys gave the same slates: the luck is not used"


def _check_alone(policy: AnyPolicy, met: _Met, decision: Decision) -> None:
    here = met.page.candidates >= 0
    for row in range(0, len(met.keys), max(1, len(met.keys) // 12)):
        alone = _act(policy, take(met, slice(row, row + 1)), decision.slate.shape[1])
        together = decision.scores[row][here[row]].astype(np.float64)
        off = np.abs(alone.scores[0][here[row]] - together) / np.maximum(1.0, np.abs(together))
        most = off.max(initial=0.0)
        assert most <= BETWEEN_BATCHES, f"a row's scores depend on its batch: they differ by {most:.3g}"
        if np.array_equal(alone.scores[0], decision.scores[row]):
            assert np.array_equal(alone.slate[0], decision.slate[row]), "a row's slate depends on its batch"


def _check_order(policy: AnyPolicy, met: _Met, decision: Decision) -> None:
    """Rows whose scores move with the candidates show the same items; greedy ties go to the engine's order."""
    order = np.argsort(hashing.absorb(met.keys[:, None], np.arange(met.page.candidates.shape[1])), axis=1)
    turned = _reorder(met, order)
    other = _act(policy, turned, decision.slate.shape[1])
    same = (np.take_along_axis(decision.scores, order, axis=1) == other.scores).all(axis=1)
    if policy.temperature == 0:
        shown, expected = _at(other.scores, other.slate), _at(decision.scores, decision.slate)
    else:
        shown, expected = _at(turned.page.candidates, other.slate), _at(met.page.candidates, decision.slate)
    assert np.array_equal(shown[same], expected[same]), "another order of the same candidates shows other items"


def _check_enumeration(policy: AnyPolicy, met: _Met, n_slots: int) -> None:
    """Sums over all first choices and all slates, and marginals against the enumeration, page by page."""
    n_candidates = met.page.candidates.shape[1]
    for row in range(len(met.keys)):
        here = np.flatnonzero(met.page.candidates[row] >= 0)
        if not len(here):
            continue  # nothing was found, and what was drawn showed nothing
        first = np.exp(_log_prob(policy, met, row, np.arange(n_candidates, dtype=np.int32)[:, None])[:, 0])
        assert abs(first.sum() - 1.0) <= EXACT, f"the probabilities of all first choices sum to {first.sum()}"
        assert (np.delete(first, here) == 0).all(), "a hole has a probability to be shown first"
        slates = _all_slates(here, n_slots)
        joint = np.exp(_log_prob(policy, met, row, slates).sum(axis=1))
        assert abs(joint.sum() - 1.0) <= EXACT, f"the probabilities of all slates sum to {joint.sum()}"
        _check_marginals(policy, met, row, slates, joint)


def _check_marginals(policy: AnyPolicy, met: _Met, row: int, slates: I32, joint: F64) -> None:
    repeated = take(met, np.full(len(slates), row))
    _, found = policy.propensities(repeated.page, slates, repeated.truth)
    assert found is not None, "propensities gave no marginals though they were asked for"
    p, shown = np.exp(found.logp), slates >= 0
    assert (found.logp <= 0).all(), "a marginal probability is above one"
    assert not np.isnan(found.logp).any(), "a marginal probability is NaN"
    for k in range(slates.shape[1]):
        exact = np.bincount(slates[shown[:, k], k], weights=joint[shown[:, k]], minlength=met.page.candidates.shape[1])
        off = np.abs(p[:, k] - exact[slates[:, k]])[shown[:, k]].max(initial=0.0)
        allowed = max(found.error, EXACT)
        assert off <= allowed, f"a marginal at slot {k} is off by {off:.3g}; the policy states {found.error:.3g}"


def _check_frequencies(policy: AnyPolicy, met: _Met, n_slots: int, seed: int) -> None:
    """Chi-square of drawn slates on one page against their reported probabilities; cells under 10 expected pooled."""
    keys = hashing.absorb(hashing.stream(seed, "check frequencies"), np.arange(len(met.keys)))
    drawn = policy.act(met.page, n_slots, keys, met.truth).slate
    slates = _all_slates(np.flatnonzero(met.page.candidates[0] >= 0), n_slots)
    expected = len(drawn) * np.exp(_log_prob(policy, met, 0, slates).sum(axis=1))
    code = (met.page.candidates.shape[1] + 1) ** np.arange(n_slots)
    place = np.argsort(slates @ code)
    at = np.searchsorted(slates @ code, drawn @ code, sorter=place).clip(max=len(slates) - 1)
    count = np.bincount(place[at], minlength=len(slates)).astype(np.float64)
    assert not count[expected == 0].any(), "a slate is drawn whose reported probability is 0"
    rare = expected < 10.0
    cells = [np.append(each[~rare], each[rare].sum()) for each in (count, expected)]
    if cells[1][-1] < 10.0:  # too rare even together: left out
        cells = [each[:-1] for each in cells]
    if len(cells[1]) < 2:
        return  # one slate has all the probability
    statistic = float(((cells[0] - cells[1]) ** 2 / cells[1]).sum())
    p = float(stats.chi2.sf(statistic, len(cells[1]) - 1))
    assert p >= ALPHA, f"drawn slates do not have the reported probabilities: chi-square p = {p:.3g}"


def _log_prob(policy: AnyPolicy, met: _Met, row: int, slates: I32) -> F64:
    """Conditional log-probabilities of many slates of one page, (M, K)."""
    repeated = take(met, np.full(len(slates), row))
    return policy.log_prob(repeated.page, slates, repeated.truth).logp


def _some(met: _Met, n_slots: int) -> I64:
    """Rows to enumerate: the first is full, the last ones have fewer candidates than slots."""
    n_here = (met.page.candidates >= 0).sum(axis=1)
    full, few = np.flatnonzero(n_here == n_here.max()), np.flatnonzero(n_here <= n_slots)
    return np.concatenate([full[:1], np.arange(1, N_ENUMERATED - 2), few[:2]])


def _all_slates(here: npt.NDArray[np.intp], n_slots: int) -> I32:
    """Every slate of the candidates that exist, (M, K); -1 at the end where they are fewer than K."""
    filled = np.array(list(permutations(here, min(n_slots, len(here)))), dtype=np.int32)
    return np.pad(filled, ((0, 0), (0, n_slots - filled.shape[1])), constant_values=-1)


def _reorder(met: _Met, order: I64) -> _Met:
    """The same pages with the candidates in another order."""
    page = dataclasses.replace(met.page, candidates=np.take_along_axis(met.page.candidates, order, axis=1))
    if met.truth is None:
        return _Met(page, None, met.keys)
    known = met.truth
    moved = dataclasses.replace(
        known,
        attraction=np.take_along_axis(known.attraction, order, axis=1),
        satisfaction=np.take_along_axis(known.satisfaction, order, axis=1),
        value=np.take_along_axis(known.value, order, axis=1),
        relevance=np.take_along_axis(known.relevance, order, axis=1),
    )
    return _Met(page, moved, met.keys)


def _at(values: npt.NDArray[np.generic], slate: I32) -> npt.NDArray[np.generic]:
    """Values (N, C) at the positions of a slate; 0 at empty slots."""
    taken = np.take_along_axis(values, np.maximum(slate, 0).astype(np.int64), axis=1)
    return np.where(slate >= 0, taken, np.zeros((), dtype=values.dtype))

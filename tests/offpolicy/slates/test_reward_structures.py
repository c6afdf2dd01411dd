"""Which estimator is right where: all 60 slates of three of five items, and rewards of four structures.

Nothing is drawn. Every slate of every context is a row, and what an estimator expects is the sum of its statistics over
the rows, each times the logger's chance of it: exact to the rounding of float64.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest

from offpolicy import ESTIMATORS, Evidence, evaluate
from offpolicy.slates.pseudoinverse import moment_weights
from offpolicy.statistics import value_of
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal

Floats = npt.NDArray[np.float64]

CONTEXTS, ITEMS, SLOTS = 3, 5, 3
SLATES = np.array(list(permutations(range(ITEMS), SLOTS)))  # (60, K)
RNG = np.random.default_rng(0)
LIKING = RNG.uniform(0.1, 0.8, (CONTEXTS, ITEMS))
LOGGER = np.exp(RNG.normal(size=(CONTEXTS, ITEMS)) + LIKING)
TARGET = LOGGER * np.exp(3.0 * LIKING)  # likes what shoppers like, more than the logger does
SHOWN = LIKING[:, SLATES]  # (X, 60, K)
BY_PLACE = SHOWN * np.array([0.9, 0.6, 0.5])
REWARDS = {
    "independent": BY_PLACE,
    "cascade": SHOWN * (np.cumprod(1.0 - SHOWN, axis=2) / (1.0 - SHOWN)),
    "all": SHOWN * (1.0 - 0.4 * (SHOWN.sum(axis=2, keepdims=True) - SHOWN)),
    "moved": np.roll(BY_PLACE, -1, axis=2),  # each slot is paid for what stands in the next
}
JOINT, PREFIX, ITEM, PSEUDOINVERSE = (
    ("ips", "snips", "dr", "sndr"),
    ("rips", "snrips", "cascade-dr", "cascade-sndr"),
    ("ips-item", "snips-item", "dr-item"),
    ("pi", "snpi"),
)
RIGHT = {
    "independent": JOINT + PREFIX + ITEM + PSEUDOINVERSE,
    "cascade": JOINT + PREFIX,
    "all": JOINT,
    "moved": JOINT + PSEUDOINVERSE,
}


def conditional(strength: Floats) -> Floats:
    """(X, 60, K) log-probabilities."""
    taken = strength[:, SLATES]
    left = strength.sum(axis=1)[:, None, None] - np.cumsum(taken, axis=2) + taken
    return np.log(taken / left)


def marginal(chance: Floats) -> Floats:
    """(X, 60, K) log-probabilities from those of the slates (X, 60)."""
    same = (SLATES[:, None, :] == SLATES[None]).astype(np.float64)  # (60, 60, K)
    return np.log(np.einsum("xs,tsk->xtk", chance, same))


def by_prefix(seed: int) -> Floats:
    """Any function of the items at a slot and above, (X, 60, K): a model that is wrong everywhere."""
    rng, made = np.random.default_rng(seed), np.empty((CONTEXTS, len(SLATES), SLOTS))
    for k in range(SLOTS):
        _, which = np.unique(SLATES[:, : k + 1], axis=0, return_inverse=True)
        made[:, :, k] = rng.random((CONTEXTS, int(which.max()) + 1))[:, which.reshape(-1)]
    return made


def flat(column: Floats) -> Floats:
    return column.reshape(CONTEXTS * len(SLATES), *column.shape[2:])


def totals(chance: Floats, column: Floats) -> Floats:
    """Expected total of each context on each of its rows, (X * 60,)."""
    return np.repeat((chance * column.sum(axis=2)).sum(axis=1), len(SLATES))


def market(reward: Floats) -> tuple[Evidence, Floats, float]:
    """Every slate once, the logger's chance of each row, the value of the target."""
    logger, target = conditional(LOGGER), conditional(TARGET)
    p, q = (np.exp(each.sum(axis=2)) for each in (logger, target))  # (X, 60)
    by_slot = np.random.default_rng(1).random((CONTEXTS, ITEMS, SLOTS))[:, SLATES, np.arange(SLOTS)]
    model = by_prefix(2)
    evidence = Evidence(
        reward=flat(reward),
        logger=Conditional(flat(logger)),
        target=Conditional(flat(target)),
        logger_marginal=Marginal(flat(marginal(p))),
        target_marginal=Marginal(flat(marginal(q))),
        q_logged=flat(by_slot),
        q_target=totals(q, by_slot),
        q_prefix=flat(model),
        q_prefix_target=totals(q, model),
        pseudoinverse=moment_weights(p, q, SLATES, ITEMS).ravel(),
        cluster=np.arange(CONTEXTS * len(SLATES)),
    )
    return evidence, p.ravel() / CONTEXTS, float((q * reward.sum(axis=2)).sum() / CONTEXTS)


def expected(name: str, evidence: Evidence, chance: Floats) -> float:
    return float(value_of(chance @ ESTIMATORS[name].statistics(evidence).columns()))


@pytest.mark.parametrize("structure", REWARDS)
def test_each_estimator_is_right_under_its_own_reward_structure_and_no_other(structure: str) -> None:
    evidence, chance, truth = market(REWARDS[structure])
    off = {name: expected(name, evidence, chance) - truth for name in RIGHT["independent"]}
    print(structure, truth, {name: round(value, 4) for name, value in off.items()})
    for name, value in off.items():
        if name in RIGHT[structure]:
            assert abs(value) < 1e-12, (name, value)
        else:
            assert abs(value) > 1e-3, (name, value)


def test_estimators_that_overlook_crowding_promise_too_much_of_a_target_that_shows_more_of_what_is_liked() -> None:
    """What is liked leaves less for other slots; whoever does not weigh those slots pays the logger's milder loss."""
    for structure, names in {"cascade": ITEM, "all": ("rips", "snrips", *ITEM)}.items():
        evidence, chance, truth = market(REWARDS[structure])
        for name in names:
            assert expected(name, evidence, chance) > truth + 1e-3, (structure, name)


def test_cascade_dr_is_the_sum_that_its_authors_wrote() -> None:
    """For any Q_k of the top k: sum_k [w_k (r_k - Q_k) + w_{k-1} V_k], V_k the mean of Q_k over the next choice."""
    evidence, _, _ = market(REWARDS["cascade"])
    target = np.exp(conditional(TARGET))
    still_to_come = by_prefix(3)
    before = np.empty_like(still_to_come)  # V_k
    for k in range(SLOTS):
        # All slates with the same top: each next item once, by its own chance, however many slates end with it.
        same = (SLATES[:, None, :k] == SLATES[None, :, :k]).all(axis=2)  # (60, 60)
        ends = np.array([len({tuple(s) for s in SLATES if (s[: k + 1] == one[: k + 1]).all()}) for one in SLATES])
        before[:, :, k] = (target[:, :, k] * still_to_come[:, :, k] / ends) @ same
    w = np.cumprod(np.exp(evidence.target.logp - evidence.logger.logp), axis=1)
    above = np.concatenate([np.ones((len(w), 1)), w[:, :-1]], axis=1)
    written = (w * (evidence.reward - flat(still_to_come)) + above * flat(before)).sum(axis=1)
    after = np.concatenate([before[:, :, 1:], np.zeros((*before.shape[:2], 1))], axis=2)
    ours = replace(evidence, q_prefix=flat(still_to_come - after), q_prefix_target=before[:, :, 0].ravel())
    assert np.allclose(ESTIMATORS["cascade-dr"].statistics(ours).plain, written, rtol=0.0, atol=1e-12)


def test_self_replay_gives_the_logged_mean_slot_by_slot() -> None:
    evidence, _, _ = market(REWARDS["all"])
    replay = replace(evidence, target=evidence.logger, target_marginal=None)
    mean = float(evidence.reward.sum(axis=1).mean())
    for name in ("rips", "snrips"):
        assert ESTIMATORS[name](replay).value == pytest.approx(mean, abs=1e-14)


def drawn(seed: int, reward: Floats, n_rows: int = 20_000) -> Evidence:
    """Rows drawn by the logger, with rewards of 0 or 1."""
    evidence, chance, _ = market(reward)
    rng = np.random.default_rng(seed)
    row = rng.choice(len(chance), n_rows, p=chance)
    return Evidence(
        reward=(rng.random((n_rows, SLOTS)) < evidence.reward[row]).astype(np.float64),
        logger=Conditional(evidence.logger.logp[row]),
        target=Conditional(evidence.target.logp[row]),
        cluster=np.arange(n_rows),
    )


def test_rows_in_any_order_give_the_same_and_slots_in_another_do_not() -> None:
    """The order of rows is nobody's business; the order of slots is what a prefix is."""
    evidence = drawn(0, REWARDS["cascade"], 2_000)
    order = np.random.default_rng(1).permutation(evidence.n_rows)
    shuffled = replace(
        evidence,
        reward=evidence.reward[order],
        logger=Conditional(evidence.logger.logp[order]),
        target=Conditional(evidence.target.logp[order]),
    )
    turned = replace(
        evidence,
        reward=evidence.reward[:, ::-1],
        logger=Conditional(evidence.logger.logp[:, ::-1]),
        target=Conditional(evidence.target.logp[:, ::-1]),
    )
    value = ESTIMATORS["rips"](evidence).value
    assert ESTIMATORS["rips"](shuffled).value == pytest.approx(value, abs=1e-12)
    assert abs(ESTIMATORS["rips"](turned).value - value) > 0.01


def test_prefixes_are_refused_by_their_type_and_given_as_conditionals_move_the_mean_weight() -> None:
    evidence = drawn(0, REWARDS["cascade"])
    with pytest.raises(UserError, match="logger is a Prefix propensity; expected Conditional"):
        replace(evidence, logger=evidence.logger.prefix())
    wrong = replace(evidence, logger=Conditional(evidence.logger.prefix().logp))
    both = replace(wrong, target=Conditional(evidence.target.prefix().logp))
    for case in (wrong, both):
        (found,) = evaluate(case, ["rips"])
        assert found.verdict.word == "do not use"
        assert abs(found.diagnostics.mean_weight_z) > 5.0
    (sound,) = evaluate(evidence, ["rips"])
    assert abs(sound.diagnostics.mean_weight_z) < 4.0

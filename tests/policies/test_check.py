"""Every registered policy keeps the contract that is shipped to users, and the contract bites."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from policies import plackett_luce
from policies.check import check_policy
from policies.learning import Learner
from policies.ranking import F32, RankingPolicy
from policies.registry import POLICIES, named_policy
from simenv.catalogue import PublicCatalogue
from simenv.decision import Decision, Truth
from simenv.errors import UserError
from simenv.propensity import Conditional, Marginal
from simenv.world import Page, World
from simenv.worlds import load_world


@pytest.mark.parametrize("name", POLICIES)
def test_every_registered_policy_keeps_the_contract(
    name: str, tiny: World, catalogue: PublicCatalogue, trained: dict[str, Learner]
) -> None:
    entry = POLICIES[name]
    if entry.learns:
        policy = RankingPolicy(name, trained[name], entry.temperature, entry.floor)
    else:
        policy = named_policy(name, catalogue)
    check_policy(policy, tiny, n_draws=20_000)


@pytest.mark.parametrize("floor", [0.0, 0.2])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 30.0])
def test_exploration_does_not_break_the_contract(
    temperature: float, floor: float, tiny: World, catalogue: PublicCatalogue
) -> None:
    check_policy(named_policy("production", catalogue).with_exploration(temperature, floor), tiny, 1, n_draws=20_000)


def test_greedy_keeps_the_contract(tiny: World, catalogue: PublicCatalogue) -> None:
    check_policy(named_policy("lexical", catalogue).with_exploration(0.0, 0.0), tiny, n_draws=1_000)


def test_a_world_with_too_many_slates_is_refused(catalogue: PublicCatalogue) -> None:
    world = load_world("default")
    with pytest.raises(UserError, match="254,251,200 slates"):
        check_policy(named_policy("uniform", world.catalogue.public()), world)


class OtherTemperature(RankingPolicy):
    """Draws hotter by 5% than it says."""

    def act(self, page: Page, n_slots: int, keys: Any, truth: Truth | None = None) -> Decision:
        honest = RankingPolicy.act(self.with_exploration(1.05 * self.temperature, self.floor), page, n_slots, keys)
        return Decision(honest.slate, self.log_prob(page, honest.slate), honest.scores)

    def with_exploration(self, temperature: float, floor: float) -> RankingPolicy:
        return RankingPolicy(self.name, self.scorer, temperature, floor)


class FloorAfterTheDraw(RankingPolicy):
    """Mixes the conditionals with a uniform choice: what it says no longer sums to one over slates."""

    def log_prob(self, page: Page, slate: Any, truth: Truth | None = None) -> Conditional:
        logp = super().log_prob(page, slate, truth).logp
        return Conditional(np.where(slate >= 0, np.log(0.9 * np.exp(logp) + 0.1 / 8), logp))

    def act(self, page: Page, n_slots: int, keys: Any, truth: Truth | None = None) -> Decision:
        honest = super().act(page, n_slots, keys, truth)
        return Decision(honest.slate, self.log_prob(page, honest.slate), honest.scores)


class ConditionalsAsMarginals(RankingPolicy):
    """The mistake that biases item-position weights."""

    def propensities(self, page: Page, slate: Any, truth: Truth | None = None, want_marginal: bool = True) -> Any:
        conditional, _ = super().propensities(page, slate, truth, want_marginal=False)
        return conditional, Marginal(conditional.logp)


class StaleLogp(RankingPolicy):
    """Reports the probabilities of another temperature."""

    def act(self, page: Page, n_slots: int, keys: Any, truth: Truth | None = None) -> Decision:
        honest = super().act(page, n_slots, keys, truth)
        return Decision(honest.slate, Conditional(honest.logp.logp * 1.001), honest.scores)


class IgnoresLuck(RankingPolicy):
    """Draws with the same keys every time."""

    def act(self, page: Page, n_slots: int, keys: Any, truth: Truth | None = None) -> Decision:
        return super().act(page, n_slots, np.arange(len(keys), dtype=np.uint64), truth)


class LuckByPlace(RankingPolicy):
    """Names a candidate's luck by its place among the candidates."""

    def act(self, page: Page, n_slots: int, keys: Any, truth: Truth | None = None) -> Decision:
        scores = self.scores(page, truth)
        logw = plackett_luce.log_weights(scores, self.temperature, self.floor)
        places = np.tile(np.arange(scores.shape[1]), (len(scores), 1))
        slate = plackett_luce.draw(logw, n_slots, keys, places)
        return Decision(slate, plackett_luce.conditional(logw, slate), scores)


class ShowsHoles(RankingPolicy):
    """Forgets that some candidates are not there."""

    def scores(self, page: Page, truth: Truth | None = None) -> F32:
        return self.scorer.score(page, truth).astype(np.float32)


class SpoilsThePage(RankingPolicy):
    """Writes into what it was given."""

    def act(self, page: Page, n_slots: int, keys: Any, truth: Truth | None = None) -> Decision:
        decision = super().act(page, n_slots, keys, truth)
        page.history_weight[:] += 1.0
        return decision


@dataclass
class Adapts:
    """A scorer that changes whenever it is asked."""

    inner: Any
    asked: list[int] = field(default_factory=lambda: [0])

    def score(self, page: Page, truth: Truth | None) -> F32:
        self.asked[0] += 1
        return (self.inner.score(page, truth) * (1 + 0.1 * (self.asked[0] % 7))).astype(np.float32)


@dataclass(frozen=True)
class LooksAtTheBatch:
    """A scorer that standardises over the batch."""

    inner: Any

    def score(self, page: Page, truth: Truth | None) -> F32:
        scores = self.inner.score(page, truth)
        return ((scores - scores.mean()) / 2.0).astype(np.float32)


@dataclass(frozen=True)
class Nan:
    """A scorer that divides nothing by nothing."""

    inner: Any

    def score(self, page: Page, truth: Truth | None) -> F32:
        scores = self.inner.score(page, truth).copy()
        scores[0, 0] = np.nan
        return scores


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (OtherTemperature, "drawn slates do not have the reported probabilities"),
        (FloorAfterTheDraw, "the probabilities of all"),
        (ConditionalsAsMarginals, "a marginal at slot 1 is off"),
        (StaleLogp, "differs by .* from what the decision says"),
        (IgnoresLuck, "the luck is not used"),
        (LuckByPlace, "another order of the same candidates shows other items"),
        (ShowsHoles, "a hole"),
        (SpoilsThePage, "acting changed history_weight of the page"),
    ],
)
def test_a_broken_policy_is_caught(
    broken: Callable[..., RankingPolicy], told: str, tiny: World, catalogue: PublicCatalogue
) -> None:
    scorer = named_policy("production", catalogue).scorer
    with pytest.raises(AssertionError, match=told):
        check_policy(broken("broken", scorer, 0.7, 0.02), tiny, n_draws=200_000)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Adapts, "the same page and keys gave another slate|from what the decision says"),
        (LooksAtTheBatch, "a row's scores depend on its batch"),
        (Nan, "NaN or infinite"),
    ],
)
def test_a_broken_scorer_is_caught(
    broken: Callable[[Any], Any], told: str, tiny: World, catalogue: PublicCatalogue
) -> None:
    honest = named_policy("production", catalogue)
    with np.errstate(invalid="ignore"), pytest.raises((AssertionError, UserError), match=told):
        check_policy(dataclasses.replace(honest, scorer=broken(honest.scorer)), tiny)

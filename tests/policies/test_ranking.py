"""A scorer as a policy: greedy where the temperature is 0, honest where it is not, careful about what it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.ranking import RankingPolicy, slate_propensities
from policies.registry import named_policy
from simenv import hashing
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.play import Step


def test_greedy_shows_the_best_with_certainty(steps: Step, catalogue: PublicCatalogue) -> None:
    """What it shows has log-probability 0, anything else -inf; ties go to the engine's order."""
    policy = named_policy("lexical", catalogue).with_exploration(0.0, 0.0)
    page = steps.page
    decision = policy.act(page, 3, hashing.absorb(0, np.arange(len(page))))
    assert (decision.logp.logp == 0).all()
    best = np.argsort(-decision.scores, axis=1, kind="stable")[:, :3]
    best[np.isneginf(np.take_along_axis(decision.scores, best, axis=1))] = -1
    assert np.array_equal(decision.slate, best)
    conditional, marginal = policy.propensities(page, decision.slate)
    assert marginal is not None
    assert (conditional.logp == 0).all()
    assert (marginal.logp == 0).all()
    swapped = decision.slate[:, [0, 2, 1]]
    logp = policy.log_prob(page, swapped).logp
    assert (logp[:, 0] == 0).all()
    assert np.isneginf(logp[best[:, 2] >= 0, 1:]).all()


def test_propensities_come_from_logged_scores_alone(steps: Step) -> None:
    """A log holds scores, temperature and floor; they give back the logged numbers to the last bit."""
    logged = steps.decision
    conditional, marginal = slate_propensities(logged.scores, 0.7, 0.02, logged.slate, want_marginal=False)
    assert marginal is None
    assert np.array_equal(conditional.logp, logged.logp.logp)


@pytest.mark.parametrize(
    ("temperature", "floor", "told"),
    [
        (-1.0, 0.0, "temperature is -1.0"),
        (float("inf"), 0.0, "temperature is inf"),
        (float("nan"), 0.0, "temperature is nan"),
        (1.0, 1.0, "floor is 1.0"),
        (1.0, -0.1, "floor is -0.1"),
        (0.0, 0.1, "greedy policy"),
    ],
)
def test_what_has_no_distribution_is_refused(temperature: float, floor: float, told: str) -> None:
    with pytest.raises(UserError, match=told):
        RankingPolicy("mine", scorer=None, temperature=temperature, floor=floor)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused(value: float, steps: Step) -> None:
    class Broken:
        def score(self, page: Any, truth: Any) -> Any:
            made = np.zeros(page.candidates.shape, dtype=np.float32)
            made[1, 2] = value
            return made

    with pytest.raises(UserError, match="policy 'mine': a candidate's score is NaN or infinite"):
        RankingPolicy("mine", Broken()).scores(steps.page)


def test_the_oracle_needs_the_truth(steps: Step, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match="hidden truth, which a log does not hold"):
        named_policy("oracle", catalogue).scores(steps.page)

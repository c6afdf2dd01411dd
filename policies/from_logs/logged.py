"""What is kept of a log to learn a ranking from: the pages, what was shown, what it brought, how likely it was.

A slate is weighed in one of three ways, each right where its assumption is:

* *item-position*: slot by slot, by the marginal propensity of the item at its slot. Right where a slot's reward depends
  on its own item and place alone (Li et al., "Offline evaluation of ranking policies with click models", 2018).
* *prefix*: slot by slot, by the probability of everything down to it. Right where shoppers read from the top and what
  stands below changes nothing (McInerney et al., "Counterfactual evaluation of slate recommendations with sequential
  reward interactions", 2020).
* *joint*: the whole slate. Right for any reward, and the least sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from policies import plackett_luce
from policies.examples import Examples
from simenv import hashing
from simenv.catalogue import I32, I64
from simenv.errors import UserError
from simenv.world import Page

F64 = npt.NDArray[np.float64]
Weighing = Literal["item-position", "prefix", "joint"]

HELD_OUT = 0.2  # of the shoppers
SAME = 1e-4  # between a logged log-propensity and what the weights say


@dataclass(frozen=True)
class Logged:
    """n searches of a log.

    page: as the logger saw it. slate: (n, K) int32. reward: (n, K) float64, 0 at empty slots. logw: (n, C) float64, the
    logger's log-weights, -inf at holes. logmu: (n, J) float64, log-probability of each piece of the slate under the
    logger: J is K for slots, 1 for whole slates.
    """

    page: Page
    slate: I32
    reward: F64
    logw: F64
    logmu: F64

    def __len__(self) -> int:
        """Number of searches, n."""
        return len(self.slate)


def logged(examples: Examples, reward: str, weighing: Weighing) -> Logged:
    """Examples as evidence about other rankings.

    Raises:
        UserError: where the examples do not say what such evidence needs, or slots are to be weighed by marginals and
            the logger's slates were not Plackett-Luce.
    """
    page, slate, logw, logp = examples.page, examples.slate, examples.logw, examples.logp
    if page is None or slate is None or logp is None or logw is None:
        raise UserError(
            "learning from logs needs the pages, the slates, the propensities and the weights of a logger that is not "
            "greedy; make examples from a log, or with `step_examples(feature_map, step, exploration)`."
        )
    if reward == "gain" and examples.gain is None:
        raise UserError("the examples do not say what a slot gained; learn from clicks, or make them from a log.")
    paid = examples.reward if examples.gain is None or reward == "clicks" else examples.gain
    if weighing == "item-position":
        _refuse_other_draws(logw, slate, logp)
        logmu = plackett_luce.marginal(logw, slate).logp
    else:
        logmu = _down_to(logp, weighing)
    return Logged(page, slate, np.where(slate >= 0, paid, 0.0).astype(np.float64), logw, logmu)


def log_pieces(logw: F64, slate: I32, weighing: Weighing) -> F64:
    """Log-probability (n, J) of the pieces of given slates under log-weights (n, C)."""
    if weighing == "item-position":
        return plackett_luce.marginal(logw, slate).logp
    return _down_to(plackett_luce.conditional(logw, slate).logp, weighing)


def in_pieces(slots: F64, weighing: Weighing) -> F64:
    """What slots bring (n, K), as what pieces bring (n, J)."""
    return slots.sum(axis=1, keepdims=True) if weighing == "joint" else slots


def weights(logpi: F64, logmu: F64, weighing: Weighing, clip: float) -> F64:
    """Importance weights (n, J) of at most `clip`.

    For marginals the logger's propensity is raised to 1 / clip where it is less (Strehl, Langford, Li and Kakade,
    "Learning from logged implicit exploration data", 2010), so that a policy still gains by showing more of what the
    logger showed rarely; products of propensities are clipped as a whole (Ionides, "Truncated importance sampling",
    2008), and beyond the clip there is nothing to gain. Both undervalue: rewards that are left out count as 0.
    """
    if weighing == "item-position":
        logw: F64 = logpi - np.maximum(logmu, -np.log(clip))
    else:
        logw = np.minimum(logpi - logmu, np.log(clip))
    return np.exp(logw, dtype=np.float64)


def is_held_out(shopper: I64) -> npt.NDArray[np.bool_]:
    """Who decides when learning stops and is not learned from: a fixed share of shoppers, the same in every log."""
    luck = hashing.uniform(hashing.absorb(hashing.stream(0, "held out"), shopper))
    chosen: npt.NDArray[np.bool_] = luck < HELD_OUT
    return chosen


def _down_to(logp: F64, weighing: Weighing) -> F64:
    prefix = np.cumsum(logp, axis=1)
    return prefix[:, -1:] if weighing == "joint" else prefix


def _refuse_other_draws(logw: F64, slate: I32, logp: F64) -> None:
    said = plackett_luce.conditional(logw, slate).logp
    if not np.allclose(said, logp, rtol=0.0, atol=SAME):
        raise UserError(
            "the log's propensities are not those of Plackett-Luce slates with its scores, so nobody knows how likely "
            'an item was at its slot; weigh by "prefix" or "joint".'
        )

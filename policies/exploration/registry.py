"""EXPLORATIONS: the schemes that a person can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from policies.exploration.by_bound import RegCB
from policies.exploration.by_score import EpsilonGreedy, PlackettLuce, Softmax, SquareCB
from policies.exploration.by_vote import Bagging, ThompsonMixture
from policies.exploration.estimates import Exploration
from policies.exploration.thompson import ThompsonQuadrature
from simenv.errors import UserError, unknown_name

Scheme = (
    type[EpsilonGreedy] | type[Softmax] | type[PlackettLuce] | type[SquareCB] | type[RegCB] | type[Bagging]
    | type[ThompsonMixture] | type[ThompsonQuadrature]
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A scheme by name: one line about it, and the class of its settings."""

    about: str
    scheme: Scheme


EXPLORATIONS: dict[str, Entry] = {
    "epsilon-greedy": Entry("the best, or with a small chance anything", EpsilonGreedy),
    "softmax": Entry("probabilities grow with the exponential of the score", Softmax),
    "plackett-luce": Entry("softmax with a uniform floor", PlackettLuce),
    "squarecb": Entry("probabilities fall with the gap to the best", SquareCB),
    "regcb": Entry("uniform over those that confidence bounds allow to be best", RegCB),
    "bagging": Entry("vote shares of an ensemble, with a floor", Bagging),
    "thompson-mixture": Entry("vote shares of posterior draws, with a floor; any posterior", ThompsonMixture),
    "thompson-quadrature": Entry("probability to be best, with a floor; independent posteriors", ThompsonQuadrature),
}


def exploration(name: str, settings: Mapping[str, float] | None = None) -> Exploration:
    """A scheme by its name, with its defaults where settings leave something out.

    Raises:
        UserError: for an unknown name, an unknown setting, or a setting out of range.
    """
    if name not in EXPLORATIONS:
        raise unknown_name("exploration", name, EXPLORATIONS)
    scheme, given = EXPLORATIONS[name].scheme, dict(settings or {})
    known = [field.name for field in fields(scheme)]
    for setting in given:
        if setting not in known:
            raise UserError(f"exploration '{name}' has no setting '{setting}'; expected {', '.join(known)}.")
    made: Exploration = scheme(**given)  # type: ignore[arg-type]
    return made


def name_of(scheme: Exploration) -> str:
    """The name of a scheme, under which `exploration` makes it again.

    Raises:
        UserError: for one that is not in EXPLORATIONS.
    """
    for name, entry in EXPLORATIONS.items():
        if type(scheme) is entry.scheme:
            return name
    raise UserError(
        f"exploration {type(scheme).__name__} is not in EXPLORATIONS ({', '.join(EXPLORATIONS)}); register it there, "
        "so that what is saved can be loaded."
    )

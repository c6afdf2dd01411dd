"""The registry's lines of how a page is read as a whole: by what it is about, or by each shopper in their own way."""

from __future__ import annotations

from collections.abc import Callable

from offpolicy.estimator import LOGGED, Estimator
from offpolicy.formulas import ips, snips
from offpolicy.slates.behaviour import adaptive
from offpolicy.slates.cuts import abstracted
from offpolicy.statistics import Statistics
from offpolicy.terms import Terms

_SNIPS = "Swaminathan and Joachims 2015"
_KIYOHARA_2023 = "Kiyohara, Uehara, Narita, Shimizu, Yamamoto and Saito 2023"
_KIYOHARA_2024 = "Kiyohara, Nomura and Saito 2024"
_ADAPTIVE = f"{LOGGED}; the reward of a slot depends on the slots alone that the row's behaviour names"
_LEARNED = "how shoppers read was learned from the log or declared, which biases it where it is not so"
_ABOUT = f"{LOGGED}; a slate moves the reward through what it is about only"
_INSIDE = "what the target does better among slates about the same is lost, which the log cannot tell"


def _abstracted(name: str, formula: Callable[[Terms], Statistics], *, rival: str) -> Estimator:
    """An estimator that weighs what a slate is about."""
    return Estimator(
        name,
        abstracted,
        formula,
        ("abstraction",),
        _ABOUT,
        _KIYOHARA_2024 if formula is ips else f"{_KIYOHARA_2024}; {_SNIPS}",
        never_trust=_INSIDE,
        rival=rival,
        by_default=False,
    )


def _adaptive(name: str, formula: Callable[[Terms], Statistics], *, rival: str) -> Estimator:
    """An estimator that weighs a slot by the slots that this shopper's reward of it hears."""
    return Estimator(
        name,
        adaptive,
        formula,
        ("logger_marginal", "target_marginal"),
        _ADAPTIVE,
        _KIYOHARA_2023 if formula is ips else f"{_KIYOHARA_2023}; {_SNIPS}",
        never_trust=_LEARNED,
        rival=rival,
        by_default=False,
        passes=2,
    )


READINGS = (
    _abstracted("lips", ips, rival="ips"),
    _abstracted("snlips", snips, rival="snips"),
    _adaptive("aips", ips, rival="ips"),
    _adaptive("snaips", snips, rival="snips"),
)

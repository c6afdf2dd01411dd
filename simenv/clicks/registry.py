"""CLICK_MODELS: the click models by name, each made for a number of slots with numbers to start from."""

from __future__ import annotations

from collections.abc import Callable

from simenv.clicks.cascade import Cascade
from simenv.clicks.choice import MultinomialLogit, ProportionalChoice
from simenv.clicks.dependent_click import DependentClick
from simenv.clicks.dynamic_bayesian import DynamicBayesian, SimplifiedDynamicBayesian
from simenv.clicks.model import ClickModel
from simenv.clicks.position_based import PositionBased
from simenv.clicks.trust_bias import TrustBias
from simenv.clicks.user_browsing import UserBrowsing

STEEPNESS = 0.7  # of looking, by rank or distance: between the mild and the steep curves of published eye-tracking


def _falling(n_slots: int, steepness: float = STEEPNESS) -> tuple[float, ...]:
    return tuple(round((1.0 + k) ** -steepness, 4) for k in range(n_slots))


def _trust_bias(n_slots: int) -> ClickModel:
    """Few clicks on what is seen and does not attract, and the fewer the lower it stands."""
    noise = tuple(round(0.1 * each, 4) for each in _falling(n_slots, 1.0))
    return TrustBias(_falling(n_slots), epsilon_plus=(0.95,) * n_slots, epsilon_minus=noise)


def _user_browsing(n_slots: int) -> ClickModel:
    """The eye falls off with the distance to the last click; without one, as with the rank."""
    curve = _falling(n_slots)
    return UserBrowsing(tuple(curve[: k + 1] for k in range(n_slots)))


CLICK_MODELS: dict[str, Callable[[int], ClickModel]] = {
    "position-based": lambda n_slots: PositionBased(_falling(n_slots)),
    "trust-bias": _trust_bias,
    "cascade": lambda n_slots: Cascade(continuation=0.95),
    "dependent-click": lambda n_slots: DependentClick((0.6,) * n_slots),
    "simplified-dbn": lambda n_slots: SimplifiedDynamicBayesian(),
    "dbn": lambda n_slots: DynamicBayesian(continuation=0.9),
    "user-browsing": _user_browsing,
    "multinomial-logit": lambda n_slots: MultinomialLogit(prominence=_falling(n_slots)),
    "proportional": lambda n_slots: ProportionalChoice(prominence=_falling(n_slots)),
}

"""Click models: how a page that is looked at becomes clicks.

Each model turns the appeal of the shown items into examined and clicked slots, knows the exact probability of any
click pattern, and the exact probability of a click at each slot given the slate. `CLICK_MODELS` has them by name,
`check_click_model` proves one, `best_slate` finds the best page under one, `fit_click_model` fits one to a log.
"""

from simenv.clicks.best_slate import Best, Taken, best_slate
from simenv.clicks.cascade import Cascade
from simenv.clicks.check import check_click_model
from simenv.clicks.choice import MultinomialLogit, ProportionalChoice
from simenv.clicks.dependent_click import DependentClick
from simenv.clicks.dynamic_bayesian import DynamicBayesian, SimplifiedDynamicBayesian
from simenv.clicks.fitted import Fitted, click_perplexity
from simenv.clicks.fitting import fit_click_model
from simenv.clicks.model import Appeal, ClickModel
from simenv.clicks.posing import CLICK_FITS
from simenv.clicks.position_based import PositionBased
from simenv.clicks.registry import CLICK_MODELS
from simenv.clicks.trust_bias import TrustBias
from simenv.clicks.user_browsing import UserBrowsing

__all__ = [
    "CLICK_FITS",
    "CLICK_MODELS",
    "Appeal",
    "Best",
    "Cascade",
    "ClickModel",
    "DependentClick",
    "DynamicBayesian",
    "Fitted",
    "MultinomialLogit",
    "PositionBased",
    "ProportionalChoice",
    "SimplifiedDynamicBayesian",
    "Taken",
    "TrustBias",
    "UserBrowsing",
    "best_slate",
    "check_click_model",
    "click_perplexity",
    "fit_click_model",
]

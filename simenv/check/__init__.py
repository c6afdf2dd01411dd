"""Contracts of the market, as functions for people who add their own worlds and environments.

Each raises an `AssertionError` that names the property which does not hold. `simenv.clicks.check_click_model` is the
third of the family and lives beside the click models.
"""

from simenv.check.vector_env import check_vector_env
from simenv.check.world import check_world

__all__ = ["check_vector_env", "check_world"]

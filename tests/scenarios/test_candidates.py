"""Who takes part in a scenario, and how many are played."""

from __future__ import annotations

from scenarios.candidates import population
from scenarios.config import load_scenario
from simenv.worlds import load_world


def test_where_shoppers_share_stock_as_many_are_played_as_the_log_has() -> None:
    """Shelves are filled in proportion to shoppers, but few shoppers empty small ones more often than many large ones.

    Under one ranker in "scarce", 4,000 shoppers bought 0.1036 (+-.0008) a search and 16,000 bought 0.1060 (+-.0004):
    a truth of the one is none of the other.
    """
    scenario = load_scenario("quick", None, ["logging.shoppers=300"])
    assert len(population(scenario, load_world("tiny"), 50)) == 50
    assert len(population(scenario, load_world("scarce"), 50)) == 300

"""simenv: the market. Importing it registers the Gymnasium environment `simenv/Search-v0`."""

from __future__ import annotations

import gymnasium

if "simenv/Search-v0" not in gymnasium.registry:
    gymnasium.register(
        id="simenv/Search-v0",
        entry_point="simenv.env:SearchEnv",
        vector_entry_point="simenv.vector_env:SearchVectorEnv",
    )

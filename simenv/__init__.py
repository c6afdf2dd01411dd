"""simenv: the market. Importing it registers the Gymnasium environments: `simenv/Search-v0` and the peers' markets."""

from __future__ import annotations

import gymnasium

if "simenv/Search-v0" not in gymnasium.registry:
    gymnasium.register(
        id="simenv/Search-v0",
        entry_point="simenv.env:SearchEnv",
        vector_entry_point="simenv.vector_env:SearchVectorEnv",
    )

for _id, _world in {
    "simenv/InterestEvolution-v0": "interest-evolution",
    "simenv/LongTermSatisfaction-v0": "long-term-satisfaction",
    "simenv/Sardine-v0": "sardine",
    "simenv/RecoGym-v0": "recogym",
}.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            id=_id,
            entry_point="simenv.peers.env:PeerEnv",
            vector_entry_point="simenv.peers.vector_env:PeerVectorEnv",
            kwargs={"world": _world},
        )

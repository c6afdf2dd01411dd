"""PEER_WORLDS: the peers' markets by name, each with its question and its reference rankers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simenv.errors import unknown_name
from simenv.peers.interest_evolution import InterestEvolution
from simenv.peers.long_term_satisfaction import LongTermSatisfaction
from simenv.peers.peer_world import PeerWorld
from simenv.peers.rankers import (
    ANTI_ORACLE,
    BY_TOPIC,
    LEAST_CLICKBAIT,
    MOST_CLICKBAIT,
    MOST_VIEWED,
    MYOPIC,
    ORACLE,
    Ranker,
    at_random,
    sparing_oracle,
)
from simenv.peers.recogym import RecoGym
from simenv.peers.sardine import Sardine


@dataclass(frozen=True)
class Peer:
    """A market of a peer.

    Attributes:
        question: What it answers, with the finding to expect.
        env: Its Gymnasium id.
        world: Its published size, in numpy.
        rankers: Who is worth comparing there, by name.
    """

    question: str
    env: str
    world: PeerWorld[Any]
    rankers: dict[str, Ranker]


def _peer(question: str, env: str, world: PeerWorld[Any], own: dict[str, Ranker]) -> Peer:
    return Peer(
        question, env, world,
        {"random": at_random(world.n_candidates), **own, "oracle": ORACLE, "anti-oracle": ANTI_ORACLE},
    )  # fmt: skip


PEER_WORLDS: dict[str, Peer] = {
    "interest-evolution": _peer(
        "How much does planning beat ranking by interest, when what people like is not what keeps them? (RecSim's "
        "SlateQ) A plain ranking by topic gets it all: 265 minutes against 168 myopic and 160 at random.",
        "simenv/InterestEvolution-v0",
        InterestEvolution(),
        {"myopic": MYOPIC, "topic-quality": BY_TOPIC},
    ),
    "long-term-satisfaction": _peer(
        "When does maximising engagement now lose engagement later? (RecSim) At the published sensitivity never: most "
        "clickbait 1,136, random 941, least 770; at sensitivity 0.1 always: 832, 944 and 997.",
        "simenv/LongTermSatisfaction-v0",
        LongTermSatisfaction(),
        {"most-clickbait": MOST_CLICKBAIT, "least-clickbait": LEAST_CLICKBAIT},
    ),
    "sardine": _peer(
        "Does showing users what they click bore them? (SARDINE) The greedy oracle gets 135 clicks, the same oracle "
        "sparing topics that are about to bore 434, random 50.",
        "simenv/Sardine-v0",
        Sardine(),
        {"sparing-oracle": sparing_oracle(Sardine().item_topic, Sardine().boredom_clicks)},
    ),
    "recogym": _peer(
        "How far do organic views carry a recommender? (RecoGym) To the oracle's 0.020 clicks per ad against 0.010 at "
        "random, and nowhere once responses are swapped between like products.",
        "simenv/RecoGym-v0",
        RecoGym(),
        {"most-viewed": MOST_VIEWED},
    ),
}


def load_peer(name: str) -> PeerWorld[Any]:
    """The market of that name at its published size, in numpy.

    Raises:
        UserError: for a name that is not in PEER_WORLDS.
    """
    if name not in PEER_WORLDS:
        raise unknown_name("peer world", name, PEER_WORLDS)
    return PEER_WORLDS[name].world

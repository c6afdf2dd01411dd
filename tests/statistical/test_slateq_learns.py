"""SlateQ, trained for real on interest evolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from simenv.peers.play import play
from simenv.peers.worlds import PEER_WORLDS

WORLD = PEER_WORLDS["interest-evolution"]
PUBLISHED = 174.6  # minutes a user, the best row of the paper's table


@pytest.mark.slow
@pytest.mark.ray
def test_sixty_thousand_pages_of_slateq_beat_random_and_myopic_rankings_and_the_best_published() -> None:
    """Paired 99.9% t-intervals over 1,000 users, each under both rankers with the same luck.

    By a margin of 30 minutes over random and myopic, set below the 60 that runs of this size reached.
    """
    from policies.rllib.slateq_train import SlateQRun, train_slateq

    trainer = train_slateq(SlateQRun("interest-evolution", 21, 60_000))
    market, users = WORLD.world.fastest(), np.arange(1000)
    learned = play(market, trainer.ranker("optimal"), 5, users).returns
    for other in ("random", "myopic"):
        gain = learned - play(market, WORLD.rankers[other], 5, users).returns
        low, _ = stats.t.interval(0.999, len(gain) - 1, gain.mean(), stats.sem(gain))
        assert low > 30.0
    low, _ = stats.t.interval(0.999, len(learned) - 1, learned.mean(), stats.sem(learned))
    assert low > PUBLISHED

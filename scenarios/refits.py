"""The direct method's interval on a log of our own: its reward model fitted again on every resampled log.

Features of all searches, and of slates drawn from the target policy, are held at once, so it is for logs of at most
REFIT_SEARCHES searches; the log is read once more for them. Each replicate fits one model on all shoppers that it drew,
where the estimate itself has one a fold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offpolicy import Evidence
from offpolicy.inference import Interval, clusters
from offpolicy.intervals.case import Asked, Case
from offpolicy.intervals.refit import VARIANCE_ONLY, refit_bootstrap
from offpolicy.intervals.registry import IntervalRule
from offpolicy.reward_model import fit
from policies.exploration.slotwise import AnyPolicy
from policies.features import FeatureMap, features
from scenarios.batch_columns import answers_of, at
from scenarios.joining import BATCH, Joining, keep_half
from scenarios.progress import Progress
from simenv.errors import UserError
from simenv.log import Log

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

REFIT_SEARCHES = 20_000


@dataclass(frozen=True)
class Shown:
    """What a reward model is fitted on and asked of.

    Attributes:
        logged: Features of the logged slots, (N, K, F).
        target: Features of M slates a search of the target policy, (N, M, K, F).
        is_filled: Where those slates show something, (N, M, K).
    """

    logged: F32
    target: F32
    is_filled: npt.NDArray[np.bool_]


def read_shown(log: Log, target: AnyPolicy, joining: Joining, n_rows: int) -> Shown:
    """Read the log once more, for features of what was shown and of what the target would show.

    Raises:
        UserError: Where it has too many searches to hold.
    """
    if n_rows > REFIT_SEARCHES:
        raise UserError(
            f"--refits holds the features of every search in memory, of at most {REFIT_SEARCHES:,}; this log has "
            f"{n_rows:,} to judge on. Leave it out; 'dr' has an interval that knows of the model's error."
        )
    feature_map = FeatureMap(log.catalogue())
    parts = []
    for batch in log.batches(keep_half(joining.half), batch=BATCH, want_query=target.reads_query):
        every = np.broadcast_to(np.arange(batch.page.candidates.shape[1]), batch.page.candidates.shape)
        x = features(feature_map, batch.page, every)  # (n, C, F)
        slates = answers_of(target, batch, joining.settings, joining.seed).slates
        drawn = np.stack([at(x, slate) for slate in slates], axis=1)
        parts.append((at(x, batch.slate), drawn, np.stack(slates, axis=1) >= 0))
    logged, drawn, is_filled = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Shown(logged, drawn, is_filled)


def refit_rule(evidence: Evidence, shown: Shown, asked: Asked, progress: Progress) -> IntervalRule:
    """The interval of the direct method by its refitted model; whoever makes it gets what was fitted here, once.

    Args:
        evidence: The estimate's.
        shown: Of the same searches.
        asked: Level, how many refits and their seed.
        progress: Told refits.
    """
    advance = progress.task("fit the reward model again", asked.replicates + 1)

    def refit(times: F64) -> F64:
        here = times > 0.0
        model = fit(shown.logged[here], evidence.reward[here], times[here])
        advance(1)
        return np.asarray((model.expect(shown.target) * shown.is_filled).sum(axis=2).mean(axis=1))

    value, lift = refit_bootstrap(refit, clusters(evidence), evidence.reward.sum(axis=1), asked)

    def make(case: Case, asked: Asked) -> Interval:
        found = lift if case.is_lift else value
        return replace(found, value=case.scores.value)  # of the models by fold

    return IntervalRule("refit bootstrap, variance only", make, VARIANCE_ONLY, "Efron 1979")

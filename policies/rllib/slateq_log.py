"""A log as transitions for SlateQ: pages, what was clicked, and the page that came next in the shopper's life.

Every row of the log is a page here, those on which nothing was found too: a life goes through them. A shopper who would
have come back after the log's horizon has a last page of which nobody knows what followed; as a transition it is left
out (its reward is in the returns of the pages before it, which only set the unit of values).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from policies.learning import in_half
from policies.rllib.environment import PageLayout
from policies.rllib.offline_data import F32, Logged, Reading, discounted_returns, log_layout, whole_stays
from policies.rllib.slateq_replay import Rows
from simenv.catalogue import I64
from simenv.log.batch import LogBatch
from simenv.log.read import BATCH, Log


@dataclass(frozen=True)
class Followed(Logged):
    """n pages and what followed each.

    clicked: (n, K) bool. reward: (n,) float32 of the whole page. over: (n,) bool, nothing follows. next_observation:
    (n, W) float32 and next_slate: (n, K) of the page that follows; the page's own where nothing does.
    """

    clicked: npt.NDArray[np.bool_]
    reward: F32
    over: npt.NDArray[np.bool_]
    next_observation: F32
    next_slate: I64

    def rows(self) -> Rows:
        """As SlateQ's learner takes them: the observation that follows ends with what was clicked."""
        nothing = np.zeros(self.clicked.shape, dtype=np.float32)  # what was clicked before is no feature
        return Rows(
            obs=np.concatenate([self.observation, nothing], axis=1),
            slate=self.slate,
            reward=self.reward,
            over=self.over,
            next_obs=np.concatenate([self.next_observation, self.clicked.astype(np.float32)], axis=1),
            next_slate=self.next_slate,
        )


def transitions(log: Log, reading: Reading, batch: int = BATCH) -> Iterator[Followed]:
    """The log's pages in its order with what followed them; a shopper is never split between two windows.

    Args:
        log: The log.
        reading: Whose pages; where a life ends: `returns` "session", with the visit, or "shopper".
        batch: Rows read at once.

    Raises:
        UserError: as `policies.rllib.offline_data.windows`.
    """
    layout = log_layout(log)
    for rows in whole_stays(log, reading.half, batch):
        yield _followed(rows, layout, reading)


def count_transitions(log: Log, reading: Reading) -> int:
    """How many transitions a pass over the log has; four columns are read."""
    total = 0
    for part in log.parts:
        for rows in pq.ParquetFile(part).iter_batches(BATCH, columns=["shopper", "candidates", "slate", "truncated"]):
            shown, here = (_some(rows[name].flatten().to_numpy(), len(rows)) for name in ("slate", "candidates"))
            kept = _known(shown, here, rows["truncated"].to_numpy(zero_copy_only=False), reading)
            shopper = rows["shopper"].to_numpy()
            total += int((kept if reading.half is None else kept & in_half(shopper, reading.half)).sum())
    return total


def _some(places: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.bool_]:
    """Which of n rows have something in one of their places."""
    made: npt.NDArray[np.bool_] = np.any(places.reshape(n, -1) >= 0, axis=1)
    return made


def _known(
    shown: npt.NDArray[np.bool_], here: npt.NDArray[np.bool_], truncated: npt.NDArray[np.bool_], reading: Reading
) -> npt.NDArray[np.bool_]:
    """Rows (N,) to learn from: what followed is known, and something was shown where there was something to show."""
    chosen = shown | ~here
    return chosen if reading.returns == "session" else chosen & ~truncated


def _followed(rows: LogBatch, layout: PageLayout, reading: Reading) -> Followed:
    page, filled = rows.page, rows.slate >= 0
    reward = np.where(filled, rows.reward, 0.0).sum(axis=1)
    segment = rows.session if reading.returns == "session" else page.shopper
    over = np.append(segment[1:] != segment[:-1], True)
    following = np.arange(len(rows)) + ~over
    first = np.take_along_axis(rows.slate, filled.argmax(axis=1)[:, None], axis=1)  # -1 where nothing was found
    slate = np.where(filled, rows.slate, np.maximum(first, 0)).astype(np.int64)
    flat = layout.flat({name: getattr(page, name) for name, *_ in layout.parts})
    kept = np.flatnonzero(
        _known(_some(rows.slate, len(rows)), _some(page.candidates, len(rows)), rows.truncated, reading)
    )
    return Followed(
        row=rows.row[kept],
        shopper=page.shopper[kept],
        observation=flat[kept],
        slate=slate[kept],
        logp=rows.logp.logp.sum(axis=1)[kept],
        returns=discounted_returns(reward, segment, reading.gamma).astype(np.float32)[kept],
        clicked=(rows.clicked & filled)[kept],
        reward=reward[kept].astype(np.float32),
        over=over[kept],
        next_observation=flat[following[kept]],
        next_slate=slate[following[kept]],
    )

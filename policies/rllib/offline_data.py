"""A log as batches to learn from: flat observations, slates, and what came after each page, with no Python per row.

RLlib reads plain rows as episodes of one step each, so that what a page brings later never reaches it. A log of ours
says which pages follow each other; returns are summed here, over the whole log in its order, before any row is
shuffled or left out. Memory holds a window of some 32,768 rows, whatever the length of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Generic, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from policies.learning import in_half
from policies.rllib.environment import PageLayout, layout_of
from simenv import hashing
from simenv.catalogue import I64
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.log.batch import LogBatch
from simenv.log.read import BATCH, Log

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Span = Literal["session", "shopper"]
SPANS: tuple[Span, ...] = get_args(Span)


@dataclass(frozen=True)
class Reading:
    """How a log is read.

    Attributes:
        half: Only the shoppers of that half (`policies.learning.in_half`); all where None.
        returns: How far a return reaches. "session": to the last page of the visit. "shopper": to the shopper's last
            page in the log; what the horizon cut off (`truncated`) counts for nothing, so it is a return *up to the
            horizon*.
        gamma: Discount from a page to the next one, also from a visit to the next; 0 pays a page its own reward alone.
        seed: Of the order in which rows are learned from.
    """

    half: int | None = None
    returns: Span = "session"
    gamma: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no log can be read by."""
        if self.returns not in SPANS:
            raise UserError(f"returns is {self.returns!r}; expected one of {', '.join(SPANS)}.")
        if not 0.0 <= self.gamma <= 1.0:
            raise UserError(f"gamma is {self.gamma}; expected a discount from 0 to 1.")
        if self.half not in (None, 0, 1):
            raise UserError(f"half is {self.half!r}; expected 0 (learning), 1 (evaluation) or None for all shoppers.")


@dataclass(frozen=True)
class Logged:
    """n pages to learn from.

    row: (n,) number in the whole log. shopper: (n,) who. observation: (n, W) float32, as `PageLayout` lays it.
    slate: (n, K) int64 positions; an empty slot repeats the first one, as the market reads it. logp: (n,) float64,
    the logger's log-probability of the whole slate. returns: (n,) float32, what this page and those after it brought.
    """

    row: I64
    shopper: I64
    observation: F32
    slate: I64
    logp: F64
    returns: F32

    def __len__(self) -> int:
        """Number of pages, n."""
        return len(self.row)


Pages = TypeVar("Pages", bound=Logged)


def log_layout(log: Log) -> PageLayout:
    """Where each field of the log's pages lies in a flat observation."""
    return layout_of(len(log.catalogue().category), log.manifest["n_candidates"], log.manifest["n_style"])


def windows(log: Log, reading: Reading, batch: int = BATCH) -> Iterator[Logged]:
    """The log's pages in its order, some `batch` rows at once; a shopper is never split between two windows.

    Pages on which nothing was shown are left out, after their rewards have been counted: nobody chose anything there.

    Args:
        log: The log.
        reading: Whose pages, and what is counted.
        batch: Rows read at once.

    Raises:
        UserError: naming the first row that breaks the schema's ranges, stands out of order, or ends a session that
            does not end.
    """
    layout = log_layout(log)
    for rows in whole_stays(log, reading.half, batch):
        yield _logged(rows, layout, reading)


def whole_stays(log: Log, half: int | None, batch: int = BATCH) -> Iterator[LogBatch]:
    """The log in its order, some `batch` rows at once; a shopper is never split between two of them.

    Args:
        log: The log.
        half: Only the shoppers of that half; all where None.
        batch: Rows read at once.

    Raises:
        UserError: as `windows`.
    """
    keep = None if half is None else (lambda shopper: in_half(shopper, half))
    batches = log.batches(keep, batch)
    rows, held = next(batches, None), None
    while rows is not None:
        joined, rows = rows if held is None else join([held, rows]), next(batches, None)
        _refuse_disorder(joined)
        cut = len(joined)
        if rows is not None:  # the last shopper may go on
            cut = int(np.searchsorted(joined.page.shopper, joined.page.shopper[-1]))
            held = take(joined, slice(cut, None))
        else:
            _refuse_cut_off(joined, np.arange(cut) == cut - 1)
        if cut:
            yield take(joined, slice(0, cut))


def shuffled(pages: Pages, seed: int, epoch: int) -> Pages:
    """The same pages in the order in which a pass learns from them: a function of seed, pass and row."""
    return take(pages, np.argsort(hashing.absorb(hashing.stream(seed, f"pass {epoch}"), pages.row), kind="stable"))


class Batches(Generic[Pages]):
    """A log in batches of about a size, pass after pass; where it stands can be kept and gone on from."""

    def __init__(
        self,
        log: Log,
        reading: Reading,
        read: Callable[[Log, Reading], Iterator[Pages]],
        size: int,
        passes: int | None = None,
    ) -> None:
        """Start at the beginning.

        Args:
            log: The log.
            reading: Whose pages, and what is counted.
            read: Its windows, as `windows` gives them.
            size: Pages in a batch, about: a window is dealt out evenly, so that no batch is a small rest.
            passes: How often the log is read; again and again where None.

        Raises:
            UserError: where nothing of the log is to be learned from.
        """
        self.log, self.reading, self.size, self.passes, self._read = log, reading, size, passes, read
        self._met: I64 = np.empty(0, dtype=np.int64)
        self._begin(0, 0)
        first = next(read(log, reading), None)
        if first is None or not len(first):
            raise UserError(f"log '{log.folder}' holds no page to learn from on half {reading.half} of its shoppers.")
        spread = float(first.returns.std())
        # Returns in these units, so that one learning rate serves clicks and euros: of the first window, for all.
        self.mean, self.spread = float(first.returns.mean()), spread if spread > 0.0 else 1.0

    def next(self) -> Pages | None:
        """The next batch, or None where the last pass is over."""
        while not self._batches:
            if self.passes is not None and self._pass >= self.passes:
                return None
            window = next(self._windows, None)
            if window is None:
                self._begin(self._pass + 1, 0)
                continue
            self._window += 1
            self._deal(window, 0)
        self._dealt += 1
        return self._batches.pop()

    def standing(self) -> tuple[int, int, int, I64]:
        """Passes that are over, windows of this one, batches of this window, and the shoppers so far."""
        return self._pass, self._window, self._dealt, self._met

    def go_on_from(self, standing: tuple[int, int, int, I64]) -> None:
        """Stand where another of the same arguments stood."""
        passes, window, dealt, self._met = standing
        self._begin(passes, max(window - 1, 0))
        if window:
            self._window = window
            self._deal(next(self._windows), dealt)

    def shoppers(self) -> I64:
        """Those of the windows so far."""
        return self._met

    def _begin(self, passes: int, skipped: int) -> None:
        self._pass, self._window, self._dealt = passes, 0, 0
        self._windows = islice(self._read(self.log, self.reading), skipped, None)
        self._batches: list[Pages] = []

    def _deal(self, window: Pages, dealt: int) -> None:
        self._met = np.union1d(self._met, window.shopper)
        mixed = shuffled(window, self.reading.seed, self._pass)
        edges = np.linspace(0, len(mixed), max(1, round(len(mixed) / self.size)) + 1).astype(int)
        made = [take(mixed, slice(*edge)) for edge in pairwise(edges.tolist()) if edge[0] < edge[1]]
        self._batches, self._dealt = made[dealt:][::-1], dealt


def count_pages(log: Log, half: int | None) -> int:
    """Pages of that half of the shoppers on which something was shown; two columns are read."""
    total = 0
    for part in log.parts:
        for rows in pq.ParquetFile(part).iter_batches(BATCH, columns=["shopper", "slate"]):
            shopper = rows["shopper"].to_numpy()
            shown = (rows["slate"].flatten().to_numpy().reshape(len(rows), -1) >= 0).any(axis=1)
            total += int((shown if half is None else shown & in_half(shopper, half)).sum())
    return total


def discounted_returns(reward: F64, segment: I64, gamma: float) -> F64:
    """What each row and those after it in its segment bring: G_t = r_t + gamma * G_(t+1), exact to float64.

    Args:
        reward: (N,).
        segment: (N,) rows of a segment stand together, in their order.
        gamma: Discount from a row to the next.

    Returns:
        (N,) returns. The last row of a segment gets its own reward.
    """
    total = reward.astype(np.float64, copy=True)
    if not len(total) or gamma == 0.0:
        return total
    last = np.append(segment[1:] != segment[:-1], True)
    ends = np.flatnonzero(last)
    to_go = np.repeat(ends, np.diff(ends, prepend=-1)) - np.arange(len(total))
    by_depth = np.argsort(to_go, kind="stable")
    firsts = np.searchsorted(to_go[by_depth], np.arange(1, int(to_go.max()) + 2))
    for first, past in pairwise(firsts.tolist()):  # one turn a page of the longest segment
        at = by_depth[first:past]
        total[at] += gamma * total[at + 1]
    return total


def _logged(rows: LogBatch, layout: PageLayout, reading: Reading) -> Logged:
    reward = np.where(rows.slate >= 0, rows.reward, 0.0).sum(axis=1)
    segment = rows.session if reading.returns == "session" else rows.page.shopper
    returns = discounted_returns(reward, segment, reading.gamma).astype(np.float32)
    shown = np.flatnonzero((rows.slate >= 0).any(axis=1))
    kept = rows if len(shown) == len(rows) else take(rows, shown)
    slate = kept.slate.astype(np.int64)
    return Logged(
        row=kept.row,
        shopper=kept.page.shopper,
        observation=layout.flat({name: getattr(kept.page, name) for name, *_ in layout.parts}),
        slate=np.where(slate < 0, np.take_along_axis(slate, (slate >= 0).argmax(axis=1)[:, None], axis=1), slate),
        logp=kept.logp.logp.sum(axis=1),
        returns=returns[shown],
    )


def _refuse_disorder(rows: LogBatch) -> None:
    """Returns follow the order of the rows, so a log that is in another order is refused."""
    shopper, session, step = rows.page.shopper, rows.session, rows.step
    new = session[1:] != session[:-1]
    falls = (shopper[1:] < shopper[:-1]) | ((shopper[1:] == shopper[:-1]) & (session[1:] < session[:-1]))
    falls |= ~new & (step[1:] <= step[:-1])
    if falls.any():
        raise UserError(
            f"log row {rows.row[1 + int(np.argmax(falls))]} stands out of order; expected rows in the order of "
            "(shopper, visit, step), without which nobody knows what came after a page. Sort it and write it again."
        )
    _refuse_cut_off(rows, np.append(new, False))


def _refuse_cut_off(rows: LogBatch, last: npt.NDArray[np.bool_]) -> None:
    """Refuse a last page of a session that does not say that the session ends."""
    cut_off = last & ~rows.terminated
    if cut_off.any():
        at = int(np.argmax(cut_off))
        raise UserError(
            f"log row {rows.row[at]}: session {rows.session[at]} stops here without `terminated`; expected sessions "
            "that were played to their end. Its return is not known, and to leave such sessions out would favour short "
            "ones."
        )

"""A small tree that says how whom reads a page: splits of rows that make the estimated squared error of a value small.

A behaviour that hears few slots has small weights and errs where more slots matter; one that hears all errs never and
varies much. Per group of rows the tree takes the behaviour whose estimated bias^2 + variance is least, and splits a
group where two behaviours together do better than any one. The bias of a behaviour is told by those that hear the same
slots and more: the largest difference to one of them beyond its own standard error. Everything is sums over rows; there
is no chance in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from offpolicy.evidence import Evidence

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

DEPTH = 3  # splits above one another
ROWS = 100  # of a group, at least
GAIN = 0.05  # of the estimated squared error, that a split must save
CUTS = 4  # of a feature, at its quantiles
VALUES = 12  # of a column of segments that are asked about, the most frequent
_AT_ONCE = 65_536  # rows


@dataclass(frozen=True)
class Tree:
    """A leaf, or a question with a tree for each answer.

    Attributes:
        behaviour: Number of the behaviour of a leaf.
        question: Column of the questions; None for a leaf.
        yes, no: Trees below.
    """

    behaviour: int
    question: int | None = None
    yes: Tree | None = None
    no: Tree | None = None


@dataclass(frozen=True)
class _Errors:
    """What groups of rows (..., G) add to the error of the whole value under each of B behaviours, (..., G, B).

    Attributes:
        variance: Squared standard error.
        off: How far from the behaviour that contradicts it most clearly.
        noise: Squared standard error of that difference.
    """

    variance: Floats
    off: Floats
    noise: Floats


@dataclass(frozen=True)
class _Whole:
    """All rows that a tree grows on.

    Attributes:
        columns: What is summed over groups of rows, (N, M): squared scores of the B behaviours, then each difference
            to a behaviour that hears more, then these squared; all as parts of a mean.
        hearers: Of each behaviour, which differences are of it.
        questions: (N, Q).
    """

    columns: Floats
    hearers: list[list[int]]
    questions: Bools


def questions_of(evidence: Evidence) -> Bools:
    """What may be asked of a row: is a feature above a quantile, is a segment this one; (N, Q)."""
    asked = [np.zeros((evidence.n_rows, 0), dtype=bool)]
    if evidence.features is not None:
        for feature in evidence.features.T:
            places = np.unique(np.quantile(feature, np.arange(1, CUTS + 1) / (CUTS + 1)))
            asked.append(feature[:, None] > places)
    for column in evidence.segments.values():
        found, count = np.unique(column, return_counts=True)
        asked.append(column[:, None] == found[np.argsort(-count, kind="stable")][:VALUES])
    return np.concatenate(asked, axis=1)


def readings(tree: Tree, questions: Bools) -> Ints:
    """The behaviour of each row, (N,)."""
    if tree.question is None or tree.yes is None or tree.no is None:
        return np.full(len(questions), tree.behaviour)
    return np.where(questions[:, tree.question], readings(tree.yes, questions), readings(tree.no, questions))


def grow(scores: Floats, told: Floats, relations: list[Bools], questions: Bools) -> Tree:
    """Grow a tree.

    Args:
        scores: What each row adds to the value under each behaviour, (N, B); rewards less their mean.
        told: The same, or what stands in for it where behaviours are compared.
        relations: The slots that each behaviour hears, B of (K, K).
        questions: (N, Q).
    """
    pairs = [(one, more) for one, more in permutations(range(len(relations)), 2) if _hears(relations, more, one)]
    apart = np.stack([told[:, more] - told[:, one] for one, more in pairs], axis=1) / len(scores)
    own = (scores - scores.mean(axis=0)) / len(scores)
    hearers = [[at for at, pair in enumerate(pairs) if pair[0] == one] for one in range(len(relations))]
    whole = _Whole(np.concatenate([own**2, apart, apart**2], axis=1), hearers, questions)
    return _grow(whole, np.arange(len(scores)), DEPTH)


def _hears(relations: list[Bools], more: int, less: int) -> bool:
    """Whether one behaviour hears all that another does."""
    return bool((relations[more] | ~relations[less]).all())


def _grow(whole: _Whole, rows: Ints, depth: int) -> Tree:
    total, of_yes, count = _sums(whole, rows)
    own = _errors(total[None], whole.hearers)
    loss = _loss(own.variance, own.off, own.noise)[0]  # (B,)
    best = int(loss.argmin())
    asked = np.flatnonzero((count >= ROWS) & (len(rows) - count >= ROWS))
    if depth == 0 or not len(asked):
        return Tree(best)
    yes, no = (_errors(sums, whole.hearers) for sums in (of_yes[asked], total - of_yes[asked]))
    first, second = np.array(list(permutations(range(len(whole.hearers)), 2))).T
    together = _loss(
        yes.variance[:, first] + no.variance[:, second],
        yes.off[:, first] + no.off[:, second],
        yes.noise[:, first] + no.noise[:, second],
    ).min(axis=1)  # of each question, the best two behaviours
    found = int(together.argmin())
    if together[found] > (1.0 - GAIN) * loss[best]:
        return Tree(best)
    is_yes = whole.questions[rows, asked[found]]
    below = [_grow(whole, rows[side], depth - 1) for side in (is_yes, ~is_yes)]
    return Tree(best, int(asked[found]), *below)


def _sums(whole: _Whole, rows: Ints) -> tuple[Floats, Floats, Ints]:
    """Of some rows: the sums of all, (M,), those of who says yes to each question, (Q, M), and how many do, (Q,)."""
    total = np.zeros(whole.columns.shape[1])
    yes, count = np.zeros((whole.questions.shape[1], len(total))), np.zeros(whole.questions.shape[1], dtype=np.int64)
    for first in range(0, len(rows), _AT_ONCE):
        part = rows[first : first + _AT_ONCE]
        answers, columns = whole.questions[part], whole.columns[part]
        total += columns.sum(axis=0)
        yes += answers.T.astype(np.float64) @ columns
        count += answers.sum(axis=0)
    return total, yes, count


def _errors(sums: Floats, hearers: list[list[int]]) -> _Errors:
    """Of groups by their sums, (G, M)."""
    n_behaviours = len(hearers)
    n_pairs = (sums.shape[1] - n_behaviours) // 2
    far, spread = np.abs(sums[:, n_behaviours:-n_pairs]), np.maximum(sums[:, -n_pairs:], 0.0)
    clear = far - np.sqrt(spread)
    off, noise = np.zeros((2, len(sums), n_behaviours))
    for one, pairs in enumerate(hearers):
        if pairs:
            clearest = np.array(pairs)[clear[:, pairs].argmax(axis=1)]
            every = np.arange(len(sums))
            off[:, one], noise[:, one] = far[every, clearest], spread[every, clearest]
    return _Errors(sums[:, :n_behaviours], off, noise)


def _loss(variance: Floats, off: Floats, noise: Floats) -> Floats:
    """Estimated squared error: a bias counts as far as it is beyond its own standard error."""
    made: Floats = np.maximum(off**2 - noise, 0.0) + variance
    return made

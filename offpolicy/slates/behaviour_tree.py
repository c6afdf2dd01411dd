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
class _Whole:
    """What groups know of the rows that the tree grows on.

    Attributes:
        hearers: Of each behaviour the others that hear all that it hears.
        n_rows: How many.
    """

    hearers: list[list[int]]
    n_rows: int


@dataclass(frozen=True)
class _Rows:
    """Rows of a group: scores less the mean of the whole (n, B), what compares behaviours (n, B), answers (n, Q)."""

    scores: Floats
    told: Floats
    questions: Bools

    def take(self, rows: Bools) -> _Rows:
        return _Rows(self.scores[rows], self.told[rows], self.questions[rows])


@dataclass(frozen=True)
class _Sums:
    """What groups of rows (..., G) add to the error of the whole value under each of B behaviours, (..., G, B).

    Attributes:
        variance: Squared standard error.
        off: How far from the behaviour that contradicts it most clearly.
        noise: Squared standard error of that difference.
    """

    variance: Floats
    off: Floats
    noise: Floats


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
    whole = _Whole(_hearers(relations), len(scores))
    return _grow(_Rows(scores - scores.mean(axis=0), told, questions), whole, DEPTH)


def _hearers(relations: list[Bools]) -> list[list[int]]:
    """Of each behaviour the others that hear all that it hears."""
    return [
        [other for other, more in enumerate(relations) if other != one and bool((more | ~less).all())]
        for one, less in enumerate(relations)
    ]


def _grow(rows: _Rows, whole: _Whole, depth: int) -> Tree:
    n, n_behaviours = rows.scores.shape
    own = _sums(rows, whole, np.ones((1, n), dtype=bool))
    loss = _loss(own.variance, own.off, own.noise)[0]  # (B,)
    best = int(loss.argmin())
    count = rows.questions.sum(axis=0)
    asked = np.flatnonzero((count >= ROWS) & (n - count >= ROWS))
    if depth == 0 or not len(asked):
        return Tree(best)
    answers = rows.questions[:, asked].T
    yes, no = _sums(rows, whole, answers), _sums(rows, whole, ~answers)
    pairs = np.array(list(permutations(range(n_behaviours), 2))).T
    of_yes, of_no = pairs[0], pairs[1]
    together = _loss(
        yes.variance[:, of_yes] + no.variance[:, of_no],
        yes.off[:, of_yes] + no.off[:, of_no],
        yes.noise[:, of_yes] + no.noise[:, of_no],
    ).min(axis=1)  # of each question, the best two behaviours
    found = int(together.argmin())
    if together[found] > (1.0 - GAIN) * loss[best]:
        return Tree(best)
    is_yes = answers[found]
    below = [_grow(rows.take(side), whole, depth - 1) for side in (is_yes, ~is_yes)]
    return Tree(best, int(asked[found]), *below)


def _sums(rows: _Rows, whole: _Whole, groups: Bools) -> _Sums:
    """Of groups of rows, (G, n)."""
    inside, n_rows = groups.astype(np.float64), whole.n_rows
    off, noise = np.zeros((2, len(groups), len(whole.hearers)))
    for one, others in enumerate(whole.hearers):
        if others:
            apart = rows.told[:, others] - rows.told[:, [one]]  # (n, others)
            far, spread = np.abs(inside @ apart) / n_rows, inside @ apart**2 / n_rows**2
            clearest = (far - np.sqrt(spread)).argmax(axis=1)[:, None]
            off[:, one] = np.take_along_axis(far, clearest, 1)[:, 0]
            noise[:, one] = np.take_along_axis(spread, clearest, 1)[:, 0]
    return _Sums(inside @ rows.scores**2 / n_rows**2, off, noise)


def _loss(variance: Floats, off: Floats, noise: Floats) -> Floats:
    """Estimated squared error: a bias counts as far as it is beyond its own standard error."""
    made: Floats = np.maximum(off**2 - noise, 0.0) + variance
    return made

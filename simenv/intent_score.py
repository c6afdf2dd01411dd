"""How well queries are understood: predicted terms against the hidden intent.

Whatever reads queries (the built-in dictionary, a network) is judged here from plain arrays. For each kind of term,
with p predicted, i wanted and s said by the query as it was meant to be typed, each an index or -1 for nothing:

    precision   of what is predicted, the share that is wanted:                 P(p = i | p >= 0)
    recall      of what is said, the share that is predicted:                   P(p = s | s >= 0)
    accuracy    the share of queries with the right answer, where to predict nothing is right if nothing is said:
                P(p = i, or p = s = -1)
    coverage    of what is wanted, said or not, the share that is predicted:    P(p = i | i >= 0)

Predicting what is said, or all that is wanted, scores 1 in the first three; only the latter covers 1. Each is a ratio
of sums; queries of one shopper are not independent, so its standard error is that of a ratio of sums over shoppers:
se^2 = G/(G-1) sum_g (sum_{i in g} hit_i - ratio * asked_i)^2 / (sum_i asked_i)^2 over the G shoppers with a query that
counts (Liang and Zeger, "Longitudinal data analysis using generalized linear models", 1986). It is right for many
shoppers, and too small for a handful, or where every answer is right.

The dictionary, on the first queries of new shoppers; `simenv.log.labels` has the queries of a log:

    >>> from simenv.intent_score import labelled_queries, pick, score_queries, table
    >>> from simenv.play import shopper_range
    >>> from simenv.world import begin
    >>> from simenv.worlds import load_world
    >>> world = load_world("default")
    >>> asked = labelled_queries(world, begin(world, 0, shopper_range(2_000)))
    >>> scores = score_queries(asked.recognised, asked)
    >>> pick(scores, "colour", "precision").value  # it never takes one colour for another
    1.0
    >>> pick(scores, "brand", "recall", "misspelt").value < pick(scores, "brand", "recall", "spelt right").value
    True
    >>> print(table(scores, ["category"], ["spelling"]))  # doctest: +ELLIPSIS
    | by | group | term | precision | recall | accuracy | coverage | queries |
    |---|---|---|---|---|---|---|---|
    | spelling | misspelt | category | ...
    | spelling | spelt right | category | ...

`docs/query-understanding.md` shows the whole table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv.asking import INTENT_KINDS
from simenv.errors import UserError, unknown_name
from simenv.language.words import TERMS
from simenv.world import State, World

MEASURES = ("precision", "recall", "accuracy", "coverage")
ALL = "all"  # the grouping that leaves every query in one group, and that group's name
SPELLINGS = ("spelt right", "misspelt")

Terms = npt.NDArray[np.integer]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """One measure of one kind of term in one group of queries.

    Attributes:
        by: What the groups are made by ("locale"), or "all".
        group: Which group ("de-DE"), or "all".
        term: One of `TERMS`.
        measure: One of `MEASURES`.
        value: In [0, 1]; NaN where no query counts.
        stderr: Clustered by shopper; NaN where fewer than two shoppers count.
        queries: Queries that count: for precision those with a prediction, for recall those that say the term, ...
        shoppers: Shoppers behind them.
    """

    by: str
    group: str
    term: str
    measure: str
    value: float
    stderr: float
    queries: int
    shoppers: int


@dataclass(frozen=True)
class LabelledQueries:
    """N queries with what is known of them. `query`, `locale`, `shopper`, `recognised` are public, the others hidden.

    Attributes:
        query: (N,) strings as typed.
        locale: (N,) index into `locales`: the language of the query.
        shopper: (N,) who asked.
        recognised: (N, 7) what the built-in dictionary reads, -1 for nothing.
        intent: (N, 7) wanted, -1 any.
        said: (N, 7) what the query says, before misspelling; -1 where it does not say it.
        misspelt: (N, 7) whether the word for it is misspelt.
        kind: (N,) index into `simenv.asking.INTENT_KINDS`.
        locales: Names.
    """

    query: npt.NDArray[np.object_]
    locale: npt.NDArray[np.integer]
    shopper: npt.NDArray[np.int64]
    recognised: npt.NDArray[np.int32]
    intent: npt.NDArray[np.int32]
    said: npt.NDArray[np.int32]
    misspelt: Bools
    kind: npt.NDArray[np.integer]
    locales: tuple[str, ...]

    def __len__(self) -> int:
        """Number of queries, N."""
        return len(self.shopper)

    def groups(self) -> dict[str, npt.NDArray[np.str_]]:
        """The usual groupings, each (N,) names: by locale, by kind of intent, by whether any word is misspelt."""
        return {
            "locale": np.array(self.locales)[self.locale],
            "intent": np.array(INTENT_KINDS)[self.kind],
            "spelling": np.array(SPELLINGS)[self.misspelt.any(axis=1).astype(np.int64)],
        }


def labelled_queries(world: World, state: State) -> LabelledQueries:
    """The queries that shoppers ask in a state, with their hidden labels."""
    found, said = world.demand.search(state), world.demand.said(state)
    return LabelledQueries(
        query=np.array(world.demand.strings(state), dtype=object),
        locale=found.locale,
        shopper=state.shopper,
        recognised=found.terms,
        intent=state.intent[:, : len(TERMS)],
        said=said.terms,
        misspelt=said.misspelt,
        kind=world.demand.kinds(state)[0],
        locales=world.demand.locales,
    )


def score_queries(predicted: Terms, asked: LabelledQueries) -> tuple[Score, ...]:
    """`score_terms` of labelled queries, in all and in their usual groups.

    Args:
        predicted: (N, 7) predicted terms, -1 for nothing.
        asked: N queries.
    """
    return score_terms(predicted, asked.intent, asked.said, asked.shopper, asked.groups())


def score_terms(
    predicted: Terms,
    intent: Terms,
    said: Terms,
    shopper: npt.NDArray[np.integer],
    groups: Mapping[str, npt.NDArray[np.str_]] | None = None,
) -> tuple[Score, ...]:
    """Precision, recall, accuracy and coverage of predicted terms, with standard errors clustered by shopper.

    Args:
        predicted: (N, 7) predicted value of each of `TERMS`, -1 for nothing.
        intent: (N, 7) wanted, -1 any.
        said: (N, 7) what the query says of it, before misspelling, -1 for nothing.
        shopper: (N,) who asked.
        groups: Groupings by name: (N,) the name of each query's group. All queries together always come first.

    Returns:
        Scores for every grouping, group, term and measure, in this order; groups sorted by name.

    Raises:
        UserError: for arrays that do not fit each other, values below -1, or queries that say what is not wanted.
    """
    _check(predicted, intent, said, shopper, groups or {})
    hit, counts = _hits(predicted, intent, said)
    _, shopper_code = np.unique(shopper, return_inverse=True)
    scores: list[Score] = []
    for by, names in {ALL: np.full(len(shopper), ALL), **(groups or {})}.items():
        for group in np.unique(names).tolist():
            rows = np.flatnonzero(names == group)
            scores += _scores(by, group, hit[:, rows], counts[:, rows], shopper_code[rows])
    return tuple(scores)


def pick(scores: Iterable[Score], term: str, measure: str, group: str = ALL) -> Score:
    """The score of a term, a measure and a group.

    Raises:
        UserError: There is no such term, measure or group.
    """
    scores = tuple(scores)
    for kind, name, known in [
        ("term", term, {score.term for score in scores}),
        ("measure", measure, {score.measure for score in scores}),
        ("group of queries", group, {score.group for score in scores}),
    ]:
        if name not in known:
            raise unknown_name(kind, name, known)
    return next(score for score in scores if (score.term, score.measure, score.group) == (term, measure, group))


def table(scores: Iterable[Score], terms: Sequence[str] = TERMS, by: Sequence[str] = (ALL,)) -> str:
    """Scores as a Markdown table: "value ± standard error", a row for each group and term.

    Args:
        scores: From `score_terms`.
        terms: Which terms to show.
        by: Which groupings to show.
    """
    cells: dict[tuple[str, str, str], dict[str, Score]] = {}
    for score in scores:
        if score.term in terms and score.by in by:
            cells.setdefault((score.by, score.group, score.term), {})[score.measure] = score
    lines = [f"| by | group | term | {' | '.join(MEASURES)} | queries |", "|" + "---|" * (len(MEASURES) + 4)]
    for names, row in cells.items():
        shown = [f"{row[measure].value:.3f} ± {row[measure].stderr:.3f}" for measure in MEASURES]
        lines.append(f"| {' | '.join((*names, *shown))} | {row['accuracy'].queries:,} |")
    return "\n".join(lines)


def _hits(predicted: Terms, intent: Terms, said: Terms) -> tuple[Bools, Bools]:
    """For each of `MEASURES` which answers count, and which of those are right: both (4, N, 7), right ones first."""
    right = (predicted == intent) & (predicted >= 0)
    silent = (predicted < 0) & (said < 0)
    counts = np.stack([predicted >= 0, said >= 0, np.ones_like(right), intent >= 0])
    hit = np.stack([right, right, right | silent, right])
    return hit & counts, counts


def _scores(by: str, group: str, hit: Bools, counts: Bools, shopper: npt.NDArray[np.integer]) -> list[Score]:
    """Scores of one group, from (4, n, 7) answers and (n,) shoppers."""
    code = np.unique(shopper, return_inverse=True)[1]
    hits, asked = (_sums(each, code) for each in (hit, counts))  # (4, U, 7)
    total = asked.sum(axis=1)  # (4, 7)
    n_shoppers = (asked > 0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = hits.sum(axis=1) / total
        squares = ((hits - value[:, None] * asked) ** 2).sum(axis=1)
        stderr = np.sqrt(n_shoppers / (n_shoppers - 1.0) * squares) / total
    stderr[n_shoppers < 2] = np.nan
    return [
        Score(
            by, group, term, measure, float(value[m, t]), float(stderr[m, t]), int(total[m, t]), int(n_shoppers[m, t])
        )
        for t, term in enumerate(TERMS)
        for m, measure in enumerate(MEASURES)
    ]


def _sums(answers: Bools, code: npt.NDArray[np.integer]) -> F64:
    """Answers (4, n, 7) summed for each of U shoppers, (4, U, 7)."""
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(int(code.max()) + 1))
    sums: F64 = np.add.reduceat(answers[:, order].astype(np.float64), starts, axis=1)
    return sums


def _check(
    predicted: Terms,
    intent: Terms,
    said: Terms,
    shopper: npt.NDArray[np.integer],
    groups: Mapping[str, npt.NDArray[np.str_]],
) -> None:
    n = len(shopper)
    if not n:
        raise UserError("no query was given to score; expected at least one.")
    for name, column in [("predicted", predicted), ("intent", intent), ("said", said)]:
        if column.shape != (n, len(TERMS)):
            raise UserError(
                f"{name} has shape {column.shape}; expected ({n}, {len(TERMS)}): a row for each of the {n} queries, a "
                f"column for each of {', '.join(TERMS)}."
            )
        if not np.issubdtype(column.dtype, np.integer) or column.min() < -1:
            raise UserError(f"{name} must be whole numbers from -1 up; -1 stands for nothing. Got {column.dtype}.")
    odd = ((said >= 0) & (said != intent)).any(axis=1)
    if odd.any():
        raise UserError(
            f"query {int(np.argmax(odd))} says what is not wanted; expected said to be -1 or what intent has. "
            "Were the two handed over in the other order?"
        )
    for name, names in groups.items():
        if names.shape != (n,):
            raise UserError(f"the groups by {name} have shape {names.shape}; expected ({n},): a name for each query.")
        if name == ALL:
            raise UserError(f"'{ALL}' is what all queries together are called; give the grouping another name.")

"""The dry run: what was understood of a real market's files, before anything is built on them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from simenv.errors import UserError
from simenv.real.answers import Engine
from simenv.real.judging import grades_of, judge, rank_judged
from simenv.real.mapping import REQUIRED, TERM_ROLES
from simenv.real.market import make_engine, market_data
from simenv.real.raters import agreement, ceiling, rater_noise
from simenv.real.reading import NO_BRAND, NO_CATEGORY, MarketData
from simenv.real.words import terms_of

FIRST = 3  # rows that are shown
K = 10


def understood(path: Path) -> dict[str, Any]:
    """What a market's files say: counts, columns, what is missing and what takes its place, the first rows.

    Raises:
        UserError: for whatever is wrong with the files.
    """
    data, source = market_data(path)
    products, queries, judged = data.products, data.queries, data.judgements
    made: dict[str, Any] = {
        "market": str(path),
        "content": source.content,
        "attribution": data.mapped.attribution,
        "products": len(products.ids),
        "categories": len(set(products.category)),
        "brands": len(set(products.brand)),
        "largest_categories": dict(Counter(products.category).most_common(5)),
        "price_euros": [float(np.quantile(products.price, q)) for q in (0.0, 0.5, 1.0)],
        "attributes": {role: _attribute(values) for role, values in products.terms.items()},
        "queries": len(queries.text),
        "judged_pairs": 0 if judged is None else len(judged.grade),
        "judged_queries": 0 if judged is None else len(np.unique(judged.query)),
        "grades": {} if judged is None else {str(grade): n for grade, n in grades_of(judged).items()},
        "raters": 0 if judged is None else judged.raters.shape[1],
        "columns": {
            name: dict(each.columns)
            for name, each in zip(REQUIRED, (data.mapped.products, data.mapped.queries, data.mapped.judgements),
                                  strict=True) if each is not None
        },
        "missing": missing(data),
        "first_products": [
            {"id": products.ids[i], "title": products.titles[i], "brand": products.brand[i],
             "category": products.category[i], "price": float(products.price[i])}
            for i in range(len(products.ids))[:FIRST]
        ],
        "first_queries": list(queries.text[:FIRST]),
    }  # fmt: skip
    return made


def missing(data: MarketData) -> list[str]:
    """What the files do not say, and what takes its place; one sentence each."""
    products, told = data.products, []
    for n, what in ((products.category.count(NO_CATEGORY), "category"), (products.brand.count(NO_BRAND), "brand")):
        if n:
            told.append(f"{n:,} products have no {what}; they stand together as one '(no {what})'.")
    for name, column, otherwise in (
        ("rating", products.rating, "the same neutral rating, which nobody is shown"),
        ("sales", products.sales, "a popularity of 0"),
    ):
        if column is None:
            told.append(f"No column gives {name}: every product has {otherwise}.")
        elif np.isnan(column).any():
            told.append(f"{int(np.isnan(column).sum()):,} products have no {name}; they get the mean of the others.")
    for name, hidden in (("quality", products.quality), ("bait", products.bait)):
        if hidden is None:
            told.append(f"No column gives the hidden {name}: it is drawn at random, once for each product.")
    without = [role for role in TERM_ROLES if role not in products.terms]
    if without:
        told.append(f"No column gives {', '.join(without)}: no query names one.")
    if products.department is None:
        told.append("No column gives department: every category is one of its own.")
    if not data.queries.is_counted:
        told.append("No column gives the frequency of queries: all are asked equally often.")
    told.append(_judged(data))
    return told


def text_report(path: Path) -> dict[str, Any]:
    """What the queries name and how well the text model does on queries it has not seen. Builds the index."""
    data, engine = _opened(path)
    terms = terms_of(engine.known, data.queries.text)
    return {
        "queries_naming_a_category": float((terms[:, 0] >= 0).mean()),
        "queries_naming_a_brand": float((terms[:, 1] >= 0).mean()),
        "text_model": None if engine.model is None else dataclasses.asdict(engine.model.report),
    }


def judged(path: Path) -> dict[str, Any]:
    """NDCG of plain rankings with intervals and, where there are raters, what their disagreement does to it.

    Raises:
        UserError: where nothing is judged.
    """
    data, engine = _opened(path)
    ranked = rank_judged(data, engine)
    made: dict[str, Any] = {"rankings": [dataclasses.asdict(score) for score in judge(ranked, K)]}
    assert data.judgements is not None
    if data.judgements.raters.shape[1] >= 2:
        try:
            made["agreement"] = dataclasses.asdict(agreement(data.judgements.raters))
        except ValueError as error:
            raise UserError(f"{path}: {error}; leave judgements.raters out, or give their grades.") from error
        made["rater_noise"] = [dataclasses.asdict(noise) for noise in rater_noise(ranked, tuple(ranked[0].rank), K)]
        made["one_rater_judged_by_the_others"] = ceiling(ranked, K)
    return made


def _opened(path: Path) -> tuple[MarketData, Engine]:
    data, source = market_data(path)
    return data, make_engine(data, source, K)


def _attribute(values: tuple[str, ...]) -> dict[str, Any]:
    given = [value for value in values if value]
    return {"share": len(given) / len(values), "values": len(set(given))}


def _judged(data: MarketData) -> str:
    judged = data.judgements
    if judged is None:
        return "Nobody judged anything: letters decide what is relevant."
    n_pairs = len(data.queries.text) * len(data.products.ids)
    how = "a text model fitted to those" if data.mapped.unjudged == "fitted" else "their letters"
    return f"{len(judged.grade):,} of {n_pairs:,} pairs of query and product are judged; the rest is told by {how}."

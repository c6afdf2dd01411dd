"""A real market as a world: from a mapping file to parameters, and from parameters to catalogue and demand."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from simenv import hashing
from simenv.catalogue import I32, Catalogue
from simenv.errors import UserError, unknown_name
from simenv.language import load_lexicon
from simenv.params import RealSource, WorldParams
from simenv.real.answers import Answers, Engine
from simenv.real.demand import RealDemand, misspelt
from simenv.real.index import TextIndex, text_index
from simenv.real.mapping import Mapped, read_mapping
from simenv.real.matching import TextModel, fit_text_model
from simenv.real.reading import NO_BRAND, NO_CATEGORY, MarketData, Queries, read_market
from simenv.real.shelves import names_of, stock, values_of
from simenv.real.words import dictionary, tokens

MOST_RELATED = 4  # queries that somebody asks next
LEAST_ALIKE = 0.2  # of the words or of the liked products, to be asked next
LIKED = 0.5  # grade from which a product is liked for a query
FROM_FILES = ("n_items", "n_brands", "source")  # follow from the files


def market_params(path: Path, base: WorldParams) -> WorldParams:
    """The parameters of the real market that a mapping file describes.

    Args:
        path: The mapping file.
        base: The world that [world] changes.

    Raises:
        UserError: for whatever is wrong with the mapping or its files.
    """
    mapped = read_mapping(path)
    content = mapped.content()
    data = _data(path, content)
    locales = load_lexicon().locales
    own = dataclasses.replace(
        base,
        question=mapped.question,
        n_items=len(data.products.ids),
        n_brands=len(set(data.products.brand)),
        shoppers=dataclasses.replace(
            base.shoppers, locale_share=tuple(float(locale == mapped.locale) for locale in locales)
        ),
        queries=dataclasses.replace(base.queries, misspelling_rate=0.0),  # real queries bring their own
        source=RealSource(str(path), content),
    )
    made: WorldParams = _changed(own, mapped.world, f"{path}: world.")
    return made


def real_market(params: WorldParams) -> tuple[Catalogue, RealDemand]:
    """What the real market that the parameters name sells, and what is asked of it.

    Raises:
        UserError: for files that are gone, wrong, or not those of the parameters any more, and for mechanisms that move
            a demand which the files fix.
    """
    assert params.source is not None
    _refuse_what_only_invented_markets_have(params)
    path = Path(params.source.path)
    data = _data(path, params.source.content)
    index, _ = _fitted(path, params.source.content)
    catalogue = stock(data.products, index, params.n_style, params.seed)
    engine = make_engine(data, params.source, params.n_candidates)
    locales = load_lexicon().locales

    def spelt(query: int, variant: int) -> str:
        """One of a query's misspellings."""
        key = hashing.absorb(hashing.absorb(hashing.stream(params.seed, "misspelling"), query), variant)
        return misspelt(data.queries.text[query], data.mapped.locale, int(key))

    demand = RealDemand(
        answers=Answers(engine, data.queries.text, spelt),
        locales=locales,
        locale=locales.index(data.mapped.locale),
        frequency_edges=np.cumsum(data.queries.frequency),
        related=_related(data),
        names=(names_of(data.products.category), catalogue.brands, *values_of(data.products)),
        product_titles=data.products.titles,
        misspelling_rate=params.queries.misspelling_rate,
    )
    return catalogue, demand


def _refuse_what_only_invented_markets_have(params: WorldParams) -> None:
    market = params.market
    asked = {
        "filters": params.filters.weight > 0.0,
        "market.seasons": market.seasons is not None,
        "market.trends of demand": market.trends is not None and market.trends.demand != 0.0,
        "market.shocks of demand": any(shock.kind == "demand" for shock in market.shocks),
    }
    for name, is_on in asked.items():
        if is_on:
            raise UserError(
                f"{name} cannot be switched on in a real market, whose queries and their frequencies are those of its "
                "files. Leave it out, or use an invented world."
            )


def make_engine(data: MarketData, source: RealSource, n_candidates: int) -> Engine:
    """What answers queries in a market."""
    index, model = _fitted(Path(source.path), source.content)
    return _engine(data, index, model, n_candidates)


def _engine(data: MarketData, index: TextIndex, model: TextModel | None, n_candidates: int) -> Engine:
    products = data.products
    categories, brands = names_of(products.category), names_of(products.brand)
    place = {name: at for at, name in enumerate(categories)}, {name: at for at, name in enumerate(brands)}
    return Engine(
        index=index,
        known=dictionary(categories, brands, values_of(products), frozenset({NO_BRAND, NO_CATEGORY})),
        retrieval=data.mapped.retrieval,
        n_candidates=n_candidates,
        model=model,
        judged=data.judgements,
        category=np.array([place[0][name] for name in products.category], dtype=np.int32),
        brand=np.array([place[1][name] for name in products.brand], dtype=np.int32),
    )


def market_data(path: Path) -> tuple[MarketData, RealSource]:
    """What a market's files say, read once while they do not change.

    Raises:
        UserError: for whatever is wrong with them.
    """
    mapped: Mapped = read_mapping(path)
    content = mapped.content()
    return _data(path, content), RealSource(str(path), content)


@lru_cache(maxsize=2)
def _data(path: Path, content: str) -> MarketData:
    mapped = read_mapping(path)
    if mapped.content() != content:
        raise UserError(f"the files of '{path}' changed while they were used; load the world again.")
    return read_market(mapped)


@lru_cache(maxsize=2)
def _fitted(path: Path, content: str) -> tuple[TextIndex, TextModel | None]:
    """The slow parts, which no parameter moves: the index and the text model."""
    data = _data(path, content)
    products = data.products
    texts = [
        f"{title} {category if category != NO_CATEGORY else ''} {brand if brand != NO_BRAND else ''} {text}"
        for title, category, brand, text in zip(
            products.titles, products.category, products.brand, products.text, strict=True
        )
    ]
    index = text_index(texts)
    if data.mapped.unjudged == "lexical":
        return index, None
    assert data.judgements is not None
    engine = _engine(data, index, None, 1)
    model = fit_text_model(data.judgements, lambda query: engine.features(data.queries.text[query]))
    if model is None:
        raise UserError(
            f"{path}: there are {len(data.judgements.grade)} judged pairs of {len(np.unique(data.judgements.query))} "
            'queries, too few to fit relevance to. Add more, or let letters decide: unjudged = "lexical".'
        )
    return index, model


def _related(data: MarketData) -> I32:
    """(Q, MOST_RELATED) the queries most alike each, best first, -1 for none: Jaccard of words or of liked products."""
    queries: Queries = data.queries
    groups = [[set(tokens(text)) for text in queries.text]]
    if data.judgements is not None:
        liked: list[set[str]] = [set() for _ in queries.text]
        judged = data.judgements
        for query, item in zip(judged.query[judged.grade >= LIKED], judged.item[judged.grade >= LIKED], strict=True):
            liked[query].add(str(item))
        groups.append(liked)
    related = np.full((len(queries.text), MOST_RELATED), -1, dtype=np.int32)
    alike: list[Counter[int]] = [Counter() for _ in queries.text]
    for sets in groups:
        holders: dict[str, list[int]] = {}
        for query, members in enumerate(sets):
            for member in sorted(members):
                holders.setdefault(member, []).append(query)
        for query, members in enumerate(sets):
            common = Counter(other for member in sorted(members) for other in holders[member] if other != query)
            for other, n in common.items():
                share = n / len(members | sets[other])
                alike[query][other] = max(alike[query][other], share)  # type: ignore[assignment]
    for query, others in enumerate(alike):
        chosen = sorted((other for other in others if others[other] >= LEAST_ALIKE), key=lambda o: (-others[o], o))
        related[query, : len(chosen[:MOST_RELATED])] = chosen[:MOST_RELATED]
    return related


def _changed(group: Any, settings: Mapping[str, Any], where: str) -> Any:
    """A dataclass of parameters with some of its fields replaced, strictly."""
    known = [field.name for field in dataclasses.fields(group) if field.name not in FROM_FILES]
    values = {}
    for name, value in settings.items():
        if name not in known:
            raise unknown_name(f"setting {where}{name}:", name, known)
        before = getattr(group, name)
        if dataclasses.is_dataclass(before) and isinstance(value, dict):
            values[name] = _changed(before, value, f"{where}{name}.")
        elif isinstance(before, float) and type(value) is int:
            values[name] = float(value)
        elif isinstance(before, tuple) and isinstance(value, list):
            values[name] = tuple(value)
        elif type(value) is type(before):
            values[name] = value
        else:
            raise UserError(f"{where}{name} is {value!r}; expected something like {before!r}.")
    return dataclasses.replace(group, **values)

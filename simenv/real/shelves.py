"""The shelves: a real shop's products as the columns of a `Catalogue`.

Public columns come from the files or are neutral: a rating that nobody gave is NEUTRAL_RATING for all (or the mean of
the others where only some are missing), sales that nobody counted make a popularity of 0. The style of a product is its
place in the latent space of titles. Hidden quality and bait are drawn from the product's own id where no column gives
them, so that a product keeps its luck when the catalogue around it changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from simenv import hashing
from simenv.catalogue import F32, I32, Catalogue, ranges, standardise_within
from simenv.real.index import F64, TextIndex
from simenv.real.mapping import TERM_ROLES
from simenv.real.reading import Products

NEUTRAL_RATING = 3.7  # the mean of invented catalogues, at which policies' features are 0


def values_of(products: Products) -> tuple[tuple[str, ...], ...]:
    """The values of each of `TERM_ROLES`, sorted; none for an attribute without a column."""
    return tuple(tuple(sorted(set(products.terms.get(role, ())) - {""})) for role in TERM_ROLES)


def names_of(column: Sequence[str]) -> tuple[str, ...]:
    """The different names of a column, sorted: their places are ids."""
    return tuple(sorted(set(column)))


def stock(products: Products, index: TextIndex, n_style: int, seed: int) -> Catalogue:
    """The catalogue of real products, item ids as in `products`."""
    categories, brands = names_of(products.category), names_of(products.brand)
    category, brand = _ids(products.category, categories), _ids(products.brand, brands)
    terms = {
        role: _ids(products.terms[role], values) if role in products.terms else np.full(len(category), -1, np.int32)
        for role, values in zip(TERM_ROLES, values_of(products), strict=True)
    }
    department = category if products.department is None else _ids(products.department, names_of(products.department))
    departments = np.zeros(len(categories), dtype=np.int32)
    departments[category] = department
    wide, maker = category.astype(np.int64), brand.astype(np.int64)
    return Catalogue(
        category=category,
        brand=brand,
        colour=terms["colour"],
        size=terms["size"],
        material=terms["material"],
        audience=terms["audience"],
        use=terms["use"],
        price=products.price.astype(np.float32),
        price_z=standardise_within(np.log(products.price), wide, len(categories)),
        rating=_rating(products.rating, len(category)),
        popularity=_standard(None if products.sales is None else np.log1p(products.sales), len(category)),
        style=index.style(n_style),
        quality=_hidden(products, products.quality, seed, "item quality"),
        bait=_hidden(products, products.bait, seed, "item bait"),
        departments=departments,
        range_start=ranges(wide, maker, len(categories), len(brands)),
        brand_items=np.argsort(brand, kind="stable").astype(np.int32),
        brand_start=np.concatenate([[0], np.cumsum(np.bincount(brand, minlength=len(brands)))]).astype(np.int64),
        brands=brands,
        seed=seed,
        is_rated=products.rating is not None,
    )


def _ids(column: Sequence[str], names: Sequence[str]) -> I32:
    place = {name: at for at, name in enumerate(names)}
    return np.array([place.get(cell, -1) for cell in column], dtype=np.int32)


def _rating(given: F64 | None, n: int) -> F32:
    if given is None or np.isnan(given).all():
        return np.full(n, NEUTRAL_RATING, dtype=np.float32)
    return np.where(np.isnan(given), np.nanmean(given), given).astype(np.float32)


def _standard(given: F64 | None, n: int) -> F32:
    """Standardised; 0 where missing."""
    if given is None or np.isnan(given).all():
        return np.zeros(n, dtype=np.float32)
    spread = max(float(np.nanstd(given)), 1e-9)
    return np.nan_to_num((given - np.nanmean(given)) / spread, nan=0.0).astype(np.float32)


def _hidden(products: Products, given: F64 | None, seed: int, name: str) -> F32:
    if given is not None:
        return _standard(given, len(products.ids))
    own = [int.from_bytes(hashlib.blake2b(each.encode(), digest_size=8).digest()) for each in products.ids]
    keys = hashing.absorb(hashing.stream(seed, name), np.array(own, dtype=np.uint64))
    return hashing.normal(keys).astype(np.float32)

"""The catalogue: what the market sells, as columns.

Items are sorted by category and, inside a category, by brand, so that "the shoes" and "the shoes of one brand" are
both contiguous ranges and retrieval needs no index. Public columns are what a shop's own tables would hold; the two
hidden ones, `quality` and `bait`, drive behaviour and are seen by nobody but the oracle and the scorer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.language import Lexicon, brand_names, load_lexicon
from simenv.language.attributes import item_attributes

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

ATTRIBUTES = ("size", "material", "audience", "use")  # beyond colour; -1 where a product has none in particular
PUBLIC_COLUMNS = ("category", "brand", "colour", *ATTRIBUTES, "price", "price_z", "rating", "popularity", "style")


@dataclass(frozen=True)
class PublicCatalogue:
    """What a policy may know of the items: the public columns of `Catalogue`, with the same names and shapes.

    department: (I,) int32, of the item's category.
    """

    category: I32
    department: I32
    brand: I32
    colour: I32
    size: I32
    material: I32
    audience: I32
    use: I32
    price: F32
    price_z: F32
    rating: F32
    popularity: F32
    style: F32


@dataclass(frozen=True)
class Catalogue:
    """Items as columns; I items, D style dimensions, G categories, B brands.

    Public:
        category, brand, colour: (I,) int32 ids.
        size, material, audience, use: (I,) int32 ids; -1 where the product has none in particular.
        price: (I,) float32, euros, > 0.
        price_z: (I,) float32, log price standardised within the category.
        rating: (I,) float32, stars in [1, 5]; a noisy sign of quality.
        popularity: (I,) float32, log(1 + past sales), standardised over the catalogue.
        style: (I, D) float32, the item's place in style space (a public embedding), about unit variance per dimension.
    Hidden:
        quality: (I,) float32, standard normal; moves satisfaction after the click.
        bait: (I,) float32, standard normal; moves the click, not the satisfaction.
    Of the market:
        departments: (G,) int32, the department of each category.
        is_rated: False where there are no ratings at all: `rating` is then the same neutral number for every item.
    Indexes:
        brand_items, brand_start: (I,) int32 items sorted by brand, and (B + 1,) int64 where each brand starts there.
        range_start: (G, B + 1) int64; items of category g and brand b are `range_start[g, b]:range_start[g, b + 1]`.
    """

    category: I32
    brand: I32
    colour: I32
    size: I32
    material: I32
    audience: I32
    use: I32
    price: F32
    price_z: F32
    rating: F32
    popularity: F32
    style: F32
    quality: F32
    bait: F32
    departments: I32
    range_start: I64
    brand_items: I32
    brand_start: I64
    brands: tuple[str, ...]
    seed: int
    is_rated: bool = True

    @property
    def n_items(self) -> int:
        """Number of items, I."""
        return len(self.category)

    def public(self) -> PublicCatalogue:
        """The columns that policies may see."""
        return PublicCatalogue(
            department=self.departments[self.category],
            **{name: getattr(self, name) for name in PUBLIC_COLUMNS},
        )

    def digest(self) -> str:
        """SHA-256 over every column: two catalogues with the same digest are the same catalogue."""
        state = hashlib.sha256()
        for column in (*PUBLIC_COLUMNS, "quality", "bait"):
            state.update(np.ascontiguousarray(getattr(self, column)).tobytes())
        return state.hexdigest()


def price_spread(price: F32, category: I32, n_categories: int) -> F32:
    """Standard deviation of log price in each category, (G,): what a log price is divided by to be a `price_z`.

    At least 0.05, for categories of one item.
    """
    log = np.log(price.astype(np.float64))
    count = np.bincount(category, minlength=n_categories).clip(1)
    mean = np.bincount(category, log, minlength=n_categories) / count
    spread = np.sqrt(np.bincount(category, (log - mean[category]) ** 2, minlength=n_categories) / count)
    made: F32 = spread.clip(0.05).astype(np.float32)
    return made


def generate_catalogue(n_items: int, n_brands: int, n_style: int, seed: int) -> Catalogue:
    """Make a catalogue from a seed; the same arguments give the same bytes.

    Categories differ in size (a Zipf-like head), in price level and in style; brands have a style, a fame and a price
    tier of their own. Quality moves the public rating; fame and quality move past sales, so popularity is informative
    about what most shoppers like and blind to who is asking.
    """
    lexicon: Lexicon = load_lexicon()
    n_categories, n_colours = len(lexicon.categories), len(lexicon.colours)
    ids = np.arange(n_items)
    category = _category_column(n_items, n_categories)
    brand = np.minimum(
        (n_brands * hashing.uniform(_keys(seed, "item brand", ids)) ** 1.5).astype(np.int32), n_brands - 1
    )
    order = np.lexsort((brand, category))
    brand = brand[order]

    brand_style = _normals(seed, "brand style", np.arange(n_brands), n_style)
    brand_tier = hashing.normal(_keys(seed, "brand tier", np.arange(n_brands)))
    brand_fame = hashing.normal(_keys(seed, "brand fame", np.arange(n_brands)))
    category_level = 3.2 + 0.8 * hashing.normal(_keys(seed, "category price", np.arange(n_categories)))

    style = (0.6 * brand_style[brand] + 0.8 * _normals(seed, "item style", ids, n_style)).astype(np.float32)
    quality = hashing.normal(_keys(seed, "item quality", ids)).astype(np.float32)
    bait = hashing.normal(_keys(seed, "item bait", ids)).astype(np.float32)
    relative_price = 0.7 * brand_tier[brand] + 0.25 * quality + 0.6 * hashing.normal(_keys(seed, "item price", ids))
    price = np.exp(category_level[category] + 0.45 * relative_price)
    rating = 3.7 + 0.45 * quality + 0.35 * hashing.normal(_keys(seed, "item rating", ids))
    sales = 0.6 * brand_fame[brand] + 0.5 * quality + 0.3 * bait + 0.6 * hashing.normal(_keys(seed, "item sales", ids))

    attributes = item_attributes(lexicon, category, _keys(seed, "title", ids))
    size, material, audience, use = (attributes[:, place] for place in range(len(ATTRIBUTES)))

    return Catalogue(
        category=category.astype(np.int32),
        brand=brand.astype(np.int32),
        colour=hashing.integers(_keys(seed, "item colour", ids), n_colours).astype(np.int32),
        size=size,
        material=material,
        audience=audience,
        use=use,
        price=np.round(price, 2).clip(0.5).astype(np.float32),
        price_z=standardise_within(np.log(price), category, n_categories),
        rating=np.round(rating.clip(1.0, 5.0), 1).astype(np.float32),
        popularity=((sales - sales.mean()) / sales.std()).astype(np.float32),
        style=style,
        quality=quality,
        bait=bait,
        departments=lexicon.department.astype(np.int32),
        range_start=ranges(category, brand, n_categories, n_brands),
        brand_items=np.argsort(brand, kind="stable").astype(np.int32),
        brand_start=np.concatenate([[0], np.cumsum(np.bincount(brand, minlength=n_brands))]).astype(np.int64),
        brands=brand_names(n_brands, seed),
        seed=seed,
    )


def _keys(seed: int, name: str, ids: npt.NDArray[np.integer]) -> hashing.Keys:
    return hashing.absorb(hashing.stream(seed, name), ids)


def _normals(seed: int, name: str, ids: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.float64]:
    return hashing.normal(hashing.absorb(_keys(seed, name, ids)[:, None], np.arange(n)))


def _category_column(n_items: int, n_categories: int) -> I64:
    """Sorted category ids with sizes falling from head to tail, each category at least half of an equal share."""
    share = 0.5 / n_categories + 0.5 * _zipf(n_categories)
    edges = np.round(np.cumsum(share) * n_items).astype(np.int64)
    column: I64 = np.searchsorted(edges, np.arange(n_items), side="right").clip(max=n_categories - 1)
    return column


def _zipf(n: int) -> npt.NDArray[np.float64]:
    weight = 1.0 / np.arange(1, n + 1)
    share: npt.NDArray[np.float64] = weight / weight.sum()
    return share


def standardise_within(values: npt.NDArray[np.float64], group: I64, n_groups: int) -> F32:
    """Values (I,) less their group's mean, in units of its standard deviation; 0 where a group does not vary."""
    count = np.bincount(group, minlength=n_groups).clip(1)
    mean = np.bincount(group, values, minlength=n_groups) / count
    spread = np.sqrt(np.bincount(group, (values - mean[group]) ** 2, minlength=n_groups) / count).clip(1e-6)
    standardised: F32 = ((values - mean[group]) / spread[group]).astype(np.float32)
    return standardised


def ranges(category: I64, brand: I64, n_categories: int, n_brands: int) -> I64:
    """`Catalogue.range_start` of items that are sorted by category and brand."""
    counts = np.bincount(category * n_brands + brand, minlength=n_categories * n_brands)
    starts = np.concatenate([[0], np.cumsum(counts)])
    first = np.arange(n_categories)[:, None] * n_brands + np.arange(n_brands + 1)[None, :]
    ranges: I64 = starts[first].astype(np.int64)
    return ranges

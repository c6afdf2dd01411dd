"""The Chorus electronics data (Icecat products, graded queries) as a real market's folder.

The files are those of the Chorus project (OpenSource Connections): product data by Icecat under the Open Content
License, with attribution; code and ratings under the Apache License 2.0. Products have no category column. Icecat
writes titles as "BRAND NAME category Attribute ...", so the category is read from there: the words in small letters
behind brand and name where enough products share them, else the longest such name that stands anywhere in the title,
else the last noun in it that names a kind of product ("UTP patch cable, 3 m": cable), else none. There are no query
frequencies, no ratings and no sales, and none are made up.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from simenv.errors import UserError

PRODUCT_FILES = tuple(f"products_{number}.json.zip" for number in range(1, 5))
GRADES, RATERS = "Broad_Query_Set_rated.csv", "Broad_Query_Set_individual_ratings.csv"
RATER_COLUMNS = ("agent_1_rating", "agent_2_rating", "agent_3_rating")
LEAST_PRODUCTS = 8  # that share a category's name
# Nouns for kinds of product that titles hold behind the name, beside the last words of the categories that are found.
NOUNS = (
    "notebook", "tablet", "pc", "workstation", "monitor", "display", "tv", "scanner", "camera", "smartphone", "phone",
    "headset", "headphones", "earphones", "speaker", "toner", "cartridge", "server", "license", "rack", "bracket",
    "puzzle", "watch", "tripod", "antenna", "drive", "dock", "station", "bag", "sleeve", "lamp", "ram", "dimm", "label",
    "ribbon", "drum", "enclosure", "power supply", "hub", "charger", "stand", "bulb", "game",
)  # fmt: skip
CATEGORY_END = re.compile(r"(?:^|[ /])[a-z(][a-z)/-]{2,}$")  # the last word of a category's name: in small letters
CENTS = 100.0

ATTRIBUTION = (
    "Product data by Icecat (icecat.biz) under the Icecat Open Content License; queries and ratings from Chorus "
    "(OpenSource Connections), Apache License 2.0."
)
MARKET = f'''# A real market: electronics with real queries and graded judgements by three raters.
# The data gives no currency, no query frequencies, no ratings and no sales: prices are read as euros, all queries
# are asked equally often, ratings and popularity stay neutral.
question = "What does personalisation add to text retrieval over real titles, with relevance from human raters?"
attribution = "{ATTRIBUTION}"
locale = "en-GB"
euros = 1.0
retrieval = "both"
unjudged = "fitted"

[products]
file = "products.csv"
text = "description"
colour = "colour"
material = "material"

[queries]
file = "queries.csv"

[judgements]
file = "judgements.csv"
scale = [0, 3]
raters = ["rater_1", "rater_2", "rater_3"]
'''

Product = Mapping[str, Any]


def convert(source: Path, out: Path) -> Path:
    """Write the folder of a real market from the Chorus files.

    Args:
        source: The folder with `products_1.json.zip` to `_4`, the rated queries and the individual ratings.
        out: The folder to make; it must not exist.

    Returns:
        The path of its `market.toml`.

    Raises:
        UserError: where a file is missing or `out` exists.
    """
    missing = [name for name in (*PRODUCT_FILES, GRADES, RATERS) if not (source / name).is_file()]
    if missing:
        raise UserError(f"'{source}' has no {missing[0]}; expected the Chorus electronics files.")
    if out.exists():
        raise UserError(f"'{out}' exists already; choose another --out, or remove it.")
    draft = out.with_name(f".{out.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _write_products(_read_products(source), draft / "products.csv")
    _write_judgements(source, draft)
    (draft / "market.toml").write_text(MARKET, encoding="utf-8")
    notice = [ATTRIBUTION, "Converted by `slatelab data icecat`; categories were read from the titles."]
    readme = source / "README.txt"
    if readme.is_file():
        notice += ["", "What came with the files:", readme.read_text(encoding="utf-8").strip()]
    (draft / "ATTRIBUTION.txt").write_text("\n".join(notice) + "\n", encoding="utf-8")
    draft.rename(out)
    return out / "market.toml"


def categories(products: Sequence[Product]) -> list[str]:
    """The category of each product as its title tells it; "" where it does not."""
    behind = [_behind_name(product) for product in products]
    colours = {
        word for product in products for word in str(product.get("attr_t_product_colour", "")).lower().split(",")
    }
    counts = Counter(name for name in behind if name)
    known = {
        name
        for name, n in counts.items()
        if n >= LEAST_PRODUCTS and CATEGORY_END.search(name) and not _is_attribute(name, colours)
    }
    spelling = {name.lower(): name for name in sorted(known)}
    nouns = {re.split(r"[ /]", name)[-1].strip("()") for name in spelling} | set(NOUNS)
    whole, last = _any_of(spelling), _any_of(nouns)
    made = []
    for product, name in zip(products, behind, strict=True):
        title = str(product["title"]).lower()
        if name in known:
            made.append(spelling[name.lower()])
        elif found := whole.findall(title):
            made.append(spelling[max(found, key=len)])
        else:
            made.append((last.findall(title) or [""])[-1])
    return made


def _any_of(names: Collection[str]) -> re.Pattern[str]:
    """Any of these words or phrases, the longest first, also in the plural."""
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, ordered)) + r")s?(?![\w(-])")


def _behind_name(product: Product) -> str:
    """The words of the title between brand and name and the first attribute, which starts with a capital or digit."""
    title, start = str(product["title"]), f"{product['supplier']} {product['name']}"
    if not title.lower().startswith(start.lower()):
        return ""
    words = title[len(start) :].split()
    taken: list[str] = []
    for word in words:
        if taken and (word[0].isupper() or word[0].isdigit()) and not taken[-1].isupper():
            break
        taken.append(word)
    return " ".join(taken)


def _is_attribute(name: str, colours: set[str]) -> bool:
    words = name.lower().split()
    return bool(words[-1] in colours or words[0] in ("original", "compatible") or any(c.isdigit() for c in name))


def _read_products(source: Path) -> list[Product]:
    products: list[Product] = []
    for name in PRODUCT_FILES:
        with zipfile.ZipFile(source / name) as archive:
            products += json.loads(archive.read(archive.namelist()[0]))
    return products


def _write_products(products: Sequence[Product], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "brand", "category", "price", "description", "colour", "material"])
        for product, category in zip(products, categories(products), strict=True):
            writer.writerow([
                product["id"], product["title"], product["supplier"], category, product["price"] / CENTS,
                product.get("short_description") or "", product.get("attr_t_product_colour") or "",
                product.get("attr_t_material") or "",
            ])  # fmt: skip


def _write_judgements(source: Path, out: Path) -> None:
    """Grades and, where there are any, the raters' own; queries in the order in which they first occur."""
    with (source / RATERS).open(newline="", encoding="utf-8") as file:
        raters = {
            (row["query"], row["docid"]): [row[name] for name in RATER_COLUMNS] for row in csv.DictReader(file)
        }  # fmt: skip
    with (source / GRADES).open(newline="", encoding="utf-8") as file:
        pairs = [(row["query"], row["docid"], row["rating"]) for row in csv.DictReader(file)]
    with (out / "judgements.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "product", "grade", "rater_1", "rater_2", "rater_3"])
        for query, product, grade in pairs:
            writer.writerow([query, product, grade, *raters.get((query, product), ["", "", ""])])
    with (out / "queries.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["query"])
        writer.writerows([query] for query in dict.fromkeys(query for query, _, _ in pairs))

"""The mapping file: which file and which column plays which role in a real market.

For example (`role = "column"`; a required role that is left out is a column of its own name)::

    locale = "en-GB"                  # one of the lexicon's: how prices are written, on which keyboard people type
    euros = 1.0                       # euros for one unit of the price column
    retrieval = "both"                # "bm25", "char-ngrams" or "both"
    unjudged = "fitted"               # relevance of pairs nobody judged: "fitted" from judgements, or "lexical"

    [products]                        # optional: text, department, rating, sales, colour, size, ...
    file = "products.csv"             # csv, parquet or jsonl, beside this file
    title = "name"

    [queries]
    file = "queries.csv"
    frequency = "searches"            # without it every query is asked equally often

    [judgements]
    file = "judgements.csv"
    scale = [0, 3]                    # the lowest and the highest grade
    raters = ["rater_1", "rater_2"]   # grades of single raters, where there are several

    [world]                           # settings of `simenv.params.WorldParams` that differ from the default world
    n_slots = 10

A TOML file with a table [products] is a real market.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simenv.errors import UserError, unknown_name
from simenv.language import load_lexicon

RETRIEVALS = ("both", "bm25", "char-ngrams")
UNJUDGED = ("fitted", "lexical")
TERM_ROLES = ("colour", "size", "material", "audience", "use")

REQUIRED = {
    "products": ("id", "title", "brand", "category", "price"),
    "queries": ("query",),
    "judgements": ("query", "product", "grade"),
}
OPTIONAL = {
    "products": ("text", "department", "rating", "sales", *TERM_ROLES, "quality", "bait"),
    "queries": ("frequency",),
    "judgements": (),
}
SECTIONS = (*REQUIRED, "world")
SETTINGS = ("question", "locale", "euros", "retrieval", "unjudged", "attribution")


@dataclass(frozen=True)
class Source:
    """One data file: where it lies and which column plays which role."""

    file: Path
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Mapped:
    """A mapping file as read; see the module for what its settings mean.

    scale: lowest and highest grade. raters: columns of single raters. world: the table [world], not yet checked.
    """

    path: Path
    question: str
    locale: str
    euros: float
    retrieval: str
    unjudged: str
    attribution: str
    products: Source
    queries: Source
    judgements: Source | None
    scale: tuple[float, float]
    raters: tuple[str, ...]
    world: Mapping[str, Any]

    def content(self) -> str:
        """SHA-256 over the mapping file and the data files: equal where the market is."""
        state = hashlib.sha256()
        for path in (self.path, *(each.file for each in (self.products, self.queries, self.judgements) if each)):
            with path.open("rb") as file:
                state.update(hashlib.file_digest(file, "sha256").digest())
        return state.hexdigest()


def read_mapping(path: Path) -> Mapped:
    """Read a mapping file.

    Raises:
        UserError: where it is missing, is no TOML, names an unknown role or setting, or a data file is not there.
    """
    content = read_toml(path)
    for key in content:
        if key not in (*SECTIONS, *SETTINGS):
            raise _wrong(path, unknown_name("setting", key, (*SECTIONS, *SETTINGS)))
    judged = content.get("judgements")
    unjudged = _choice(path, content, "unjudged", UNJUDGED)
    if judged is None and unjudged == "fitted":
        raise UserError(
            f"{path}: there is no [judgements], so nothing can be fitted. Add graded pairs, or accept that letters "
            'decide what is relevant: unjudged = "lexical".'
        )
    lexicon = load_lexicon()
    locale = content.get("locale", "en-GB")
    if locale not in lexicon.locales:
        raise _wrong(path, unknown_name("locale", str(locale), lexicon.locales))
    euros = content.get("euros", 1.0)
    if not isinstance(euros, (int, float)) or not 0 < euros < float("inf"):
        raise UserError(f"{path}: euros is {euros!r}; expected how many euros one unit of price is, above 0.")
    settings = dict(judged or {})
    scale, raters = _scale(path, settings.pop("scale", [0, 1])), _raters(path, settings.pop("raters", []))
    return Mapped(
        path=path,
        question=str(content.get("question", "What does a ranking do in this shop's own market?")),
        locale=locale,
        euros=float(euros),
        retrieval=_choice(path, content, "retrieval", RETRIEVALS),
        unjudged=unjudged,
        attribution=str(content.get("attribution", "")),
        products=_source(path, content, "products"),
        queries=_source(path, content, "queries"),
        judgements=None if judged is None else _source(path, {"judgements": settings}, "judgements"),
        scale=scale,
        raters=raters,
        world=content.get("world", {}),
    )


def is_mapping(path: Path) -> bool:
    """Whether a TOML file describes a real market: it has a table [products]. Missing and broken files do not."""
    try:
        return "products" in read_toml(path)
    except UserError:
        return False


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UserError: where it is missing or is no TOML in UTF-8.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except IsADirectoryError as error:
        raise UserError(
            f"'{path}' is a folder; give the mapping file in it, for example {path / 'market.toml'}."
        ) from error
    except FileNotFoundError as error:
        raise UserError(f"'{path}' does not exist; expected a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' is not valid TOML: {error}.") from error


def _source(path: Path, content: Mapping[str, Any], section: str) -> Source:
    table = content.get(section)
    if not isinstance(table, dict) or not isinstance(table.get("file"), str):
        raise UserError(f'{path}: [{section}] has no file; expected file = "{section}.csv" (or .parquet, .jsonl).')
    roles = (*REQUIRED[section], *OPTIONAL[section])
    columns = {role: role for role in REQUIRED[section]}
    for role, column in table.items():
        if role == "file":
            continue
        if role not in roles:
            raise _wrong(path, unknown_name(f"role in [{section}]", role, roles))
        if not isinstance(column, str):
            raise UserError(f"{path}: {section}.{role} is {column!r}; expected the name of a column.")
        columns[role] = column
    file = path.parent / table["file"]
    if not file.is_file():
        raise UserError(f"{path}: the {section} file '{file}' does not exist.")
    return Source(file, columns)


def _scale(path: Path, scale: Any) -> tuple[float, float]:
    if isinstance(scale, list) and len(scale) == 2 and all(isinstance(end, (int, float)) for end in scale):
        low, high = map(float, scale)
        if low < high:
            return low, high
    raise UserError(f"{path}: judgements.scale is {scale!r}; expected [lowest, highest grade], for example [0, 3].")


def _raters(path: Path, raters: Any) -> tuple[str, ...]:
    if isinstance(raters, list) and all(isinstance(name, str) for name in raters):
        return tuple(raters)
    raise UserError(f"{path}: judgements.raters is {raters!r}; expected a list of columns.")


def _choice(path: Path, content: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = content.get(name, known[0])
    if value not in known:
        raise _wrong(path, unknown_name(name, str(value), known))
    return str(value)


def _wrong(path: Path, error: UserError) -> UserError:
    return UserError(f"{path}: {error}")

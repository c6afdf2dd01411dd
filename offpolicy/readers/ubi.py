"""OpenSearch User Behavior Insights as pages, items and clicks: logs without propensities.

`ubi_queries` has a document for each search, maybe with the ids of its hits (`query_response_hit_ids`); `ubi_events`
has impressions and clicks with the search they belong to, the object and its position. Both may stand in one file or in
several, as bulk requests (a line of `index` before each document), as documents, or as hits with a `_source`.

A production search engine answers alike every time, and UBI logs no propensity: no weight exists. What can be had is a
click model's estimate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.clickmodel import ClickLog
from offpolicy.readers.files import files_of, json_lines
from offpolicy.readers.reading import Caveat, Reading
from offpolicy.readers.target import TargetFunction, ask
from simenv.errors import UserError

SLOTS = 10  # of a page, where the user says nothing
NO_WEIGHT = "UBI holds no propensities: what was shown is logged, not how likely it was to be shown"


@dataclass
class _Search:
    """A search while its documents come in, in any order."""

    place: str
    query: str | None = None
    client: str | None = None
    hits: list[str] | None = None
    shown: list[tuple[int | None, str, str]] = field(default_factory=list)  # ordinal, object, place
    clicked: list[tuple[str, str]] = field(default_factory=list)  # object, place


def read_ubi(path: Path, policy: TargetFunction | None = None, name: str = "", n_slots: int = SLOTS) -> Reading:
    """Read UBI documents.

    Args:
        path: An .ndjson or .jsonl file, or a folder of such files.
        policy: What it would show: a function of the columns query_id, query, client_id and hits (a list of object ids
            for each search, as shown) that returns {"ranking": object ids by slot, (n, K)}.
        name: What the user calls it.
        n_slots: Slots of a page; what stands below is left out.

    Raises:
        UserError: Naming the file and line of what is wrong.
    """
    searches: dict[str, _Search] = {}
    n_lines = 0
    for file in [path] if path.is_file() else files_of(path):
        for place, document in _documents(file):
            n_lines += 1
            _take(searches, place, document)
    if not searches:
        raise UserError(f"{path} holds no UBI document; expected lines with query_id (ubi_queries, ubi_events).")
    counts = {"below": 0, "unseen": 0, "conflict": 0, "again": 0}
    base = _base(searches)
    pages = [_page(search, base, n_slots, counts) for search in searches.values()]
    if not any(items for items, _ in pages):
        raise UserError(f"{path} shows nothing: no query_response_hit_ids and no impressions. Expected one of them.")
    clicks = _click_log(searches, pages, n_slots)
    answer = ask(policy, name, _columns(searches, pages)) if policy else {}
    ranking = None
    if "ranking" in answer:
        known = {one: code for code, one in enumerate(clicks.names)}
        wide = answer["ranking"] if answer["ranking"].ndim == 2 else answer["ranking"][:, None]
        flat = ["" if item is None else str(item) for item in wide[:, :n_slots].ravel().tolist()]
        codes = np.array([known.get(item, len(known)) if item else -1 for item in flat], dtype=np.int64)
        ranking = codes.reshape(len(wide), -1)
    return Reading(
        path.name,
        _understood(n_lines, searches, clicks),
        caveats=_caveats(counts),
        no_weight=NO_WEIGHT,
        clicks=clicks,
        target_missing=policy is None,
        ranking=ranking,
    )


def _documents(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in json_lines(file):
        if set(line) <= {"index", "create", "update", "delete"}:
            continue
        document = line.get("_source", line)
        place = f"{file.name}, line {number}"
        if type(document) is not dict:
            raise UserError(f"{place}: _source is a {type(document).__name__}; expected a document.")
        yield place, document


def _take(searches: dict[str, _Search], place: str, document: dict[str, Any]) -> None:
    key = document.get("query_id")
    action = document.get("action_name")
    if type(key) is not str or not key:
        if action is not None and action not in ("impression", "click"):
            return  # an event that belongs to no search
        raise UserError(f"{place}: query_id is {key!r}; expected the id of the search that this belongs to.")
    search = searches.setdefault(key, _Search(place))
    search.client = search.client or _text(document, "client_id")
    search.query = search.query or _text(document, "user_query")
    if action is None:
        hits = document.get("query_response_hit_ids", document.get("query_response_object_ids"))
        if hits is not None:
            if type(hits) is not list or not all(type(one) in (str, int) for one in hits):
                raise UserError(f"{place}: query_response_hit_ids is {str(hits)[:60]}; expected a list of ids.")
            search.hits = [str(one) for one in hits]
    elif action in ("impression", "click"):
        identity, ordinal = _object(place, document)
        if action == "click":
            search.clicked.append((identity, place))
        else:
            search.shown.append((ordinal, identity, place))


def _object(place: str, document: dict[str, Any]) -> tuple[str, int | None]:
    attributes = document.get("event_attributes")
    thing = attributes.get("object") if type(attributes) is dict else None
    identity = thing.get("object_id") if type(thing) is dict else None
    if type(identity) not in (str, int):
        raise UserError(f"{place}: it has no event_attributes.object.object_id; expected what was shown or clicked.")
    position = attributes.get("position") if type(attributes) is dict else None
    ordinal = position.get("ordinal") if type(position) is dict else None
    if ordinal is not None and (type(ordinal) is not int or ordinal < 0):
        raise UserError(f"{place}: position.ordinal is {ordinal!r}; expected a whole number from 0 or 1.")
    return str(identity), ordinal


def _base(searches: dict[str, _Search]) -> int:
    """Whether positions count from 0 or from 1: as their least says."""
    ordinals = [ordinal for search in searches.values() for ordinal, _, _ in search.shown if ordinal is not None]
    least = min(ordinals, default=0)
    if least > 1 and not any(search.hits for search in searches.values()):
        raise UserError(f"impressions start at position {least}; expected 0 or 1 for the top. Are documents missing?")
    return min(least, 1)


def _page(search: _Search, base: int, n_slots: int, counts: dict[str, int]) -> tuple[dict[int, str], set[int]]:
    """Items by slot and the slots that were clicked."""
    items: dict[int, str] = {}
    if search.hits:
        items = dict(enumerate(dict.fromkeys(search.hits)))
    else:
        for ordinal, identity, place in search.shown:
            if ordinal is None:
                raise UserError(
                    f"{place}: an impression without position.ordinal, of a search without query_response_hit_ids; "
                    "expected one of them."
                )
            slot = ordinal - base
            if items.get(slot, identity) != identity:
                counts["conflict"] += 1
            elif slot in items:
                counts["again"] += 1
            else:
                items[slot] = identity
    slot_of: dict[str, int] = {}
    for slot, identity in sorted(items.items()):
        slot_of.setdefault(identity, slot)
    clicked = set()
    for identity, _ in search.clicked:
        slot = slot_of.get(identity, -1)
        if slot < 0:
            counts["unseen"] += 1
        elif slot < n_slots:
            clicked.add(slot)
        else:
            counts["below"] += 1
    return {slot: identity for slot, identity in items.items() if slot < n_slots}, clicked


def _click_log(searches: dict[str, _Search], pages: list[tuple[dict[int, str], set[int]]], n_slots: int) -> ClickLog:
    n_slots = min(n_slots, 1 + max(slot for items, _ in pages for slot in items))
    names: dict[str, int] = {}
    queries: dict[str, int] = {}
    clients: dict[str, int] = {}
    item = np.full((len(pages), n_slots), -1, dtype=np.int64)
    click = np.zeros((len(pages), n_slots))
    query, cluster = np.empty((2, len(pages)), dtype=np.int64)
    for n, (search, (items, clicked)) in enumerate(zip(searches.values(), pages, strict=True)):
        if search.query is None or search.client is None:
            lacking = "user_query" if search.query is None else "client_id"
            raise UserError(f"{search.place}: no document of this search has {lacking}; expected it in ubi_queries.")
        query[n] = queries.setdefault(search.query, len(queries))
        cluster[n] = clients.setdefault(search.client, len(clients))
        for slot, identity in items.items():
            item[n, slot] = names.setdefault(identity, len(names))
        click[n, list(clicked)] = 1.0
    return ClickLog(query, item, click, cluster, tuple(names))


def _columns(searches: dict[str, _Search], pages: list[tuple[dict[int, str], set[int]]]) -> dict[str, npt.NDArray[Any]]:
    hits = np.empty(len(pages), dtype=object)
    for n, (items, _) in enumerate(pages):
        hits[n] = [items[slot] for slot in sorted(items)]
    return {
        "query_id": np.array(list(searches)),
        "query": np.array([search.query for search in searches.values()]),
        "client_id": np.array([search.client for search in searches.values()]),
        "hits": hits,
    }


def _understood(n_lines: int, searches: dict[str, _Search], clicks: ClickLog) -> tuple[tuple[str, str], ...]:
    shown = clicks.item >= 0
    with_hits = sum(1 for search in searches.values() if search.hits)
    return (
        ("log", f"{n_lines:,} UBI documents, {len(searches):,} searches, {len(np.unique(clicks.query)):,} queries"),
        ("what was shown", f"from hits in {with_hits:,} searches, from impressions in {len(searches) - with_hits:,}"),
        (
            "slots",
            f"{clicks.item.shape[1]}; {int(shown.sum()):,} items shown, {int((~shown.any(axis=1)).sum()):,} empty "
            "pages",
        ),
        ("cluster", f"{len(np.unique(clicks.cluster)):,} shoppers (client_id)"),
        ("reward clicks", f"{clicks.click.sum(axis=1).mean():.4g} a search"),
        ("propensity", "missing: UBI has none"),
    )


def _caveats(counts: dict[str, int]) -> tuple[Caveat, ...]:
    told = {
        "below": "clicks below the last slot were left out",
        "unseen": "clicks on what no document shows were left out",
        "conflict": "impressions claim a slot that another item has; the first stayed",
        "again": "impressions came twice and count once",
    }
    return tuple(Caveat(f"{counts[key]:,} {text}", int(key == "conflict")) for key, text in told.items() if counts[key])


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    return str(value) if type(value) in (str, int) and value != "" else None

"""OpenSearch UBI: pages and clicks from documents in any order; never a weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy.readers.ubi import read_ubi
from simenv.errors import UserError


def query(key: str, text: str = "lamp", hits: list[str] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"query_id": key, "client_id": f"c{key}", "user_query": text}
    return made if hits is None else made | {"query_response_hit_ids": hits}


def event(key: str, action: str, thing: str, ordinal: int | None) -> dict[str, Any]:
    attributes = {"object": {"object_id": thing, "object_id_field": "sku"}, "position": {"ordinal": ordinal}}
    return {"query_id": key, "client_id": f"c{key}", "user_query": "lamp", "action_name": action,
            "event_attributes": attributes}  # fmt: skip


def put(folder: Path, *documents: dict[str, Any]) -> Path:
    path = folder / "ubi.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in documents), encoding="utf-8")
    return path


def test_hits_and_impressions_make_the_same_page_in_any_order(tmp_path: Path) -> None:
    documents = [
        event("2", "click", "b", 2), {"index": {"_index": "ubi_queries"}}, query("1", hits=["a", "b"]),
        event("1", "click", "b", 2), event("2", "impression", "b", 2), {"_source": event("2", "impression", "a", 1)},
        event("1", "add_to_cart", "b", 2), query("2"),
    ]  # fmt: skip
    clicks = read_ubi(put(tmp_path, *documents)).clicks
    assert clicks is not None
    shown = [[clicks.names[code] for code in row] for row in clicks.item]
    assert shown == [["a", "b"], ["a", "b"]]
    assert clicks.click.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert clicks.query.tolist() == [0, 0]


def test_what_does_not_fit_is_counted_and_told(tmp_path: Path) -> None:
    documents = [
        query("1"), event("1", "impression", "a", 0), event("1", "impression", "a", 0),
        event("1", "impression", "b", 0), event("1", "click", "z", 4),
    ]  # fmt: skip
    reading = read_ubi(put(tmp_path, *documents))
    assert [caveat.text[:30] for caveat in reading.caveats] == [
        "1 clicks on what no document s", "1 impressions claim a slot tha", "1 impressions came twice and c",
    ]  # fmt: skip
    assert reading.no_weight.startswith("UBI holds no propensities")


def test_a_ranking_may_hold_what_was_never_shown(tmp_path: Path) -> None:
    path = put(tmp_path, query("1", hits=["a", "b"]), query("2", "sofa", hits=["c"]))
    reading = read_ubi(path, lambda columns: {"ranking": [["b", "new"], ["c", None]]}, "f")
    assert reading.ranking is not None
    assert reading.ranking.tolist() == [[1, 3], [2, -1]]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"user_query": "x"}, "line 2: query_id is None"),
        (event("1", "impression", "a", None), "line 2: an impression without position.ordinal"),
        (event("1", "impression", "a", -1), "line 2: position.ordinal is -1"),
        ({"query_id": "1", "action_name": "click"}, "line 2: it has no event_attributes.object.object_id"),
        (query("1") | {"query_response_hit_ids": "a,b"}, "line 2: query_response_hit_ids is a,b"),
        ({"query_id": "9", "user_query": "x"}, "no document of this search has client_id"),
        ({"_source": 3}, "line 2: _source is a int"),
    ],
)
def test_a_bad_document_is_named_by_its_line(tmp_path: Path, document: dict[str, Any], complaint: str) -> None:
    hits = None if document.get("action_name") == "impression" else ["a"]
    with pytest.raises(UserError, match=complaint):
        read_ubi(put(tmp_path, query("1", hits=hits), document))


def test_the_published_example_is_understood(real_data: Path) -> None:
    path = real_data / "esci_us_150" / "ubi_queries_events.ndjson"
    if not path.is_file():
        pytest.skip("needs the generated UBI example")
    clicks = read_ubi(path).clicks
    assert clicks is not None
    assert (len(clicks.query), int((clicks.item >= 0).sum()), int(clicks.click.sum())) == (150, 563, 37)
    assert not np.isnan(clicks.click).any()

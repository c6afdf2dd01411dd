"""What a pass kept of one part of a log, on disk: arrays and a line of JSON, no pickle, written whole or not at all.

A pass over a large log may be stopped; the next one finds what was read. A file that is cut off, or was written for
something else, is read again from the log.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offpolicy.readers.reading import Caveat
from offpolicy.stream.gather import Facts, Gathered
from offpolicy.stream.moments import End, Moments
from offpolicy.stream.weight_sums import WeightSums

VERSION = 4

_SCALARS = ("weight", "weight_squared", "earned", "earned_squared", "squared", "cubed", "row_sum", "row_max", "error")


@dataclass(frozen=True)
class Found:
    """What a folder held for a key: nothing, or what was kept; a note where a file could not be used."""

    gathered: Gathered | None
    note: str = ""


def save_state(folder: Path, key: str, gathered: Gathered) -> None:
    """Write what was kept, under a temporary name first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(folder, key)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    with beside.open("wb") as file:
        np.savez(file, allow_pickle=False, **_arrays(key, gathered))
    beside.replace(path)


def load_state(folder: Path, key: str) -> Found:
    """What the folder holds for a key; whatever cannot be used is passed over with a note."""
    path = _path(folder, key)
    if not path.is_file():
        return Found(None)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Found(_gathered(key, {name: arrays[name] for name in arrays.files}))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as problem:
        return Found(None, f"{path.name} is no whole state ({type(problem).__name__}); its part was read again.")


def _path(folder: Path, key: str) -> Path:
    return folder / f"{_digest(key)}.npz"


def lines_path(folder: Path, key: str) -> Path:
    """Where the sums of clusters that stand anywhere are kept, see `offpolicy.stream.scattered`."""
    return folder / f"{_digest(key)}.arrow"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _arrays(key: str, gathered: Gathered) -> dict[str, Any]:
    said = {
        "version": VERSION,
        "key": key,
        "facts": asdict(gathered.facts),
        "layout": gathered.layout,
        "moments": _told(gathered.moments),
        "blocks": None if gathered.blocks is None else _told(gathered.blocks),
        "weights": [[one.rows, one.pieces, *(getattr(one, name) for name in _SCALARS)] for one in gathered.weights],
        "beyond": gathered.beyond,
        "caveats": [[one.text, one.rank] for one in gathered.caveats],
    }
    made: dict[str, Any] = {
        "said": np.array(json.dumps(said)),
        "moved": gathered.moved,
        "extent": gathered.extent,
        "foreseen": gathered.foreseen,
        "expected": gathered.expected,
        "largest": gathered.largest,
        "drawn": gathered.drawn,
    }
    made |= _sums("", gathered.moments) | ({} if gathered.blocks is None else _sums("blocks ", gathered.blocks))
    for number, one in enumerate(gathered.weights):
        made |= {f"seen{number}": one.seen, f"top{number}": one.top}
    return made


def _gathered(key: str, arrays: dict[str, Any]) -> Gathered:
    said = json.loads(str(arrays["said"]))
    if said["version"] != VERSION or said["key"] != key:
        raise ValueError("written for something else")
    weights = []
    for number, (rows, pieces, *scalars) in enumerate(said["weights"]):
        values = dict(zip(_SCALARS, scalars, strict=True))
        weights.append(WeightSums(rows, pieces, seen=arrays[f"seen{number}"], top=arrays[f"top{number}"], **values))
    return Gathered(
        facts=Facts(**said["facts"] | {"absent": tuple(said["facts"]["absent"])}),
        layout=tuple((name, width) for name, width in said["layout"]),
        moments=_moments("", said["moments"], arrays),
        weights=tuple(weights),
        moved=arrays["moved"],
        beyond=said["beyond"],
        extent=arrays["extent"],
        foreseen=arrays["foreseen"],
        expected=arrays["expected"],
        largest=arrays["largest"],
        blocks=_moments("blocks ", said["blocks"], arrays) if said["blocks"] else None,
        drawn=arrays["drawn"],
        caveats=tuple(Caveat(text, rank) for text, rank in said["caveats"]),
    )


def _told(moments: Moments) -> dict[str, Any]:
    """What of moments is no array; ids may be longer than any number type, so they are text."""
    ends = [str(end.cluster) for end in moments.ends]
    return {"rows": moments.rows, "closed": moments.closed, "ends": ends}


def _sums(name: str, moments: Moments) -> dict[str, Any]:
    ends = np.array([end.sums for end in moments.ends]).reshape(-1, len(moments.sums) + 1)
    return {f"{name}sums": moments.sums, f"{name}cross": moments.cross, f"{name}ends": ends}


def _moments(name: str, said: dict[str, Any], arrays: dict[str, Any]) -> Moments:
    ends = [End(int(cluster), sums) for cluster, sums in zip(said["ends"], arrays[f"{name}ends"], strict=True)]
    first, last = [*ends, None, None][:2]
    return Moments(said["rows"], arrays[f"{name}sums"], said["closed"], arrays[f"{name}cross"], first, last)

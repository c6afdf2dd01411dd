"""A run's folder: what a run leaves behind, complete, in files that anybody can read.

`run.json` is written last, so a folder that has one is finished. Tables are CSV with stable columns; a table that does
not exist was not asked for.
"""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simenv.errors import UserError

RUN_FILE = "run.json"
RUN_SCHEMA = 1
PACKAGES = ("slatelab", "numpy", "pandas", "pyarrow", "torch", "ray", "gymnasium", "scikit-learn")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RunSummary:
    """What run.json says beside versions and machine."""

    kind: str
    name: str
    title: str
    question: str
    finding: str
    assumptions: Sequence[str]
    notes: Sequence[str]
    config: Mapping[str, Any]
    seeds: Mapping[str, int]
    hashes: Mapping[str, str]
    started: str
    wall_seconds: float
    extra: Mapping[str, Any] = field(default_factory=dict)
    backend: str = "numpy"  # who played the worlds; "auto" where several did: numba where installed and able


def require_new(out: Path) -> None:
    """Refuse a folder that holds a finished run or something else.

    Raises:
        UserError: where `out` is finished, or exists and is no begun run.
    """
    if (out / RUN_FILE).exists():
        raise UserError(f"'{out}' holds a finished run; choose another --out, or remove it to run again.")


def write_table(folder: Path, name: str, rows: Sequence[Row]) -> None:
    """Write one table, whole or not at all; columns are those of the first row, in order. No rows, no table."""
    if not rows:
        return
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    target = folder / "tables" / f"{name}.csv"
    draft = target.with_suffix(".csv.partial")
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    draft.replace(target)


def write_run(folder: Path, summary: RunSummary) -> None:
    """Write run.json, which makes the run finished."""
    content = {
        "schema": RUN_SCHEMA,
        "kind": summary.kind,
        "name": summary.name,
        "title": summary.title,
        "question": summary.question,
        "finding": summary.finding,
        "assumptions": list(summary.assumptions),
        "notes": list(summary.notes),
        "config": dict(summary.config),
        "seeds": dict(summary.seeds),
        "versions": versions(),
        "hashes": dict(summary.hashes),
        "backend": summary.backend,
        "machine": machine(),
        "wall_seconds": round(summary.wall_seconds, 1),
        "started": summary.started,
        **summary.extra,
    }
    write_json(folder / RUN_FILE, content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.partial")
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def machine() -> str:
    """This machine in words: processor, cores, system."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [platform.machine()])[0]}, {os.cpu_count()} cores, {platform.system()}"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that move numbers; "absent" where one is not installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def begin_run(out: Path, digest: str) -> None:
    """Start a run's folder, or go on with one that was begun with the same settings.

    Raises:
        UserError: where the folder is finished, was begun with other settings, or holds something else.
    """
    require_new(out)
    marker = out / ".begun"
    if marker.is_file():
        if marker.read_text(encoding="utf-8") != digest:
            raise UserError(
                f"'{out}' holds a run that was begun with other settings; choose another --out, or remove it."
            )
        return
    if out.exists() and any(out.iterdir()):
        raise UserError(f"'{out}' exists and is not a run; choose another --out.")
    out.mkdir(parents=True, exist_ok=True)
    marker.write_text(digest, encoding="utf-8")


def end_run(out: Path) -> None:
    """Remove what only an unfinished run needs."""
    (out / ".begun").unlink(missing_ok=True)
    for left in out.glob(".*.partial"):
        shutil.rmtree(left, ignore_errors=True)


def _cell(value: Any) -> Any:
    return repr(float(value)) if isinstance(value, float) else value

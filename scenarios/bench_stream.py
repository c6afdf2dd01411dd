"""How fast logs of any size are evaluated: from Parquet to verdicts in one pass, ten estimators, memory that stays.

A log is written to a temporary folder first, and removed afterwards. Rates are of CPU time, from opening the files to
the verdicts, checks of every column included; beside them stands what this disk gives when the files are only read.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offpolicy.readers.mapping import Chance, LogMapping
from scenarios.benchmark import Benchmark

SINGLE = ("ips", "snips", "dm", "dr", "sndr", "clipped-ips", "clipped-dr", "switch-dr", "dros", "sg-dr")
SLATES = ("ips", "snips", "dm", "dr", "rips", "snrips", "ips-item", "snips-item", "dr-item", "clipped-dr")
SLOTS = 10
GROUP = 1 << 20  # rows of a file, which is one row group

ONE_ACTION = LogMapping(
    "single",
    {"click": ("click",)},
    (Chance(("p",), "conditional", "probability"),),
    (Chance(("p_target",), "conditional", "probability"),),
    shopper="shopper",
    model_logged=("q",),
    model_target="q_target",
)


def _by_slot(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{k}" for k in range(SLOTS))


TEN_SLOTS = LogMapping(
    "wide",
    {"click": _by_slot("click")},
    (Chance(_by_slot("p"), "conditional", "probability"), Chance(_by_slot("p"), "marginal", "probability")),
    (
        Chance(_by_slot("p_target"), "conditional", "probability"),
        Chance(_by_slot("p_target"), "marginal", "probability"),
    ),
    shopper="shopper",
    model_logged=_by_slot("q"),
    model_target="q_target",
    kind_is_certain=True,
)


@dataclass(frozen=True)
class Measured:
    """One pass over a log.

    Attributes:
        rows: N.
        cpu_seconds, wall_seconds: From opening the files to the verdicts.
        bytes: Of the files.
        disk_seconds: Wall time of reading the same files and doing nothing, out of the page cache where that could be
            emptied of them.
    """

    rows: int
    cpu_seconds: float
    wall_seconds: float
    bytes: int
    disk_seconds: float


def write_log(folder: Path, n_rows: int, n_slots: int, seed: int = 0, *, in_order: bool = True) -> None:
    """Write a log of independent slots of two items each, float32, file by file; four rows a shopper.

    Args:
        folder: Where the files go.
        n_rows: N.
        n_slots: 1 for single actions, else SLOTS.
        seed: Of the draws.
        in_order: Whether rows of a shopper stand together, in ascending order; else anywhere, four on average.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for number, first in enumerate(range(0, n_rows, GROUP)):
        rng = np.random.default_rng((seed, number))
        n = min(GROUP, n_rows - first)
        shopper = np.arange(first, first + n) // 4 if in_order else rng.integers(0, n_rows // 4, n)
        made: dict[str, np.ndarray] = {"shopper": shopper}
        value = np.zeros(n, dtype=np.float32)
        for k in range(n_slots):
            place = f"_{k}" if n_slots > 1 else ""
            p, target = rng.uniform(0.3, 0.7, (2, n)).astype(np.float32)
            is_first = rng.random(n, dtype=np.float32) < p
            made[f"p{place}"] = np.where(is_first, p, 1 - p)
            made[f"p_target{place}"] = np.where(is_first, target, 1 - target)
            made[f"click{place}"] = (rng.random(n, dtype=np.float32) < np.where(is_first, 0.1, 0.05)).astype(np.int8)
            made[f"q{place}"] = np.where(is_first, 0.09, 0.06).astype(np.float32)
            value += 0.06 + 0.03 * target
        made["q_target"] = value
        pq.write_table(pa.table(made), folder / f"part-{number:05d}.parquet", compression="none", row_group_size=GROUP)


def measured(n_rows: int, n_slots: int, folder: Path | None = None, *, in_order: bool = True) -> Measured:
    """Write a log, read it in one pass, remove it.

    Args:
        n_rows: N.
        n_slots: 1 for single actions, else SLOTS.
        folder: Where there is room; the system's temporary folder where None.
        in_order: As for `write_log`.
    """
    from offpolicy.stream.finish import finish
    from offpolicy.stream.mapped_log import open_mapped
    from offpolicy.stream.parts import read_all
    from offpolicy.stream.plan import plan_of

    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = Path(made)
        write_log(path, n_rows, n_slots, in_order=in_order)
        size, disk = _only_read(path)
        cpu, wall = time.process_time(), time.monotonic()
        log = open_mapped(path, ONE_ACTION if n_slots == 1 else TEN_SLOTS, "click")
        names = list(SINGLE if n_slots == 1 else SLATES)
        plan = plan_of(log.first().evidence["click"], names, survey=log.survey())
        gathered, _ = read_all(log, plan)
        finish(gathered, plan)
        return Measured(n_rows, time.process_time() - cpu, time.monotonic() - wall, size, disk)


def _only_read(folder: Path) -> tuple[int, float]:
    """Bytes of all files, and the wall time of reading them from the disk."""
    size, taken = 0, 0.0
    for path in sorted(folder.iterdir()):
        with path.open("rb", buffering=0) as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            start = time.monotonic()
            while block := file.read(1 << 24):
                size += len(block)
            taken += time.monotonic() - start
    return size, taken


def _rate(n_rows: int, n_slots: int, *, in_order: bool = True) -> Callable[[], float]:
    def rate() -> float:
        found = measured(n_rows, n_slots, in_order=in_order)
        return found.rows / found.cpu_seconds

    return rate


def _disk(n_rows: int, n_slots: int) -> Callable[[], float]:
    def rate() -> float:
        with tempfile.TemporaryDirectory() as folder:
            write_log(Path(folder), n_rows, n_slots)
            return n_rows / _only_read(Path(folder))[1]

    return rate


_PASS = "one pass over Parquet, ten estimators with intervals and verdicts"
_ONLY = "the same files read and nothing done, from this disk"

STREAM: dict[str, Benchmark] = {
    f"{_PASS}, 1,000,000 single actions": Benchmark(
        "rows/CPU-s", _rate(1_000_000, 1), beside=f"{_ONLY}, 1,000,000 single actions"
    ),
    f"{_PASS}, 1,000,000 single actions, shoppers in any order": Benchmark(
        "rows/CPU-s", _rate(1_000_000, 1, in_order=False), beside=f"{_ONLY}, 1,000,000 single actions"
    ),
    f"{_ONLY}, 1,000,000 single actions": Benchmark("rows/s", _disk(1_000_000, 1)),
    f"{_PASS}, 1,000,000 slates of 10": Benchmark(
        "slates/CPU-s", _rate(1_000_000, SLOTS), beside=f"{_ONLY}, 1,000,000 slates of 10"
    ),
    f"{_ONLY}, 1,000,000 slates of 10": Benchmark("slates/s", _disk(1_000_000, SLOTS)),
}

"""Speed of imitation: a log in Parquet read, batched and learned from once, beside RLlib's own way in the same run."""

from __future__ import annotations

import json
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from policies.registry import named_policy
from scenarios.benchmark import Benchmark
from simenv.log.schema import MANIFEST_FILE, SESSION_BITS
from simenv.log.write import write_log
from simenv.play import shopper_range
from simenv.worlds import load_world

SHOPPERS, COPIES = 820, 16  # of the default world, and as many strangers as copies: 100,000 rows
SAMPLE = 4096  # rows that RLlib's own way is shown


def _ours() -> float:
    """All rows; the log is opened, checked and read, and the learner built, within the clock."""
    from policies.rllib.offline_jobs import learn_once

    folder = Path(_log().name)
    start = time.process_time()
    return learn_once(folder) / (time.process_time() - start)


def _rllibs() -> float:
    """A sample, from arrays in memory; neither reading nor Ray's own work is counted."""
    from policies.rllib.offline_jobs import learn_once_by_rllib, plain_rows

    folder = Path(_log().name)
    rows = plain_rows(folder, SAMPLE)
    start = time.process_time()
    return learn_once_by_rllib(folder, rows) / (time.process_time() - start)


@lru_cache(maxsize=1)
def _log() -> tempfile.TemporaryDirectory[str]:
    """A log that is written once a process and removed with it."""
    made = tempfile.TemporaryDirectory()
    world, folder = load_world("default"), Path(made.name) / "log"
    write_log(
        world, "default", named_policy("production", world.catalogue.public()), 0, shopper_range(SHOPPERS), folder
    )
    for file in folder.iterdir():
        file.rename(Path(made.name) / file.name)
    (part,) = Path(made.name).glob("part-*.parquet")
    table = pq.read_table(part)
    for copy in range(1, COPIES):
        strangers = table
        for name, step in (("shopper", SHOPPERS), ("session", SHOPPERS << SESSION_BITS)):
            at = table.schema.get_field_index(name)
            strangers = strangers.set_column(at, table.schema.field(at), pc.add(table[name], copy * step))
        pq.write_table(strangers, part.with_name(f"part-{copy:05d}.parquet"))
    told = json.loads((Path(made.name) / MANIFEST_FILE).read_text(encoding="utf-8"))
    told["rows"] *= COPIES
    (Path(made.name) / MANIFEST_FILE).write_text(json.dumps(told), encoding="utf-8")
    return made


_RLLIB = "MARWIL by RLlib's own episodes and connectors, from arrays in memory"

OFFLINE: dict[str, Benchmark] = {
    "MARWIL from a log of 100,000 rows, 50 candidates, 5 slots: read, batched, learned from once": Benchmark(
        "rows/CPU-s", _ours, beside=_RLLIB
    ),
    _RLLIB: Benchmark("rows/CPU-s", _rllibs),
}

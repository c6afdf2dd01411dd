"""One pass on many workers: a Ray task a row group, merged in the log's order, so the numbers are those of one process.

Tasks and not Ray Data: over the same million rows plain tasks were measured ten times faster and more. A worker that
dies loses one part; with a state folder (which workers on other machines must share) a stopped pass goes on.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from offpolicy.stream.gather import Gathered
from offpolicy.stream.parts import Kept, Part, Read, Source, kept, merged, read_part
from offpolicy.stream.plan import Plan
from simenv.errors import UserError

AHEAD = 2  # tasks a worker that wait: enough to keep it busy, few enough that results do not pile up


def read_on_ray(
    source: Source,
    plan: Plan,
    workers: int | None = None,
    state: Path | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[Gathered, tuple[str, ...]]:
    """As `offpolicy.stream.parts.read_all`, on workers.

    Args:
        source: The log.
        plan: What to sum up.
        workers: Processes on this machine; None asks the cluster that RAY_ADDRESS names, or this machine's cores.
        state: Folder of what was read; workers on other machines must share it where shoppers stand in no order.
        advance: Told rows read.

    Raises:
        UserError: As `read_all`, and if there is no worker.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    if workers is not None and workers < 1:
        raise UserError(f"workers is {workers}; expected at least 1.")
    is_ours = not ray.is_initialized()
    if is_ours:
        address = os.environ.get("RAY_ADDRESS") if workers is None else None
        ray.init(
            address=address or "local", num_cpus=None if address else workers or os.cpu_count(),
            include_dashboard=None if address else False, log_to_driver=False, logging_level=logging.ERROR,
        )  # fmt: skip
    try:
        with kept(plan, state) as keep:
            return merged(_results(source, plan, keep, advance), plan)
    finally:
        if is_ours:
            ray.shutdown()


def _results(source: Source, plan: Plan, keep: Kept, advance: Callable[[int], None]) -> Iterator[Read]:
    """What was kept of each part, in the log's order, as workers finish."""
    import ray

    task = ray.remote(num_cpus=1, max_retries=2)(_task)
    shared = ray.put(source)
    ahead = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
    parts = iter(source.parts)
    running = [(part, task.remote(shared, part, plan, keep)) for part in itertools.islice(parts, ahead)]
    while running:
        part, waiting = running.pop(0)
        try:
            read: Read = ray.get(waiting)
        except ray.exceptions.RayTaskError as problem:
            for _, other in running:
                ray.cancel(other)
            raise _reason(problem) from None
        running += [(each, task.remote(shared, each, plan, keep)) for each in itertools.islice(parts, 1)]
        advance(part.rows)
        yield read


def _task(source: Source, part: Part, plan: Plan, keep: Kept) -> Read:
    os.environ["OMP_NUM_THREADS"] = "1"
    return read_part(source, part, plan, keep)


def _reason(problem: Exception) -> Exception:
    """What the worker said, where a user's log is to blame."""
    cause = getattr(problem, "cause", None)
    return UserError(str(cause)) if type(cause) is UserError else problem

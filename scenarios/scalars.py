"""Scalars of a training for TensorBoard, written where somebody asks for them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from policies.rllib.trainer import TrainerWatch
from policies.training import Progressed, Watch


@contextlib.contextmanager
def with_scalars(watch: Watch, folder: Path | None) -> Iterator[Watch]:
    """The watch, which also writes event files into the folder; the same watch where that is None.

    `train/clicks_per_search` and `train/searches_per_second` of every batch, `train/clicks_per_search_of_round` after
    every round of training; steps are searches, so that a training that went on from a checkpoint draws one line.
    """
    if folder is None:
        yield watch
        return
    from tensorboardX import SummaryWriter  # loads protobuf

    writer = SummaryWriter(str(folder))
    last = time.monotonic()
    at = 0

    def on_batch(now: Progressed, clicks: float) -> None:
        nonlocal last, at
        watch.on_batch(now, clicks)
        writer.add_scalar("train/clicks_per_search", clicks, now.searches)
        moment = time.monotonic()
        if at:
            writer.add_scalar("train/searches_per_second", (now.searches - at) / (moment - last), now.searches)
        last, at = moment, now.searches

    def on_round(now: Progressed) -> None:
        watch.on_round(now)
        writer.add_scalar("train/clicks_per_search_of_round", now.last, now.searches)

    try:
        yield Watch(on_batch, on_round, watch.on_checkpoint, watch.stop)
    finally:
        writer.close()


@contextlib.contextmanager
def with_figures(watch: TrainerWatch, folder: Path | None) -> Iterator[TrainerWatch]:
    """As `with_scalars`, for trainings by steps: each figure as `train/NAME`, and `train/searches_per_second`."""
    if folder is None:
        yield watch
        return
    from tensorboardX import SummaryWriter  # loads protobuf

    writer = SummaryWriter(str(folder))
    last = time.monotonic()
    at = 0

    def on_step(searches: int, figures: Mapping[str, float]) -> None:
        nonlocal last, at
        watch.on_step(searches, figures)
        for name, value in figures.items():
            writer.add_scalar(f"train/{name}", value, searches)
        moment = time.monotonic()
        if at:
            writer.add_scalar("train/searches_per_second", (searches - at) / (moment - last), searches)
        last, at = moment, searches

    try:
        yield TrainerWatch(on_step, watch.on_checkpoint, watch.stop)
    finally:
        writer.close()

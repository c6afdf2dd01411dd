"""How RLlib is run here: without warnings of what it does itself, and on one thread."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def quiet() -> Iterator[None]:
    """Keep RLlib 2.60 from warning of what it does itself.

    Every module makes a deprecated `RLModuleConfig`; every runner of a process registers the same name again.
    """
    with _without("ray._common.deprecation", "RLModuleConfig"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*rllib-single-agent-env-v0 already in registry", UserWarning)
        yield


@contextmanager
def without_news_of_the_stack() -> Iterator[None]:
    """Keep RLlib 2.60 from telling that its new API stack is now the default, of algorithms that know no other."""
    with _without("ray.rllib.algorithms.algorithm_config", "on the new API stack"):
        yield


@contextmanager
def _without(logger_name: str, text: str) -> Iterator[None]:
    """Let no message with that text through."""
    logger = logging.getLogger(logger_name)

    def is_news(record: logging.LogRecord) -> bool:
        return text not in record.getMessage()

    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: batches are small, and threads would cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Saved readers: what a learner's setting `reader` names the folder of.

The learner's own model then holds the reader with its weights, so that it loads without this folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from policies.persistence import LearnedFrom
from policies.query.encoder import QueryEncoder
from policies.saved_folder import Part, read_part, write_part

READER = Part("reader", "reader", 1, "policies.query.saving.save_reader")


def save_reader(encoder: QueryEncoder, folder: Path, learned_from: LearnedFrom) -> Path:
    """Write an encoder's folder, whole or not at all.

    Args:
        encoder: A trained encoder.
        folder: To be made; it must not exist.
        learned_from: What it has seen: rankers that read by it are not judged on those shoppers either.

    Raises:
        UserError: where the folder exists.
    """
    return write_part(READER, folder, {**encoder.as_json(), "learned_from": vars(learned_from)}, encoder.tensors())


def read_reader(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.generic]]]:
    """A saved reader's card and weights; see `read_part`."""
    return read_part(READER, folder)

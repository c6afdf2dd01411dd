"""Saved readers: weights in safetensors, everything else in JSON. Loading runs no code from either.

A reader's folder is what a learner's setting `reader` names. The learner's own model then holds the reader with its
weights, so that it loads without this folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from policies.persistence import LearnedFrom
from policies.query.encoder import QueryEncoder, encoder_from_json
from simenv.errors import UserError

READER_FILE, WEIGHTS_FILE = "reader.json", "reader.safetensors"
READER_SCHEMA = 1

Tensors = Mapping[str, npt.NDArray[np.generic]]


def save_reader(encoder: QueryEncoder, folder: Path, learned_from: LearnedFrom) -> Path:
    """Write an encoder's folder, whole or not at all.

    Args:
        encoder: A trained encoder.
        folder: To be made; it must not exist.
        learned_from: What it has seen: rankers that read by it are not judged on those shoppers either.

    Raises:
        UserError: where the folder exists.
    """
    if folder.exists():
        raise UserError(f"'{folder}' exists already; a reader is never overwritten. Choose another or remove it.")
    card = {"schema": READER_SCHEMA, **encoder.as_json(), "learned_from": vars(learned_from)}
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    draft.mkdir(parents=True)
    try:
        tensors = {name: np.ascontiguousarray(value) for name, value in encoder.tensors().items()}
        save_file(tensors, draft / WEIGHTS_FILE)
        (draft / READER_FILE).write_text(json.dumps(card) + "\n", encoding="utf-8")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def read_reader(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.generic]]]:
    """A saved reader's card and weights.

    Raises:
        UserError: where a file is missing, damaged or of another schema.
    """
    try:
        card = json.loads((folder / READER_FILE).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"the reader '{folder}' cannot be read ({error}). Expected a folder by policies.query.saving.save_reader."
        ) from error
    if not isinstance(card, dict) or card.get("schema") != READER_SCHEMA:
        raise UserError(f"'{folder / READER_FILE}' is of another schema; this version reads {READER_SCHEMA}.")
    return card, weights


def load_reader(folder: Path, device: str = "cpu") -> QueryEncoder:
    """A saved encoder.

    Raises:
        UserError: where its files are missing, damaged or do not fit each other.
    """
    card, weights = read_reader(folder)
    encoder = encoder_from_json(card, device)
    try:
        encoder.restore(weights)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"the reader '{folder}' is damaged ({str(error).splitlines()[0]}). Train it again.") from error
    return encoder

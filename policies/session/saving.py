"""Saved session models: weights in safetensors, everything else in JSON. Loading runs no code from either.

A model's folder is what a learner's setting `session` names. The learner's own model then holds the weights, so that it
loads without this folder.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from policies.persistence import LearnedFrom
from policies.session.encoder import SessionNet, described_shape
from simenv.errors import UserError

CARD_FILE, WEIGHTS_FILE = "session.json", "session.safetensors"
SESSION_SCHEMA = 1


def save_session(net: SessionNet, folder: Path, learned_from: LearnedFrom) -> Path:
    """Write a session model's folder, whole or not at all.

    Args:
        net: A trained model.
        folder: To be made; it must not exist.
        learned_from: What it has seen: rankers that read by it are not judged on those shoppers either.

    Raises:
        UserError: where the folder exists.
    """
    if folder.exists():
        raise UserError(f"'{folder}' exists already; a model is never overwritten. Choose another or remove it.")
    card = {"schema": SESSION_SCHEMA, **described_shape(net), "learned_from": vars(learned_from)}
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    draft.mkdir(parents=True)
    try:
        held = {name: np.ascontiguousarray(value.cpu().numpy()) for name, value in net.state_dict().items()}
        save_file(held, draft / WEIGHTS_FILE)
        (draft / CARD_FILE).write_text(json.dumps(card) + "\n", encoding="utf-8")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def read_session(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.generic]]]:
    """What describes a saved session model, and its weights.

    Raises:
        UserError: where a file is missing, damaged or of another schema.
    """
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"the session model '{folder}' cannot be read ({error}). Expected a folder by "
            "policies.session.saving.save_session."
        ) from error
    if not isinstance(card, dict) or card.get("schema") != SESSION_SCHEMA:
        raise UserError(f"'{folder / CARD_FILE}' is of another schema; this version reads {SESSION_SCHEMA}.")
    return card, weights

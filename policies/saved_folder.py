"""Folders of what was learned: numbers in safetensors, everything else in JSON, whole or not at all.

Models and the parts that they may hold (what reads queries, what reads the last clicks) are written alike. Loading runs
no code from any of them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from simenv.errors import UserError

Tensors = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Part:
    """A kind of saved part: what a learner's setting of that name gives the folder of.

    Attributes:
        name: The setting.
        about: What it is called in errors.
        schema: Of its card.
        written_by: The function that writes it.
    """

    name: str
    about: str
    schema: int
    written_by: str

    @property
    def card_file(self) -> str:
        """All but the weights."""
        return f"{self.name}.json"

    @property
    def weights_file(self) -> str:
        """The weights."""
        return f"{self.name}.safetensors"


def write_folder(folder: Path, about: str, files: Mapping[str, bytes]) -> Path:
    """Write a folder of files, whole or not at all, with the modes that the umask gives.

    Args:
        folder: To be made; it must not exist.
        about: What it is, for the error.
        files: Contents by name.

    Raises:
        UserError: where the folder exists.
    """
    if folder.exists():
        raise UserError(f"'{folder}' exists already; a {about} is never overwritten. Choose another or remove it.")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    draft.mkdir(parents=True)
    try:
        for name, content in files.items():
            (draft / name).write_bytes(content)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def packed(tensors: Tensors) -> bytes:
    """The content of a safetensors file."""
    made: bytes = save({name: np.ascontiguousarray(value) for name, value in tensors.items()})
    return made


def write_part(part: Part, folder: Path, card: Mapping[str, Any], tensors: Tensors) -> Path:
    """Write a part's folder; `card` is all that JSON can hold of it, what it learned from included.

    Raises:
        UserError: where the folder exists.
    """
    text = json.dumps({"schema": part.schema, **card}) + "\n"
    return write_folder(folder, part.about, {part.weights_file: packed(tensors), part.card_file: text.encode()})


def read_part(part: Part, folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.generic]]]:
    """A saved part's card and weights.

    Raises:
        UserError: where a file is missing, damaged or of another schema.
    """
    try:
        card = json.loads((folder / part.card_file).read_text(encoding="utf-8"))
        weights = load_file(folder / part.weights_file)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"the {part.about} '{folder}' cannot be read ({error}). Expected a folder by {part.written_by}."
        ) from error
    if not isinstance(card, dict) or card.get("schema") != part.schema:
        raise UserError(f"'{folder / part.card_file}' is of another schema; this version reads {part.schema}.")
    return card, weights

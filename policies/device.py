"""Where networks run: the same code on a GPU where there is one, on the CPU otherwise."""

from __future__ import annotations

import torch

from simenv.errors import UserError


def resolve_device(device: str) -> str:
    """The torch device for "auto", "cpu" or "cuda".

    Raises:
        UserError: where cuda is asked for and there is none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here. Use --device auto or cpu.")
    return device

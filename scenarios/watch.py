"""Watching sessions: what shoppers ask, what a policy shows them, and what they do, as text or as a moving picture."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from policies.registry import load_policy
from scenarios.progress import Progress
from simenv.decision import Policy
from simenv.errors import UserError
from simenv.play import play_apart
from simenv.render import ResultPage, page_text, read_page, with_next
from simenv.world import World
from simenv.worlds import load_world

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_COLOURS = 1 << 18  # that one frame may have
LETTERS = 3  # that appear at once while a query is typed
# How long frames stand, in milliseconds.
TYPING, ASKED, SHOWN, DONE, LEFT = 90, 900, 900, 2200, 3000


def watch(
    world: str,
    policy: str,
    *,
    sessions: int,
    seed: int,
    out: Path | None,
    tell: Callable[[str], None] | None,
    show_truth: bool,
    progress: Progress,
) -> None:
    """Play the first sessions of as many shoppers, as text, as a GIF, or both.

    Args:
        world: A name in WORLDS.
        policy: Who ranks: a registry name, a saved model's folder, or module:function.
        sessions: How many.
        seed: Of market and policy.
        out: The GIF to write; None for none. It must not exist.
        tell: Told each page as text; None for no text.
        show_truth: Whether to show how good each result truly was.
        progress: Told sessions.

    Raises:
        UserError: for unknown names, or an `out` that exists or is no `.gif`.
    """
    if out is not None:
        if out.suffix.lower() != ".gif":
            raise UserError(f"--out is '{out}'; expected a file ending in .gif.")
        if out.exists():
            raise UserError(f"'{out}' exists already and is not overwritten. Choose another --out or remove it.")
    market = load_world(world)
    ranker = load_policy(policy, market.catalogue.public(), market.params.n_slots)
    advance = progress.task(f"watch {sessions} sessions", sessions)
    frames: list[tuple[Image, int]] = []
    for shopper in range(sessions):
        for page in session_pages(market, ranker, seed, shopper, show_truth):
            if tell is not None:
                tell(page_text(page) + "\n")
            if out is not None:
                frames += page_frames(page)
        advance()
    if out is not None:
        write_gif(frames, out)


def session_pages(
    world: World, policy: Policy, seed: int, shopper: int, show_truth: bool = False
) -> Iterator[ResultPage]:
    """The pages of a shopper's first session: exactly those that a log of the same seed would hold.

    But where all shoppers share stock, which one shopper alone does not: see `simenv.stock`.
    """
    before: ResultPage | None = None
    for step in play_apart(world, policy, seed, np.array([shopper])):
        page = read_page(world, step.state, step.page, 0, step.outcome, show_truth)
        if before is not None:
            yield with_next(before, not page.is_first, len(page.filters))
        before = page
        if step.outcome.session_over[0]:
            yield page
            return


def page_frames(page: ResultPage) -> Iterator[tuple[Image, int]]:
    """The pictures of one page, each with its milliseconds: the query is typed, understood, answered; then what came.

    On later pages of a query nothing is typed.
    """
    from simenv.draw import page_image

    asking = dataclasses.replace(page, cards=())
    if page.is_first:
        for letters in range(0, len(page.query) + LETTERS, LETTERS):
            yield page_image(asking, typed=letters), TYPING
        yield page_image(asking), ASKED
    yield page_image(page, judged=False), SHOWN
    yield page_image(page), LEFT if page.ending == "leaves" else DONE


def write_gif(frames: list[tuple[Image, int]], out: Path) -> None:
    """Write pictures as a GIF that repeats for ever: whole or not at all."""
    from PIL import Image

    palette = _palette([image for image, _ in frames])
    reduced = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image, _ in frames]
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        reduced[0].save(
            draft,
            format="GIF",
            save_all=True,
            append_images=reduced[1:],
            duration=[milliseconds for _, milliseconds in frames],
            loop=0,
        )
        draft.rename(out)
    finally:
        draft.unlink(missing_ok=True)


def _palette(images: list[Image]) -> Image:
    """A picture with the 256 commonest colours of all frames: areas keep theirs (to a shade), and nothing flickers."""
    from PIL import Image

    pixels: Counter[tuple[int, ...]] = Counter()
    for image in images:
        for count, colour in image.getcolors(MOST_COLOURS) or []:
            pixels[colour] += count  # type: ignore[index]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour, _ in pixels.most_common(256) for part in colour])
    return palette

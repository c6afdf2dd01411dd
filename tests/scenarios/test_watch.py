"""Watching: the sessions are those of a log, the picture moves, and nothing is overwritten."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from policies.registry import load_policy
from scenarios.watch import page_frames, session_pages
from simenv.log import Log, write_log
from simenv.play import shopper_range
from simenv.worlds import load_world
from slatelab.main import call


def test_what_is_watched_is_what_a_log_of_the_same_seed_holds(tmp_path: Path) -> None:
    world = load_world("tiny")
    policy = load_policy("production", world.catalogue.public(), world.params.n_slots)
    write_log(world, "tiny", policy, 5, shopper_range(4), tmp_path / "log", lambda n: None)
    rows = np.concatenate([batch.clicked for batch in Log.open(tmp_path / "log").batches()])
    sessions = np.concatenate([batch.session for batch in Log.open(tmp_path / "log").batches()])
    shoppers = np.concatenate([batch.page.shopper for batch in Log.open(tmp_path / "log").batches()])
    for shopper in range(4):
        pages = list(session_pages(world, policy, 5, shopper))
        mine = rows[sessions == sessions[shoppers == shopper].min()]
        clicks = [[card is not None and card.clicked for card in page.cards] for page in pages]
        assert clicks == mine.tolist()
        assert [page.ending == "leaves" for page in pages] == [False] * (len(pages) - 1) + [True]
        for page, following in itertools.pairwise(pages):
            assert (page.ending == "looks further") == (not following.is_first)


def test_a_query_is_typed_once_and_a_later_page_shows_no_typing() -> None:
    world = load_world("tiny")
    policy = load_policy("uniform", world.catalogue.public(), world.params.n_slots)
    pages = [page for shopper in range(30) for page in session_pages(world, policy, 0, shopper)]
    later = next(page for page in pages if not page.is_first)
    assert len(list(page_frames(later))) == 2
    assert len(list(page_frames(pages[0]))) > 4


def test_the_command_writes_a_moving_picture_and_prints_the_same_sessions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "watch.gif"
    line = ["--quiet", "watch", "tiny", "--policy", "oracle", "--sessions", "2", "--seed", "3", "--truth"]
    assert call([*line, "--out", str(out), "--ansi"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("the shopper leaves") == 2
    assert shown.rstrip().endswith(str(out))
    with Image.open(out) as gif:
        assert (gif.format, gif.width) == ("GIF", 480)
        assert gif.n_frames > 8  # type: ignore[attr-defined]
        assert gif.info["loop"] == 0
    assert list(out.parent.iterdir()) == [out]
    assert call(line) == 0
    assert shown.startswith(capsys.readouterr().out.rstrip())
    assert call([*line, "--out", str(out)]) == 2
    assert "not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("tiny --out picture.png", "ending in .gif"),
        ("tinny", "Did you mean 'tiny'"),
        ("tiny --policy oracel", "Did you mean 'oracle'"),
        ("tiny --policy linear", "has to be trained first"),
        ("tiny --sessions 0", "--sessions"),
    ],
)
def test_a_mistake_says_what_to_do(options: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["watch", *options.split()]) == 2
    assert said in capsys.readouterr().err
